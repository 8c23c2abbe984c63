#include "src/engine/session.h"

#include "src/base/error.h"
#include "src/engine/observe.h"

#include <stdlib.h>

enum bise_status bise_session_open(struct bise_session **session, const struct bise_model *model,
                                   const struct bise_engine_params *params,
                                   struct bise_error *err) {
    if (session == NULL)
        return bise_fail(err, BISE_ERR_ARG, "bise_session_open: a place for the session is needed");
    *session = NULL;
    if (params != NULL && params->n_seqs > 1)
        return bise_fail(err, BISE_ERR_ARG, "a session has one sequence, found %u", params->n_seqs);
    struct bise_session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a session");
    const enum bise_status status = bise_engine_open(&s->engine, model, params, err);
    if (status != BISE_OK)
        bise_session_close(&s);
    *session = s;
    return status;
}

void bise_session_close(struct bise_session **session) {
    if (session == NULL || *session == NULL)
        return;
    bise_engine_close(&(*session)->engine);
    free(*session);
    *session = NULL;
}

struct bise_engine *bise_session_engine(struct bise_session *s) {
    return s->engine;
}

void bise_session_stop_on(struct bise_session *s, const volatile int *stop) {
    s->stop = stop;
}

void session_observe(struct bise_session *s, const struct observer *observer) {
    s->engine->observer = observer;
}

/* ---- running -------------------------------------------------------------------------------- */

static enum bise_status no_session(struct bise_error *err) {
    return bise_fail(err, BISE_ERR_ARG, "a session is needed");
}

static enum bise_status step(struct bise_session *s, struct bise_run run, struct bise_error *err) {
    if (s == NULL)
        return no_session(err);
    const enum bise_status status = bise_step(s->engine, &run, 1, s->stop, err);
    return status != BISE_OK ? status : run.status;
}

/* Whether all of a text that is longer than a chunk can be run. */
static enum bise_status check_text(const struct bise_session *s, const int32_t *ids, size_t n,
                                   struct bise_error *err) {
    const struct bise_plan *const plan = &s->engine->plan;
    const struct sequence *const seq = session_sequence(s);
    const uint32_t vocab = s->engine->model->config.vocab_size;
    if (n == 0 || ids == NULL)
        return bise_fail(err, BISE_ERR_ARG, "no tokens to run");
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= vocab)
            return bise_fail(err, BISE_ERR_ARG, "token %zu: expected an id below %u, found %d", i,
                             vocab, (int)ids[i]);
    return sequence_check_room(seq, plan, n, err);
}

enum bise_status bise_prefill(struct bise_session *s, const int32_t *ids, size_t n,
                              bise_progress_fn *progress, void *user, struct bise_error *err) {
    if (s == NULL)
        return no_session(err);
    const size_t chunk = s->engine->plan.chunk;
    enum bise_status status = check_text(s, ids, n, err);
    for (size_t done = 0; done < n && status == BISE_OK;) {
        if (done > 0 && progress != NULL && progress(user, done, n))
            return bise_fail(err, BISE_ERR_INTERRUPTED, "stopped after %zu of %zu tokens", done, n);
        const size_t left = n - done, len = left < chunk ? left : chunk;
        const struct bise_run run = {
            .ids = ids + done, .n = len, .want = len == left ? BISE_WANT_LAST : BISE_WANT_NONE};
        status = step(s, run, err);
        if (status == BISE_ERR_INTERRUPTED)
            return bise_fail(err, status, "stopped after %zu of %zu tokens", done, n);
        done += len;
    }
    return status;
}

enum bise_status bise_decode(struct bise_session *s, int32_t id, struct bise_error *err) {
    return step(s, (struct bise_run){.ids = &id, .n = 1, .want = BISE_WANT_LAST}, err);
}

enum bise_status bise_prefill_logits(struct bise_session *s, const int32_t *ids, size_t n,
                                     float *logits, struct bise_error *err) {
    return step(s, (struct bise_run){.ids = ids, .n = n, .want = BISE_WANT_ALL, .logits = logits},
                err);
}

/* ---- where it is ---------------------------------------------------------------------------- */

const struct bise_plan *bise_session_plan(const struct bise_session *s) {
    return bise_engine_plan(s->engine);
}

const char *bise_session_isa(const struct bise_session *s) {
    return bise_engine_isa(s->engine);
}

const float *bise_logits(const struct bise_session *s) {
    return bise_seq_logits(s->engine, 0);
}

uint64_t bise_position(const struct bise_session *s) {
    return bise_seq_position(s->engine, 0);
}

size_t bise_last_ids(const struct bise_session *s, int32_t *out, size_t n) {
    return bise_seq_last_ids(s->engine, 0, out, n);
}

enum bise_status bise_truncate(struct bise_session *s, uint64_t pos, struct bise_error *err) {
    return s ? bise_seq_truncate(s->engine, 0, pos, err) : no_session(err);
}

void bise_reset(struct bise_session *s) {
    bise_seq_reset(s->engine, 0);
}

enum bise_status bise_reset_at(struct bise_session *s, uint64_t pos, struct bise_error *err) {
    return s ? bise_seq_reset_at(s->engine, 0, pos, err) : no_session(err);
}

uint64_t bise_reach(const struct bise_session *s) {
    return bise_engine_reach(s->engine);
}
