/* The one instruction of this folder. */
#ifndef BISE_KERNELS_AVXVNNI_VNNI_H
#define BISE_KERNELS_AVXVNNI_VNNI_H

#include "kernels/avx2/common.h"

/* acc + the sum of 4 products, unsigned times signed, in every lane. */
static inline __m256i dpbusd(__m256i acc, __m256i u, __m256i s) {
#ifdef VNNI_BY_EVEX
    return _mm256_dpbusd_epi32(acc, u, s);
#else
    return _mm256_dpbusd_avx_epi32(acc, u, s);
#endif
}

#endif
