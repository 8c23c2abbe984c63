/* Attention's weighted sums of int8 values, by vpdpbusd: codes are unsigned, values signed. */
#include "kernels/avx512/common.h"
#include "kernels/avx512/vector.h"

#define LANES       16
#define VALUE_PARTS 1

typedef __m512i vint;
typedef __m512 vfloat;

/* Into a register: GCC otherwise reads values anew for each query. */
TILE_HELPER vint load(const void *p) {
    vint v = _mm512_loadu_si512(p);
    __asm__("" : "+v"(v));
    return v;
}

TILE_HELPER vint set_all(int32_t x) {
    return _mm512_set1_epi32(x);
}

/* The sum is kept where it is: GCC otherwise copies sums from register to register. */
TILE_HELPER vint dot_values(vint acc, vint v, vint codes) {
    acc = _mm512_dpbusd_epi32(acc, codes, v);
    __asm__("" : "+v"(acc));
    return acc;
}

TILE_HELPER vfloat to_float(vint v) {
    return _mm512_cvtepi32_ps(v);
}

TILE_HELPER vfloat load_float(const float *p) {
    return _mm512_loadu_ps(p);
}

TILE_HELPER void store_float(float *p, vfloat v) {
    _mm512_storeu_ps(p, v);
}

TILE_HELPER vfloat all_floats(float x) {
    return _mm512_set1_ps(x);
}

TILE_HELPER vfloat mul(vfloat a, vfloat b) {
    return _mm512_mul_ps(a, b);
}

TILE_HELPER vfloat add(vfloat a, vfloat b) {
    return _mm512_add_ps(a, b);
}

#include "kernels/x86_values_tmpl.h"

void values_i8_avx512(float *out, size_t ldo, const uint8_t *c, const float *cd, size_t ldc,
                      size_t n_q, const int8_t *v, size_t hd, size_t n_groups) {
    values_i8(out, ldo, c, cd, ldc, n_q, v, hd, n_groups);
}

/* Divisions are made for 16 groups at a time. */
void weigh_i8_avx512(uint8_t *c, float *cd, const float *p, const float *vd, size_t n_groups) {
    const __m512 most = _mm512_set1_ps(WEIGHT_MAX);
    for (size_t g0 = 0; g0 < n_groups; g0 += 16) {
        const size_t n = n_groups - g0 < 16 ? n_groups - g0 : 16;
        float inverse[16] = {0};
        for (size_t g = g0; g < g0 + n; g++)
            inverse[g - g0] = _mm512_reduce_max_ps(
                _mm512_mul_ps(_mm512_loadu_ps(p + g * 16), _mm512_loadu_ps(vd + g * 16)));
        const __m512 m = _mm512_loadu_ps(inverse);
        const __mmask16 some = _mm512_cmp_ps_mask(m, _mm512_set1_ps(1e-30f), _CMP_GE_OQ);
        _mm512_mask_storeu_ps(cd + g0, first_lanes(n), _mm512_maskz_div_ps(some, m, most));
        _mm512_storeu_ps(inverse, _mm512_maskz_div_ps(some, most, m));
        for (size_t g = g0; g < g0 + n; g++) {
            const __m512 w =
                _mm512_mul_ps(_mm512_loadu_ps(p + g * 16), _mm512_loadu_ps(vd + g * 16));
            const __m512i codes =
                _mm512_cvtps_epi32(_mm512_mul_ps(w, _mm512_set1_ps(inverse[g - g0])));
            _mm_storeu_si128((void *)(c + g * 16), _mm512_cvtepi32_epi8(codes));
        }
    }
}
