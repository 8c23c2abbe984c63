/* The vector and attention slots with AVX-512, and what they share. */
#ifndef BISE_KERNELS_AVX512_VECTOR_H
#define BISE_KERNELS_AVX512_VECTOR_H

#include "kernels/fmath.h"
#include "kernels/kernels.h"
#include <immintrin.h>

bool quantize_q32_avx512(int8_t *q, float *d, int32_t *sum, const float *x, size_t k);
bool quantize_q128_avx512(int8_t *q, float *d, int32_t *sum, const float *x, size_t k);
bool quantize_block_avx512(int8_t *q, float *d, const float *x, size_t n);

bool rmsnorm_avx512(float *y, const float *x, const float *w, size_t n, float eps);
void rope_avx512(float *x, size_t n_heads, size_t head_dim, const float *cs);
void swiglu_avx512(float *y, const float *g, const float *u, size_t n);
void add_avx512(float *y, const float *x, size_t n);
void madd_avx512(float *y, const float *x, float a, size_t n);
void scale_avx512(float *y, float a, size_t n);

void scores_i8_avx512(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                      const int8_t *k, const float *kd, size_t hd, size_t n_groups);
void scores_f32_avx512(float *s, size_t lds, const float *q, float scale, size_t n_q,
                       const float *k, size_t hd, size_t n_groups);
void scores_f16_avx512(float *s, size_t lds, const float *q, float scale, size_t n_q,
                       const uint16_t *k, size_t hd, size_t n_groups);
float softmax_avx512(float *s, size_t lo, size_t hi, size_t n);
void values_i8_avx512(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                      const int8_t *v, const float *vd, size_t ldv, size_t hd, size_t n_pos);
void values_f32_avx512(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                       const float *v, size_t ldv, size_t hd, size_t n_pos);
void values_f16_avx512(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                       const uint16_t *v, size_t ldv, size_t hd, size_t n_pos);

/* The first n lanes, n <= 16, or all if there are more. Masked loads and stores touch no other
 * memory. */
static inline __mmask16 first_lanes(size_t n) {
    return n < 16 ? (__mmask16)((1u << n) - 1) : (__mmask16)0xffff;
}

/* What a cache may hold; a constant where the helpers are inlined. */
enum cached { CACHED_I8, CACHED_F16, CACHED_F32 };

static inline size_t cached_bytes(enum cached type) {
    return type == CACHED_I8 ? 1 : type == CACHED_F16 ? 2 : 4;
}

/* Elements i .. i + 15 as floats, exactly. */
static inline __m512 load_cached(const void *v, enum cached type, size_t i) {
    const uint8_t *p = (const uint8_t *)v + i * cached_bytes(type);
    if (type == CACHED_I8)
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
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
