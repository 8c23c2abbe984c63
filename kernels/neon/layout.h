/*
 * Tiles laid out anew in scratch, for several columns at once (columns.h): i8, i4 by its codebook,
 * i4 requantized to 7 bits for prefill.
 *
 * Before including it, a folder defines
 *
 *   ALWAYS_INLINE void store_16k(int8_t *tile, int part, int8x16_t w[4][4]);
 *       lays 16 k of 16 rows, w[i][g] = k 16 * part + 4i .. + 3 of rows 4g..4g+3, into a tile of
 *       2048 bytes, in the order its dot_block reads
 */
#ifndef BISE_KERNELS_NEON_LAYOUT_H
#define BISE_KERNELS_NEON_LAYOUT_H

#include "kernels/neon/neon.h"

/* A tile in scratch: 64 bytes of scales (int8 [4][16] for q32, float [16] for q128), then 2048
 * codes. It has the size of an i8 tile and, where the folder keeps the file's order, is one. */
#define LAID_BYTES I8_TILE_BYTES

/* The next 16 k of an i4 tile: w[i][g] = k 4i..4i+3 of rows 4g..4g+3. */
ALWAYS_INLINE void i4_16k(int8x16_t w[4][4], const int8_t **lines, int8x16_t codebook) {
    next_i4_line(w[0], w[1], lines, codebook);
    next_i4_line(w[2], w[3], lines, codebook);
}

ALWAYS_INLINE void lay_i4(uint8_t *dst, const uint8_t *src, int8x16_t codebook) {
    const int8_t *lines = (const int8_t *)src + TILE_SCALES;
    memcpy(dst, src, TILE_SCALES);
    for (int part = 0; part < 8; part++) {
        int8x16_t w[4][4];
        i4_16k(w, &lines, codebook);
        store_16k((int8_t *)dst + TILE_SCALES, part, w);
    }
}

ALWAYS_INLINE void lay_i8(uint8_t *dst, const uint8_t *src) {
    const int8_t *lines = (const int8_t *)src + TILE_SCALES;
    memcpy(dst, src, TILE_SCALES);
    for (int part = 0; part < 8; part++) {
        int8x16_t w[4][4];
        for (int i = 0; i < 4; i++)
            next_line(w[i], &lines);
        store_16k((int8_t *)dst + TILE_SCALES, part, w);
    }
}

/* Scales t [16] of a tile for prefill and 64 times the factors F of its values, each four times
 * over, as they meet the 16 values of a register: factor[block][group][half of the register]. */
ALWAYS_INLINE void tile_factors(int16x8_t factor[4][4][2], float *t, const int8_t *scales) {
    int32x4_t scale[4][4], max[4];
    for (int b = 0; b < 4; b++) {
        widen_scales(scale[b], vld1q_s8(scales + 16 * b));
        for (int g = 0; g < 4; g++) {
            const int32x4_t magnitude = vabsq_s32(scale[b][g]);
            max[g] = b == 0 ? magnitude : vmaxq_s32(max[g], magnitude);
        }
    }
    for (int g = 0; g < 4; g++) {
        const float32x4_t m = vcvtq_f32_s32(max[g]);
        const float32x4_t gain = vdivq_f32(vdupq_n_f32(256.0f), m);
        vst1q_f32(t + 4 * g, vmulq_n_f32(m, 0.5f));
        for (int b = 0; b < 4; b++) {
            /* Where m is 0, 0 times infinity is a NaN, and that converts to 0. */
            const int32x4_t f = vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(scale[b][g]), gain));
            const int16x8_t once = vcombine_s16(vshl_n_s16(vmovn_s32(f), 6), vdup_n_s16(0));
            const int32x4_t twice = vreinterpretq_s32_s16(vzip1q_s16(once, once));
            factor[b][g][0] = vreinterpretq_s16_s32(vzip1q_s32(twice, twice));
            factor[b][g][1] = vreinterpretq_s16_s32(vzip2q_s32(twice, twice));
        }
    }
}

/* (value * F + 64) >> 7: sqrdmulh gives (2 * (4 * value) * (64 * F) + 2^15) >> 16. */
ALWAYS_INLINE int8x16_t requantize(int8x16_t fourfold, const int16x8_t factor[2]) {
    const int16x8_t lo = vqrdmulhq_s16(vmovl_s8(vget_low_s8(fourfold)), factor[0]);
    const int16x8_t hi = vqrdmulhq_s16(vmovl_high_s8(fourfold), factor[1]);
    return vuzp1q_s8(vreinterpretq_s8_s16(lo), vreinterpretq_s8_s16(hi));
}

/* The 7-bit tile of prefill with its float scales; fourfold: 4 * codebook. */
ALWAYS_INLINE void lay_i4_7bit(uint8_t *dst, const uint8_t *src, int8x16_t fourfold) {
    const int8_t *lines = (const int8_t *)src + TILE_SCALES;
    int16x8_t factor[4][4][2];
    tile_factors(factor, (float *)(void *)dst, (const int8_t *)src);
    for (int part = 0; part < 8; part++) {
        int8x16_t w[4][4];
        i4_16k(w, &lines, fourfold);
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            w[i / 4][i % 4] = requantize(w[i / 4][i % 4], factor[part / 2][i % 4]);
        store_16k((int8_t *)dst + TILE_SCALES, part, w);
    }
}

#endif
