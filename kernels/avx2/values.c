/* Attention's weighted sums of values. Positions are taken in runs that stay in L1; within a run a
 * register tile of queries x dimensions goes through them in ascending order. */
#include "kernels/avx2/common.h"
#include "kernels/avx2/vector.h"

#define QUERIES 4
#define RUN     64 /* positions: 8 KiB of int8 values of 128 dimensions */

/* Values of one run: type [n][ldv], hd of each position. */
struct run_values {
    const uint8_t *v, *next; /* next: as many bytes that are read next; v itself at the end */
    size_t ldv, hd, n;
};

/* nq queries, 8 nd dimensions from d, a run's positions; nq * nd is at most 12. w [nq] rows of
 * stride ldw: what values are multiplied with. The next run is asked for in the order of memory:
 * what memory likes best, and the values of a run are not read in it. */
TILE_HELPER void values_tile(float *out, size_t ldo, const float *w, size_t ldw,
                             const struct run_values *r, const enum cached type, size_t d,
                             const size_t nq, const size_t nd) {
    const size_t share = 8 * nd * cached_bytes(type);
    const bool whole = r->ldv == r->hd;
    const size_t step = whole ? share : r->ldv * cached_bytes(type);
    const uint8_t *next = r->next + d * (whole ? r->n : 1) * cached_bytes(type);
    __m256 acc[12];
    UNROLL
    for (size_t i = 0; i < nq * nd; i++)
        acc[i] = _mm256_loadu_ps(out + i / nd * ldo + d + i % nd * 8);
    for (size_t t = 0; t < r->n; t++) {
        __m256 v[4];
        UNROLL
        for (size_t i = 0; i < share; i += 64)
            prefetch(next + t * step + i);
        UNROLL
        for (size_t j = 0; j < nd; j++)
            v[j] = load_cached(r->v, type, t * r->ldv + d + j * 8);
        UNROLL
        for (size_t i = 0; i < nq * nd; i++)
            acc[i] = _mm256_fmadd_ps(_mm256_broadcast_ss(w + i / nd * ldw + t), v[i % nd], acc[i]);
    }
    UNROLL
    for (size_t i = 0; i < nq * nd; i++)
        _mm256_storeu_ps(out + i / nd * ldo + d + i % nd * 8, acc[i]);
}

static inline void multiply(float *y, const float *a, const float *b, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i)));
    for (; i < n; i++)
        y[i] = a[i] * b[i];
}

/* nq queries and one run. vd: int8 only. */
TILE_HELPER void values_run(float *out, size_t ldo, const float *p, size_t ldp,
                            const struct run_values *r, const enum cached type, const float *vd,
                            const size_t nq) {
    float scaled[QUERIES * RUN];
    if (type == CACHED_I8) {
        for (size_t i = 0; i < nq; i++)
            multiply(scaled + i * RUN, p + i * ldp, vd, r->n);
        p = scaled;
        ldp = RUN;
    }
    /* Twelve sums hide the latency of fma; a multiple of 16 dimensions is threes and twos of 8. */
    size_t d = 0;
    for (; nq == 4 && r->hd - d > 32; d += 24)
        values_tile(out, ldo, p, ldp, r, type, d, nq, 3);
    for (; nq < 4 && r->hd - d >= 32; d += 32)
        values_tile(out, ldo, p, ldp, r, type, d, nq, 4);
    for (; r->hd - d >= 16; d += 16)
        values_tile(out, ldo, p, ldp, r, type, d, nq, 2);
    if (d < r->hd)
        values_tile(out, ldo, p, ldp, r, type, d, nq, 1);
}

TILE_HELPER void values(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                        const void *v, const enum cached type, const float *vd, size_t ldv,
                        size_t hd, size_t n_pos) {
    const size_t run_bytes = RUN * ldv * cached_bytes(type);
    const uint8_t *run = v;
    for (size_t t = 0; t < n_pos; t += RUN, run += run_bytes) {
        const size_t left = n_pos - t;
        const struct run_values r = {run, left < 2 * RUN ? run : run + run_bytes, ldv, hd,
                                     left < RUN ? left : RUN};
        const float *scales = type == CACHED_I8 ? vd + t : NULL;
        size_t i = 0;
        for (; i + 4 <= n_q; i += 4)
            values_run(out + i * ldo, ldo, p + i * ldp + t, ldp, &r, type, scales, 4);
        if (n_q - i == 3)
            values_run(out + i * ldo, ldo, p + i * ldp + t, ldp, &r, type, scales, 3);
        else if (n_q - i == 2)
            values_run(out + i * ldo, ldo, p + i * ldp + t, ldp, &r, type, scales, 2);
        else if (n_q - i == 1)
            values_run(out + i * ldo, ldo, p + i * ldp + t, ldp, &r, type, scales, 1);
    }
}

void values_i8_avx2(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q, const int8_t *v,
                    const float *vd, size_t ldv, size_t hd, size_t n_pos) {
    values(out, ldo, p, ldp, n_q, v, CACHED_I8, vd, ldv, hd, n_pos);
}

void values_f32_avx2(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q, const float *v,
                     size_t ldv, size_t hd, size_t n_pos) {
    values(out, ldo, p, ldp, n_q, v, CACHED_F32, NULL, ldv, hd, n_pos);
}

void values_f16_avx2(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                     const uint16_t *v, size_t ldv, size_t hd, size_t n_pos) {
    values(out, ldo, p, ldp, n_q, v, CACHED_F16, NULL, ldv, hd, n_pos);
}
