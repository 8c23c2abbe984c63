/* Matrix products by smmla, which multiplies 2 rows by 8 k with 8 k by 2 columns. The sums of 16
 * rows and four columns are [8 pairs of rows][2 pairs of columns] of registers [2 rows][2 columns],
 * until order_sums. */
#ifndef BISE_KERNELS_NEON_I8MM_SMMLA_H
#define BISE_KERNELS_NEON_I8MM_SMMLA_H

#include "kernels/neon/neon.h"

/* 8 k of rows 0 and 1, or 2 and 3, of two registers with four rows of 4 k. */
TILE_HELPER int8x16_t first_rows(int8x16_t k0, int8x16_t k4) {
    return vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(k0), vreinterpretq_s32_s8(k4)));
}
TILE_HELPER int8x16_t last_rows(int8x16_t k0, int8x16_t k4) {
    return vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(k0), vreinterpretq_s32_s8(k4)));
}

/* 8 k of two columns side by side: those of the first or the second half. */
TILE_HELPER int8x16_t first_halves(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s64(vzip1q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}
TILE_HELPER int8x16_t second_halves(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s64(vzip2q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}

/* 16 k of four columns, x, as [2 halves][2 pairs of columns]. */
TILE_HELPER void pair_columns(int8x16_t pairs[4], const int8x16_t x[4]) {
    pairs[0] = first_halves(x[0], x[1]);
    pairs[1] = first_halves(x[2], x[3]);
    pairs[2] = second_halves(x[0], x[1]);
    pairs[3] = second_halves(x[2], x[3]);
}

/* Adds 8 k of a pair of rows, w, times those of two pairs of columns. */
TILE_HELPER void multiply_pair(int32x4_t sum[4][4], int pair, int8x16_t w,
                               const int8x16_t columns[2]) {
    int32x4_t *s = &sum[pair / 2][pair % 2 * 2];
    s[0] = vmmlaq_s32(s[0], w, columns[0]);
    s[1] = vmmlaq_s32(s[1], w, columns[1]);
}

/* The sums as [column][group of four rows]. */
TILE_HELPER void order_sums(int32x4_t sum[4][4]) {
    int32x4_t ordered[4][4];
    UNROLL for (int i = 0; i < 8; i++) {
        const int group = i / 2, columns = i % 2;
        const int32x4_t rows01 = sum[group][columns], rows23 = sum[group][2 + columns];
        ordered[2 * columns][group] = vuzp1q_s32(rows01, rows23);
        ordered[2 * columns + 1][group] = vuzp2q_s32(rows01, rows23);
    }
    memcpy(sum, ordered, sizeof ordered);
}

#endif
