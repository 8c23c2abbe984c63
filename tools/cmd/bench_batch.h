/* bise bench -b: how many tokens conversations write that run beside each other. */
#ifndef BISE_TOOLS_CMD_BENCH_BATCH_H
#define BISE_TOOLS_CMD_BENCH_BATCH_H

#include "src/bise.h"

#define BATCH_MAX_LIST 8

struct bench_batch {
    const struct bise_model *model;
    const char *isa;  /* of the engine */
    const char *form; /* "md", "csv", "json" */
    int n_threads;
    int64_t counts[BATCH_MAX_LIST]; /* [n_counts] sequences */
    size_t n_counts;
    int64_t depths[BATCH_MAX_LIST]; /* [n_depths] tokens before what is timed */
    size_t n_depths, n_gen, repeats;
    const int32_t *ids; /* [n_ids]: more than the largest depth */
    size_t n_ids;
};

/* Measures and prints. Every repetition visits all counts in turn. Errors: the engine's. */
enum bise_status bench_batch_run(const struct bench_batch *b, struct bise_error *err);

#endif
