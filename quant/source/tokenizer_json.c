#include "quant/source/tokenizer_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPACE_MARK "\xe2\x96\x81" /* U+2581 */

/* What is read, and a first fault. */
struct reader {
    const char *name;
    uint32_t vocab_size; /* 0: any */
    struct note *note;
    struct bise_error *err;
    const struct json_value **by_id;   /* [n_ids] of the vocabulary and added tokens; NULL: none */
    const struct json_value **by_text; /* [n_vocab] sorted */
    size_t n_ids, n_vocab;
};

static enum bise_status refuse(const struct reader *r, const char *what) {
    return bise_fail(r->err, BISE_ERR_UNSUPPORTED,
                     "%s: expected SentencePiece BPE (BPE with byte_fallback), found %s", r->name,
                     what);
}

static enum bise_status damaged(const struct reader *r, const char *where,
                                const struct json_value *v) {
    return bise_fail(r->err, BISE_ERR_FORMAT, "%s: %s: not as a tokenizer.json has it, found %s",
                     r->name, where, json_describe(v));
}

static const char *type_of(const struct json_value *v) {
    const struct json_value *type = json_get(v, "type");
    return type && type->kind == JSON_STRING ? type->string : "";
}

/* The part, NULL if it is absent or null. */
static const struct json_value *part(const struct json_value *v, const char *key) {
    const struct json_value *found = json_get(v, key);
    return found && found->kind != JSON_NULL ? found : NULL;
}

/* ---- what kind of tokenizer it is ---- */

/* Whether a part, or one of a sequence of them, is of a type. */
static bool has_type(const struct json_value *v, const char *type) {
    static const char *const lists[] = {"pretokenizers", "normalizers", "decoders", "processors"};
    if (strcmp(type_of(v), type) == 0)
        return true;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const struct json_value *list = json_get(v, lists[i]);
        for (const struct json_value *one = json_first(list); one; one = json_next(list, one))
            if (strcmp(type_of(one), type) == 0)
                return true;
    }
    return false;
}

static enum bise_status check_model(const struct reader *r, const struct json_value *root) {
    static const char *const refused[] = {"dropout", "continuing_subword_prefix",
                                          "end_of_word_suffix"};
    const struct json_value *model = json_get(root, "model");
    const char *type = type_of(model);
    char what[96];
    if (!model && json_get(root, "config") && json_get(root, "vocab"))
        return refuse(r, "a tekken tokenizer, which is byte-level");
    if (!model || model->kind != JSON_OBJECT)
        return damaged(r, "model", model);
    if (has_type(part(root, "pre_tokenizer"), "ByteLevel") ||
        has_type(part(root, "decoder"), "ByteLevel"))
        return refuse(r, "a byte-level tokenizer, as GPT-2, Llama 3 and tekken have");
    if (*type && strcmp(type, "BPE") != 0) {
        snprintf(what, sizeof what, "a %.32s tokenizer", type);
        return refuse(r, what);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct json_value *v = part(model, refused[i]);
        if (v && !(v->kind == JSON_STRING && v->len == 0)) {
            snprintf(what, sizeof what, "one with %s", refused[i]);
            return refuse(r, what);
        }
    }
    if (!json_flag(model, "byte_fallback", false))
        return refuse(r, "one without byte_fallback");
    return BISE_OK;
}

static enum bise_status read_normalizer(const struct reader *r, const struct json_value *v,
                                        uint32_t *rules) {
    const char *type = type_of(v);
    char what[128];
    if (!v)
        return BISE_OK;
    if (strcmp(type, "Sequence") == 0) {
        const struct json_value *list = json_get(v, "normalizers");
        enum bise_status s = BISE_OK;
        for (const struct json_value *one = json_first(list); one && !s; one = json_next(list, one))
            s = strcmp(type_of(one), "Sequence") == 0 ? refuse(r, "normalizers within normalizers")
                                                      : read_normalizer(r, one, rules);
        return s;
    }
    if (strcmp(type, "Prepend") == 0 && json_is(json_get(v, "prepend"), SPACE_MARK)) {
        *rules |= PREFIX_ALWAYS;
        return BISE_OK;
    }
    if (strcmp(type, "Replace") == 0 && json_is(json_get(json_get(v, "pattern"), "String"), " ") &&
        json_is(json_get(v, "content"), SPACE_MARK)) {
        *rules |= RULE_SPACES_EARLY;
        return BISE_OK;
    }
    snprintf(what, sizeof what, "a normalizer %.48s that changes other things than spaces", type);
    return refuse(r, what);
}

static enum bise_status read_pre_tokenizer(const struct reader *r, const struct json_value *v,
                                           uint32_t *rules) {
    const char *type = type_of(v);
    const struct json_value *list = json_get(v, "pretokenizers");
    if (!v)
        return BISE_OK;
    if (strcmp(type, "Sequence") == 0 && list && list->len == 1)
        return read_pre_tokenizer(r, json_first(list), rules);
    if (strcmp(type, "Metaspace") != 0 || !json_is(json_get(v, "replacement"), SPACE_MARK)) {
        char what[96];
        snprintf(what, sizeof what, "a pre_tokenizer %.48s", type);
        return refuse(r, what);
    }
    const struct json_value *scheme = part(v, "prepend_scheme");
    uint32_t prefix = PREFIX_ALWAYS;
    if (json_is(scheme, "first"))
        prefix = PREFIX_FIRST;
    else if (json_is(scheme, "never") || (!scheme && !json_flag(v, "add_prefix_space", true)))
        prefix = PREFIX_NEVER;
    else if (scheme && !json_is(scheme, "always"))
        return damaged(r, "pre_tokenizer: prepend_scheme", scheme);
    *rules |= RULE_SPACES_LATE;
    if (json_flag(v, "split", true))
        *rules |= RULE_SPLIT;
    if (prefix == PREFIX_NEVER)
        return BISE_OK;
    if ((*rules & RULE_PREFIX) != PREFIX_NEVER)
        return refuse(r, "a normalizer and a pre_tokenizer that both put a prefix");
    *rules |= prefix | RULE_PREFIX_LATE | RULE_PREFIX_IF_MISSING;
    return BISE_OK;
}

/* ---- what a text begins and ends with ---- */

/* {"single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}, ...]} */
static enum bise_status read_processor(const struct reader *r, const struct json_value *v,
                                       struct tokenizer_json *out) {
    const char *type = type_of(v);
    const struct json_value *list = json_get(v, "processors");
    bool text = false;
    if (!v)
        return BISE_OK;
    if (strcmp(type, "Sequence") == 0 && list && list->len == 1)
        return read_processor(r, json_first(list), out);
    if (strcmp(type, "TemplateProcessing") != 0) {
        char what[96];
        snprintf(what, sizeof what, "a post_processor %.48s", type);
        return refuse(r, what);
    }
    const struct json_value *single = json_get(v, "single");
    for (const struct json_value *one = json_first(single); one; one = json_next(single, one)) {
        const bool token = json_get(one, "SpecialToken") != NULL;
        if (!token && !json_get(one, "Sequence"))
            return damaged(r, "post_processor: single", one);
        if ((token && (text ? out->add_eos : out->add_bos)) || (!token && text))
            return refuse(r, "a post_processor that puts more than one token at an end");
        if (token && text)
            out->add_eos = true;
        else if (token)
            out->add_bos = true;
        text = text || !token;
    }
    out->says_ends = true;
    return BISE_OK;
}

/* ---- pieces ---- */

static int by_key(const void *a, const void *b) {
    const struct json_value *const *x = a, *const *y = b;
    const size_t n = (*x)->key_len < (*y)->key_len ? (*x)->key_len : (*y)->key_len;
    const int order = memcmp((*x)->key, (*y)->key, n);
    return order ? order : ((*x)->key_len > (*y)->key_len) - ((*x)->key_len < (*y)->key_len);
}

/* The entry of a text in the vocabulary; NULL if there is none. */
static const struct json_value *find_text(const struct reader *r, const char *text, size_t len) {
    const struct json_value key = {.key = text, .key_len = len}, *wanted = &key;
    const struct json_value **found =
        r->n_vocab ? bsearch(&wanted, r->by_text, r->n_vocab, sizeof *r->by_text, by_key) : NULL;
    return found ? *found : NULL;
}

static bool get_id(const struct json_value *v, int64_t *id) {
    *id = v && v->kind == JSON_NUMBER && v->is_integer ? v->integer : -1;
    return *id >= 0 && *id < (int64_t)TOKENIZER_MAX_PIECES;
}

/* Highest id of the vocabulary and the added tokens; -1 if one of them is none. */
static int64_t last_id(const struct json_value *vocab, const struct json_value *added) {
    int64_t last = 0, id;
    for (const struct json_value *v = json_first(vocab); v; v = json_next(vocab, v)) {
        if (!get_id(v, &id))
            return -1;
        last = id > last ? id : last;
    }
    for (const struct json_value *v = json_first(added); v; v = json_next(added, v)) {
        if (!get_id(json_get(v, "id"), &id))
            return -1;
        last = id > last ? id : last;
    }
    return last;
}

static enum bise_status index_vocab(struct reader *r, const struct json_value *vocab,
                                    const struct json_value *added) {
    int64_t id;
    const int64_t last = last_id(vocab, added);
    if (!vocab || vocab->kind != JSON_OBJECT || last < 0 ||
        last > 2 * (int64_t)(vocab->len + (added ? added->len : 0)) + 1024)
        return damaged(r, "model: vocab, added_tokens", vocab);
    r->n_ids = (size_t)last + 1;
    r->by_id = calloc(r->n_ids, sizeof *r->by_id);
    r->by_text = malloc((vocab->len + 1) * sizeof *r->by_text);
    if (!r->by_id || !r->by_text)
        return bise_fail(r->err, BISE_ERR_MEMORY, "%s: no memory for its vocabulary", r->name);
    for (const struct json_value *v = json_first(vocab); v; v = json_next(vocab, v)) {
        get_id(v, &id);
        if (r->by_id[id] || v->key_len == 0 || v->key_len > MAX_PIECE_BYTES ||
            memchr(v->key, 0, v->key_len))
            return bise_fail(
                r->err, BISE_ERR_FORMAT,
                "%s: model: vocab: id %lld is there twice, or its piece is not 1 to %u "
                "bytes without zeros",
                r->name, (long long)id, MAX_PIECE_BYTES);
        r->by_id[id] = v;
        r->by_text[r->n_vocab++] = v;
    }
    qsort(r->by_text, r->n_vocab, sizeof *r->by_text, by_key);
    for (size_t i = 1; i < r->n_vocab; i++)
        if (by_key(&r->by_text[i - 1], &r->by_text[i]) == 0)
            return bise_fail(r->err, BISE_ERR_FORMAT, "%s: model: vocab: piece %lld is there twice",
                             r->name, (long long)r->by_text[i]->integer);
    return BISE_OK;
}

static bool is_byte(const char *s, size_t len) {
    static const char digits[] = "0123456789ABCDEF";
    return len == 6 && memcmp(s, "<0x", 3) == 0 && s[5] == '>' && strchr(digits, s[3]) &&
           strchr(digits, s[4]);
}

/* Lays added tokens [n_ids] out by id, NULL where there is none; they agree with the vocabulary. */
static enum bise_status lay_out(const struct reader *r, const struct added_list *l,
                                const struct added_token **added) {
    for (size_t i = 0; i < l->n; i++) {
        const struct added_token *token = &l->tokens[i];
        if (r->vocab_size && token->id >= (int64_t)r->vocab_size) {
            note_add(r->note,
                     "warning: %s: added token %lld is no id below the vocabulary's %u: it is left "
                     "out",
                     r->name, (long long)token->id, r->vocab_size);
            continue;
        }
        const struct json_value *known = find_text(r, token->text, token->len);
        const struct json_value *there = r->by_id[token->id];
        if (known ? known->integer != token->id : there != NULL)
            return bise_fail(r->err, BISE_ERR_FORMAT,
                             "%s: added token %lld is another piece in the vocabulary", r->name,
                             (long long)token->id);
        if (added[token->id])
            return bise_fail(r->err, BISE_ERR_FORMAT, "%s: added token %lld is there twice",
                             r->name, (long long)token->id);
        added[token->id] = token;
    }
    return BISE_OK;
}

static void put_pieces(const struct reader *r, const struct added_token *const *added,
                       const struct json_value *unk, struct tokenizer_json *out) {
    size_t end = r->n_ids;
    while (end > 0 && !added[end - 1] && !r->by_id[end - 1])
        end--;
    for (size_t id = 0; id < end; id++) {
        const struct added_token *token = added[id];
        const struct json_value *v = r->by_id[id];
        char unused[32];
        const char *text = token ? token->text : v ? v->key : unused;
        const size_t len = token ? token->len
                           : v   ? v->key_len
                                 : (size_t)snprintf(unused, sizeof unused, "<unused_%zu>", id);
        const bool unknown = unk && unk->kind == JSON_STRING && unk->len == len &&
                             memcmp(unk->string, text, len) == 0;
        const enum piece_kind kind = unknown                   ? PIECE_UNKNOWN
                                     : token && token->special ? PIECE_CONTROL
                                     : token                   ? PIECE_USER_DEFINED
                                     : !v                      ? PIECE_UNUSED
                                     : is_byte(text, len)      ? PIECE_BYTE
                                                               : PIECE_NORMAL;
        proto_piece(&out->pieces, text, len, -(float)id, kind);
        if (token && !unknown && (!token->special || token->flags))
            proto_token_flags(&out->tokens, (uint32_t)id, token->flags);
    }
    proto_specs(&out->pieces, true, false);
}

/* ---- merges ---- */

/* "a b", or ["a", "b"] since tokenizers 0.20. */
static bool split_merge(const struct json_value *v, struct json_value sides[2]) {
    if (v->kind == JSON_ARRAY && v->len == 2) {
        sides[0] = *json_first(v);
        sides[1] = *json_next(v, json_first(v));
        return sides[0].kind == JSON_STRING && sides[1].kind == JSON_STRING;
    }
    if (v->kind != JSON_STRING)
        return false;
    const char *space = memchr(v->string, ' ', v->len);
    if (!space)
        return false;
    sides[0] = sides[1] = *v;
    sides[0].len = (size_t)(space - v->string);
    sides[1].string = space + 1;
    sides[1].len = v->len - sides[0].len - 1;
    return !memchr(sides[1].string, ' ', sides[1].len);
}

static enum bise_status put_merges(const struct reader *r, const struct json_value *list,
                                   struct tokenizer_json *out) {
    size_t i = 0;
    if (!list || list->kind != JSON_ARRAY || list->len > TOKENIZER_MAX_PIECES)
        return damaged(r, "model: merges", list);
    for (const struct json_value *v = json_first(list); v; v = json_next(list, v), i++) {
        struct json_value side[2];
        char both[MAX_PIECE_BYTES];
        const struct json_value *a = NULL, *b = NULL, *ab = NULL;
        if (split_merge(v, side) && side[0].len + side[1].len <= sizeof both) {
            memcpy(both, side[0].string, side[0].len);
            memcpy(both + side[0].len, side[1].string, side[1].len);
            a = find_text(r, side[0].string, side[0].len);
            b = find_text(r, side[1].string, side[1].len);
            ab = find_text(r, both, side[0].len + side[1].len);
        }
        if (!a || !b || !ab)
            return bise_fail(r->err, BISE_ERR_FORMAT,
                             "%s: model: merges: number %zu is no two pieces, or both together are "
                             "no piece",
                             r->name, i);
        proto_merge(&out->merges, (uint32_t)a->integer, (uint32_t)b->integer,
                    (uint32_t)ab->integer);
    }
    return BISE_OK;
}

static enum bise_status read_parts(struct reader *r, const struct json_value *root,
                                   struct added_list *l, const struct added_token ***added,
                                   struct tokenizer_json *out) {
    const struct json_value *model = json_get(root, "model"), *list = part(root, "added_tokens");
    enum bise_status s = check_model(r, root);
    if (!s)
        s = read_normalizer(r, part(root, "normalizer"), &out->rules);
    if (!s)
        s = read_pre_tokenizer(r, part(root, "pre_tokenizer"), &out->rules);
    if (!s)
        s = read_processor(r, part(root, "post_processor"), out);
    if (!s)
        s = index_vocab(r, json_get(model, "vocab"), list);
    if (!s && list)
        s = added_read(l, ADDED_LIST, list, r->name, r->err);
    if (!s && !(*added = calloc(r->n_ids, sizeof **added)))
        s = bise_fail(r->err, BISE_ERR_MEMORY, "%s: no memory for its tokens", r->name);
    if (!s)
        s = lay_out(r, l, *added);
    if (s)
        return s;
    put_pieces(r, *added, part(model, "unk_token"), out);
    if (json_flag(model, "ignore_merges", false))
        out->rules |= RULE_WHOLE_WORDS;
    return put_merges(r, json_get(model, "merges"), out);
}

enum bise_status tokenizer_json_read(struct tokenizer_json *out, const struct json_value *root,
                                     const char *name, uint32_t vocab_size, struct note *note,
                                     struct bise_error *err) {
    struct reader r = {.name = name, .vocab_size = vocab_size, .note = note, .err = err};
    struct added_list l = {0};
    const struct added_token **added = NULL;
    *out = (struct tokenizer_json){0};
    const enum bise_status s = read_parts(&r, root, &l, &added, out);
    free(l.tokens);
    free(added);
    free(r.by_id);
    free(r.by_text);
    return s;
}

void tokenizer_json_free(struct tokenizer_json *t) {
    proto_free(&t->pieces);
    proto_free(&t->merges);
    proto_free(&t->tokens);
}

void tokenizer_json_compare(const struct json_value *root, const struct tokenizer *t,
                            const char *name, struct note *note) {
    const struct json_value *vocab = json_get(json_get(root, "model"), "vocab");
    int64_t id;
    for (const struct json_value *v = json_first(vocab); v; v = json_next(vocab, v)) {
        if (!get_id(v, &id) || id >= (int64_t)tokenizer_size(t))
            continue;
        const char *piece = tokenizer_piece_raw(t, (int32_t)id);
        if (strlen(piece) == v->key_len && memcmp(piece, v->key, v->key_len) == 0)
            continue;
        char a[64], b[64];
        json_escape(a, sizeof a, piece, strlen(piece));
        json_escape(b, sizeof b, v->key, v->key_len);
        note_add(note,
                 "warning: %s disagrees with the tokenizer.model that is taken: piece %lld is %s "
                 "here and %s there",
                 name, (long long)id, b, a);
        return;
    }
}
