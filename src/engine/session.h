/* A session, and one pass of it over a chunk of tokens: what forward, attention and ffn share. */
#ifndef BISE_SRC_ENGINE_SESSION_H
#define BISE_SRC_ENGINE_SESSION_H

#include "src/engine/buffers.h"
#include "src/engine/kv.h"
#include "src/os/pool.h"

#include <stdatomic.h>

struct observer;

struct bise_session {
    const struct bise_model *model;
    struct bise_plan plan;
    struct kernels kernels;
    struct pool *pool;
    struct kv_cache kv;
    struct kv_cache sinks; /* of the first plan.n_sinks positions; no memory where there are none */
    struct buffers b;
    uint8_t *scratch;                /* the memory behind b */
    const struct observer *observer; /* of every pass (observe.h), or NULL */
    float query_scale;               /* 1 / sqrt(head_dim) */
    uint64_t opened_at;              /* start_pos of the parameters */
    uint64_t start_pos;              /* of the first token there is */
    uint64_t kept_from; /* lowest position whose keys and values were ever there: what was loaded */
    uint64_t ids_from;  /* lowest position whose id was ever there */
    uint64_t pos;       /* of the next token */
    uint64_t filled;    /* 1 + the highest position ever written since the last reset */
};

/* Lowest position that the cache still holds. */
uint64_t session_oldest(const struct bise_session *s);

/* One pass. pos .. pos + n - 1 are its tokens' positions; n <= chunk. */
struct pass {
    struct bise_session *s;
    const int32_t *ids;  /* [n]; NULL: states instead */
    const float *states; /* [n][dim]: residual stream to begin with */
    size_t n;
    uint64_t pos;
    bool prefill;             /* prefill arithmetic (kernels.h) rather than decode's */
    size_t layer;             /* the one at work; n_layers: the output head */
    _Atomic uint64_t bad_pos; /* lowest position where a value was not finite; UINT64_MAX: none */
};

/* Tokens that one task of the per-token regions handles. */
#define TOKEN_BLOCK 4

static inline size_t token_blocks(const struct pass *p) {
    return (p->n + TOKEN_BLOCK - 1) / TOKEN_BLOCK;
}

static inline size_t block_end(const struct pass *p, size_t block) {
    const size_t end = (block + 1) * TOKEN_BLOCK;
    return end < p->n ? end : p->n;
}

/* Notes that token t (of the pass) met a value that is not finite. */
static inline void pass_bad(struct pass *p, size_t t) {
    const uint64_t pos = p->pos + t;
    uint64_t seen = atomic_load(&p->bad_pos);
    while (pos < seen && !atomic_compare_exchange_weak(&p->bad_pos, &seen, pos))
        ;
}

#endif
