/*
 * Single-precision exp, the one every kernel uses. Each instruction set reproduces it lane by lane
 * with the same operations in the same order, so that the bits agree; the constants below are
 * shared.
 *
 *   x' = min(max(x, EXP_MIN), EXP_MAX)            a NaN passes through
 *   n  = rne(x' * log2 e)                         as fma(x', LOG2E, MAGIC) - MAGIC
 *   r  = fma(n, -LN2_LO, fma(n, -LN2_HI, x'))     Cody and Waite, |r| < 0.3467
 *   p  = 1 + r + r^2 (C2 + ... + C6 r^4)          Horner, all fma; fitted to 3.2e-9 relative
 *   y  = (p * 2^(n >> 1)) * 2^(n - (n >> 1))      the first product is exact, so y is rounded once
 *
 * Denormal results are right, results below 2^-150 are +0, above FLT_MAX are +inf: -inf gives +0.
 * Within 1 ulp (tests/unit/test_fmath.c).
 */
#ifndef BISE_KERNELS_FMATH_H
#define BISE_KERNELS_FMATH_H

#include "kernels/fma32.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define EXP_MIN    -104.0f /* exp of it rounds to +0 */
#define EXP_MAX    89.0f   /* exp of it rounds to +inf */
#define EXP_LOG2E  0x1.715476p+0f
#define EXP_MAGIC  0x1.8p+23f /* adding it leaves rne(x) in the low bits, for |x| < 2^22 */
#define EXP_LN2_HI 0x1.62e43p-1f
#define EXP_LN2_LO -0x1.05c61p-29f
#define EXP_C2     0x1.fffffcp-2f
#define EXP_C3     0x1.555492p-3f
#define EXP_C4     0x1.5558bp-5f
#define EXP_C5     0x1.12398ap-7f
#define EXP_C6     0x1.6a4d14p-10f

static inline uint32_t f32_bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float f32_from_bits(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* True for infinities and NaN. */
static inline bool f32_nonfinite(float x) {
    return (f32_bits(x) & 0x7f800000u) == 0x7f800000u;
}

/* Nearest integer, ties to even, for |x| < 2^22. */
static inline float rne32(float x) {
    return (x + EXP_MAGIC) - EXP_MAGIC;
}

static inline float exp32(float x) {
    x = x < EXP_MIN ? EXP_MIN : x;
    x = x > EXP_MAX ? EXP_MAX : x;
    const float t = fma32(x, EXP_LOG2E, EXP_MAGIC);
    const float nf = t - EXP_MAGIC;
    const float r = fma32(nf, -EXP_LN2_LO, fma32(nf, -EXP_LN2_HI, x));
    float p = fma32(EXP_C6, r, EXP_C5);
    p = fma32(p, r, EXP_C4);
    p = fma32(p, r, EXP_C3);
    p = fma32(p, r, EXP_C2);
    p = fma32(p, r, 1.0f);
    p = fma32(p, r, 1.0f);
    /* Bits of t less those of MAGIC are n, -150..128; of a NaN, anything, which stays a NaN. */
    const uint32_t n = f32_bits(t) - f32_bits(EXP_MAGIC);
    const uint32_t half = (uint32_t)((int32_t)n >> 1);
    const float s1 = f32_from_bits((half + 127) << 23);
    const float s2 = f32_from_bits((n - half + 127) << 23);
    return p * s1 * s2;
}

#endif
