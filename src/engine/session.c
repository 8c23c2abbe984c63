#include "src/engine/session.h"

#include "kernels/dmath.h"
#include "src/base/error.h"
#include "src/engine/forward.h"
#include "src/engine/plan.h"
#include "src/os/cpu.h"
#include "src/os/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PREFILL_FROM 16 /* tokens of a call from which on prefill arithmetic is used: kernels.h */

/* ---- opening -------------------------------------------------------------------------------- */

static enum bise_status choose_kernels(struct kernels *k, const char *name,
                                       struct bise_error *err) {
    struct cpu_features cpu;
    cpu_detect(&cpu);
    const enum isa isa = name ? isa_from_name(name) : cpu_best_isa(&cpu);
    if (isa == ISA_COUNT)
        return bise_fail(err, BISE_ERR_CPU, "unknown instruction set \"%.40s\"", name);
    if (!cpu.isa[isa] || !kernels_init(k, isa))
        return bise_fail(err, BISE_ERR_CPU,
                         "instruction set %s: not in this CPU, or not in this build",
                         isa_name(isa));
    return BISE_OK;
}

static enum bise_status open_sinks(struct bise_session *s, struct bise_error *err) {
    const struct kv_cache *const kv = &s->kv;
    (void)kv_layout(&s->sinks, kv->type, kv->n_layers, kv->n_heads, kv->head_dim, s->plan.n_sinks);
    return s->plan.n_sinks > 0 ? kv_open(&s->sinks, s->pool, err) : BISE_OK;
}

static enum bise_status open_scratch(struct bise_session *s, struct bise_error *err) {
    size_t bytes;
    s->scratch = mem_alloc(s->plan.scratch);
    if (s->scratch == NULL)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %llu bytes of scratch",
                         (unsigned long long)s->plan.scratch);
    pool_touch(s->pool, s->scratch, s->plan.scratch);
    (void)buffers_layout(&s->b, s->scratch, &bytes, s->model, &s->plan);
    const struct model_config *const c = &s->model->config;
    rope_inv_freq(s->b.inv_freq, c->head_dim, c->rope_theta);
    s->query_scale = 1.0f / sqrtf((float)c->head_dim);
    return BISE_OK;
}

enum bise_status bise_session_open(struct bise_session **session, const struct bise_model *model,
                                   const struct bise_session_params *params,
                                   struct bise_error *err) {
    *session = NULL;
    struct bise_session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a session");
    s->model = model;
    enum bise_status status = choose_kernels(&s->kernels, params ? params->isa : NULL, err);
    if (status == BISE_OK)
        status = plan_session(model, params, &s->plan, &s->kv, err);
    if (status == BISE_OK)
        status = pool_open(&s->pool, s->plan.n_threads, err);
    if (status == BISE_OK)
        status = kv_open(&s->kv, s->pool, err);
    if (status == BISE_OK)
        status = open_sinks(s, err);
    if (status == BISE_OK)
        status = open_scratch(s, err);
    if (status != BISE_OK) {
        bise_session_close(&s);
        return status;
    }
    s->opened_at = params ? params->start_pos : 0;
    bise_reset(s);
    *session = s;
    return BISE_OK;
}

void bise_session_close(struct bise_session **session) {
    if (session == NULL || *session == NULL)
        return;
    struct bise_session *const s = *session;
    mem_free(s->scratch, s->plan.scratch);
    kv_close(&s->kv);
    kv_close(&s->sinks);
    pool_close(&s->pool);
    free(s);
    *session = NULL;
}

/* ---- running -------------------------------------------------------------------------------- */

static enum bise_status check_call(const struct bise_session *s, const int32_t *ids, size_t n,
                                   struct bise_error *err) {
    const uint32_t vocab = s->model->config.vocab_size;
    if (n == 0)
        return bise_fail(err, BISE_ERR_ARG, "no tokens to run");
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= vocab)
            return bise_fail(err, BISE_ERR_ARG, "token %zu: expected an id below %u, found %d", i,
                             vocab, (int)ids[i]);
    const uint64_t left = s->start_pos + s->plan.n_ctx - s->pos;
    if (s->plan.window == 0 && n > left)
        return bise_fail(err, BISE_ERR_CONTEXT,
                         "%zu tokens, but the context of %u has room for %llu: %llu too many", n,
                         s->plan.n_ctx, (unsigned long long)left, (unsigned long long)(n - left));
    return BISE_OK;
}

static void keep_ids(struct bise_session *s, uint64_t pos, const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++)
        s->b.ids[(pos + i) % s->plan.n_ctx] = ids[i];
}

enum bise_status bise_prefill(struct bise_session *s, const int32_t *ids, size_t n,
                              bise_progress_fn *progress, void *user, struct bise_error *err) {
    enum bise_status status = check_call(s, ids, n, err);
    for (size_t done = 0; done < n && status == BISE_OK;) {
        if (done > 0 && progress != NULL && progress(user, done, n))
            return bise_fail(err, BISE_ERR_INTERRUPTED, "stopped after %zu of %zu tokens", done, n);
        const size_t left = n - done, len = left < s->plan.chunk ? left : s->plan.chunk;
        const uint64_t pos = s->pos;
        status = forward(s, ids + done, len, n >= PREFILL_FROM, len == left ? WANT_LAST : WANT_NONE,
                         NULL, err);
        if (status == BISE_OK)
            keep_ids(s, pos, ids + done, len);
        done += len;
    }
    return status;
}

enum bise_status bise_decode(struct bise_session *s, int32_t id, struct bise_error *err) {
    return bise_prefill(s, &id, 1, NULL, NULL, err);
}

enum bise_status bise_prefill_logits(struct bise_session *s, const int32_t *ids, size_t n,
                                     float *logits, struct bise_error *err) {
    enum bise_status status = check_call(s, ids, n, err);
    if (status == BISE_OK && n > s->plan.chunk)
        return bise_fail(err, BISE_ERR_ARG, "logits of %zu tokens, but the chunk is %u", n,
                         s->plan.chunk);
    const uint64_t pos = s->pos;
    if (status == BISE_OK)
        status = forward(s, ids, n, n >= PREFILL_FROM, WANT_ALL, logits, err);
    if (status == BISE_OK)
        keep_ids(s, pos, ids, n);
    return status;
}

/* ---- where it is ---------------------------------------------------------------------------- */

uint64_t session_oldest(const struct bise_session *s) {
    const uint64_t ring = s->kv.ring;
    return s->filled - s->kept_from > ring ? s->filled - ring : s->kept_from;
}

/* Lowest position whose id is still there. */
static uint64_t oldest_id(const struct bise_session *s) {
    const uint64_t n = s->plan.n_ctx;
    return s->filled - s->ids_from > n ? s->filled - n : s->ids_from;
}

size_t bise_last_ids(const struct bise_session *s, int32_t *out, size_t n) {
    const uint64_t first = oldest_id(s);
    const uint64_t have = s->pos > first ? s->pos - first : 0;
    const size_t count = have < n ? (size_t)have : n;
    for (size_t i = 0; out && i < count; i++)
        out[i] = s->b.ids[(s->pos - count + i) % s->plan.n_ctx];
    return count;
}

enum bise_status bise_truncate(struct bise_session *s, uint64_t pos, struct bise_error *err) {
    if (pos < s->start_pos || pos > s->pos)
        return bise_fail(
            err, BISE_ERR_ARG, "going back: expected position %llu to %llu, found %llu",
            (unsigned long long)s->start_pos, (unsigned long long)s->pos, (unsigned long long)pos);
    const uint64_t window = s->plan.window, held = session_oldest(s);
    const uint64_t seen =
        window > 0 && pos - s->start_pos >= window ? pos - window + 1 : s->start_pos;
    if (seen < held)
        return bise_fail(err, BISE_ERR_CONTEXT,
                         "position %llu needs the cache from %llu on, which begins at %llu",
                         (unsigned long long)pos, (unsigned long long)seen,
                         (unsigned long long)held);
    s->pos = pos;
    return BISE_OK;
}

static void begin_at(struct bise_session *s, uint64_t pos) {
    s->start_pos = s->kept_from = s->ids_from = s->pos = s->filled = pos;
}

void bise_reset(struct bise_session *s) {
    begin_at(s, s->opened_at);
}

enum bise_status bise_reset_at(struct bise_session *s, uint64_t pos, struct bise_error *err) {
    if (s->plan.window == 0 && pos != s->opened_at)
        return bise_fail(err, BISE_ERR_ARG,
                         "beginning at position %llu: without a window a session begins at %llu",
                         (unsigned long long)pos, (unsigned long long)s->opened_at);
    if (pos > 2 * MAX_START_POSITION)
        return bise_fail(err, BISE_ERR_ARG, "beginning at position %llu: at most %llu",
                         (unsigned long long)pos, (unsigned long long)(2 * MAX_START_POSITION));
    const uint32_t sinks = s->plan.n_sinks;
    if (pos != s->opened_at && sinks > 0 && (pos < sinks || s->pos < sinks))
        return bise_fail(err, BISE_ERR_ARG,
                         "beginning at position %llu: the %u tokens that stay have not been read",
                         (unsigned long long)pos, sinks);
    begin_at(s, pos);
    return BISE_OK;
}

uint64_t bise_reach(const struct bise_session *s) {
    const uint64_t window = s->plan.window;
    return window > 0 ? s->model->config.n_layers * (window - 1) + 1 : UINT64_MAX;
}

const float *bise_logits(const struct bise_session *s) {
    return s->b.logits;
}

uint64_t bise_position(const struct bise_session *s) {
    return s->pos;
}

const struct bise_plan *bise_session_plan(const struct bise_session *s) {
    return &s->plan;
}

const char *bise_session_isa(const struct bise_session *s) {
    return s->kernels.name;
}
