/* i4 tiles to 7 bits for prefill (kernels.h), 8 rows at a time, for the folders with 256 bits. */
#ifndef BISE_KERNELS_AVX2_REQUANTIZE_H
#define BISE_KERNELS_AVX2_REQUANTIZE_H

#include "kernels/avx2/common.h"

/* The factors F of one block: of the values that unpack low and high. */
struct factors {
    __m256i lo, hi;
};

/* The scales t of rows 8h .. 8h + 7 of a tile; returns what makes factors of block scales. */
static inline __m256 requantize_scales(float *t, const uint8_t *tile, size_t h) {
    __m256i m = _mm256_setzero_si256();
    for (size_t b = 0; b < 4; b++)
        m = _mm256_max_epi32(m, _mm256_abs_epi32(load_scales(tile, b, h)));
    _mm256_storeu_ps(t, _mm256_mul_ps(_mm256_cvtepi32_ps(m), _mm256_set1_ps(0.5f)));
    /* Where m = 0 all scales are 0: any finite result gives r = 0. */
    const __m256 divisor = _mm256_cvtepi32_ps(_mm256_max_epi32(m, _mm256_set1_epi32(1)));
    return _mm256_div_ps(_mm256_set1_ps(256.0f), divisor);
}

static inline struct factors requantize_factors(const uint8_t *tile, size_t b, size_t h, __m256 g) {
    const __m256 scale = _mm256_cvtepi32_ps(load_scales(tile, b, h));
    __m256i f = _mm256_cvtps_epi32(_mm256_mul_ps(scale, g));
    f = _mm256_or_si256(_mm256_slli_epi32(f, 16), _mm256_and_si256(f, _mm256_set1_epi32(0xffff)));
    return (struct factors){_mm256_unpacklo_epi32(f, f), _mm256_unpackhi_epi32(f, f)};
}

/* r of 32 values. Interleaving with zero puts a value into the high byte; pmulhrsw(value * 256, F)
 * = (value * F + 64) >> 7. */
static inline __m256i requantize_values(__m256i v, struct factors f) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i lo = _mm256_mulhrs_epi16(_mm256_unpacklo_epi8(zero, v), f.lo);
    const __m256i hi = _mm256_mulhrs_epi16(_mm256_unpackhi_epi8(zero, v), f.hi);
    return _mm256_packs_epi16(lo, hi);
}

/* 32 bytes of codes: r of the low nibbles and of the high ones. */
static inline void requantize_codes(__m256i r[2], const uint8_t *codes, __m256i table,
                                    struct factors f) {
    const __m256i nibble = _mm256_set1_epi8(15), x = load32(codes);
    const __m256i lo = _mm256_and_si256(x, nibble);
    const __m256i hi = _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble);
    r[0] = requantize_values(_mm256_shuffle_epi8(table, lo), f);
    r[1] = requantize_values(_mm256_shuffle_epi8(table, hi), f);
}

#endif
