/*
 * fma in IEEE single with one rounding, on CPUs that have no such instruction. The arithmetic
 * contract (kernels.h) names every place where a fused operation is meant.
 */
#ifndef BISE_KERNELS_FMA32_H
#define BISE_KERNELS_FMA32_H

#include <stdint.h>
#include <string.h>

/* a * b + c, rounded once to nearest even; denormals, infinities and zeros as IEEE 754 says.
 *
 * The product of two floats has 48 bits: exact in double. The sum s = p + c is rounded to 53 bits,
 * its error e is exact (Knuth's two-sum). Where e != 0, s is moved to the neighbour with an odd
 * last bit (round to odd), so that rounding 53 bits to the 24 or fewer of a float is the only
 * rounding that counts (Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums",
 * 2008). */
static inline float fma32_soft(float a, float b, float c) {
    double p = (double)a * (double)b;
    double s = p + (double)c;
    double v = s - p;
    double e = (p - (s - v)) + ((double)c - v);
    if (e != 0.0 && e - e == 0.0) { /* inexact and finite */
        uint64_t bits;
        memcpy(&bits, &s, sizeof bits);
        if ((bits & 1) == 0) {
            bits = (e > 0.0) == (s > 0.0) ? bits + 1 : bits - 1;
            memcpy(&s, &bits, sizeof s);
        }
    }
    return (float)s;
}

static inline float fma32(float a, float b, float c) {
#ifdef __FP_FAST_FMAF
    return __builtin_fmaf(a, b, c);
#else
    return fma32_soft(a, b, c);
#endif
}

#endif
