/* What the AVX-512 kernels share. */
#ifndef BISE_KERNELS_AVX512_COMMON_H
#define BISE_KERNELS_AVX512_COMMON_H

#include "kernels/panel.h"
#include "kernels/tile.h"
#include <immintrin.h>

/* 4 bytes in every 32-bit lane, from the load port. */
static inline __m512i broadcast4(const void *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm512_set1_epi32(v);
}

/* 16 block scales as integers. */
static inline __m512i load_scales(const uint8_t *tile, size_t b) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)(tile + b * PANEL_ROWS)));
}

/* The codebook plus bias, once in each 128-bit lane: a table for pshufb. */
static inline __m512i load_codebook(const int8_t *codebook, int bias) {
    __m128i t = _mm_add_epi8(_mm_loadu_si128((const void *)codebook), _mm_set1_epi8((char)bias));
    return _mm512_broadcast_i32x4(t);
}

#endif
