/* What a GGUF file's metadata say of the model and its tokenizer. */
#include "quant/source/gguf.h"

#include "quant/source/proto.h"
#include "src/base/bytes.h"
#include "src/text/tokenizer.h"
#include <stdio.h>

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

/* Whole numbers are written in several widths, signed or not. */
static bool get_integer(const struct gguf_value *v, int64_t *out) {
    switch (v->type) {
    case GGUF_U8:
        *out = v->data[0];
        return true;
    case GGUF_I8:
        *out = v->data[0] < 128 ? v->data[0] : v->data[0] - 256;
        return true;
    case GGUF_U16:
        *out = get_u16(v->data);
        return true;
    case GGUF_I16:
        *out = (int16_t)get_u16(v->data);
        return true;
    case GGUF_U32:
        *out = get_u32(v->data);
        return true;
    case GGUF_I32:
        *out = (int32_t)get_u32(v->data);
        return true;
    case GGUF_U64:
    case GGUF_I64:
        *out = (int64_t)get_u64(v->data);
        return true;
    default:
        return false;
    }
}

static bool get_count(const struct gguf_value *v, uint32_t *out) {
    int64_t n;
    if (!get_integer(v, &n) || n < 0 || n > INT32_MAX)
        return false;
    *out = (uint32_t)n;
    return true;
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
    static const char *const family[] = {"llama", "mistral", "mistral3"};
    const struct gguf_value *v = gguf_find(k->g, "general.architecture");
    k->architecture = NULL;
    for (size_t i = 0; i < sizeof family / sizeof *family; i++)
        if (text_is(v, family[i]))
            k->architecture = family[i];
    if (text_is(gguf_find(k->g, "general.type"), "adapter"))
        return bise_fail(k->err, BISE_ERR_UNSUPPORTED,
                         "%s holds a LoRA adapter alone: merge it into its base model first",
                         k->where);
    if (k->architecture)
        return BISE_OK;
    const bool shown = v && v->type == GGUF_STRING && v->text.len < 64;
    return bise_fail(k->err, BISE_ERR_UNSUPPORTED,
                     "%s: general.architecture: expected llama, mistral or mistral3, found %.*s",
                     k->where, shown ? (int)v->text.len : 7, shown ? v->text.data : "nothing");
}

/* A scaling without a type is a linear one; in 2023 its factor was called scale_linear. */
static enum bise_status check_scaling(struct keys *k) {
    static const char *const factors[] = {"rope.scaling.factor", "rope.scale_linear"};
    static const char *const others[] = {"rope.scaling.attn_factor",
                                         "rope.scaling.yarn_log_multiplier",
                                         "attention.temperature_scale"};
    const struct gguf_value *type = find(k, "rope.scaling.type");
    const bool linear = !type || text_is(type, "linear");
    const char *scales = NULL;
    bool given = false;
    if (text_is(type, "none"))
        return BISE_OK;
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        const double factor = number_or(k, factors[i], 0);
        given = given || find(k, factors[i]);
        scales = !scales && factor != 0 && factor != 1 ? factors[i] : scales;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (number_or(k, others[i], i == 0 ? 1 : 0) != (i == 0 ? 1 : 0))
            scales = others[i];
    if (k->status)
        return k->status;
    if (type && (!linear || !given))
        scales = "rope.scaling.type";
    if (!scales)
        return BISE_OK;
    return bise_fail(k->err, BISE_ERR_UNSUPPORTED, "%s: %s.%s: rope scaling is not supported",
                     k->where, k->architecture, scales);
}

/* An id of the vocabulary, or -1: absent, none, or one that can never occur, which is said. */
static int32_t id_or(struct keys *k, const char *key, int32_t absent, uint32_t vocab,
                     struct note *note) {
    const struct gguf_value *v = gguf_find(k->g, key);
    int64_t id = absent;
    if (v && !get_integer(v, &id)) {
        if (!k->status)
            k->status = bise_fail(k->err, BISE_ERR_FORMAT, "%s: %s: expected a whole number",
                                  k->where, key);
        return -1;
    }
    if (id >= 0 && id < (int64_t)vocab)
        return (int32_t)id;
    if (v && id != -1 && id != UINT32_MAX)
        note_add(note, "warning: %s: %s: %lld is no id below the vocabulary's %u: it is left out",
                 k->where, key, (long long)id, vocab);
    return -1;
}

/* Adds an id that ends an answer, once. */
static void add_eos(struct model_config *c, int32_t id) {
    for (uint32_t i = 0; i < c->n_eos; i++)
        if (c->eos_ids[i] == id)
            return;
    if (id >= 0 && c->n_eos < MAX_EOS)
        c->eos_ids[c->n_eos++] = id;
}

static bool flag_or(const struct gguf *g, const char *key, bool absent) {
    const struct gguf_value *v = gguf_find(g, key);
    return v && v->type == GGUF_BOOL ? v->data[0] != 0 : absent;
}

enum bise_status config_from_gguf(const struct gguf *g, const struct raw_set *set,
                                  const char *where, struct model_config *c, struct note *note,
                                  struct bise_error *err) {
    struct keys k = {.g = g, .where = where, .err = err};
    *c = (struct model_config){0};
    const struct raw_tensor *embedding = raw_find(set, "token_embd.weight");
    enum bise_status s = check_family(&k);
    if (!s)
        s = check_scaling(&k);
    if (s)
        return s;
    if (!embedding || embedding->shape[0] > MAX_VOCAB)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: token_embd.weight is missing or too large",
                         where);
    const uint32_t vocab = c->vocab_size = (uint32_t)embedding->shape[0];
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
    const uint32_t rotated = count_or(&k, "rope.dimension_count", c->head_dim);
    c->bos_id = id_or(&k, "tokenizer.ggml.bos_token_id", 1, vocab, note);
    add_eos(c, id_or(&k, "tokenizer.ggml.eos_token_id", 2, vocab, note));
    add_eos(c, id_or(&k, "tokenizer.ggml.eot_token_id", -1, vocab, note));
    c->no_bos = !flag_or(g, "tokenizer.ggml.add_bos_token", true);
    c->add_eos = flag_or(g, "tokenizer.ggml.add_eos_token", false);
    if (!k.status && rotated != c->head_dim)
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "%s: rope.dimension_count: expected a head's %u, found %u", where,
                         c->head_dim, rotated);
    return k.status;
}

enum bise_status gguf_check_part(const struct gguf *g, size_t i, size_t n, const char *where,
                                 struct bise_error *err) {
    const struct gguf_value *no = gguf_find(g, "split.no"), *count = gguf_find(g, "split.count");
    uint32_t this_one = 0, all = 1;
    const bool sound = (!no || get_count(no, &this_one)) && (!count || get_count(count, &all));
    if (sound && this_one == i && all == n)
        return BISE_OK;
    if (sound && n == 1)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s is part %u of %u: expected all of them beside it under their names, "
                         "NAME-00001-of-%05u.gguf and so on",
                         where, this_one + 1, all, all);
    return bise_fail(err, BISE_ERR_FORMAT,
                     "%s: expected part %zu of %zu as its name says, found part %u of %u", where,
                     i + 1, n, this_one + 1, all);
}

/* The id of the piece that stands for what is not known: the metadata's, else the first "<unk>",
 * else the first piece of that type; -1 if there is none. */
static int64_t unknown_id(const struct gguf *g, const struct gguf_value *tokens,
                          const struct gguf_value *kinds) {
    const struct gguf_value *v = gguf_find(g, "tokenizer.ggml.unknown_token_id");
    int64_t id = -1, first = -1;
    if (v && get_integer(v, &id) && id >= 0 && (uint64_t)id < tokens->n)
        return id;
    const uint8_t *at = tokens->data;
    for (uint64_t i = 0; i < tokens->n; i++) {
        const struct gguf_text text = gguf_next_string(&at);
        const bool is_unknown = get_u32(kinds->data + 4 * i) == PIECE_UNKNOWN;
        if (text.len == 5 && memcmp(text.data, "<unk>", 5) == 0 && (is_unknown || first < 0))
            return (int64_t)i;
        if (is_unknown && first < 0)
            first = (int64_t)i;
    }
    return first;
}

enum bise_status tokenizer_from_gguf(const struct gguf *g, const char *where, uint8_t **bytes,
                                     size_t *len, struct note *note, struct bise_error *err) {
    const struct gguf_value *tokens = gguf_find(g, "tokenizer.ggml.tokens");
    const struct gguf_value *scores = gguf_find(g, "tokenizer.ggml.scores");
    const struct gguf_value *kinds = gguf_find(g, "tokenizer.ggml.token_type");
    struct proto p = {0};
    size_t n_unknown = 0;
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
    const int64_t unknown = unknown_id(g, tokens, kinds);
    const uint8_t *at = tokens->data;
    for (uint64_t i = 0; i < tokens->n; i++) {
        const struct gguf_text text = gguf_next_string(&at);
        uint32_t kind = get_u32(kinds->data + 4 * i);
        if (text.len > MAX_PIECE_BYTES || kind < PIECE_NORMAL || kind > PIECE_BYTE) {
            proto_free(&p);
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: token %llu: %zu bytes of type %u: expected at most %u, of type 1 "
                             "to 6",
                             where, (unsigned long long)i, text.len, kind, MAX_PIECE_BYTES);
        }
        const bool is_unknown = (int64_t)i == unknown;
        n_unknown += !is_unknown && kind == PIECE_UNKNOWN;
        kind = is_unknown ? PIECE_UNKNOWN : kind == PIECE_UNKNOWN ? PIECE_CONTROL : kind;
        byte_fallback = byte_fallback || kind == PIECE_BYTE;
        proto_piece(&p, text.data, text.len, get_f32(scores->data + 4 * i), (enum piece_kind)kind);
    }
    proto_specs(&p, byte_fallback, flag_or(g, "tokenizer.ggml.add_space_prefix", true));
    if (n_unknown)
        note_add(note, "%s: %zu more unknown pieces, for padding, are never used", where,
                 n_unknown);
    return proto_take(&p, where, bytes, len, err);
}
