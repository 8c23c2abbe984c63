#include "quant/calibration.h"

#include "src/base/error.h"

#include <stdlib.h>
#include <string.h>

size_t calibration_sequences(const struct calibration *c) {
    return c->n / (c->length - (c->bos >= 0));
}

void calibration_sequence(const struct calibration *c, size_t i, int32_t *ids) {
    const size_t head = c->bos >= 0, own = c->length - head;
    ids[0] = c->bos;
    memcpy(ids + head, c->ids + i * own, own * sizeof *ids);
}

void calibration_close(struct calibration *c) {
    free(c->ids);
    c->ids = NULL;
}

static bool ends(const struct bise_model_info *info, int32_t id) {
    for (size_t i = 0; i < info->n_eos; i++)
        if (info->eos_ids[i] == id)
            return true;
    return false;
}

/* One text with the given seed behind what c holds, at most to n tokens in all. */
static enum bise_status write_text(struct calibration *c, struct bise_session *session,
                                   const struct bise_model_info *info, uint64_t seed, size_t n,
                                   const struct listener *listener, struct bise_error *err) {
    const struct bise_sampler_params params = {.temp = 1, .seed = seed};
    const size_t last = n - c->n < c->length - 1 ? n : c->n + c->length - 1;
    struct bise_sampler *sampler = NULL;
    enum bise_status s = bise_sampler_open(&sampler, info->vocab_size, &params, err);
    bise_reset(session);
    int32_t id = c->bos >= 0 ? c->bos : 0;
    while (s == BISE_OK && c->n < last) {
        s = listener_progress(listener, c->n, n, err);
        if (s == BISE_OK)
            s = bise_decode(session, id, err);
        if (s != BISE_OK)
            break;
        id = bise_sample(sampler, bise_logits(session));
        c->ids[c->n++] = id;
        if (ends(info, id))
            break;
    }
    bise_sampler_close(&sampler);
    return s;
}

enum bise_status calibration_write(struct calibration *c, struct bise_session *session,
                                   const struct bise_model_info *info, size_t n,
                                   const struct listener *listener, struct bise_error *err) {
    enum bise_status s = BISE_OK;
    c->ids = malloc(n * sizeof *c->ids);
    if (!c->ids)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu tokens", n);
    listener_begin(listener, "writing a text", WORK_TOKENS, 0);
    for (uint64_t seed = 1; c->n < n && s == BISE_OK; seed++)
        s = write_text(c, session, info, seed, n, listener, err);
    listener_end(listener);
    return s;
}

enum bise_status calibration_run(const struct calibration *c, struct bise_session *session,
                                 const struct listener *listener, struct bise_error *err) {
    const size_t n = calibration_sequences(c);
    int32_t *const ids = malloc(c->length * sizeof *ids);
    enum bise_status s = BISE_OK;
    if (!ids)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu tokens", c->length);
    listener_begin(listener, "calibrating", WORK_TOKENS, 0);
    for (size_t i = 0; i < n && s == BISE_OK; i++) {
        calibration_sequence(c, i, ids);
        bise_reset(session);
        s = listener_progress(listener, i * c->length, n * c->length, err);
        if (s == BISE_OK)
            s = bise_prefill(session, ids, c->length, NULL, NULL, err);
    }
    listener_end(listener);
    free(ids);
    return s;
}

size_t calibration_report(const struct stats *s, const struct listener *listener) {
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct stats_entry *const e = &s->entries[i];
        if (e->count >= STATS_LEAST)
            continue;
        listener_note(listener, "warning: %s was chosen for %llu tokens only: uniform weights",
                      e->name, (unsigned long long)e->count);
        n++;
    }
    return n;
}
