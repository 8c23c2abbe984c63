/*
 * Values of an int8 cache: the loop that the three ARM folders share. Before including it, a
 * folder defines
 *
 *   VALUE_COLUMNS   query heads that meet a group of values at once
 *   TILE_HELPER void dot_values(int32x4_t isum[][4], const int8_t *v, size_t row,
 *                               const uint8x16_t codes[], int n_cols);
 *       isum [n_cols][4 dimensions each] = the sums of a group's products: 16 dimensions of four
 *       positions a line, lines `row` bytes apart, with the group's codes of n_cols (a constant)
 *       query heads
 */
#include "kernels/neon/neon.h"

#define VALUE_RUN 4 /* groups whose values stay in the first-level cache */

/* 16 dimensions of out, stride ldo, and n_groups groups, for n_cols (a constant) query heads. */
TILE_HELPER void value_columns(float *out, size_t ldo, const uint8_t *c, const float *cd,
                               size_t ldc, const int8_t *v, size_t hd, size_t n_groups,
                               int n_cols) {
    for (size_t g = 0; g < n_groups; g++, v += ATTN_GROUP * hd) {
        int32x4_t isum[VALUE_COLUMNS][4];
        uint8x16_t codes[VALUE_COLUMNS];
        UNROLL for (int i = 0; i < n_cols; i++) codes[i] = vld1q_u8(c + (i * ldc + g) * ATTN_GROUP);
        dot_values(isum, v, 4 * hd, codes, n_cols);
        UNROLL for (int i = 0; i < n_cols; i++) UNROLL for (int j = 0; j < 4; j++) {
            float *const to = out + i * ldo + 4 * j;
            const float32x4_t t = vmulq_n_f32(vcvtq_f32_s32(isum[i][j]), cd[i * ldc + g]);
            vst1q_f32(to, vaddq_f32(vld1q_f32(to), t));
        }
    }
}

TILE_HELPER void values_i8(float *out, size_t ldo, const uint8_t *c, const float *cd, size_t ldc,
                           size_t n_q, const int8_t *v, size_t hd, size_t n_groups) {
    for (size_t g = 0; g < n_groups; g += VALUE_RUN) {
        const size_t n = n_groups - g < VALUE_RUN ? n_groups - g : VALUE_RUN;
        for (size_t d = 0; d < hd; d += 16) {
            const int8_t *const from = v + g * ATTN_GROUP * hd + 4 * d;
            size_t i = 0;
            for (; i + VALUE_COLUMNS <= n_q; i += VALUE_COLUMNS)
                value_columns(out + i * ldo + d, ldo, c + (i * ldc + g) * ATTN_GROUP,
                              cd + i * ldc + g, ldc, from, hd, n, VALUE_COLUMNS);
            for (; i < n_q; i++)
                value_columns(out + i * ldo + d, ldo, c + (i * ldc + g) * ATTN_GROUP,
                              cd + i * ldc + g, ldc, from, hd, n, 1);
        }
    }
}
