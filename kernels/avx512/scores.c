/* Attention scores and softmax. A register tile is 4 queries x 4 groups of 16 keys; all queries of
 * a call meet the keys while these are in L1. */
#include "kernels/avx512/common.h"
#include "kernels/avx512/vector.h"

#define QUERIES 4
#define GROUPS  4

/* ---- int8 -------------------------------------------------------------------------------- */

/* Queries whose corrections are held at a time. */
#define PASS 64

/* Keys are biased by 128 to be unsigned; start holds -128 times the sum of each query's codes. The
 * keys that follow `ahead` bytes later are asked for. */
TILE_HELPER void scores_i8_tile(float *s, size_t lds, const int8_t *q, const float *qd,
                                const int32_t *start, const int8_t *k, size_t ahead,
                                const float *kd, size_t hd, const size_t nq, const size_t ng) {
    const __m512i bias = _mm512_set1_epi8((char)0x80);
    __m512i acc[QUERIES * GROUPS];
    UNROLL
    for (size_t i = 0; i < nq * ng; i++)
        acc[i] = _mm512_set1_epi32(start[i / ng]);
    for (size_t d = 0; d < hd; d += 4) {
        __m512i keys[GROUPS];
        UNROLL
        for (size_t g = 0; g < ng; g++) {
            const int8_t *line = k + (g * hd + d) * 16;
            prefetch(k + ahead + (d / 4 * ng + g) * 64); /* in the order of memory */
            keys[g] = _mm512_xor_si512(_mm512_loadu_si512(line), bias);
        }
        UNROLL
        for (size_t i = 0; i < nq * ng; i++)
            acc[i] = _mm512_dpbusd_epi32(acc[i], keys[i % ng], broadcast4(q + i / ng * hd + d));
    }
    UNROLL
    for (size_t i = 0; i < nq * ng; i++) {
        const __m512 scaled =
            _mm512_mul_ps(_mm512_cvtepi32_ps(acc[i]), _mm512_loadu_ps(kd + i % ng * 16));
        _mm512_storeu_ps(s + i / ng * lds + i % ng * 16,
                         _mm512_mul_ps(scaled, _mm512_set1_ps(qd[i / ng])));
    }
}

/* -128 times the sum of hd codes, hd a multiple of 32. */
static int32_t start_of(const int8_t *q, size_t hd) {
    __m256i sum = _mm256_setzero_si256();
    for (size_t d = 0; d < hd; d += 32)
        sum = _mm256_dpbusd_epi32(sum, _mm256_set1_epi8((char)0x80),
                                  _mm256_loadu_si256((const void *)(q + d)));
    return -_mm512_reduce_add_epi32(_mm512_zextsi256_si512(sum));
}

/* ng groups and up to PASS queries. */
TILE_HELPER void scores_i8_groups(float *s, size_t lds, const int8_t *q, const float *qd,
                                  const int32_t *start, size_t n_q, const int8_t *k, size_t ahead,
                                  const float *kd, size_t hd, const size_t ng) {
    size_t i = 0;
    for (; i + 4 <= n_q; i += 4)
        scores_i8_tile(s + i * lds, lds, q + i * hd, qd + i, start + i, k, ahead, kd, hd, 4, ng);
    for (; i < n_q; i++)
        scores_i8_tile(s + i * lds, lds, q + i * hd, qd + i, start + i, k, ahead, kd, hd, 1, ng);
}

void scores_i8_avx512(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                      const int8_t *k, const float *kd, size_t hd, size_t n_groups) {
    for (size_t q0 = 0; q0 < n_q; q0 += PASS) {
        const size_t n = n_q - q0 < PASS ? n_q - q0 : PASS;
        const int8_t *qp = q + q0 * hd;
        float *sp = s + q0 * lds;
        int32_t start[PASS];
        for (size_t i = 0; i < n; i++)
            start[i] = start_of(qp + i * hd, hd);
        size_t g = 0;
        for (; g + GROUPS <= n_groups; g += GROUPS) {
            const size_t ahead = g + 2 * GROUPS <= n_groups ? GROUPS * 16 * hd : 0;
            scores_i8_groups(sp + g * 16, lds, qp, qd + q0, start, n, k + g * 16 * hd, ahead,
                             kd + g * 16, hd, GROUPS);
        }
        for (; g < n_groups; g++)
            scores_i8_groups(sp + g * 16, lds, qp, qd + q0, start, n, k + g * 16 * hd, 0,
                             kd + g * 16, hd, 1);
    }
}

/* ---- f32 and f16 ------------------------------------------------------------------------- */

TILE_HELPER void scores_float_tile(float *s, size_t lds, const float *q, __m512 scale,
                                   const uint8_t *k, const enum cached type, size_t hd,
                                   const size_t nq, const size_t ng) {
    __m512 acc[QUERIES * GROUPS];
    UNROLL
    for (size_t i = 0; i < nq * ng; i++)
        acc[i] = _mm512_setzero_ps();
    for (size_t d = 0; d < hd; d++) {
        __m512 keys[GROUPS];
        UNROLL
        for (size_t g = 0; g < ng; g++)
            keys[g] = load_cached(k, type, (g * hd + d) * 16);
        UNROLL
        for (size_t i = 0; i < nq * ng; i++)
            acc[i] = _mm512_fmadd_ps(keys[i % ng], _mm512_set1_ps(q[i / ng * hd + d]), acc[i]);
    }
    UNROLL
    for (size_t i = 0; i < nq * ng; i++)
        _mm512_storeu_ps(s + i / ng * lds + i % ng * 16, _mm512_mul_ps(acc[i], scale));
}

TILE_HELPER void scores_float_groups(float *s, size_t lds, const float *q, __m512 scale, size_t n_q,
                                     const uint8_t *k, const enum cached type, size_t hd,
                                     const size_t ng) {
    size_t i = 0;
    for (; i + 4 <= n_q; i += 4)
        scores_float_tile(s + i * lds, lds, q + i * hd, scale, k, type, hd, 4, ng);
    for (; i < n_q; i++)
        scores_float_tile(s + i * lds, lds, q + i * hd, scale, k, type, hd, 1, ng);
}

TILE_HELPER void scores_float(float *s, size_t lds, const float *q, float scale, size_t n_q,
                              const void *k, const enum cached type, size_t hd, size_t n_groups) {
    const __m512 sv = _mm512_set1_ps(scale);
    const size_t group_bytes = 16 * hd * cached_bytes(type);
    const uint8_t *keys = k;
    size_t g = 0;
    for (; g + GROUPS <= n_groups; g += GROUPS)
        scores_float_groups(s + g * 16, lds, q, sv, n_q, keys + g * group_bytes, type, hd, GROUPS);
    for (; g < n_groups; g++)
        scores_float_groups(s + g * 16, lds, q, sv, n_q, keys + g * group_bytes, type, hd, 1);
}

void scores_f32_avx512(float *s, size_t lds, const float *q, float scale, size_t n_q,
                       const float *k, size_t hd, size_t n_groups) {
    scores_float(s, lds, q, scale, n_q, k, CACHED_F32, hd, n_groups);
}

void scores_f16_avx512(float *s, size_t lds, const float *q, float scale, size_t n_q,
                       const uint16_t *k, size_t hd, size_t n_groups) {
    scores_float(s, lds, q, scale, n_q, k, CACHED_F16, hd, n_groups);
}

/* ---- softmax ----------------------------------------------------------------------------- */

/* Lanes of the group at i that lie in [lo, hi); i < hi, lo < i + 16. */
static inline __mmask16 lanes_within(size_t i, size_t lo, size_t hi) {
    const __mmask16 below = lo > i ? first_lanes(lo - i) : 0;
    return (__mmask16)(first_lanes(hi - i) & ~below);
}

#define NOT_FINITE 0x99 /* fpclass: NaN of both kinds, infinities of both signs */

float softmax_avx512(float *s, size_t lo, size_t hi, size_t n, float *most) {
    const size_t first = lo / 16 * 16, end = (hi + 15) / 16 * 16;
    __m512 top = _mm512_set1_ps(s[lo]);
    __mmask16 bad = 0;
    for (size_t i = first; i < end; i += 16) {
        const __mmask16 m = lanes_within(i, lo, hi);
        const __m512 x = _mm512_loadu_ps(s + i);
        top = _mm512_mask_max_ps(top, m, top, x);
        bad |= _mm512_mask_fpclass_ps_mask(m, x, NOT_FINITE);
    }
    if (bad != 0)
        return f32_from_bits(0x7fc00000u);
    *most = _mm512_reduce_max_ps(top);
    const __m512 max = _mm512_set1_ps(*most);
    __m512 sum = _mm512_setzero_ps();
    for (size_t i = 0; i < first; i += 16)
        _mm512_storeu_ps(s + i, sum);
    for (size_t i = end; i < n; i += 16)
        _mm512_storeu_ps(s + i, sum);
    for (size_t i = first; i < end; i += 16) {
        const __m512 e = exp_16(_mm512_sub_ps(_mm512_loadu_ps(s + i), max));
        const __m512 kept = _mm512_maskz_mov_ps(lanes_within(i, lo, hi), e);
        _mm512_storeu_ps(s + i, kept);
        sum = _mm512_add_ps(sum, kept);
    }
    return tree_sum(sum);
}
