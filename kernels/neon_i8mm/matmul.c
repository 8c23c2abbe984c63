/* Quantized matrices by smmla, which multiplies 2 rows by 8 k with 8 k by 2 columns. Panels are
 * laid out as pairs of rows: the two halves of an i4 line, or two lines of i8, zipped. One column
 * alone is the dot product's. */
#include "kernels/neon_dotprod/slots.h"
#include "kernels/neon_i8mm/slots.h"
#include "kernels/neon_i8mm/smmla.h"

#define NATIVE_I8 false
#define Q_COPIES  1
#define I4_SCALES 16

/* A tile: [16 times 8 k][8 pairs of rows][2 rows][8 k]. */
TILE_HELPER void store_16k(int8_t *tile, int part, int8x16_t w[4][4]) {
    for (int i = 0; i < 8; i++) {
        const int8x16_t k0 = w[i / 4 * 2][i % 4], k4 = w[i / 4 * 2 + 1][i % 4];
        vst1q_s8(tile + 256 * part + 32 * i, first_rows(k0, k4));
        vst1q_s8(tile + 256 * part + 32 * i + 16, last_rows(k0, k4));
    }
}

/* [2 halves][2 pairs of columns][2][8 k]. */
TILE_HELPER void pack_16k(int8_t *dst, const int8x16_t x[4], enum tensor_type type) {
    (void)type;
    int8x16_t pairs[4];
    pair_columns(pairs, x);
    for (int i = 0; i < 4; i++)
        vst1q_s8(dst + 16 * i, pairs[i]);
}

TILE_HELPER void dot_block(int32x4_t isum[4][4], const int8_t **codes, const int8_t **q) {
    UNROLL for (int part = 0; part < 2; part++) {
        int8x16_t x[4];
        next_line(x, q);
        UNROLL for (int line = 0; line < 4; line++) {
            int8x16_t w[4];
            next_line(w, codes);
            UNROLL for (int i = 0; i < 4; i++)
                multiply_pair(isum, line % 2 * 4 + i, w[i], x + line / 2 * 2);
        }
    }
}

/* [16 times 8 k][4 pairs of rows][2 rows][8 k]. */
TILE_HELPER void store_half_16k(int8_t *half, int part, int8x16_t w[4][2]) {
    UNROLL for (int i = 0; i < 4; i++) {
        const int8x16_t k0 = w[i / 2 * 2][i % 2], k4 = w[i / 2 * 2 + 1][i % 2];
        vst1q_s8(half + 128 * part + 32 * i, first_rows(k0, k4));
        vst1q_s8(half + 128 * part + 32 * i + 16, last_rows(k0, k4));
    }
}

/* isum: [4 pairs of rows][2 pairs of columns] of [2 rows][2 columns]. */
TILE_HELPER void dot_half(int32x4_t isum[8], const int8_t **codes, const int8_t **q) {
    UNROLL for (int i = 0; i < 8; i++) isum[i] = vdupq_n_s32(0);
    UNROLL for (int part = 0; part < 2; part++) {
        int8x16_t x[4];
        next_line(x, q);
        UNROLL for (int line = 0; line < 2; line++) {
            int8x16_t w[4];
            next_line(w, codes);
            UNROLL for (int i = 0; i < 8; i++) isum[i] =
                vmmlaq_s32(isum[i], w[i / 2], x[2 * line + i % 2]);
        }
    }
}

/* To [4 columns][2 groups of rows]. */
TILE_HELPER void order_half(float32x4_t s[8]) {
    float32x4_t ordered[8];
    UNROLL for (int i = 0; i < 4; i++) {
        const int group = i / 2, columns = i % 2;
        const float32x4_t rows01 = s[4 * group + columns], rows23 = s[4 * group + 2 + columns];
        ordered[4 * columns + group] = vuzp1q_f32(rows01, rows23);
        ordered[4 * columns + 2 + group] = vuzp2q_f32(rows01, rows23);
    }
    memcpy(s, ordered, sizeof ordered);
}

/* One column has no partner: as with dot products. */
TILE_HELPER void decode_i4(float *y, const struct act_q128 *x, const struct wmat *w, size_t p0,
                           size_t p1) {
    matmul_f32_q128_i4_neon_dotprod(y, 0, x, 1, w, p0, p1, NULL);
}

TILE_HELPER void decode_i8(float *y, const struct act_q8 *x, const struct wmat *w, size_t p0,
                           size_t p1) {
    matmul_f32_q32_i8_neon_dotprod(y, 0, x, 1, w, p0, p1, NULL);
}

#include "kernels/neon/columns_tmpl.h"

void matmul_f32_q128_i4_neon_i8mm(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                                  const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    columns_i4(y, ldy, x, n, w, p0, p1, scratch);
}

void matmul_f32_q32_i8_neon_i8mm(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                                 const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    columns_i8(y, ldy, x, n, w, p0, p1, scratch);
}
