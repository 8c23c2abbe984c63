/* Quantized matrices by smmla, which multiplies 2 rows by 8 k with 8 k by 2 columns. Panels are
 * laid out as pairs of rows: the two halves of an i4 line, or two lines of i8, zipped. One column
 * alone is the dot product's. */
#include "kernels/neon_i8mm/matmul.h"
#include "kernels/neon_dotprod/matmul.h"
#include "kernels/neon_i8mm/smmla.h"

#define NATIVE_I8 false
#define Q_COPIES  1

/* A tile: [16 times 8 k][8 pairs of rows][2 rows][8 k]. */
ALWAYS_INLINE void store_16k(int8_t *tile, int part, int8x16_t w[4][4]) {
    for (int i = 0; i < 8; i++) {
        const int8x16_t k0 = w[i / 4 * 2][i % 4], k4 = w[i / 4 * 2 + 1][i % 4];
        vst1q_s8(tile + 256 * part + 32 * i, first_rows(k0, k4));
        vst1q_s8(tile + 256 * part + 32 * i + 16, last_rows(k0, k4));
    }
}

/* [2 halves][2 pairs of columns][2][8 k]. */
ALWAYS_INLINE void pack_16k(int8_t *dst, const int8x16_t x[4]) {
    int8x16_t pairs[4];
    pair_columns(pairs, x);
    for (int i = 0; i < 4; i++)
        vst1q_s8(dst + 16 * i, pairs[i]);
}

ALWAYS_INLINE void dot_block(int32x4_t isum[4][4], const int8_t **codes, const int8_t **q,
                             bool wide) {
    (void)wide;
#pragma GCC unroll 2
    for (int part = 0; part < 2; part++) {
        int8x16_t x[4];
        next_line(x, q);
#pragma GCC unroll 4
        for (int line = 0; line < 4; line++) {
            int8x16_t w[4];
            next_line(w, codes);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                multiply_pair(isum, line % 2 * 4 + i, w[i], x + line / 2 * 2);
        }
    }
}

#include "kernels/neon/columns.h"

void matmul_f32_q32_i4_neon_i8mm(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                                 const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    if (n == 1)
        matmul_f32_q32_i4_neon_dotprod(y, ldy, x, n, w, p0, p1, scratch);
    else
        matmul_columns(y, ldy, input_q32(x, w->k), n, w, p0, p1, scratch, COLUMNS_I4);
}

void matmul_f32_q128_i4_neon_i8mm(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                                  const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    matmul_columns(y, ldy, input_q128(x), n, w, p0, p1, scratch, COLUMNS_7BIT);
}

void matmul_f32_q32_i8_neon_i8mm(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                                 const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    if (n == 1)
        matmul_f32_q32_i8_neon_dotprod(y, ldy, x, n, w, p0, p1, scratch);
    else
        matmul_columns(y, ldy, input_q32(x, w->k), n, w, p0, p1, scratch, COLUMNS_I8);
}
