/* fmath.h's exp32 for four values at once: the same operations in the same order. */
#ifndef BISE_KERNELS_NEON_EXP_H
#define BISE_KERNELS_NEON_EXP_H

#include "kernels/fmath.h"
#include "kernels/neon/neon.h"

TILE_HELPER float32x4_t exp_f32x4(float32x4_t x) {
    x = vmaxq_f32(x, vdupq_n_f32(EXP_MIN)); /* fmax and fmin hand a NaN on */
    x = vminq_f32(x, vdupq_n_f32(EXP_MAX));
    const float32x4_t magic = vdupq_n_f32(EXP_MAGIC);
    const float32x4_t t = vfmaq_n_f32(magic, x, EXP_LOG2E);
    const float32x4_t nf = vsubq_f32(t, magic);
    float32x4_t r = vfmaq_n_f32(x, nf, -EXP_LN2_HI);
    r = vfmaq_n_f32(r, nf, -EXP_LN2_LO);
    float32x4_t p = vfmaq_n_f32(vdupq_n_f32(EXP_C5), r, EXP_C6);
    p = vfmaq_f32(vdupq_n_f32(EXP_C4), p, r);
    p = vfmaq_f32(vdupq_n_f32(EXP_C3), p, r);
    p = vfmaq_f32(vdupq_n_f32(EXP_C2), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f), p, r);
    const int32x4_t n = vsubq_s32(vreinterpretq_s32_f32(t), vreinterpretq_s32_f32(magic));
    const int32x4_t half = vshrq_n_s32(n, 1), bias = vdupq_n_s32(127);
    const int32x4_t s1 = vshlq_n_s32(vaddq_s32(half, bias), 23);
    const int32x4_t s2 = vshlq_n_s32(vaddq_s32(vsubq_s32(n, half), bias), 23);
    p = vmulq_f32(p, vreinterpretq_f32_s32(s1));
    return vmulq_f32(p, vreinterpretq_f32_s32(s2));
}

#endif
