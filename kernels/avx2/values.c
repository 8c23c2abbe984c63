/* Attention's weighted sums of f32 and f16 values. Positions are taken in runs that stay in L1;
 * within a run a register tile of queries x dimensions goes through them in ascending order. */
#include "kernels/avx2/common.h"
#include "kernels/avx2/vector.h"

#define QUERIES 4
#define RUN     64 /* positions */

/* Values of one run: type [n][hd]. */
struct run_values {
    const uint8_t *v, *next; /* next: as many bytes that are read next; v itself at the end */
    size_t hd, n;
};

/* nq queries, 8 nd dimensions from d, a run's positions; nq * nd is at most 12. w [nq] rows of
 * stride ldw: what values are multiplied with. The next run is asked for in the order of memory:
 * what memory likes best, and the values of a run are not read in it. */
TILE_HELPER void values_tile(float *out, size_t ldo, const float *w, size_t ldw,
                             const struct run_values *r, const enum cached type, size_t d,
                             const size_t nq, const size_t nd) {
    const size_t share = 8 * nd * cached_bytes(type);
    const uint8_t *next = r->next + d * r->n * cached_bytes(type);
    __m256 acc[12];
    UNROLL
    for (size_t i = 0; i < nq * nd; i++)
        acc[i] = _mm256_loadu_ps(out + i / nd * ldo + d + i % nd * 8);
    for (size_t t = 0; t < r->n; t++) {
        __m256 v[4];
        UNROLL
        for (size_t i = 0; i < share; i += 64)
            prefetch(next + t * share + i);
        UNROLL
        for (size_t j = 0; j < nd; j++)
            v[j] = load_cached(r->v, type, t * r->hd + d + j * 8);
        UNROLL
        for (size_t i = 0; i < nq * nd; i++)
            acc[i] = _mm256_fmadd_ps(_mm256_broadcast_ss(w + i / nd * ldw + t), v[i % nd], acc[i]);
    }
    UNROLL
    for (size_t i = 0; i < nq * nd; i++)
        _mm256_storeu_ps(out + i / nd * ldo + d + i % nd * 8, acc[i]);
}

/* nq queries and one run. */
TILE_HELPER void values_run(float *out, size_t ldo, const float *p, size_t ldp,
                            const struct run_values *r, const enum cached type, const size_t nq) {
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
                        const void *v, const enum cached type, size_t hd, size_t n_pos) {
    const size_t run_bytes = RUN * hd * cached_bytes(type);
    const uint8_t *run = v;
    for (size_t t = 0; t < n_pos; t += RUN, run += run_bytes) {
        const size_t left = n_pos - t;
        const struct run_values r = {run, left < 2 * RUN ? run : run + run_bytes, hd,
                                     left < RUN ? left : RUN};
        for (size_t i = 0, nq; i < n_q; i += nq) {
            nq = n_q - i < QUERIES ? n_q - i : QUERIES;
            float *const to = out + i * ldo;
            const float *const from = p + i * ldp + t;
            WITH_CONSTANT(nq, QUERIES, values_run(to, ldo, from, ldp, &r, type, N));
        }
    }
}

void values_f32_avx2(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q, const float *v,
                     size_t hd, size_t n_pos) {
    values(out, ldo, p, ldp, n_q, v, CACHED_F32, hd, n_pos);
}

void values_f16_avx2(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                     const uint16_t *v, size_t hd, size_t n_pos) {
    values(out, ldo, p, ldp, n_q, v, CACHED_F16, hd, n_pos);
}
