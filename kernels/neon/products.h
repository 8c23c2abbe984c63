/* Dot products of plain ARMv8.0: products of 8 bits in 16, added up there as far as the range of
 * the values allows, then widened. */
#ifndef BISE_NEON_PRODUCTS_H
#define BISE_NEON_PRODUCTS_H

#include "kernels/neon/neon.h"

/* Four activations, for all rows of a register. */
ALWAYS_INLINE int8x16_t broadcast4(const int8_t *q) {
    int32_t four;
    memcpy(&four, q, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

/* 4 k of 16 rows, w times x, added to sum (two rows a register); start: sum is not read. */
ALWAYS_INLINE void mul_rows(int16x8_t sum[8], const int8x16_t w[4], int8x16_t x, bool start) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
        const int8x8_t w_lo = vget_low_s8(w[g]), x_lo = vget_low_s8(x);
        sum[2 * g] = start ? vmull_s8(w_lo, x_lo) : vmlal_s8(sum[2 * g], w_lo, x_lo);
        sum[2 * g + 1] = start ? vmull_high_s8(w[g], x) : vmlal_high_s8(sum[2 * g + 1], w[g], x);
    }
}

/* A block of i4. A lane adds the products of 8 k: 8 * 32 * 127 < 2^15. */
ALWAYS_INLINE void dot_i4(int32x4_t isum[4], const uint8_t *codes, const int8_t *q,
                          int8x16_t codebook) {
    int16x8_t sum[8];
#pragma GCC unroll 4
    for (int line = 0; line < 4; line++) {
        int8x16_t lo[4], hi[4];
        i4_line_values(lo, hi, codes + 64 * line, codebook);
        mul_rows(sum, lo, broadcast4(q + 8 * line), line == 0);
        mul_rows(sum, hi, broadcast4(q + 8 * line + 4), false);
    }
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++)
        isum[g] = vpaddq_s32(vpaddlq_s16(sum[2 * g]), vpaddlq_s16(sum[2 * g + 1]));
}

/* A block of i8, or 32 dimensions of 16 keys. A lane adds the products of two lines, 2 * 128 * 127
 * < 2^15, before it is widened. */
ALWAYS_INLINE void dot_i8(int32x4_t isum[4], const uint8_t *codes, const int8_t *q) {
    int32x4_t wide[8];
#pragma GCC unroll 4
    for (int pair = 0; pair < 4; pair++) {
        int16x8_t sum[8];
#pragma GCC unroll 2
        for (int line = 0; line < 2; line++) {
            int8x16_t w[4];
            load_line(w, (const int8_t *)codes + 128 * pair + 64 * line);
            mul_rows(sum, w, broadcast4(q + 8 * pair + 4 * line), line == 0);
        }
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            wide[i] = pair == 0 ? vpaddlq_s16(sum[i]) : vpadalq_s16(wide[i], sum[i]);
    }
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++)
        isum[g] = vpaddq_s32(wide[2 * g], wide[2 * g + 1]);
}

#endif
