/* Attention's weighted sums of values. Positions are taken in runs that stay in L1; within a run a
 * register tile of queries x dimensions goes through them in ascending order. */
#include "kernels/avx2/common.h"
#include "kernels/avx2/vector.h"

#define QUERIES 4
#define RUN     64 /* positions: 8 KiB of int8 values of 128 dimensions */

/* nq queries, 16 dimensions from d, n positions. w [nq] rows of stride ldw: what values are
 * multiplied with. */
TILE_HELPER void values_tile(float *out, size_t ldo, const float *w, size_t ldw, const uint8_t *v,
                             const enum cached type, size_t hd, size_t d, size_t n,
                             const size_t nq) {
    __m256 lo[QUERIES], hi[QUERIES];
    UNROLL
    for (size_t i = 0; i < nq; i++) {
        lo[i] = _mm256_loadu_ps(out + i * ldo + d);
        hi[i] = _mm256_loadu_ps(out + i * ldo + d + 8);
    }
    for (size_t t = 0; t < n; t++) {
        const __m256 v_lo = load_cached(v, type, t * hd + d);
        const __m256 v_hi = load_cached(v, type, t * hd + d + 8);
        UNROLL
        for (size_t i = 0; i < nq; i++) {
            const __m256 wv = _mm256_broadcast_ss(w + i * ldw + t);
            lo[i] = _mm256_fmadd_ps(wv, v_lo, lo[i]);
            hi[i] = _mm256_fmadd_ps(wv, v_hi, hi[i]);
        }
    }
    UNROLL
    for (size_t i = 0; i < nq; i++) {
        _mm256_storeu_ps(out + i * ldo + d, lo[i]);
        _mm256_storeu_ps(out + i * ldo + d + 8, hi[i]);
    }
}

/* nq queries and one run of n positions. vd: int8 only. */
TILE_HELPER void values_run(float *out, size_t ldo, const float *p, size_t ldp, const uint8_t *v,
                            const enum cached type, const float *vd, size_t hd, size_t n,
                            const size_t nq) {
    float scaled[QUERIES * RUN];
    if (type == CACHED_I8) {
        for (size_t i = 0; i < nq; i++)
            for (size_t t = 0; t < n; t++)
                scaled[i * RUN + t] = p[i * ldp + t] * vd[t];
        p = scaled;
        ldp = RUN;
    }
    for (size_t d = 0; d < hd; d += 16)
        values_tile(out, ldo, p, ldp, v, type, hd, d, n, nq);
}

TILE_HELPER void values(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                        const void *v, const enum cached type, const float *vd, size_t hd,
                        size_t n_pos) {
    for (size_t t = 0; t < n_pos; t += RUN) {
        const size_t n = n_pos - t < RUN ? n_pos - t : RUN;
        const uint8_t *run = (const uint8_t *)v + t * hd * cached_bytes(type);
        const float *scales = type == CACHED_I8 ? vd + t : NULL;
        size_t i = 0;
        for (; i + 4 <= n_q; i += 4)
            values_run(out + i * ldo, ldo, p + i * ldp + t, ldp, run, type, scales, hd, n, 4);
        for (; i < n_q; i++)
            values_run(out + i * ldo, ldo, p + i * ldp + t, ldp, run, type, scales, hd, n, 1);
    }
}

void values_i8_avx2(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q, const int8_t *v,
                    const float *vd, size_t hd, size_t n_pos) {
    values(out, ldo, p, ldp, n_q, v, CACHED_I8, vd, hd, n_pos);
}

void values_f32_avx2(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q, const float *v,
                     size_t hd, size_t n_pos) {
    values(out, ldo, p, ldp, n_q, v, CACHED_F32, NULL, hd, n_pos);
}

void values_f16_avx2(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                     const uint16_t *v, size_t hd, size_t n_pos) {
    values(out, ldo, p, ldp, n_q, v, CACHED_F16, NULL, hd, n_pos);
}
