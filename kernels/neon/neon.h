/*
 * What the three ARM folders share: reading lines of codes, scaling integer sums.
 *
 * A "line" is 64 bytes: 16 rows of 4 k (8-bit values) or of 8 k (i4 codes). Its four registers hold
 * four rows each, so that the 16 rows of a panel are four vectors of sums everywhere: row = 4g + i.
 */
#ifndef BISE_KERNELS_NEON_NEON_H
#define BISE_KERNELS_NEON_NEON_H

#include "kernels/panel.h"
#include "kernels/tile.h"
#include <arm_neon.h>

/* An inner loop that stays a function of its own: tests/rules/test_arm_loops.sh counts its
 * instructions. */
#define INNER_LOOP static __attribute__((noinline))

/* The empty assembly hides the increment from compilers, which would take a pointer, and an add,
 * for every line. */
TILE_HELPER void advance(const int8_t **p, size_t bytes) {
    *p += bytes;
    __asm__("" : "+r"(*p));
}

/* The four registers of a line from *p on, which is moved past it: one instruction. */
TILE_HELPER void next_line(int8x16_t w[4], const int8_t **p) {
    const int8x16x4_t line = vld1q_s8_x4(*p);
    advance(p, 64);
    UNROLL for (int g = 0; g < 4; g++) w[g] = line.val[g];
}

/* The values of 16 bytes of codes: of k 0..3, and of k 4..7. */
TILE_HELPER int8x16_t low_values(int8x16_t pairs, int8x16_t codebook) {
    return vqtbl1q_s8(codebook, vandq_u8(vreinterpretq_u8_s8(pairs), vdupq_n_u8(15)));
}
TILE_HELPER int8x16_t high_values(int8x16_t pairs, int8x16_t codebook) {
    return vqtbl1q_s8(codebook, vshrq_n_u8(vreinterpretq_u8_s8(pairs), 4));
}

/* The eight registers of the next i4 line's values: k 0..3 of it in lo, k 4..7 in hi. */
TILE_HELPER void next_i4_line(int8x16_t lo[4], int8x16_t hi[4], const int8_t **line,
                              int8x16_t codebook) {
    int8x16_t pairs[4];
    next_line(pairs, line);
    UNROLL for (int g = 0; g < 4; g++) {
        lo[g] = low_values(pairs[g], codebook);
        hi[g] = high_values(pairs[g], codebook);
    }
}

/* 16 block scales as integers. */
TILE_HELPER void widen_scales(int32x4_t scale[4], int8x16_t scales) {
    const int16x8_t lo = vmovl_s8(vget_low_s8(scales)), hi = vmovl_high_s8(scales);
    scale[0] = vmovl_s16(vget_low_s16(lo));
    scale[1] = vmovl_high_s16(lo);
    scale[2] = vmovl_s16(vget_low_s16(hi));
    scale[3] = vmovl_high_s16(hi);
}

/* fma((float)isum * (float)scale, d, acc). The product is taken in integers: |isum * scale| < 2^27,
 * and one rounding of the exact product is what the contract's float multiplication does. (It
 * differs in the sign of a zero, which vanishes in acc.) */
TILE_HELPER float32x4_t add_scaled(float32x4_t acc, int32x4_t isum, int32x4_t scale, float d) {
    return vfmaq_n_f32(acc, vcvtq_f32_s32(vmulq_s32(isum, scale)), d);
}

#endif
