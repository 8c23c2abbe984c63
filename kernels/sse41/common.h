/* What the kernels of 128 bits share: SSSE3's and SSE4.1's instructions, and the fma that these
 * CPUs do not have. */
#ifndef BISE_KERNELS_SSE41_COMMON_H
#define BISE_KERNELS_SSE41_COMMON_H

#include "kernels/fmath.h"
#include "kernels/panel.h"
#include "kernels/tile.h"
#include <immintrin.h>

/* 4 bytes in every 32-bit lane. */
static inline __m128i broadcast4(const void *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm_set1_epi32(v);
}

/* The sum s of an exact product p and c, rounded to odd, as fma32.h's fma32_soft does it: a sum
 * that is inexact is cut off towards zero and gets a last bit of 1. */
static inline __m128d sum_to_odd(__m128d p, __m128d c) {
    const __m128d s = _mm_add_pd(p, c), v = _mm_sub_pd(s, p);
    const __m128d e = _mm_add_pd(_mm_sub_pd(p, _mm_sub_pd(s, v)), _mm_sub_pd(c, v));
    const __m128d inexact = _mm_and_pd(_mm_cmpneq_pd(e, _mm_setzero_pd()), _mm_cmpord_pd(e, e));
    /* -1 where the error's sign is not the sum's: then the sum is too large in magnitude. */
    const __m128i signs = _mm_srai_epi32(_mm_castpd_si128(_mm_xor_pd(e, s)), 31);
    const __m128i beyond =
        _mm_and_si128(_mm_shuffle_epi32(signs, _MM_SHUFFLE(3, 3, 1, 1)), _mm_castpd_si128(inexact));
    const __m128i bits = _mm_add_epi64(_mm_castpd_si128(s), beyond);
    const __m128i odd = _mm_srli_epi64(_mm_castpd_si128(inexact), 63);
    return _mm_castsi128_pd(_mm_or_si128(bits, odd));
}

/* a * b + c, rounded once. */
static inline __m128 fma4(__m128 a, __m128 b, __m128 c) {
    const __m128 a1 = _mm_movehl_ps(a, a), b1 = _mm_movehl_ps(b, b), c1 = _mm_movehl_ps(c, c);
    const __m128d p0 = _mm_mul_pd(_mm_cvtps_pd(a), _mm_cvtps_pd(b));
    const __m128d p1 = _mm_mul_pd(_mm_cvtps_pd(a1), _mm_cvtps_pd(b1));
    return _mm_movelh_ps(_mm_cvtpd_ps(sum_to_odd(p0, _mm_cvtps_pd(c))),
                         _mm_cvtpd_ps(sum_to_odd(p1, _mm_cvtps_pd(c1))));
}

/* exp32 of fmath.h in every lane: the same operations in the same order. */
static inline __m128 exp_4(__m128 x) {
    const __m128 magic = _mm_set1_ps(EXP_MAGIC);
    x = _mm_max_ps(_mm_set1_ps(EXP_MIN), x); /* of a NaN and a number, the second operand */
    x = _mm_min_ps(_mm_set1_ps(EXP_MAX), x);
    const __m128 t = fma4(x, _mm_set1_ps(EXP_LOG2E), magic);
    const __m128 n = _mm_sub_ps(t, magic);
    __m128 r = fma4(n, _mm_set1_ps(-EXP_LN2_HI), x);
    r = fma4(n, _mm_set1_ps(-EXP_LN2_LO), r);
    __m128 p = fma4(_mm_set1_ps(EXP_C6), r, _mm_set1_ps(EXP_C5));
    p = fma4(p, r, _mm_set1_ps(EXP_C4));
    p = fma4(p, r, _mm_set1_ps(EXP_C3));
    p = fma4(p, r, _mm_set1_ps(EXP_C2));
    p = fma4(p, r, _mm_set1_ps(1.0f));
    p = fma4(p, r, _mm_set1_ps(1.0f));
    const __m128i e = _mm_sub_epi32(_mm_castps_si128(t), _mm_castps_si128(magic));
    const __m128i half = _mm_srai_epi32(e, 1), rest = _mm_sub_epi32(e, half);
    const __m128i bias = _mm_set1_epi32(127);
    const __m128i s1 = _mm_slli_epi32(_mm_add_epi32(half, bias), 23);
    const __m128i s2 = _mm_slli_epi32(_mm_add_epi32(rest, bias), 23);
    return _mm_mul_ps(_mm_mul_ps(p, _mm_castsi128_ps(s1)), _mm_castsi128_ps(s2));
}

#endif
