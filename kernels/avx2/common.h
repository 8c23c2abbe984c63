/* What the AVX2 kernels share. */
#ifndef BISE_KERNELS_AVX2_COMMON_H
#define BISE_KERNELS_AVX2_COMMON_H

#include "kernels/panel.h"
#include "kernels/tile.h"
#include <immintrin.h>

/* 4 bytes in every 32-bit lane, from the load port. */
static inline __m256i broadcast4(const void *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

static inline __m256i load32(const void *p) {
    return _mm256_loadu_si256(p);
}

/* 8 block scales of one half (rows 8h .. 8h + 7) as integers. */
static inline __m256i load_scales(const uint8_t *tile, size_t b, size_t h) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(tile + b * PANEL_ROWS + 8 * h)));
}

/* The codebook plus bias, once in each 128-bit lane: a table for pshufb. */
static inline __m256i load_codebook(const int8_t *codebook, int bias) {
    __m128i t = _mm_add_epi8(_mm_loadu_si128((const void *)codebook), _mm_set1_epi8((char)bias));
    return _mm256_broadcastsi128_si256(t);
}

#endif
