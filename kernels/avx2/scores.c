/* Attention scores and softmax. All queries of a call meet a group of 16 keys while it is in L1. */
#include "kernels/avx2/common.h"
#include "kernels/avx2/vector.h"
#include <string.h>

#define QUERIES 4 /* in a register tile: each holds sums for 16 keys in two registers */

/* ---- int8 -------------------------------------------------------------------------------- */

/* 4 products in every lane added up. keys and |keys| are signed and magnitude of the same codes, so
 * that no 16-bit sum exceeds 2 * 127 * 127. */
static inline __m256i dot4(__m256i acc, __m256i keys, __m256i magnitudes, __m256i q) {
    const __m256i pairs = _mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(q, keys));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static inline __m256 scaled(__m256i isum, const float *kd, __m256 qd) {
    return _mm256_mul_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(isum), _mm256_loadu_ps(kd)), qd);
}

/* One group of keys [hd/4][16][4] and nq queries. */
TILE_HELPER void scores_i8_tile(float *s, size_t lds, const int8_t *q, const float *qd,
                                const int8_t *k, const float *kd, size_t hd, const size_t nq) {
    __m256i lo[QUERIES], hi[QUERIES];
    UNROLL
    for (size_t i = 0; i < nq; i++)
        lo[i] = hi[i] = _mm256_setzero_si256();
    for (size_t d = 0; d < hd; d += 4) {
        const __m256i k_lo = load32(k + d * 16), k_hi = load32(k + d * 16 + 32);
        const __m256i m_lo = _mm256_abs_epi8(k_lo), m_hi = _mm256_abs_epi8(k_hi);
        UNROLL
        for (size_t i = 0; i < nq; i++) {
            const __m256i q4 = broadcast4(q + i * hd + d);
            lo[i] = dot4(lo[i], k_lo, m_lo, q4);
            hi[i] = dot4(hi[i], k_hi, m_hi, q4);
        }
    }
    UNROLL
    for (size_t i = 0; i < nq; i++) {
        const __m256 scale = _mm256_set1_ps(qd[i]);
        _mm256_storeu_ps(s + i * lds, scaled(lo[i], kd, scale));
        _mm256_storeu_ps(s + i * lds + 8, scaled(hi[i], kd + 8, scale));
    }
}

void scores_i8_avx2(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                    const int8_t *k, const float *kd, size_t hd, size_t n_groups) {
    for (size_t g = 0; g < n_groups; g++, k += 16 * hd, kd += 16, s += 16) {
        size_t i = 0;
        for (; i + 4 <= n_q; i += 4)
            scores_i8_tile(s + i * lds, lds, q + i * hd, qd + i, k, kd, hd, 4);
        for (; i + 2 <= n_q; i += 2)
            scores_i8_tile(s + i * lds, lds, q + i * hd, qd + i, k, kd, hd, 2);
        if (i < n_q)
            scores_i8_tile(s + i * lds, lds, q + i * hd, qd + i, k, kd, hd, 1);
    }
}

/* ---- f32 and f16 ------------------------------------------------------------------------- */

/* One group of keys [hd][16] and nq queries. */
TILE_HELPER void scores_float_tile(float *s, size_t lds, const float *q, __m256 scale,
                                   const uint8_t *k, const enum cached type, size_t hd,
                                   const size_t nq) {
    __m256 lo[QUERIES], hi[QUERIES];
    UNROLL
    for (size_t i = 0; i < nq; i++)
        lo[i] = hi[i] = _mm256_setzero_ps();
    for (size_t d = 0; d < hd; d++) {
        const __m256 k_lo = load_cached(k, type, d * 16);
        const __m256 k_hi = load_cached(k, type, d * 16 + 8);
        UNROLL
        for (size_t i = 0; i < nq; i++) {
            const __m256 qv = _mm256_broadcast_ss(q + i * hd + d);
            lo[i] = _mm256_fmadd_ps(k_lo, qv, lo[i]);
            hi[i] = _mm256_fmadd_ps(k_hi, qv, hi[i]);
        }
    }
    UNROLL
    for (size_t i = 0; i < nq; i++) {
        _mm256_storeu_ps(s + i * lds, _mm256_mul_ps(lo[i], scale));
        _mm256_storeu_ps(s + i * lds + 8, _mm256_mul_ps(hi[i], scale));
    }
}

TILE_HELPER void scores_float(float *s, size_t lds, const float *q, float scale, size_t n_q,
                              const void *k, const enum cached type, size_t hd, size_t n_groups) {
    const __m256 sv = _mm256_set1_ps(scale);
    const uint8_t *keys = k;
    for (size_t g = 0; g < n_groups; g++, keys += 16 * hd * cached_bytes(type), s += 16) {
        size_t i = 0;
        for (; i + 4 <= n_q; i += 4)
            scores_float_tile(s + i * lds, lds, q + i * hd, sv, keys, type, hd, 4);
        for (; i + 2 <= n_q; i += 2)
            scores_float_tile(s + i * lds, lds, q + i * hd, sv, keys, type, hd, 2);
        if (i < n_q)
            scores_float_tile(s + i * lds, lds, q + i * hd, sv, keys, type, hd, 1);
    }
}

void scores_f32_avx2(float *s, size_t lds, const float *q, float scale, size_t n_q, const float *k,
                     size_t hd, size_t n_groups) {
    scores_float(s, lds, q, scale, n_q, k, CACHED_F32, hd, n_groups);
}

void scores_f16_avx2(float *s, size_t lds, const float *q, float scale, size_t n_q,
                     const uint16_t *k, size_t hd, size_t n_groups) {
    scores_float(s, lds, q, scale, n_q, k, CACHED_F16, hd, n_groups);
}

/* ---- softmax ----------------------------------------------------------------------------- */

/* Sets what [lo, hi) leaves of the groups of 16 at its ends. */
static void set_edges(float *s, size_t lo, size_t hi, float value) {
    for (size_t i = lo / 16 * 16; i < lo; i++)
        s[i] = value;
    for (size_t i = hi; i % 16 != 0; i++)
        s[i] = value;
}

/* Maximum of s [n], n a multiple of 16; *finite if all of them are. */
static float max_of(const float *s, size_t n, bool *finite) {
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 m0 = _mm256_loadu_ps(s), m1 = m0;
    __m256i top = _mm256_setzero_si256();
    for (size_t i = 0; i < n; i += 16) {
        const __m256 a = _mm256_loadu_ps(s + i), b = _mm256_loadu_ps(s + i + 8);
        m0 = _mm256_max_ps(m0, a);
        m1 = _mm256_max_ps(m1, b);
        top = _mm256_max_epi32(top, _mm256_castps_si256(_mm256_and_ps(a, magnitude)));
        top = _mm256_max_epi32(top, _mm256_castps_si256(_mm256_and_ps(b, magnitude)));
    }
    const __m256i inf = _mm256_set1_epi32(0x7f7fffff);
    *finite = _mm256_testz_si256(_mm256_cmpgt_epi32(top, inf), _mm256_set1_epi32(-1));
    m0 = _mm256_max_ps(m0, m1);
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(m0), _mm256_extractf128_ps(m0, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

float softmax_avx2(float *s, size_t lo, size_t hi, size_t n, float *top) {
    const size_t first = lo / 16 * 16, end = (hi + 15) / 16 * 16;
    bool finite;
    set_edges(s, lo, hi, s[lo]);
    *top = max_of(s + first, end - first, &finite);
    if (!finite)
        return f32_from_bits(0x7fc00000u);
    const __m256 max = _mm256_set1_ps(*top);
    set_edges(s, lo, hi, f32_from_bits(0xff800000u)); /* exp of -inf is +0 */
    __m256 sum_lo = _mm256_setzero_ps(), sum_hi = _mm256_setzero_ps();
    for (size_t i = first; i < end; i += 16) {
        const __m256 a = exp_8(_mm256_sub_ps(_mm256_loadu_ps(s + i), max));
        const __m256 b = exp_8(_mm256_sub_ps(_mm256_loadu_ps(s + i + 8), max));
        _mm256_storeu_ps(s + i, a);
        _mm256_storeu_ps(s + i + 8, b);
        sum_lo = _mm256_add_ps(sum_lo, a);
        sum_hi = _mm256_add_ps(sum_hi, b);
    }
    memset(s, 0, first * sizeof *s);
    memset(s + end, 0, (n - end) * sizeof *s);
    return tree_sum(sum_lo, sum_hi);
}
