/* Dot products of plain ARMv8.0: products of 8 bits in 16, added up there as far as the range of
 * the values allows, then widened. */
#ifndef BISE_KERNELS_NEON_PRODUCTS_H
#define BISE_KERNELS_NEON_PRODUCTS_H

#include "kernels/neon/neon.h"

/* Activations 4i .. 4i+3 of x, for all rows of a register. */
TILE_HELPER int8x16_t broadcast4(int8x16_t x, int i) {
    return vreinterpretq_s8_s32(vdupq_n_s32(vreinterpretq_s32_s8(x)[i]));
}

/* 4 k of four rows, w times x, added to sum (two rows a register); start: sum is not read. */
TILE_HELPER void mul_rows(int16x8_t sum[2], int8x16_t w, int8x16_t x, bool start) {
    const int8x8_t w_lo = vget_low_s8(w), x_lo = vget_low_s8(x);
    sum[0] = start ? vmull_s8(w_lo, x_lo) : vmlal_s8(sum[0], w_lo, x_lo);
    sum[1] = start ? vmull_high_s8(w, x) : vmlal_high_s8(sum[1], w, x);
}

/* A block of i4. A lane adds the products of 8 k: 8 * 32 * 127 < 2^15. */
TILE_HELPER void dot_i4(int32x4_t isum[4], const int8_t **lines, const int8x16_t x[2],
                        int8x16_t codebook) {
    int16x8_t sum[8];
    UNROLL for (int line = 0; line < 4; line++) {
        const int8x16_t x_lo = broadcast4(x[line / 2], line % 2 * 2);
        const int8x16_t x_hi = broadcast4(x[line / 2], line % 2 * 2 + 1);
        int8x16_t pairs[4];
        next_line(pairs, lines);
        UNROLL for (int g = 0; g < 4; g++) {
            mul_rows(sum + 2 * g, low_values(pairs[g], codebook), x_lo, line == 0);
            mul_rows(sum + 2 * g, high_values(pairs[g], codebook), x_hi, false);
        }
    }
    UNROLL for (int g = 0; g < 4; g++) isum[g] =
        vpaddq_s32(vpaddlq_s16(sum[2 * g]), vpaddlq_s16(sum[2 * g + 1]));
}

/* A block of i8, or 32 dimensions of 16 keys. A lane adds the products of two lines, 2 * 128 * 127
 * < 2^15, before it is widened. */
TILE_HELPER void dot_i8(int32x4_t isum[4], const int8_t **lines, const int8x16_t x[2]) {
    int32x4_t wide[8];
    UNROLL for (int pair = 0; pair < 4; pair++) {
        int16x8_t sum[8];
        UNROLL for (int line = 0; line < 2; line++) {
            int8x16_t w[4];
            next_line(w, lines);
            const int8x16_t x4 = broadcast4(x[pair / 2], pair % 2 * 2 + line);
            UNROLL for (int g = 0; g < 4; g++) mul_rows(sum + 2 * g, w[g], x4, line == 0);
        }
        UNROLL for (int i = 0; i < 8; i++) wide[i] =
            pair == 0 ? vpaddlq_s16(sum[i]) : vpadalq_s16(wide[i], sum[i]);
    }
    UNROLL for (int g = 0; g < 4; g++) isum[g] = vpaddq_s32(wide[2 * g], wide[2 * g + 1]);
}

#endif
