/* What x86_tmpl.h wants of registers of 256 bits, but for products: for this folder and avxvnni. */
#ifndef BISE_KERNELS_AVX2_VECTORS_H
#define BISE_KERNELS_AVX2_VECTORS_H

#include "kernels/avx2/common.h"

#define LANES 8

typedef __m256i vint;
typedef __m256 vfloat;

TILE_HELPER vint load(const void *p) {
    return _mm256_loadu_si256(p);
}

TILE_HELPER void store(void *p, vint v) {
    _mm256_storeu_si256(p, v);
}

TILE_HELPER vint set_all(int32_t x) {
    return _mm256_set1_epi32(x);
}

TILE_HELPER vint codebook_table(const int8_t *codebook) {
    const __m128i t = _mm_loadu_si128((const void *)codebook);
    return _mm256_broadcastsi128_si256(_mm_add_epi8(t, _mm_set1_epi8(I4_BIAS)));
}

TILE_HELPER void unpack(vint v[2], vint codes, vint table) {
    const vint nibble = _mm256_set1_epi8(15), high = _mm256_srli_epi16(codes, 4);
    v[0] = _mm256_shuffle_epi8(table, _mm256_and_si256(codes, nibble));
    v[1] = _mm256_shuffle_epi8(table, _mm256_and_si256(high, nibble));
}

TILE_HELPER vfloat to_float(vint v) {
    return _mm256_cvtepi32_ps(v);
}

TILE_HELPER vfloat load_float(const float *p) {
    return _mm256_loadu_ps(p);
}

TILE_HELPER void store_float(float *p, vfloat v) {
    _mm256_storeu_ps(p, v);
}

TILE_HELPER vfloat load_scales(const uint8_t *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)));
}

TILE_HELPER vfloat all_floats(float x) {
    return _mm256_set1_ps(x);
}

TILE_HELPER vfloat mul(vfloat a, vfloat b) {
    return _mm256_mul_ps(a, b);
}

TILE_HELPER vfloat add(vfloat a, vfloat b) {
    return _mm256_add_ps(a, b);
}

TILE_HELPER vfloat fused_mul_add(vfloat a, vfloat b, vfloat c) {
    return _mm256_fmadd_ps(a, b, c);
}

TILE_HELPER vfloat mul_add(vfloat a, vfloat b, vfloat c) {
    return _mm256_fmadd_ps(a, b, c);
}

#endif
