/* What the vector and attention slots with AVX-512 share. */
#ifndef BISE_KERNELS_AVX512_VECTOR_H
#define BISE_KERNELS_AVX512_VECTOR_H

#include "kernels/avx512/slots.h"
#include "kernels/fmath.h"
#include <immintrin.h>

/* The first n lanes, n <= 16, or all if there are more. Masked loads and stores touch no other
 * memory. */
static inline __mmask16 first_lanes(size_t n) {
    return n < 16 ? (__mmask16)((1u << n) - 1) : (__mmask16)0xffff;
}

/* What a cache may hold; a constant where the helpers are inlined. */
enum cached { CACHED_F16, CACHED_F32 };

static inline size_t cached_bytes(enum cached type) {
    return type == CACHED_F16 ? 2 : 4;
}

/* Elements i .. i + 15 as floats, exactly. */
static inline __m512 load_cached(const void *v, enum cached type, size_t i) {
    const uint8_t *p = (const uint8_t *)v + i * cached_bytes(type);
    if (type == CACHED_F16)
        return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
    return _mm512_loadu_ps(p);
}

/* Sixteen partial sums in the contract's tree. */
static inline float tree_sum(__m512 lanes) {
    const __m256 s8 =
        _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps(lanes, 1));
    const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

/* exp32 of fmath.h in every lane: the same operations in the same order. scalef multiplies by a
 * power of two with one rounding, as the two products there do. */
static inline __m512 exp_16(__m512 x) {
    const __m512 magic = _mm512_set1_ps(EXP_MAGIC);
    x = _mm512_max_ps(_mm512_set1_ps(EXP_MIN), x); /* of a NaN and a number, the second operand */
    x = _mm512_min_ps(_mm512_set1_ps(EXP_MAX), x);
    const __m512 n = _mm512_sub_ps(_mm512_fmadd_ps(x, _mm512_set1_ps(EXP_LOG2E), magic), magic);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(EXP_LN2_HI), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(EXP_LN2_LO), r);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(EXP_C6), r, _mm512_set1_ps(EXP_C5));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_C4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_C3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(EXP_C2));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

#endif
