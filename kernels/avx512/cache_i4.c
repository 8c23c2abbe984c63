/* A cache of 4 bits: keys and queries rotated, codes to those of an int8 cache. */
#include "kernels/avx512/common.h"
#include "kernels/avx512/slots.h"

#define VECTOR_BYTES 64
#define WIDEN(p)     _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)(p)))
#include "kernels/cache_i4_tmpl.h"

void hadamard_avx512(float *x, size_t n, size_t size) {
    hadamard(x, n, size);
}

void unpack_keys_i4_avx512(int8_t *k, const uint8_t *codes, const uint8_t *grids, size_t hd,
                           size_t n_groups) {
    unpack_keys(k, codes, grids, hd, n_groups);
}

void unpack_values_i4_avx512(int8_t *v, const uint8_t *codes, const uint8_t *grids, size_t hd,
                             size_t n_groups) {
    unpack_values(v, codes, grids, hd, n_groups);
}
