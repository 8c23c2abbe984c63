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

#endif
