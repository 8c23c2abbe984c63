/* An engine: kernels, threads, scratch, and the caches of a fixed number of sequences. */
#ifndef BISE_SRC_ENGINE_ENGINE_H
#define BISE_SRC_ENGINE_ENGINE_H

#include "src/engine/buffers.h"
#include "src/engine/sequence.h"
#include "src/os/pool.h"

#include <stdatomic.h>

struct observer;

struct bise_engine {
    const struct bise_model *model;
    struct bise_plan plan;
    struct kernels kernels;
    struct pool *pool;
    struct buffers b;
    uint8_t *scratch;                /* the memory behind b */
    const struct observer *observer; /* of every pass (observe.h), or NULL */
    size_t rotated;                  /* dimensions of a head that are rotated together; 1: none */
    float query_scale;               /* 1 / sqrt(head_dim) / rotated */
    struct sequence *seqs;           /* [plan.n_seqs] */
    atomic_bool busy;                /* a thread is in bise_step */
};

/* The layers alone, for sequence 0: states [n][dim], n <= chunk, is the residual stream before them
 * and becomes that behind them. Errors: NONFINITE. */
enum bise_status engine_layers(struct bise_engine *e, float *states, size_t n,
                               struct bise_error *err);

#endif
