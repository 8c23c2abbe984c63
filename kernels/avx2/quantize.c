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

/* One block of n values, n a multiple of 32; *sum is the exact sum of its codes. */
static inline bool quantize_values(int8_t *q, float *d, int32_t *sum, const float *x, size_t n) {
    const float max = f32_from_bits(max_bits(x, n));
    if (f32_nonfinite(max))
        return false;
    const bool zero = max < 1e-30f;
    const __m256 inverse = _mm256_set1_ps(zero ? 0.0f : 127.0f / max);
    /* What packing within 128-bit lanes leaves out of order. */
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i total = _mm256_setzero_si256();
    *d = zero ? 0.0f : max / 127.0f;
    for (size_t i = 0; i < n; i += 32) {
        const __m256i a = codes_8(x + i, inverse), b = codes_8(x + i + 8, inverse);
        const __m256i c = codes_8(x + i + 16, inverse), e = codes_8(x + i + 24, inverse);
        const __m256i bytes =
            _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, e));
        _mm256_storeu_si256((void *)(q + i), _mm256_permutevar8x32_epi32(bytes, order));
        total = _mm256_add_epi32(total,
                                 _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, e)));
    }
    *sum = sum_lanes(total);
    return true;
}

bool quantize_q32_avx2(int8_t *q, float *d, int32_t *sum, const float *x, size_t k) {
    for (size_t b = 0; b < k / BLOCK_K; b++)
        if (!quantize_values(q + b * BLOCK_K, d + b, sum + b, x + b * BLOCK_K, BLOCK_K))
            return false;
    return true;
}

bool quantize_q128_avx2(int8_t *q, float *d, int32_t *sum, const float *x, size_t k) {
    for (size_t b = 0; b < k / TILE_K; b++)
        if (!quantize_values(q + b * TILE_K, d + b, sum + b, x + b * TILE_K, TILE_K))
            return false;
    return true;
}

bool quantize_block_avx2(int8_t *q, float *d, const float *x, size_t n) {
    int32_t sum;
    return quantize_values(q, d, &sum, x, n);
}
