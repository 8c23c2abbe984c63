/* Attention's weighted sums of int8 values, by products of 16 bits: two of codes up to 254 and
 * values would not fit the 16 bits that maddubs adds them in. */
#include "kernels/avx2/slots.h"
#include "kernels/avx2/vectors.h"

#define VALUE_PARTS 2

TILE_HELPER void split_line(vint parts[2], vint line) {
    parts[0] = _mm256_srai_epi16(_mm256_slli_epi16(line, 8), 8);
    parts[1] = _mm256_srai_epi16(line, 8);
}

/* The sum is kept in a register: GCC otherwise stores products, to add them up in an order of its
 * own. */
TILE_HELPER vint dot_values(vint acc, vint v, vint codes) {
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(v, codes));
    __asm__("" : "+x"(acc));
    return acc;
}

#include "kernels/x86_values_tmpl.h"

void values_i8_avx2(float *out, size_t ldo, const uint8_t *c, const float *cd, size_t ldc,
                    size_t n_q, const int8_t *v, size_t hd, size_t n_groups) {
    values_i8(out, ldo, c, cd, ldc, n_q, v, hd, n_groups);
}

TILE_HELPER vfloat weights_8(const float *p, const float *vd) {
    return mul(load_float(p), load_float(vd));
}

TILE_HELPER float max_of(vfloat v) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

/* Divisions are made for 8 groups at a time. */
void weigh_i8_avx2(uint8_t *c, float *cd, const float *p, const float *vd, size_t n_groups) {
    const vfloat most = all_floats(WEIGHT_MAX);
    for (size_t g0 = 0; g0 < n_groups; g0 += 8) {
        const size_t n = n_groups - g0 < 8 ? n_groups - g0 : 8;
        float inverse[8] = {0}, scale[8];
        for (size_t g = 0; g < n; g++) {
            const size_t at = (g0 + g) * ATTN_GROUP;
            inverse[g] = max_of(
                _mm256_max_ps(weights_8(p + at, vd + at), weights_8(p + at + 8, vd + at + 8)));
        }
        const vfloat m = load_float(inverse);
        const vfloat some = _mm256_cmp_ps(m, all_floats(1e-30f), _CMP_GE_OQ);
        store_float(scale, _mm256_and_ps(some, _mm256_div_ps(m, most)));
        store_float(inverse, _mm256_and_ps(some, _mm256_div_ps(most, m)));
        memcpy(cd + g0, scale, n * sizeof *cd);
        for (size_t g = 0; g < n; g++) {
            const size_t at = (g0 + g) * ATTN_GROUP;
            const vfloat by = all_floats(inverse[g]);
            const vint a = _mm256_cvtps_epi32(mul(weights_8(p + at, vd + at), by));
            const vint b = _mm256_cvtps_epi32(mul(weights_8(p + at + 8, vd + at + 8), by));
            /* Packing goes by halves of 128 bits: 0..3 of a, of b, 4..7 of a, of b. */
            const vint words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
            _mm_storeu_si128((void *)(c + at),
                             _mm_packus_epi16(_mm256_castsi256_si128(words),
                                              _mm256_extracti128_si256(words, 1)));
        }
    }
}
