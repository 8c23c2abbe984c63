/* What a GGUF file's metadata say of the model and its tokenizer. */
#include "quant/source/gguf.h"

#include "src/base/bytes.h"
#include "src/text/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>

#define MAX_TOKEN_BYTES 65535u

/* Reads keys below an architecture's name; the first fault stays. */
struct keys {
    const struct gguf *g;
    const char *where, *architecture;
    enum bise_status status;
    struct bise_error *err;
};

static const struct gguf_value *find(const struct keys *k, const char *key) {
    char name[96];
    snprintf(name, sizeof name, "%s.%s", k->architecture, key);
    return gguf_find(k->g, name);
}

static bool text_is(const struct gguf_value *v, const char *s) {
    return v && v->type == GGUF_STRING && v->text.len == strlen(s) &&
           memcmp(v->text.data, s, v->text.len) == 0;
}

/* Whole numbers are written in several widths. */
static bool get_count(const struct gguf_value *v, uint32_t *out) {
    if (v->type == GGUF_U32 || v->type == GGUF_I32)
        *out = get_u32(v->data);
    else if ((v->type == GGUF_U64 || v->type == GGUF_I64) && get_u64(v->data) <= INT32_MAX)
        *out = (uint32_t)get_u64(v->data);
    else
        return false;
    return *out <= INT32_MAX;
}

static uint32_t count_of(struct keys *k, const char *key, const struct gguf_value *v,
                         const uint32_t *absent) {
    uint32_t n = 0;
    if (!v && absent)
        return *absent;
    if ((!v || !get_count(v, &n)) && !k->status)
        k->status =
            bise_fail(k->err, BISE_ERR_FORMAT, "%s: %s: expected a whole number", k->where, key);
    return n;
}

static uint32_t count(struct keys *k, const char *key) {
    return count_of(k, key, find(k, key), NULL);
}

static uint32_t count_or(struct keys *k, const char *key, uint32_t absent) {
    return count_of(k, key, find(k, key), &absent);
}

static double number_or(struct keys *k, const char *key, double absent) {
    const struct gguf_value *v = find(k, key);
    if (v && v->type == GGUF_F32)
        return get_f32(v->data);
    if (v && !k->status)
        k->status = bise_fail(k->err, BISE_ERR_FORMAT, "%s: %s: expected a number", k->where, key);
    return absent;
}

static enum bise_status check_family(struct keys *k) {
    const struct gguf_value *v = gguf_find(k->g, "general.architecture");
    if (text_is(v, "mistral"))
        k->architecture = "mistral";
    else if (!text_is(v, "llama"))
        return bise_fail(
            k->err, BISE_ERR_UNSUPPORTED, "%s: general.architecture: expected llama, found %.*s",
            k->where, v && v->type == GGUF_STRING && v->text.len < 64 ? (int)v->text.len : 7,
            v && v->type == GGUF_STRING && v->text.len < 64 ? v->text.data : "nothing");
    v = find(k, "rope.scaling.type");
    if (v && !text_is(v, "none"))
        return bise_fail(k->err, BISE_ERR_UNSUPPORTED, "%s: rope scaling is not supported",
                         k->where);
    return BISE_OK;
}

enum bise_status config_from_gguf(const struct gguf *g, const struct raw_set *set,
                                  const char *where, struct model_config *c,
                                  struct bise_error *err) {
    struct keys k = {.g = g, .where = where, .architecture = "llama", .err = err};
    *c = (struct model_config){.n_eos = 1};
    const struct raw_tensor *embedding = raw_find(set, "token_embd.weight");
    enum bise_status s = check_family(&k);
    if (s)
        return s;
    if (!embedding || embedding->shape[0] > MAX_VOCAB)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: token_embd.weight is missing or too large",
                         where);
    c->vocab_size = (uint32_t)embedding->shape[0];
    c->dim = count(&k, "embedding_length");
    c->n_layers = count(&k, "block_count");
    c->n_heads = count(&k, "attention.head_count");
    c->n_kv_heads = count_or(&k, "attention.head_count_kv", c->n_heads);
    c->head_dim = count_or(&k, "attention.key_length", c->n_heads ? c->dim / c->n_heads : 0);
    c->ffn_dim = count(&k, "feed_forward_length");
    c->max_context = count_or(&k, "context_length", 0);
    c->window = count_or(&k, "attention.sliding_window", 0);
    c->n_experts = count_or(&k, "expert_count", 0);
    c->n_experts_used = count_or(&k, "expert_used_count", 0);
    c->norm_eps = (float)number_or(&k, "attention.layer_norm_rms_epsilon", 1e-5);
    c->rope_theta = number_or(&k, "rope.freq_base", 1e4);
    c->tied_head = !raw_find(set, "output.weight");
    const uint32_t bos = 1, eos = 2, rotated = count_or(&k, "rope.dimension_count", c->head_dim);
    c->bos_id = (int32_t)count_of(&k, "tokenizer.ggml.bos_token_id",
                                  gguf_find(g, "tokenizer.ggml.bos_token_id"), &bos);
    c->eos_ids[0] = (int32_t)count_of(&k, "tokenizer.ggml.eos_token_id",
                                      gguf_find(g, "tokenizer.ggml.eos_token_id"), &eos);
    if (!k.status && rotated != c->head_dim)
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s: rope.dimension_count: expected a head's %u, found %u", where,
                         c->head_dim, rotated);
    return k.status;
}

/* What is written; grows as needed. failed: no memory. */
struct output {
    uint8_t *at;
    size_t n, cap;
    bool failed;
};

static void put(struct output *o, const void *data, size_t n) {
    if (n > o->cap - o->n) {
        const size_t cap = 2 * (o->cap + n) + 64;
        uint8_t *grown = realloc(o->at, cap);
        o->failed = o->failed || !grown;
        if (!grown)
            return;
        o->at = grown;
        o->cap = cap;
    }
    if (n > 0)
        memcpy(o->at + o->n, data, n);
    o->n += n;
}

static void put_varint(struct output *o, uint32_t u) {
    for (; u >= 0x80; u >>= 7)
        put(o, &(uint8_t){(uint8_t)(u | 0x80)}, 1);
    put(o, &(uint8_t){(uint8_t)u}, 1);
}

static size_t varint_bytes(size_t u) {
    return u < 0x80 ? 1 : u < 0x4000 ? 2 : 3;
}

/* SentencePiece's field 1: a piece {1: text, 2: score, 3: type}. */
static void put_piece(struct output *o, struct gguf_text text, const uint8_t *score,
                      uint32_t type) {
    const size_t len = 1 + varint_bytes(text.len) + text.len + 5 + 2;
    put(o, "\x0a", 1);
    put_varint(o, (uint32_t)len);
    put(o, "\x0a", 1);
    put_varint(o, (uint32_t)text.len);
    put(o, text.data, text.len);
    put(o, "\x15", 1);
    put(o, score, 4);
    put(o, "\x18", 1);
    put(o, &(uint8_t){(uint8_t)type}, 1);
}

enum bise_status tokenizer_from_gguf(const struct gguf *g, const char *where, uint8_t **bytes,
                                     size_t *len, struct bise_error *err) {
    const struct gguf_value *tokens = gguf_find(g, "tokenizer.ggml.tokens");
    const struct gguf_value *scores = gguf_find(g, "tokenizer.ggml.scores");
    const struct gguf_value *kinds = gguf_find(g, "tokenizer.ggml.token_type");
    const struct gguf_value *prefix = gguf_find(g, "tokenizer.ggml.add_space_prefix");
    const bool no_prefix = prefix && prefix->type == GGUF_BOOL && prefix->data[0] == 0;
    struct output o = {0};
    bool byte_fallback = false;
    *bytes = NULL;
    *len = 0;
    if (!text_is(gguf_find(g, "tokenizer.ggml.model"), "llama"))
        return BISE_OK;
    if (!tokens || !scores || !kinds || tokens->type != GGUF_ARRAY || scores->type != GGUF_ARRAY ||
        kinds->type != GGUF_ARRAY || tokens->item != GGUF_STRING || scores->item != GGUF_F32 ||
        kinds->item != GGUF_I32 || scores->n != tokens->n || kinds->n != tokens->n)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: tokenizer.ggml: expected tokens, scores and token_type, one each",
                         where);
    const uint8_t *at = tokens->data;
    for (uint64_t i = 0; i < tokens->n; i++) {
        const struct gguf_text text = gguf_next_string(&at);
        const uint32_t kind = get_u32(kinds->data + 4 * i);
        if (text.len > MAX_TOKEN_BYTES || kind < PIECE_NORMAL || kind > PIECE_BYTE) {
            free(o.at);
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: token %llu: %zu bytes of type %u: expected at most %u, of type 1 "
                             "to 6",
                             where, (unsigned long long)i, text.len, kind, MAX_TOKEN_BYTES);
        }
        byte_fallback = byte_fallback || kind == PIECE_BYTE;
        put_piece(&o, text, scores->data + 4 * i, kind);
    }
    /* Trainer: 3 BPE, 35 byte fallback. Normalizer: 3 dummy prefix, 4 keep spaces, 5 escape. */
    put(&o, "\x12\x05\x18\x02\x98\x02", 6);
    put(&o, &(uint8_t){byte_fallback}, 1);
    put(&o, "\x1a\x06\x18", 3);
    put(&o, &(uint8_t){!no_prefix}, 1);
    put(&o, "\x20\x00\x28\x01", 4);
    if (o.failed) {
        free(o.at);
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its tokenizer", where);
    }
    *bytes = o.at;
    *len = o.n;
    return BISE_OK;
}
