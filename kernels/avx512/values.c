/* Attention's weighted sums of f32 and f16 values. Positions are taken in runs that stay in L1;
 * within a run a register tile of queries x dimensions goes through them in ascending order. */
#include "kernels/avx512/common.h"
#include "kernels/avx512/vector.h"

#define RUN  64 /* positions */
#define WIDE 64 /* dimensions of a run that are converted at a time: 16 KiB */

/* Values of one run as a tile reads them: type [n][stride]. */
struct run_values {
    const void *v;
    size_t stride, n;
    const uint8_t *next; /* as many bytes that are read next; v itself at the end */
};

/* Asks for what of the next run corresponds to position t, 16 nd dimensions from d. In the order of
 * memory: what memory likes best, and the values of a run are not read in it. */
TILE_HELPER void prefetch_next(const struct run_values *r, const enum cached type, size_t d,
                               size_t t, const size_t nd) {
    const size_t share = 16 * nd * cached_bytes(type);
    const uint8_t *p = r->next + d * r->n * cached_bytes(type) + t * share;
    UNROLL
    for (size_t i = 0; i < share; i += 64)
        prefetch(p + i);
}

/* nq queries, 16 nd dimensions of out and v, all positions of a run. w [nq][RUN] or of stride ldw:
 * what values are multiplied with. */
TILE_HELPER void values_tile(float *out, size_t ldo, const float *w, size_t ldw,
                             const struct run_values *r, const enum cached type, size_t d,
                             const bool fetch, const size_t nq, const size_t nd) {
    __m512 acc[16];
    UNROLL
    for (size_t i = 0; i < nq * nd; i++)
        acc[i] = _mm512_loadu_ps(out + i / nd * ldo + i % nd * 16);
    for (size_t t = 0; t < r->n; t++) {
        __m512 v[4];
        if (fetch)
            prefetch_next(r, type, d, t, nd);
        UNROLL
        for (size_t j = 0; j < nd; j++)
            v[j] = load_cached(r->v, type, t * r->stride + d + j * 16);
        UNROLL
        for (size_t i = 0; i < nq * nd; i++)
            acc[i] = _mm512_fmadd_ps(_mm512_set1_ps(w[i / nd * ldw + t]), v[i % nd], acc[i]);
    }
    UNROLL
    for (size_t i = 0; i < nq * nd; i++)
        _mm512_storeu_ps(out + i / nd * ldo + i % nd * 16, acc[i]);
}

/* n_q queries, 16 nd dimensions from d. */
TILE_HELPER void values_columns(float *out, size_t ldo, const float *w, size_t ldw, size_t n_q,
                                const struct run_values *r, const enum cached type, size_t d,
                                const bool fetch, const size_t nd) {
    size_t i = 0;
    for (; i + 4 <= n_q; i += 4)
        values_tile(out + i * ldo, ldo, w + i * ldw, ldw, r, type, d, fetch, 4, nd);
    for (; i < n_q; i++)
        values_tile(out + i * ldo, ldo, w + i * ldw, ldw, r, type, d, fetch, 1, nd);
}

/* 16 nd dimensions from d of a run as floats [n][16 nd]. */
TILE_HELPER void convert(float *to, const struct run_values *r, const enum cached type, size_t d,
                         const size_t nd) {
    for (size_t t = 0; t < r->n; t++) {
        prefetch_next(r, type, d, t, nd);
        UNROLL
        for (size_t j = 0; j < nd; j++)
            _mm512_store_ps(to + (t * nd + j) * 16,
                            load_cached(r->v, type, t * r->stride + d + j * 16));
    }
}

/* One run, 16 nd dimensions from d. Where several tiles would convert the
 * same values, that is done once. */
TILE_HELPER void values_run(float *out, size_t ldo, const float *w, size_t ldw, size_t n_q,
                            const struct run_values *r, const enum cached type, size_t d,
                            const size_t nd) {
    if (n_q <= 4) {
        values_columns(out + d, ldo, w, ldw, n_q, r, type, d, true, nd);
        return;
    }
    if (type == CACHED_F32) {
        values_columns(out + d, ldo, w, ldw, n_q, r, type, d, false, nd);
        return;
    }
    _Alignas(64) float floats[RUN * WIDE];
    const struct run_values converted = {floats, 16 * nd, r->n, NULL};
    convert(floats, r, type, d, nd);
    values_columns(out + d, ldo, w, ldw, n_q, &converted, CACHED_F32, 0, false, nd);
}

TILE_HELPER void values(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                        const void *v, const enum cached type, size_t hd, size_t n_pos) {
    for (size_t t = 0; t < n_pos; t += RUN) {
        const uint8_t *run = (const uint8_t *)v + t * hd * cached_bytes(type);
        const size_t left = n_pos - t;
        const struct run_values r = {run, hd, left < RUN ? left : RUN,
                                     left < 2 * RUN ? run : run + RUN * hd * cached_bytes(type)};
        size_t d = 0;
        for (; d + WIDE <= hd; d += WIDE)
            values_run(out, ldo, p + t, ldp, n_q, &r, type, d, 4);
        if (d < hd)
            values_run(out, ldo, p + t, ldp, n_q, &r, type, d, 2);
    }
}

void values_f32_avx512(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                       const float *v, size_t hd, size_t n_pos) {
    values(out, ldo, p, ldp, n_q, v, CACHED_F32, hd, n_pos);
}

void values_f16_avx512(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                       const uint16_t *v, size_t hd, size_t n_pos) {
    values(out, ldo, p, ldp, n_q, v, CACHED_F16, hd, n_pos);
}
