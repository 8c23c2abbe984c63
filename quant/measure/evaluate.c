#include "quant/measure/evaluate.h"

#include "kernels/dmath.h"
#include "src/base/error.h"
#include "src/os/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Logits of one call, the model's and the baseline's. */
struct rows {
    float *logits, *base; /* [call][vocab]; base NULL where there is none */
};

static enum bise_status allocate(int32_t **out, size_t n, struct bise_error *err) {
    *out = malloc((n ? n : 1) * sizeof **out);
    return *out ? BISE_OK : bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu ids", n);
}

enum bise_status eval_usual(const int32_t *ids, size_t n, size_t window, int32_t bos, int32_t **out,
                            struct eval_shape *shape, struct bise_error *err) {
    const size_t n_windows = n / window;
    *shape = (struct eval_shape){.n_windows = n_windows,
                                 .window = (uint32_t)window,
                                 .run = (uint32_t)window,
                                 .first = (uint32_t)(window / 2)};
    const enum bise_status s = allocate(out, n_windows * window, err);
    if (s)
        return s;
    memcpy(*out, ids, n_windows * window * sizeof *ids);
    for (size_t i = 0; i < n_windows && bos >= 0; i++)
        (*out)[i * window] = bos;
    return BISE_OK;
}

enum bise_status eval_whole(const int32_t *ids, size_t n, size_t window, int32_t bos, int32_t **out,
                            struct eval_shape *shape, struct bise_error *err) {
    const size_t n_windows = n / window, head = bos >= 0, stride = window + head;
    *shape = (struct eval_shape){.n_windows = n_windows,
                                 .window = (uint32_t)stride,
                                 .run = (uint32_t)(stride - 1),
                                 .first = 0};
    const enum bise_status s = allocate(out, n_windows * stride, err);
    if (s)
        return s;
    for (size_t i = 0; i < n_windows; i++) {
        int32_t *to = *out + i * stride;
        if (head)
            to[0] = bos;
        memcpy(to + head, ids + i * window, window * sizeof *ids);
    }
    return BISE_OK;
}

static enum bise_status take_rows(const struct evaluation *e, struct rows *r,
                                  struct bise_error *err) {
    const size_t bytes = e->call * e->shape.vocab * sizeof(float);
    r->logits = malloc(bytes);
    r->base = e->base || e->base_session ? malloc(bytes) : NULL;
    if (r->logits && (r->base || !(e->base || e->base_session)))
        return BISE_OK;
    return bise_fail(err, BISE_ERR_MEMORY, "no memory for the logits of %zu tokens", e->call);
}

/* Runs len tokens at `at` of the window that begins at ids[begin], in both sessions. */
static enum bise_status run_rows(const struct evaluation *e, const struct rows *r, size_t begin,
                                 size_t at, size_t len, struct bise_error *err) {
    const int32_t *ids = e->ids + begin + at;
    enum bise_status s = bise_prefill_logits(e->session, ids, len, r->logits, err);
    if (!s && e->base_session)
        s = bise_prefill_logits(e->base_session, ids, len, r->base, err);
    if (!s && e->out)
        s = new_file_write(e->out, r->logits, len * e->shape.vocab * sizeof(float), err);
    return s;
}

/* Row i of a call counts: its logits, and the id that follows. */
static enum bise_status count_row(struct evaluation *e, const struct rows *r, size_t i,
                                  int32_t next, struct bise_error *err) {
    const size_t vocab = e->shape.vocab;
    const struct softmax model = softmax_of(r->logits + i * vocab, vocab);
    float *const base_logits = r->base ? r->base + i * vocab : NULL;
    enum bise_status s = BISE_OK;
    tally_add(&e->nll, softmax_nll(&model, next));
    if (e->save)
        s = kl_base_put(e->save, model.logits, err);
    if (!s && e->base)
        s = kl_base_next(e->base, base_logits, err);
    if (s || !base_logits)
        return s;
    const struct softmax base = softmax_of(base_logits, vocab);
    divergence_add(&e->kl, &base, &model, next);
    if (e->base_session)
        tally_add(&e->base_nll, softmax_nll(&base, next));
    return BISE_OK;
}

static void say_progress(const struct evaluation *e, uint64_t done, double started) {
    const struct estimate nll = tally_mean(&e->nll), kl = tally_mean(&e->kl.mean);
    char divergence[32] = "";
    if (e->kl.mean.n > 0)
        snprintf(divergence, sizeof divergence, "KL %.3e, ", kl.value);
    listener_note(e->listener, "%s%llu of %llu tokens, perplexity %.4f, %s%.1f tokens/s", e->what,
                  (unsigned long long)done, (unsigned long long)(e->shape.n_windows * e->shape.run),
                  exp64(nll.value), divergence, (double)done / (seconds_now() - started));
}

static enum bise_status run_window(struct evaluation *e, const struct rows *r, uint64_t window,
                                   struct bise_error *err) {
    const struct eval_shape *shape = &e->shape;
    const size_t begin = (size_t)window * shape->window;
    bise_reset(e->session);
    if (e->base_session)
        bise_reset(e->base_session);
    for (size_t at = 0; at < shape->run; at += e->call) {
        const size_t left = shape->run - at, len = left < e->call ? left : e->call;
        enum bise_status s = run_rows(e, r, begin, at, len, err);
        for (size_t i = 0; i < len && !s; i++)
            if (at + i >= shape->first && at + i + 1 < shape->window)
                s = count_row(e, r, i, e->ids[begin + at + i + 1], err);
        if (!s)
            s = listener_progress(e->listener, window * shape->run + at + len,
                                  shape->n_windows * shape->run, err);
        if (s)
            return s;
    }
    return BISE_OK;
}

enum bise_status evaluation_run(struct evaluation *e, struct bise_error *err) {
    struct rows r = {0};
    const double started = seconds_now();
    double said = started;
    enum bise_status s = take_rows(e, &r, err);
    if (!s && r.base &&
        !divergence_init(&e->kl, (size_t)e->shape.n_windows * eval_predicted(&e->shape)))
        s = bise_fail(err, BISE_ERR_MEMORY, "no memory for the divergences");
    listener_begin(e->listener, "reading the text", WORK_TOKENS, 0);
    for (uint64_t i = 0; i < e->shape.n_windows && !s; i++) {
        s = run_window(e, &r, i, err);
        if (!s && (seconds_now() - said > 10 || i + 1 == e->shape.n_windows)) {
            said = seconds_now();
            say_progress(e, (i + 1) * e->shape.run, started);
        }
    }
    listener_end(e->listener);
    free(r.logits);
    free(r.base);
    return s;
}

void evaluation_close(struct evaluation *e) {
    divergence_free(&e->kl);
}
