/* What the vector and attention slots with AVX2 and FMA share. */
#ifndef BISE_KERNELS_AVX2_VECTOR_H
#define BISE_KERNELS_AVX2_VECTOR_H

#include "kernels/avx2/slots.h"
#include "kernels/fmath.h"
#include <immintrin.h>

/* n < 8 floats, the other lanes +0. Nothing else is touched (nor by maskload, but that is slow on
 * AMD, and emulators fault where it must not). */
static inline __m256 load_first(const float *p, size_t n) {
    float lanes[8] = {0};
    memcpy(lanes, p, n * sizeof *lanes);
    return _mm256_loadu_ps(lanes);
}

static inline void store_first(float *p, __m256 v, size_t n) {
    float lanes[8];
    _mm256_storeu_ps(lanes, v);
    memcpy(p, lanes, n * sizeof *lanes);
}

/* What a cache may hold; a constant where the helpers are inlined. */
enum cached { CACHED_F16, CACHED_F32 };

static inline size_t cached_bytes(enum cached type) {
    return type == CACHED_F16 ? 2 : 4;
}

/* Elements i .. i + 7 as floats, exactly. */
static inline __m256 load_cached(const uint8_t *v, enum cached type, size_t i) {
    const uint8_t *p = v + i * cached_bytes(type);
    if (type == CACHED_F16)
        return _mm256_cvtph_ps(_mm_loadu_si128((const void *)p));
    return _mm256_loadu_ps((const float *)(const void *)p);
}

/* Sixteen partial sums, 0..7 and 8..15, in the contract's tree. */
static inline float tree_sum(__m256 lo, __m256 hi) {
    const __m256 s8 = _mm256_add_ps(lo, hi);
    const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

/* exp32 of fmath.h in every lane: the same operations in the same order. */
static inline __m256 exp_8(__m256 x) {
    const __m256 magic = _mm256_set1_ps(EXP_MAGIC);
    x = _mm256_max_ps(_mm256_set1_ps(EXP_MIN), x); /* of a NaN and a number, the second operand */
    x = _mm256_min_ps(_mm256_set1_ps(EXP_MAX), x);
    const __m256 t = _mm256_fmadd_ps(x, _mm256_set1_ps(EXP_LOG2E), magic);
    const __m256 n = _mm256_sub_ps(t, magic);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(EXP_LN2_HI), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(EXP_LN2_LO), r);
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(EXP_C6), r, _mm256_set1_ps(EXP_C5));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_C4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_C3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_C2));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    const __m256i e = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_castps_si256(magic));
    const __m256i half = _mm256_srai_epi32(e, 1), rest = _mm256_sub_epi32(e, half);
    const __m256i bias = _mm256_set1_epi32(127);
    const __m256i s1 = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    const __m256i s2 = _mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(s1)), _mm256_castsi256_ps(s2));
}

#endif
