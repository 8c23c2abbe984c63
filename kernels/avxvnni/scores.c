/* Attention scores over int8 keys. A register tile is up to 6 queries x 16 keys; all queries of a
 * call meet a group of keys while it is in L1. */
#include "kernels/avxvnni/slots.h"
#include "kernels/avxvnni/vnni.h"

#define QUERIES 6
#define PASS    64 /* queries whose corrections are held at a time */

static inline __m256 scaled(__m256i isum, const float *kd, __m256 qd) {
    return _mm256_mul_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(isum), _mm256_loadu_ps(kd)), qd);
}

/* One group of keys [hd/4][16][4] and nq queries. Keys are biased by 128 to be unsigned; start
 * holds -128 times the sum of each query's codes. */
TILE_HELPER void scores_tile(float *s, size_t lds, const int8_t *q, const float *qd,
                             const int32_t *start, const int8_t *k, const float *kd, size_t hd,
                             const size_t nq) {
    const __m256i bias = _mm256_set1_epi8((char)0x80);
    __m256i lo[QUERIES], hi[QUERIES];
    UNROLL
    for (size_t i = 0; i < nq; i++)
        lo[i] = hi[i] = _mm256_set1_epi32(start[i]);
    for (size_t d = 0; d < hd; d += 4) {
        const __m256i k_lo = _mm256_xor_si256(load32(k + d * 16), bias);
        const __m256i k_hi = _mm256_xor_si256(load32(k + d * 16 + 32), bias);
        UNROLL
        for (size_t i = 0; i < nq; i++) {
            const __m256i q4 = broadcast4(q + i * hd + d);
            lo[i] = dpbusd(lo[i], k_lo, q4);
            hi[i] = dpbusd(hi[i], k_hi, q4);
        }
    }
    UNROLL
    for (size_t i = 0; i < nq; i++) {
        const __m256 scale = _mm256_set1_ps(qd[i]);
        _mm256_storeu_ps(s + i * lds, scaled(lo[i], kd, scale));
        _mm256_storeu_ps(s + i * lds + 8, scaled(hi[i], kd + 8, scale));
    }
}

/* -128 times the sum of hd codes, hd a multiple of 32. */
static int32_t start_of(const int8_t *q, size_t hd) {
    __m256i sum = _mm256_setzero_si256();
    for (size_t d = 0; d < hd; d += 32)
        sum = dpbusd(sum, _mm256_set1_epi8((char)0x80), load32(q + d));
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return -_mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* One group and n queries, shared out evenly over tiles. */
static inline void scores_group(float *s, size_t lds, const int8_t *q, const float *qd,
                                const int32_t *start, size_t n, const int8_t *k, const float *kd,
                                size_t hd) {
    for (size_t i = 0, nq; i < n; i += nq) {
        nq = next_columns(n - i, QUERIES);
        float *si = s + i * lds;
        const int8_t *qi = q + i * hd;
        WITH_CONSTANT(nq, QUERIES, scores_tile(si, lds, qi, qd + i, start + i, k, kd, hd, N));
    }
}

void scores_i8_avxvnni(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                       const int8_t *k, const float *kd, size_t hd, size_t n_groups) {
    for (size_t q0 = 0; q0 < n_q; q0 += PASS) {
        const size_t n = n_q - q0 < PASS ? n_q - q0 : PASS;
        int32_t start[PASS];
        for (size_t i = 0; i < n; i++)
            start[i] = start_of(q + (q0 + i) * hd, hd);
        for (size_t g = 0; g < n_groups; g++)
            scores_group(s + q0 * lds + g * 16, lds, q + q0 * hd, qd + q0, start, n,
                         k + g * 16 * hd, kd + g * 16, hd);
    }
}
