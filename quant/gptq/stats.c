#include "quant/gptq/stats.h"

#include "src/base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t experts_of(const struct model_config *c) {
    return c->n_experts > 0 ? c->n_experts : 1;
}

size_t stats_index(const struct model_config *c, size_t layer, enum input input, size_t expert) {
    const size_t per_layer = 2 + 2 * experts_of(c), at = layer * per_layer;
    switch (input) {
    case INPUT_ATTENTION:
        return at;
    case INPUT_WO:
        return at + 1;
    case INPUT_FFN:
        return at + 2 + 2 * expert;
    default:
        return at + 3 + 2 * expert;
    }
}

static void name_input(char name[64], const struct model_config *c, size_t layer, enum input input,
                       size_t expert) {
    static const char *const matrix[INPUT_COUNT] = {"wq", "wo", "w1", "w2"};
    const char *const m = matrix[input];
    if (input == INPUT_ATTENTION || input == INPUT_WO)
        snprintf(name, 64, "layers.%zu.attention.%s", layer, m);
    else if (c->n_experts > 0)
        snprintf(name, 64, "layers.%zu.feed_forward.experts.%zu.%s", layer, expert, m);
    else
        snprintf(name, 64, "layers.%zu.feed_forward.%s", layer, m);
}

static uint32_t input_cols(const struct model_config *c, enum input input) {
    if (input == INPUT_WO)
        return c->n_heads * c->head_dim;
    return input == INPUT_W2 ? c->ffn_dim : c->dim;
}

enum bise_status stats_open(struct stats *s, const struct model_config *c, struct bise_error *err) {
    const size_t n = stats_index(c, c->n_layers, INPUT_ATTENTION, 0);
    *s = (struct stats){.entries = calloc(n, sizeof *s->entries)};
    bool ok = s->entries != NULL;
    s->n = ok ? n : 0;
    for (size_t layer = 0; layer < c->n_layers && ok; layer++)
        for (enum input input = 0; input < INPUT_COUNT && ok; input++)
            for (size_t e = 0; e < (input < INPUT_FFN ? 1 : experts_of(c)) && ok; e++) {
                struct stats_entry *const to = &s->entries[stats_index(c, layer, input, e)];
                name_input(to->name, c, layer, input, e);
                to->cols = input_cols(c, input);
                to->moments = calloc(to->cols, sizeof *to->moments);
                ok = to->moments != NULL;
            }
    if (ok)
        return BISE_OK;
    stats_close(s);
    return bise_fail(err, BISE_ERR_MEMORY, "no memory for the statistics of %zu inputs", n);
}

void stats_close(struct stats *s) {
    for (size_t i = 0; i < s->n; i++)
        free(s->entries[i].moments);
    free(s->entries);
    *s = (struct stats){0};
}

const struct stats_entry *stats_find(const struct stats *s, const char *matrix) {
    char name[64];
    const size_t len = strlen(matrix);
    if (len >= sizeof name || len < 2)
        return NULL;
    memcpy(name, matrix, len + 1);
    char *const tail = name + len - 2;
    if (strcmp(tail, "wk") == 0 || strcmp(tail, "wv") == 0)
        memcpy(tail, "wq", 2);
    else if (strcmp(tail, "w3") == 0)
        memcpy(tail, "w1", 2);
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->entries[i].name, name) == 0)
            return &s->entries[i];
    return NULL;
}

const float *stats_weights(const struct stats *s, const char *matrix) {
    const struct stats_entry *const e = s ? stats_find(s, matrix) : NULL;
    return e && e->count >= STATS_LEAST ? e->moments : NULL;
}

enum bise_status stats_check(const struct stats *s, const struct model_config *c, const char *path,
                             struct bise_error *err) {
    struct stats want;
    enum bise_status status = stats_open(&want, c, err);
    if (status != BISE_OK)
        return status;
    if (s->n != want.n)
        status = bise_fail(err, BISE_ERR_FORMAT,
                           "%s: statistics of another model: expected %zu inputs, found %zu", path,
                           want.n, s->n);
    for (size_t i = 0; i < want.n && status == BISE_OK; i++) {
        const struct stats_entry *const a = &want.entries[i], *const b = &s->entries[i];
        if (strcmp(a->name, b->name) != 0 || a->cols != b->cols)
            status = bise_fail(err, BISE_ERR_FORMAT,
                               "%s: statistics of another model: expected %s of %u columns, found "
                               "%s of %u",
                               path, a->name, a->cols, b->name, b->cols);
    }
    stats_close(&want);
    return status;
}
