/* Quantized matrices by sdot. Lines of 8-bit values serve as they lie in the file. */
#include "kernels/neon_dotprod/matmul.h"
#include "kernels/neon_dotprod/sdot.h"

#include "kernels/neon/decode.h"

#define NATIVE_I8 true
#define Q_COPIES  1

/* The order of the file: [32 lines][16 rows][4 k]. */
ALWAYS_INLINE void store_16k(int8_t *tile, int part, int8x16_t w[4][4]) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        vst1q_s8(tile + 256 * part + 16 * i, w[i / 4][i % 4]);
}

/* [4 columns][16 k]. */
ALWAYS_INLINE void pack_16k(int8_t *dst, const int8x16_t x[4]) {
    for (int c = 0; c < 4; c++)
        vst1q_s8(dst + 16 * c, x[c]);
}

ALWAYS_INLINE void dot_block(int32x4_t isum[4][4], const int8_t **codes, const int8_t **q,
                             bool wide) {
    (void)wide;
#pragma GCC unroll 2
    for (int part = 0; part < 2; part++) {
        int8x16_t x[4];
        next_line(x, q);
        dot_lines(isum, codes, x, 4);
    }
}

ALWAYS_INLINE void order_sums(int32x4_t isum[4][4]) {
    (void)isum;
}

#include "kernels/neon/columns.h"

void matmul_f32_q32_i4_neon_dotprod(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                                    const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    if (n == 1)
        decode_i4(y, x, w, p0, p1);
    else
        matmul_columns(y, ldy, input_q32(x, w->k), n, w, p0, p1, scratch, COLUMNS_I4);
}

void matmul_f32_q128_i4_neon_dotprod(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                                     const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    matmul_columns(y, ldy, input_q128(x), n, w, p0, p1, scratch, COLUMNS_7BIT);
}

void matmul_f32_q32_i8_neon_dotprod(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                                    const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    if (n == 1)
        decode_i8(y, x, w, p0, p1);
    else
        matmul_columns(y, ldy, input_q32(x, w->k), n, w, p0, p1, scratch, COLUMNS_I8);
}
