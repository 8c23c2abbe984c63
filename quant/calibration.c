#include "quant/calibration.h"

#include "src/base/crc32c.h"
#include "src/base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a text ---------------------------------------------------------------------------------- */

size_t text_sequences(const struct calibration_text *t) {
    return t->n / (t->length - (t->bos >= 0));
}

void text_sequence(const struct calibration_text *t, size_t i, int32_t *ids) {
    const size_t head = t->bos >= 0, own = t->length - head;
    ids[0] = t->bos;
    memcpy(ids + head, t->ids + i * own, own * sizeof *ids);
}

void text_close(struct calibration_text *t) {
    free(t->ids);
    t->ids = NULL;
}

static bool ends(const struct bise_model_info *info, int32_t id) {
    for (size_t i = 0; i < info->n_eos; i++)
        if (info->eos_ids[i] == id)
            return true;
    return false;
}

/* One text with the given seed behind what c holds, at most to n tokens in all. */
static enum bise_status write_text(struct calibration_text *t, struct bise_session *session,
                                   const struct bise_model_info *info, uint64_t seed, size_t n,
                                   const struct listener *listener, struct bise_error *err) {
    const struct bise_sampler_params params = {.temp = 1, .seed = seed};
    const size_t last = n - t->n < t->length - 1 ? n : t->n + t->length - 1;
    struct bise_sampler *sampler = NULL;
    enum bise_status s = bise_sampler_open(&sampler, info->vocab_size, &params, err);
    bise_reset(session);
    int32_t id = t->bos >= 0 ? t->bos : 0;
    while (s == BISE_OK && t->n < last) {
        s = listener_progress(listener, t->n, n, err);
        if (s == BISE_OK)
            s = bise_decode(session, id, err);
        if (s != BISE_OK)
            break;
        id = bise_sample(sampler, bise_logits(session), NULL, NULL, 0, bise_position(session));
        t->ids[t->n++] = id;
        if (ends(info, id))
            break;
    }
    bise_sampler_close(&sampler);
    return s;
}

enum bise_status text_write(struct calibration_text *t, struct bise_session *session,
                            const struct bise_model_info *info, size_t n,
                            const struct listener *listener, struct bise_error *err) {
    enum bise_status s = BISE_OK;
    t->ids = malloc(n * sizeof *t->ids);
    if (!t->ids)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu tokens", n);
    listener_begin(listener, "writing a text", WORK_TOKENS, 0);
    for (uint64_t seed = 1; t->n < n && s == BISE_OK; seed++)
        s = write_text(t, session, info, seed, n, listener, err);
    listener_end(listener);
    return s;
}

enum bise_status text_run(const struct calibration_text *t, struct bise_session *session,
                          const struct listener *listener, struct bise_error *err) {
    const size_t n = text_sequences(t);
    int32_t *const ids = malloc(t->length * sizeof *ids);
    enum bise_status s = BISE_OK;
    if (!ids)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu tokens", t->length);
    listener_begin(listener, "calibrating", WORK_TOKENS, 0);
    for (size_t i = 0; i < n && s == BISE_OK; i++) {
        text_sequence(t, i, ids);
        bise_reset(session);
        s = listener_progress(listener, i * t->length, n * t->length, err);
        if (s == BISE_OK)
            s = bise_prefill(session, ids, t->length, NULL, NULL, err);
    }
    listener_end(listener);
    free(ids);
    return s;
}

/* ---- what quantize is told ------------------------------------------------------------------- */

size_t moments_report(const struct moments *s, const struct listener *listener) {
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct input_moments *const e = &s->entries[i];
        if (e->count >= MOMENTS_LEAST)
            continue;
        listener_note(listener, "warning: %s was chosen for %llu tokens only: uniform weights",
                      e->name, (unsigned long long)e->count);
        n++;
    }
    return n;
}

static enum bise_status read_tokens(struct calibration *c, const struct calibration_options *o,
                                    const struct origin *from, struct bise_error *err) {
    const size_t most = o->tokens ? (size_t)o->tokens : CALIBRATION_TOKENS;
    struct calibration_text *const t = &c->text;
    const size_t least = t->length - (t->bos >= 0);
    const enum bise_status s =
        bundle_tokenize(from->tokenizer, "--calib-text", o->text, -1, least, &t->ids, &t->n, err);
    t->n = t->n < most ? t->n : most;
    return s;
}

/* Lets a model in i8 write. */
static enum bise_status write_tokens(struct calibration *c, const struct calibration_options *o,
                                     const struct origin *from, struct bise_error *err) {
    const struct bise_engine_params params = {
        .n_ctx = (uint32_t)c->text.length, .n_threads = from->n_threads, .window = -1};
    struct bise_model *model;
    struct bise_session *session = NULL;
    enum bise_status s = reference_open(&model, from, TYPE_I8, err);
    if (!s)
        s = bise_session_open(&session, model, &params, err);
    if (!s)
        s = text_write(&c->text, session, bise_model_info(model), (size_t)o->self, from->listener,
                       err);
    bise_session_close(&session);
    bise_model_close(&model);
    return s;
}

enum bise_status calibration_open(struct calibration *c, const struct calibration_options *o,
                                  const struct origin *from, struct bise_error *err) {
    const size_t trained = from->config->max_context;
    const bool short_one = trained >= 32 && trained < CALIBRATION_LENGTH;
    enum bise_status s = BISE_OK;
    c->text.length = short_one ? trained : CALIBRATION_LENGTH;
    c->text.bos = config_text_bos(from->config);
    if (o->text && o->self)
        return bise_fail(err, BISE_ERR_ARG, "--calib-text and --calib-self: expected one of them");
    if (o->file) {
        s = moments_read(&c->moments, o->file, err);
        if (!s)
            s = moments_check(&c->moments, from->config, o->file, err);
        if (!s)
            moments_report(&c->moments, from->listener);
    }
    if (!s && o->text)
        s = read_tokens(c, o, from, err);
    if (o->self && from->dry_run)
        c->text.n = (size_t)o->self;
    else if (!s && o->self)
        s = write_tokens(c, o, from, err);
    return s;
}

void calibration_close(struct calibration *c) {
    moments_close(&c->moments);
    text_close(&c->text);
}

const struct moments *calibration_moments(const struct calibration *c) {
    return c->moments.n ? &c->moments : NULL;
}

uint64_t calibration_identity(const struct calibration *c) {
    uint32_t crc = 0;
    if (c->text.ids)
        crc = crc32c(0, c->text.ids, c->text.n * sizeof *c->text.ids);
    for (size_t i = 0; i < c->moments.n; i++) {
        const struct input_moments *e = &c->moments.entries[i];
        crc = crc32c(crc, &e->count, sizeof e->count);
        crc = crc32c(crc, e->squares, e->cols * sizeof *e->squares);
    }
    return crc;
}

void calibration_describe(const struct calibration *c, const struct calibration_options *o,
                          bool feedback, char *out, size_t cap) {
    if (c->text.ids)
        snprintf(out, cap, ", %s by %zu tokens %s",
                 feedback ? "error feedback" : "columns weighted",
                 text_sequences(&c->text) * c->text.length, o->text ? "of a text" : "of its own");
    else
        snprintf(out, cap, "%s", c->moments.n ? ", columns weighted by statistics" : "");
}
