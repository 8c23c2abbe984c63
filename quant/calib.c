#include "quant/calib.h"

#include "quant/convert_layers.h"
#include "quant/reference.h"
#include "quant/types.h"
#include "src/base/crc32c.h"
#include "src/base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum bise_status read_tokens(struct calib *c, const struct calib_options *o,
                                    const struct calib_source *from, struct bise_error *err) {
    const size_t most = o->tokens ? (size_t)o->tokens : CALIBRATION_TOKENS;
    struct calibration *const t = &c->tokens;
    const size_t least = t->length - (t->bos >= 0);
    const enum bise_status s =
        bundle_tokenize(from->tokenizer, "--calib-text", o->text, -1, least, &t->ids, &t->n, err);
    t->n = t->n < most ? t->n : most;
    return s;
}

/* Lets a model in i8 write. */
static enum bise_status write_tokens(struct calib *c, const struct calib_options *o,
                                     const struct calib_source *from, struct bise_error *err) {
    const struct bise_engine_params params = {
        .n_ctx = (uint32_t)c->tokens.length, .n_threads = from->n_threads, .window = -1};
    struct reference r;
    struct bise_session *session = NULL;
    enum bise_status s =
        reference_open(&r, from->source, from->path, from->config, from->tokenizer, from->beside,
                       TYPE_I8, from->n_threads, from->listener, err);
    if (!s)
        s = bise_session_open(&session, r.model, &params, err);
    if (!s)
        s = calibration_write(&c->tokens, session, bise_model_info(r.model), (size_t)o->self,
                              from->listener, err);
    bise_session_close(&session);
    reference_close(&r);
    return s;
}

enum bise_status calib_open(struct calib *c, const struct calib_options *o,
                            const struct calib_source *from, struct bise_error *err) {
    const size_t trained = from->config->max_context;
    const bool short_one = trained >= 32 && trained < CALIBRATION_LENGTH;
    enum bise_status s = BISE_OK;
    c->tokens.length = short_one ? trained : CALIBRATION_LENGTH;
    c->tokens.bos = from->config->bos_id;
    if (o->text && o->self)
        return bise_fail(err, BISE_ERR_ARG, "--calib-text and --calib-self: expected one of them");
    if (o->stats) {
        s = stats_read(&c->stats, o->stats, err);
        if (!s)
            s = stats_check(&c->stats, from->config, o->stats, err);
        if (!s)
            calibration_report(&c->stats, from->listener);
    }
    if (!s && o->text)
        s = read_tokens(c, o, from, err);
    if (o->self && from->dry_run)
        c->tokens.n = (size_t)o->self;
    else if (!s && o->self)
        s = write_tokens(c, o, from, err);
    return s;
}

void calib_close(struct calib *c) {
    stats_close(&c->stats);
    calibration_close(&c->tokens);
}

const struct stats *calib_stats(const struct calib *c) {
    return c->stats.n ? &c->stats : NULL;
}

uint64_t calib_identity(const struct calib *c) {
    uint32_t crc = 0;
    if (c->tokens.ids)
        crc = crc32c(0, c->tokens.ids, c->tokens.n * sizeof *c->tokens.ids);
    for (size_t i = 0; i < c->stats.n; i++) {
        const struct stats_entry *e = &c->stats.entries[i];
        crc = crc32c(crc, &e->count, sizeof e->count);
        crc = crc32c(crc, e->moments, e->cols * sizeof *e->moments);
    }
    return crc;
}

uint64_t calib_memory(const struct calib *c, const struct model_config *config, int n_threads) {
    return c->tokens.n ? convert_layers_memory(config, c->tokens.n, n_threads) : 0;
}

/* Whether a matrix that minds what it reads is yet to be written. */
static bool any_left(const struct convert *c, size_t n_tensors) {
    for (size_t i = 0; i < n_tensors; i++)
        if (is_rounded(&c->tensors[i]) && !writer_has_tensor(c->writer, i))
            return true;
    return false;
}

enum bise_status calib_convert(struct calib *c, struct convert *to, size_t n_tensors,
                               struct bise_error *err) {
    enum bise_status s = BISE_OK;
    if (c->tokens.ids && any_left(to, n_tensors)) {
        stats_close(&c->stats); /* the text's own take their place */
        s = stats_open(&c->stats, source_config(to->source), err);
        if (!s)
            s = convert_layers(to, &c->tokens, &c->stats, err);
        if (!s)
            calibration_report(&c->stats, to->listener);
    }
    to->stats = calib_stats(c);
    return s;
}

void calib_describe(const struct calib *c, const struct calib_options *o, bool feedback, char *out,
                    size_t cap) {
    if (c->tokens.ids)
        snprintf(out, cap, ", %s by %zu tokens %s",
                 feedback ? "error feedback" : "columns weighted",
                 calibration_sequences(&c->tokens) * c->tokens.length,
                 o->text ? "of a text" : "of its own");
    else
        snprintf(out, cap, "%s", c->stats.n ? ", columns weighted by statistics" : "");
}
