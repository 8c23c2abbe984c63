/*
 * What the three ARM folders share: reading lines of codes, scaling integer sums.
 *
 * A "line" is 64 bytes: 16 rows of 4 k (8-bit values) or of 8 k (i4 codes). Its four registers hold
 * four rows each, so that the 16 rows of a panel are four vectors of sums everywhere: row = 4g + i.
 */
#ifndef BISE_NEON_H
#define BISE_NEON_H

#include "kernels/panel.h"
#include <arm_neon.h>

/* Arguments that must be constants (counts of unrolled loops, kinds) become so by inlining. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* An inner loop that stays a function of its own, whose instructions tests/arm counts. */
#define INNER_LOOP static __attribute__((noinline))

/* The four registers of a line of 8-bit values. The empty assembly wants them all at once, so that
 * compilers load them by pairs, and only here. */
ALWAYS_INLINE void load_line(int8x16_t w[4], const int8_t *line) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++)
        w[g] = vld1q_s8(line + 16 * g);
    __asm__("" : "+w"(w[0]), "+w"(w[1]), "+w"(w[2]), "+w"(w[3]));
}

/* Four registers from *p on, which is moved past them: one instruction with its own increment. The
 * empty assembly hides the increment, which compilers would add up in many pointers. */
ALWAYS_INLINE void next_line(int8x16_t w[4], const int8_t **p) {
    const int8x16x4_t line = vld1q_s8_x4(*p);
    *p += 64;
    __asm__("" : "+r"(*p));
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++)
        w[g] = line.val[g];
}

/* The eight registers of an i4 line's values: k 0..3 of it in lo, k 4..7 in hi. */
ALWAYS_INLINE void i4_line_values(int8x16_t lo[4], int8x16_t hi[4], const uint8_t *line,
                                  int8x16_t codebook) {
    const uint8x16_t mask = vdupq_n_u8(15);
    int8x16_t pairs[4];
    load_line(pairs, (const int8_t *)line);
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
        const uint8x16_t codes = vreinterpretq_u8_s8(pairs[g]);
        lo[g] = vqtbl1q_s8(codebook, vandq_u8(codes, mask));
        hi[g] = vqtbl1q_s8(codebook, vshrq_n_u8(codes, 4));
    }
}

/* 16 block scales as integers. */
ALWAYS_INLINE void widen_scales(int32x4_t scale[4], const int8_t *scales) {
    const int8x16_t s = vld1q_s8(scales);
    const int16x8_t lo = vmovl_s8(vget_low_s8(s)), hi = vmovl_high_s8(s);
    scale[0] = vmovl_s16(vget_low_s16(lo));
    scale[1] = vmovl_high_s16(lo);
    scale[2] = vmovl_s16(vget_low_s16(hi));
    scale[3] = vmovl_high_s16(hi);
}

/* fma((float)isum * (float)scale, d, acc). The product is taken in integers: |isum * scale| < 2^27,
 * and one rounding of the exact product is what the contract's float multiplication does. (It
 * differs in the sign of a zero, which vanishes in acc.) */
ALWAYS_INLINE float32x4_t add_scaled(float32x4_t acc, int32x4_t isum, int32x4_t scale, float d) {
    return vfmaq_n_f32(acc, vcvtq_f32_s32(vmulq_s32(isum, scale)), d);
}

/* A block of 32 k of one column: acc += isum * scales * d, for 16 rows. */
ALWAYS_INLINE void add_block(float32x4_t acc[4], const int32x4_t isum[4], const int8_t *scales,
                             float d) {
    int32x4_t scale[4];
    widen_scales(scale, scales);
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++)
        acc[g] = add_scaled(acc[g], isum[g], scale[g], d);
}

/* y [16] = acc * row_scale, a panel done. */
ALWAYS_INLINE void store_rows(float *y, const float32x4_t acc[4], const uint8_t *panel) {
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
        const float32x4_t row_scale = vreinterpretq_f32_u8(vld1q_u8(panel + 16 * g));
        vst1q_f32(y + 4 * g, vmulq_f32(acc[g], row_scale));
    }
}

#endif
