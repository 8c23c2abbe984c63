/* Attention's weighted sums of int8 values, as kernels/avx2/values_i8.c with half the width. */
#include "kernels/sse41/common.h"
#include "kernels/sse41/slots.h"

#define LANES       4
#define VALUE_PARTS 2

typedef __m128i vint;
typedef __m128 vfloat;

TILE_HELPER vint load(const void *p) {
    return _mm_loadu_si128(p);
}

TILE_HELPER void store(void *p, vint v) {
    _mm_storeu_si128(p, v);
}

TILE_HELPER vint set_all(int32_t x) {
    return _mm_set1_epi32(x);
}

TILE_HELPER void split_line(vint parts[2], vint line) {
    parts[0] = _mm_srai_epi16(_mm_slli_epi16(line, 8), 8);
    parts[1] = _mm_srai_epi16(line, 8);
}

/* The sum is kept in a register: GCC otherwise stores products, to add them up in an order of its
 * own. */
TILE_HELPER vint dot_values(vint acc, vint v, vint codes) {
    acc = _mm_add_epi32(acc, _mm_madd_epi16(v, codes));
    __asm__("" : "+x"(acc));
    return acc;
}

TILE_HELPER vfloat to_float(vint v) {
    return _mm_cvtepi32_ps(v);
}

TILE_HELPER vfloat load_float(const float *p) {
    return _mm_loadu_ps(p);
}

TILE_HELPER void store_float(float *p, vfloat v) {
    _mm_storeu_ps(p, v);
}

TILE_HELPER vfloat all_floats(float x) {
    return _mm_set1_ps(x);
}

TILE_HELPER vfloat mul(vfloat a, vfloat b) {
    return _mm_mul_ps(a, b);
}

TILE_HELPER vfloat add(vfloat a, vfloat b) {
    return _mm_add_ps(a, b);
}

#include "kernels/x86_values_tmpl.h"

void values_i8_sse41(float *out, size_t ldo, const uint8_t *c, const float *cd, size_t ldc,
                     size_t n_q, const int8_t *v, size_t hd, size_t n_groups) {
    values_i8(out, ldo, c, cd, ldc, n_q, v, hd, n_groups);
}

void weigh_i8_sse41(uint8_t *c, float *cd, const float *p, const float *vd, size_t n_groups) {
    for (size_t g = 0; g < n_groups; g++, c += ATTN_GROUP, p += ATTN_GROUP, vd += ATTN_GROUP) {
        vfloat w[4];
        UNROLL for (size_t i = 0; i < 4; i++) w[i] =
            mul(load_float(p + 4 * i), load_float(vd + 4 * i));
        vfloat top = _mm_max_ps(_mm_max_ps(w[0], w[1]), _mm_max_ps(w[2], w[3]));
        top = _mm_max_ps(top, _mm_movehl_ps(top, top));
        top = _mm_max_ps(top, _mm_shuffle_ps(top, top, 0x55));
        const float m = _mm_cvtss_f32(top);
        cd[g] = m < 1e-30f ? 0 : m / WEIGHT_MAX;
        const vfloat by = all_floats(m < 1e-30f ? 0 : WEIGHT_MAX / m);
        vint words[4];
        UNROLL for (size_t i = 0; i < 4; i++) words[i] = _mm_cvtps_epi32(mul(w[i], by));
        store(c, _mm_packus_epi16(_mm_packs_epi32(words[0], words[1]),
                                  _mm_packs_epi32(words[2], words[3])));
    }
}
