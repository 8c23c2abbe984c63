#include "tools/serve/logprobs.h"

#include "kernels/dmath.h"

#include <assert.h>
#include <string.h>

#define MAX_TOP 20

/* log of the sum of exp(logits). */
static double log_sum(const float *logits, uint32_t n) {
    float most = logits[0];
    double sum = 0;
    for (uint32_t i = 1; i < n; i++)
        most = logits[i] > most ? logits[i] : most;
    for (uint32_t i = 0; i < n; i++)
        sum += exp64((double)logits[i] - (double)most);
    return log64(sum) + (double)most;
}

/* The n likeliest ids, ties to the lower; returns how many there are. */
static size_t likeliest(const float *logits, uint32_t vocab, uint32_t n, int32_t *ids) {
    size_t found = 0;
    for (uint32_t i = 0; i < vocab && n; i++) {
        if (found == n && logits[i] <= logits[ids[n - 1]])
            continue;
        size_t at = found < n ? found++ : n - 1;
        for (; at && logits[i] > logits[ids[at - 1]]; at--)
            ids[at] = ids[at - 1];
        ids[at] = (int32_t)i;
    }
    return found;
}

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

static void put_chat(struct logprobs *l, const struct bise_model *model, const float *logits,
                     double sum, int32_t id, const int32_t *top, size_t n_top) {
    assert(logits);
    put_comma(&l->list);
    buffer_text(&l->list, "{");
    put_token(&l->list, model, id, (double)logits[id] - sum);
    buffer_text(&l->list, ",\"top_logprobs\":[");
    for (size_t i = 0; i < n_top; i++) {
        buffer_text(&l->list, i ? ",{" : "{");
        put_token(&l->list, model, top[i], (double)logits[top[i]] - sum);
        buffer_text(&l->list, "}");
    }
    buffer_text(&l->list, "]}");
}

static void put_completion(struct logprobs *l, const struct bise_model *model, const float *logits,
                           double sum, int32_t id, const int32_t *top, size_t n_top) {
    size_t len;
    const char *piece = piece_of(model, id, &len);
    put_comma(&l->list);
    buffer_json(&l->list, piece, len);
    put_comma(&l->values);
    put_comma(&l->tops);
    if (logits) {
        buffer_print(&l->values, "%.9g", (double)logits[id] - sum);
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
        buffer_print(&l->tops, ":%.9g", (double)logits[top[i]] - sum);
    }
    buffer_text(&l->tops, logits ? "}" : "");
    put_comma(&l->offsets);
    buffer_print(&l->offsets, "%zu", l->offset);
    for (size_t i = l->n_hidden; i < len; i++)
        l->offset += ((unsigned char)piece[i] & 0xc0) != 0x80; /* where a character begins */
    l->n_hidden = 0;
}

void logprobs_put(struct logprobs *l, const struct bise_model *model, const float *logits,
                  int32_t id, uint32_t n_top) {
    const uint32_t vocab = bise_model_info(model)->vocab_size;
    int32_t top[MAX_TOP];
    const double sum = logits ? log_sum(logits, vocab) : 0;
    const size_t n = logits ? likeliest(logits, vocab, n_top < MAX_TOP ? n_top : MAX_TOP, top) : 0;
    if (l->of_completions)
        put_completion(l, model, logits, sum, id, top, n);
    else
        put_chat(l, model, logits, sum, id, top, n);
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
