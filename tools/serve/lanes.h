/* The engine as the scheduler sees it: a fixed number of sequences, each at a position of its own. */
#ifndef BISE_TOOLS_SERVE_LANES_H
#define BISE_TOOLS_SERVE_LANES_H

#include "src/bise.h"

struct lanes;

struct lane_run {
    uint32_t lane;
    const int32_t *ids; /* [n] */
    size_t n;
    bool want_last; /* the last one's logits are wanted */
    float *logits;  /* NULL, or [n][vocab_size] of every position */
    enum bise_status status;
};

enum bise_status lanes_open(struct lanes **out, const struct bise_model *model,
                            const struct bise_session_params *params, uint32_t n,
                            struct bise_error *err);
void lanes_close(struct lanes **l);
const struct bise_plan *lanes_plan(const struct lanes *l);
const char *lanes_isa(const struct lanes *l);
/* All runs, each of another lane; their statuses are to be looked at. */
void lanes_step(struct lanes *l, struct lane_run *runs, size_t n_runs);
/* Of the lane's last id. */
const float *lanes_logits(const struct lanes *l, uint32_t lane);
/* The lane begins with the first p ids of what it holds; false: it cannot, and begins anew. */
bool lanes_truncate(struct lanes *l, uint32_t lane, size_t p);
/* Lane to begins with the first p ids of what lane from holds; false: it cannot, nothing is done. */
bool lanes_copy(struct lanes *l, uint32_t to, uint32_t from, size_t p);
void lanes_reset(struct lanes *l, uint32_t lane);

#endif
