/* Quantized matrices by smmla, which multiplies 2 rows by 8 k with 8 k by 2 columns. Panels are
 * laid out as pairs of rows: the two halves of an i4 line, or two lines of i8, zipped. One column
 * alone is the dot product's. */
#include "kernels/neon_i8mm/matmul.h"
#include "kernels/neon/neon.h"
#include "kernels/neon_dotprod/matmul.h"

#define DOT_GROUPS 4
#define NATIVE_I8  false

ALWAYS_INLINE void store_pairs(int8_t *dst, int8x16_t k0, int8x16_t k4) {
    const int32x4_t a = vreinterpretq_s32_s8(k0), b = vreinterpretq_s32_s8(k4);
    vst1q_s8(dst, vreinterpretq_s8_s32(vzip1q_s32(a, b)));
    vst1q_s8(dst + 16, vreinterpretq_s8_s32(vzip2q_s32(a, b)));
}

/* A tile: [16 times 8 k][8 pairs of rows][2 rows][8 k]. */
ALWAYS_INLINE void store_16k(int8_t *tile, int part, int8x16_t w[4][4]) {
    for (int g = 0; g < 4; g++) {
        store_pairs(tile + 256 * part + 32 * g, w[0][g], w[1][g]);
        store_pairs(tile + 256 * part + 128 + 32 * g, w[2][g], w[3][g]);
    }
}

/* 8 k of two columns side by side: those of the first or the second half. */
ALWAYS_INLINE int8x16_t first_halves(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s64(vzip1q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}
ALWAYS_INLINE int8x16_t second_halves(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s64(vzip2q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}

/* 8 k of 16 rows against two pairs of columns. A sum holds [row][column] of its pairs. */
ALWAYS_INLINE void multiply_8k(int32x4_t sum[8][2], const int8_t *pairs, int8x16_t cols01,
                               int8x16_t cols23) {
#pragma GCC unroll 2
    for (int line = 0; line < 2; line++) {
        int8x16_t w[4];
        load_line(w, pairs + 64 * line);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            sum[4 * line + i][0] = vmmlaq_s32(sum[4 * line + i][0], w[i], cols01);
            sum[4 * line + i][1] = vmmlaq_s32(sum[4 * line + i][1], w[i], cols23);
        }
    }
}

ALWAYS_INLINE void dot_columns(int32x4_t isum[4][DOT_GROUPS], const int8_t *tile, size_t block,
                               int g, const int8_t *const q[4], int n_blocks, bool wide) {
    (void)g;
    (void)wide;
    int32x4_t sum[8][2];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        sum[i / 2][i % 2] = vdupq_n_s32(0);
#pragma GCC unroll 1
    for (int b = 0; b < n_blocks; b++) {
#pragma GCC unroll 2
        for (int part = 0; part < 2; part++) {
            const int k = BLOCK_K * b + 16 * part;
            const int8x16_t q0 = vld1q_s8(q[0] + k), q1 = vld1q_s8(q[1] + k);
            const int8x16_t q2 = vld1q_s8(q[2] + k), q3 = vld1q_s8(q[3] + k);
            const int8_t *pairs = tile + 512 * block + 16 * k;
            multiply_8k(sum, pairs, first_halves(q0, q1), first_halves(q2, q3));
            multiply_8k(sum, pairs + 128, second_halves(q0, q1), second_halves(q2, q3));
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
#pragma GCC unroll 2
        for (int pair = 0; pair < 2; pair++) {
            const int32x4_t rows01 = sum[2 * i][pair], rows23 = sum[2 * i + 1][pair];
            isum[2 * pair][i] = vuzp1q_s32(rows01, rows23);
            isum[2 * pair + 1][i] = vuzp2q_s32(rows01, rows23);
        }
    }
}

#include "kernels/neon/columns.h"

void matmul_f32_q32_i4_neon_i8mm(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                                 const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    if (n == 1)
        matmul_f32_q32_i4_neon_dotprod(y, ldy, x, n, w, p0, p1, scratch);
    else
        matmul_columns(y, ldy, x, n, w, p0, p1, scratch, COLUMNS_I4);
}

void matmul_f32_q128_i4_neon_i8mm(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                                  const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    matmul_columns(y, ldy, x, n, w, p0, p1, scratch, COLUMNS_7BIT);
}

void matmul_f32_q32_i8_neon_i8mm(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                                 const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    if (n == 1)
        matmul_f32_q32_i8_neon_dotprod(y, ldy, x, n, w, p0, p1, scratch);
    else
        matmul_columns(y, ldy, x, n, w, p0, p1, scratch, COLUMNS_I8);
}
