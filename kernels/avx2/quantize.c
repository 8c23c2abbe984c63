/* Activations to int8 codes. */
#include "kernels/avx2/vector.h"

static inline __m256i max_lanes(__m256i v) {
    v = _mm256_max_epi32(v, _mm256_permute4x64_epi64(v, 0x4e)); /* halves exchanged */
    v = _mm256_max_epi32(v, _mm256_shuffle_epi32(v, 0x4e));
    return _mm256_max_epi32(v, _mm256_shuffle_epi32(v, 0xb1));
}

static inline int32_t sum_lanes(__m256i v) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* Largest magnitude of n values, as bits: those of infinities and NaN are the largest. */
static inline uint32_t max_bits(const float *x, size_t n) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i max = _mm256_setzero_si256();
    for (size_t i = 0; i < n; i += 8)
        max = _mm256_max_epi32(
            max, _mm256_and_si256(_mm256_loadu_si256((const void *)(x + i)), magnitude));
    return (uint32_t)_mm256_cvtsi256_si32(max_lanes(max));
}

static inline __m256i codes_8(const float *x, __m256 inverse) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), inverse));
}

/* Codes of 32 values; returns their sum. */
static inline int32_t put_codes(int8_t *q, const float *x, float inverse) {
    const __m256 by = _mm256_set1_ps(inverse);
    /* What packing within 128-bit lanes leaves out of order. */
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i a = codes_8(x, by), b = codes_8(x + 8, by);
    const __m256i c = codes_8(x + 16, by), e = codes_8(x + 24, by);
    const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, e));
    _mm256_storeu_si256((void *)q, _mm256_permutevar8x32_epi32(bytes, order));
    return sum_lanes(_mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, e)));
}

#include "kernels/quantize_tmpl.h"

bool quantize_q32_avx2(int8_t *q, float *d, int32_t *sum, const float *x, size_t k) {
    return quantize_q32(q, d, sum, x, k);
}

bool quantize_q128_avx2(int8_t *q, size_t ld, float *d, int32_t *start, const float *x, size_t k) {
    return quantize_q128(q, ld, d, start, x, k);
}

bool quantize_block_avx2(int8_t *q, float *d, const float *x, size_t n) {
    return quantize_block(q, d, x, n);
}

bool quantize_i4_avx2(uint8_t *q, uint8_t *grids, float *d, const float *x, size_t n) {
    return quantize_i4(q, grids, d, x, n);
}
