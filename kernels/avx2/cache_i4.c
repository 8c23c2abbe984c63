/* A cache of 4 bits: keys and queries rotated, codes to those of an int8 cache. */
#include "kernels/avx2/common.h"
#include "kernels/avx2/slots.h"

#define VECTOR_BYTES 32
#define WIDEN(p)     _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)(p)))
#include "kernels/cache_i4_tmpl.h"

void hadamard_avx2(float *x, size_t n, size_t size) {
    hadamard(x, n, size);
}

void unpack_keys_i4_avx2(int8_t *k, const uint8_t *codes, const uint8_t *grids, size_t hd,
                         size_t n_groups) {
    unpack_keys(k, codes, grids, hd, n_groups);
}

void unpack_values_i4_avx2(int8_t *v, const uint8_t *codes, const uint8_t *grids, size_t hd,
                           size_t n_groups) {
    unpack_values(v, codes, grids, hd, n_groups);
}
