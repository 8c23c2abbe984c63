/*
 * Double-precision mathematics of our own, the same bits on every CPU: only + - * / on IEEE doubles
 * and no fused operations. Each is within 1 ulp (tests/unit/test_fmath.c). Used where speed does
 * not matter: tables of RoPE, the sampler, perplexity.
 */
#ifndef BISE_KERNELS_DMATH_H
#define BISE_KERNELS_DMATH_H

#include <stddef.h>
#include <stdint.h>

/* +0 below -745.14, +inf above 709.79. */
double exp64(double x);
/* -inf for 0, NaN below 0. */
double log64(double x);
/* Radians, |x| <= 2^50; beyond that and for non-finite x both are NaN. */
void sincos64(double x, double *s, double *c);

/* log64 rounded to float. */
static inline float log32(float x) {
    return (float)log64((double)x);
}

/* inv_freq [head_dim / 2] = theta ^ (-2i / head_dim). theta > 0. */
void rope_inv_freq(double *inv_freq, size_t head_dim, double theta);
/* cs [2][head_dim / 2]: cosines, then sines, of pos * inv_freq[i]. pos at most 2^50. */
void rope_table(float *cs, uint64_t pos, size_t head_dim, const double *inv_freq);

#endif
