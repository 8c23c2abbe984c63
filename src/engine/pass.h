/*
 * One pass: columns of one or more sequences on their way through the layers. What forward,
 * attention and ffn share. The columns of a run lie side by side, positions ascending.
 */
#ifndef BISE_SRC_ENGINE_PASS_H
#define BISE_SRC_ENGINE_PASS_H

#include "src/engine/engine.h"

#include <stdatomic.h>

/* A sequence's share of a pass. */
struct pass_run {
    struct sequence *seq;
    size_t first, n; /* its columns */
    enum bise_want want;
    float *logits;            /* all: [n][vocab_size]; last: [vocab_size] */
    _Atomic uint64_t bad_pos; /* lowest position with a value that is not finite in the layer at
                                 work; UINT64_MAX: none */
    bool failed;
    size_t failed_layer; /* n_layers: the output head */
    uint64_t failed_pos;
};

/* A token. */
struct column {
    uint32_t run;
    int32_t id;
    uint64_t pos;
    float *logits; /* [vocab_size] in the output head: where its logits go */
};

struct pass {
    struct bise_engine *e;
    struct pass_run *runs;  /* [n_runs] */
    struct column *columns; /* [n] */
    size_t n_runs, n;
    const float *states; /* [n][dim]: residual stream to begin with, instead of ids; or NULL */
    bool prefill;        /* prefill arithmetic (kernels.h) rather than decode's */
    size_t layer;        /* the one at work; n_layers: the output head */
};

/* Columns that one task of the per-token regions handles. */
#define TOKEN_BLOCK 4

static inline size_t token_blocks(const struct pass *p) {
    return (p->n + TOKEN_BLOCK - 1) / TOKEN_BLOCK;
}

static inline size_t block_end(const struct pass *p, size_t block) {
    const size_t end = (block + 1) * TOKEN_BLOCK;
    return end < p->n ? end : p->n;
}

static inline struct sequence *column_seq(const struct pass *p, size_t c) {
    return p->runs[p->columns[c].run].seq;
}

/* Notes that column c met a value that is not finite. */
static inline void pass_bad(struct pass *p, size_t c) {
    struct pass_run *const run = &p->runs[p->columns[c].run];
    const uint64_t pos = p->columns[c].pos;
    uint64_t seen = atomic_load(&run->bad_pos);
    while (pos < seen && !atomic_compare_exchange_weak(&run->bad_pos, &seen, pos))
        ;
}

#endif
