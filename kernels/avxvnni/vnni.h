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

/* v, in a register here: without it GCC stores the sums of a full register tile in every round. */
static inline __m256i in_register(__m256i v) {
    __asm__("" : "+x"(v));
    return v;
}

#endif
