/* i4 tiles to 7 bits for prefill (kernels.h). */
#ifndef BISE_KERNELS_AVX512_REQUANTIZE_H
#define BISE_KERNELS_AVX512_REQUANTIZE_H

#include "kernels/avx512/common.h"

/* r of 64 values. Interleaving with zero puts a value into the high byte;
 * pmulhrsw(value * 256, F) = (value * F + 64) >> 7. */
static inline __m512i requantize_values(__m512i v, __m512i f_lo, __m512i f_hi) {
    const __m512i zero = _mm512_setzero_si512();
    const __m512i lo = _mm512_mulhrs_epi16(_mm512_unpacklo_epi8(zero, v), f_lo);
    const __m512i hi = _mm512_mulhrs_epi16(_mm512_unpackhi_epi8(zero, v), f_hi);
    return _mm512_packs_epi16(lo, hi);
}

/* r of a tile in 32 lines of 16 rows x 4 k, aligned to 64 bytes, and its scales t [16]. Returns 128
 * times the sum of each row's r. */
static inline __m512i requantize_tile(int8_t *r, float *t, const uint8_t *tile, __m512i table) {
    __m512i m = _mm512_setzero_si512();
    for (size_t b = 0; b < 4; b++)
        m = _mm512_max_epi32(m, _mm512_abs_epi32(load_scales(tile, b)));
    /* Where m = 0 all scales are 0: any finite g gives r = 0. */
    const __m512 divisor = _mm512_cvtepi32_ps(_mm512_max_epi32(m, _mm512_set1_epi32(1)));
    const __m512 g = _mm512_div_ps(_mm512_set1_ps(256.0f), divisor);
    _mm512_storeu_ps(t, _mm512_mul_ps(_mm512_cvtepi32_ps(m), _mm512_set1_ps(0.5f)));

    const __m512i nibble = _mm512_set1_epi8(15), low_half = _mm512_set1_epi32(0xffff);
    const __m512i bias = _mm512_set1_epi8((char)128);
    __m512i sum_lo = _mm512_setzero_si512(), sum_hi = sum_lo;
    for (size_t b = 0; b < 4; b++) {
        const __m512 scale = _mm512_cvtepi32_ps(load_scales(tile, b));
        __m512i f = _mm512_cvtps_epi32(_mm512_mul_ps(scale, g));
        f = _mm512_or_si512(_mm512_slli_epi32(f, 16), _mm512_and_si512(f, low_half));
        const __m512i f_lo = _mm512_unpacklo_epi32(f, f), f_hi = _mm512_unpackhi_epi32(f, f);
        for (size_t j = 0; j < 4; j++, r += 128) {
            const __m512i x = _mm512_loadu_si512(tile + TILE_SCALES + (4 * b + j) * 64);
            const __m512i lo = _mm512_and_si512(x, nibble);
            const __m512i hi = _mm512_and_si512(_mm512_srli_epi16(x, 4), nibble);
            const __m512i r_lo = requantize_values(_mm512_shuffle_epi8(table, lo), f_lo, f_hi);
            const __m512i r_hi = requantize_values(_mm512_shuffle_epi8(table, hi), f_lo, f_hi);
            _mm512_store_si512(r, r_lo);
            _mm512_store_si512(r + 64, r_hi);
            sum_lo = _mm512_dpbusd_epi32(sum_lo, bias, r_lo);
            sum_hi = _mm512_dpbusd_epi32(sum_hi, bias, r_hi);
        }
    }
    return _mm512_add_epi32(sum_lo, sum_hi);
}

#endif
