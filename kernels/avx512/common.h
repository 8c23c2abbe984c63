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

#endif
