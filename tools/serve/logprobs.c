#include "tools/serve/logprobs.h"

#include "quant/measure/statistics.h"

#include <assert.h>
#include <string.h>

#define MAX_TOP 20

static const char *piece_of(const struct bise_model *model, int32_t id, size_t *len) {
    const char *piece = bise_token_piece(model, id, len);
    return piece ? piece : "";
}

/* "token": ..., "logprob": ..., "bytes": [...] */
static void put_token(struct buffer *out, const struct bise_model *model, int32_t id, double p) {
    size_t len;
    const char *piece = piece_of(model, id, &len);
    buffer_text(out, "\"token\":");
    buffer_json(out, piece, len);
    buffer_print(out, ",\"logprob\":%.9g,\"bytes\":[", p);
    for (size_t i = 0; i < len; i++)
        buffer_print(out, i ? ",%u" : "%u", (unsigned)(unsigned char)piece[i]);
    buffer_text(out, "]");
}

static void put_comma(struct buffer *out) {
    if (out->len)
        buffer_text(out, ",");
}

static void put_chat(struct logprobs *l, const struct bise_model *model, const struct softmax *p,
                     int32_t id, const int32_t *top, size_t n_top) {
    assert(p);
    put_comma(&l->list);
    buffer_text(&l->list, "{");
    put_token(&l->list, model, id, softmax_log(p, id));
    buffer_text(&l->list, ",\"top_logprobs\":[");
    for (size_t i = 0; i < n_top; i++) {
        buffer_text(&l->list, i ? ",{" : "{");
        put_token(&l->list, model, top[i], softmax_log(p, top[i]));
        buffer_text(&l->list, "}");
    }
    buffer_text(&l->list, "]}");
}

static void put_completion(struct logprobs *l, const struct bise_model *model,
                           const struct softmax *p, int32_t id, const int32_t *top, size_t n_top) {
    size_t len;
    const char *piece = piece_of(model, id, &len);
    put_comma(&l->list);
    buffer_json(&l->list, piece, len);
    put_comma(&l->values);
    put_comma(&l->tops);
    if (p) {
        buffer_print(&l->values, "%.9g", softmax_log(p, id));
        buffer_text(&l->tops, "{");
    } else {
        buffer_text(&l->values, "null");
        buffer_text(&l->tops, "null");
    }
    for (size_t i = 0; i < n_top; i++) {
        size_t n;
        const char *other = piece_of(model, top[i], &n);
        buffer_text(&l->tops, i ? "," : "");
        buffer_json(&l->tops, other, n);
        buffer_print(&l->tops, ":%.9g", softmax_log(p, top[i]));
    }
    buffer_text(&l->tops, p ? "}" : "");
    put_comma(&l->offsets);
    buffer_print(&l->offsets, "%zu", l->offset);
    for (size_t i = l->n_hidden; i < len; i++)
        l->offset += ((unsigned char)piece[i] & 0xc0) != 0x80; /* where a character begins */
    l->n_hidden = 0;
}

void logprobs_put(struct logprobs *l, const struct bise_model *model, const float *logits,
                  int32_t id, uint32_t n_top) {
    int32_t top[MAX_TOP];
    struct softmax all;
    size_t n = 0;
    if (logits) {
        all = softmax_of(logits, bise_model_info(model)->vocab_size);
        n = softmax_likeliest(&all, n_top < MAX_TOP ? n_top : MAX_TOP, top);
    }
    if (l->of_completions)
        put_completion(l, model, logits ? &all : NULL, id, top, n);
    else
        put_chat(l, model, logits ? &all : NULL, id, top, n);
}

static void take(struct buffer *from, struct buffer *out) {
    if (from->len)
        buffer_put(out, from->bytes, from->len);
    out->failed |= from->failed;
    buffer_clear(from);
}

void logprobs_take(struct logprobs *l, struct buffer *out) {
    if (!l->of_completions) {
        buffer_text(out, "{\"content\":[");
        take(&l->list, out);
        buffer_text(out, "],\"refusal\":null}");
        return;
    }
    buffer_text(out, "{\"tokens\":[");
    take(&l->list, out);
    buffer_text(out, "],\"token_logprobs\":[");
    take(&l->values, out);
    buffer_text(out, "],\"top_logprobs\":[");
    take(&l->tops, out);
    buffer_text(out, "],\"text_offset\":[");
    take(&l->offsets, out);
    buffer_text(out, "]}");
}

void logprobs_free(struct logprobs *l) {
    buffer_free(&l->list);
    buffer_free(&l->values);
    buffer_free(&l->tops);
    buffer_free(&l->offsets);
}
