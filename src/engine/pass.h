/*
 * One pass: columns of one or more sequences on their way through the layers. What forward,
 * attention and ffn share. The columns of a run lie side by side, positions ascending.
 */
#ifndef BISE_SRC_ENGINE_PASS_H
#define BISE_SRC_ENGINE_PASS_H

#include "src/bise.h"

#include <stdatomic.h>

struct bise_engine;
struct sequence;

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

/* What one task of attention serves: heads h0 .. h0 + n_heads - 1 of one KV head, for columns t0 ..
 * t0 + n - 1 of a run. Vector c is head h0 + c % n_heads of column t0 + c / n_heads. */
struct attn_task {
    uint32_t run, kv_head, h0, n_heads, t0, n;
    uint64_t lo, hi; /* positions seen by any of the columns, lo rounded down to a group */
};

struct pass {
    struct bise_engine *e;
    struct pass_run *runs;  /* [n_runs] */
    struct column *columns; /* [n] */
    size_t n_runs, n;
    size_t n_tasks, n_deep; /* of b.attn_tasks and b.deep_runs */
    const float *states;    /* [n][dim]: residual stream to begin with, instead of ids; or NULL */
    size_t layer;           /* the one at work; n_layers: the output head */
};

#define ATTN_COLUMNS 32 /* query vectors that one attention task serves at most */

/* Positions (from a multiple of it on) whose softmax and values are summed by themselves, to be
 * added up in ascending order: part of the arithmetic, whatever call, thread or task computes a
 * block, and few enough that a task's scores stay in the second-level cache. */
#define ATTN_BLOCK 512

/* Query heads of one KV head, of which there are `group`, that one attention task serves. */
static inline size_t attention_heads(size_t group) {
    return group < ATTN_COLUMNS ? group : ATTN_COLUMNS;
}

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
