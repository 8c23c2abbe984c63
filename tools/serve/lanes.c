#include "tools/serve/lanes.h"

#include "src/base/error.h"

#include <stdlib.h>

struct lanes {
    uint32_t n;
    struct bise_session *sessions[]; /* [n] */
};

enum bise_status lanes_open(struct lanes **out, const struct bise_model *model,
                            const struct bise_session_params *params, uint32_t n,
                            struct bise_error *err) {
    struct lanes *l = calloc(1, sizeof *l + n * sizeof l->sessions[0]);
    enum bise_status status = BISE_OK;
    *out = NULL;
    if (!l)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the sequences");
    for (; l->n < n && !status; l->n += !status)
        status = bise_session_open(&l->sessions[l->n], model, params, err);
    *out = l;
    if (status)
        lanes_close(out);
    return status;
}

void lanes_close(struct lanes **l) {
    if (!*l)
        return;
    for (uint32_t i = 0; i < (*l)->n; i++)
        bise_session_close(&(*l)->sessions[i]);
    free(*l);
    *l = NULL;
}

const struct bise_plan *lanes_plan(const struct lanes *l) {
    return bise_session_plan(l->sessions[0]);
}

const char *lanes_isa(const struct lanes *l) {
    return bise_session_isa(l->sessions[0]);
}

void lanes_step(struct lanes *l, struct lane_run *runs, size_t n_runs) {
    for (size_t i = 0; i < n_runs; i++) {
        struct lane_run *r = &runs[i];
        struct bise_session *s = l->sessions[r->lane];
        r->status = r->logits ? bise_prefill_logits(s, r->ids, r->n, r->logits, NULL)
                              : bise_prefill(s, r->ids, r->n, NULL, NULL, NULL);
    }
}

const float *lanes_logits(const struct lanes *l, uint32_t lane) {
    return bise_logits(l->sessions[lane]);
}

bool lanes_truncate(struct lanes *l, uint32_t lane, size_t p) {
    if (bise_truncate(l->sessions[lane], p, NULL) == BISE_OK)
        return true;
    bise_reset(l->sessions[lane]);
    return false;
}

bool lanes_copy(struct lanes *l, uint32_t to, uint32_t from, size_t p) {
    (void)l;
    (void)to;
    (void)from;
    (void)p;
    return false;
}

void lanes_reset(struct lanes *l, uint32_t lane) {
    bise_reset(l->sessions[lane]);
}
