#include "quant/source/added_tokens.h"

#include "quant/source/proto.h"
#include "src/base/json.h"
#include "src/os/mem.h"
#include "src/text/tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct token {
    const char *text; /* inside the JSON */
    size_t len;
    int64_t id;
};

struct token_list {
    const char *name; /* for messages */
    struct token *tokens;
    size_t n;
};

/* A token as messages show it: escaped, cut where it is long. */
struct shown {
    char text[96];
};

static struct shown show(const char *text, size_t len) {
    struct shown s;
    json_escape(s.text, sizeof s.text, text, len);
    return s;
}

static int compare_texts(const struct token *a, const struct token *b) {
    const int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static int by_text(const void *a, const void *b) {
    return compare_texts(a, b);
}

static int by_id(const void *a, const void *b) {
    const int64_t x = ((const struct token *)a)->id, y = ((const struct token *)b)->id;
    return (x > y) - (x < y);
}

/* One member of the object. The tokenizer may have the token already, under the same id. */
static enum bise_status check_token(const struct json_value *v, const struct tokenizer *t,
                                    const char *name, uint32_t vocab_size, struct bise_error *err) {
    const struct shown token = show(v->key, v->key_len);
    if (!v->key_len || v->key_len > MAX_PIECE_BYTES || memchr(v->key, 0, v->key_len))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: token %s: expected 1 to %u bytes, none of them zero, found %zu", name,
                         token.text, MAX_PIECE_BYTES, v->key_len);
    if (v->kind != JSON_NUMBER || !v->is_integer)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: token %s: expected a whole number, found %s",
                         name, token.text,
                         v->kind == JSON_NUMBER ? "another number" : json_describe(v));
    if (v->integer < 0 || v->integer >= (int64_t)vocab_size)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: token %s: expected an id below %" PRIu32
                         ", the model's vocabulary, found %" PRId64,
                         name, token.text, vocab_size, v->integer);
    const int32_t known = tokenizer_find(t, v->key, v->key_len);
    if (known == v->integer)
        return BISE_OK;
    if (known >= 0)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: token %s: expected id %" PRId32
                         " as in the tokenizer, found %" PRId64,
                         name, token.text, known, v->integer);
    if (v->integer < (int64_t)tokenizer_size(t)) {
        const char *piece = tokenizer_piece_raw(t, (int32_t)v->integer);
        return bise_fail(
            err, BISE_ERR_FORMAT,
            "%s: token %s: expected an id from %zu on, found %" PRId64 ", the tokenizer's %s", name,
            token.text, tokenizer_size(t), v->integer, show(piece, strlen(piece)).text);
    }
    return BISE_OK;
}

/* Whether the text is "pad" in any case and any brackets: fine-tunes that never grew their
 * embeddings name one, and no text of theirs holds it. */
static bool is_padding(const char *text, size_t len) {
    static const char letters[] = "pad";
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        const char c = (char)(text[i] | 0x20);
        if (memchr("<>[]|", text[i], 5))
            continue;
        if (n == 3 || c != letters[n++])
            return false;
    }
    return n == 3;
}

/* The tokens that the tokenizer lacks. */
static enum bise_status read_tokens(struct token_list *l, const struct json_value *root,
                                    const struct tokenizer *t, uint32_t vocab_size,
                                    size_t *n_ignored, struct bise_error *err) {
    if (root->kind != JSON_OBJECT)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: expected an object of ids by token, found %s",
                         l->name, json_describe(root));
    l->tokens = calloc(root->len + 1, sizeof *l->tokens); /* of nothing, calloc may give nothing */
    if (!l->tokens)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its %zu tokens", l->name,
                         root->len);
    for (const struct json_value *v = json_first(root); v; v = json_next(root, v)) {
        if (v->kind == JSON_NUMBER && v->is_integer && v->integer >= (int64_t)vocab_size &&
            is_padding(v->key, v->key_len)) {
            ++*n_ignored;
            continue;
        }
        const enum bise_status status = check_token(v, t, l->name, vocab_size, err);
        if (status)
            return status;
        if (v->integer >= (int64_t)tokenizer_size(t))
            l->tokens[l->n++] = (struct token){v->key, v->key_len, v->integer};
    }
    return BISE_OK;
}

/* Sorts by id; a token that is there twice, alike, is taken once. */
static enum bise_status sort_tokens(struct token_list *l, struct bise_error *err) {
    struct token *tokens = l->tokens;
    size_t n = 0;
    qsort(tokens, l->n, sizeof *tokens, by_text);
    for (size_t i = 0; i < l->n; i++) {
        if (!n || compare_texts(&tokens[n - 1], &tokens[i]) != 0)
            tokens[n++] = tokens[i];
        else if (tokens[n - 1].id != tokens[i].id)
            return bise_fail(
                err, BISE_ERR_FORMAT,
                "%s: token %s is there twice: expected id %" PRId64 " again, found %" PRId64,
                l->name, show(tokens[i].text, tokens[i].len).text, tokens[n - 1].id, tokens[i].id);
    }
    l->n = n;
    qsort(tokens, n, sizeof *tokens, by_id);
    for (size_t i = 1; i < n; i++)
        if (tokens[i - 1].id == tokens[i].id)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: token %s: expected an id of its own, found %" PRId64
                             ", that of %s",
                             l->name, show(tokens[i].text, tokens[i].len).text, tokens[i].id,
                             show(tokens[i - 1].text, tokens[i - 1].len).text);
    return BISE_OK;
}

/* Appends the pieces, l->n > 0 of them and what fills the gaps; ids go on at first_id. */
static enum bise_status append(uint8_t **model, size_t *len, const struct token_list *l,
                               size_t first_id, struct added_tokens *added,
                               struct bise_error *err) {
    const size_t end = (size_t)l->tokens[l->n - 1].id + 1;
    const struct token *next = l->tokens;
    struct proto p = {0};
    for (size_t id = first_id; id < end; id++) {
        if ((size_t)next->id == id) {
            proto_piece_unscored(&p, next->text, next->len, PIECE_CONTROL);
            next++;
        } else {
            char name[32];
            const int n = snprintf(name, sizeof name, "<unused_%zu>", id);
            proto_piece_unscored(&p, name, (size_t)n, PIECE_UNUSED);
        }
    }
    uint8_t *more = NULL;
    size_t n = 0;
    enum bise_status s = proto_take(&p, l->name, &more, &n, err);
    uint8_t *grown = s ? NULL : realloc(*model, *len + n);
    if (!s && !grown)
        s = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu pieces", l->name,
                      end - first_id);
    if (!s) {
        memcpy(grown + *len, more, n);
        *model = grown;
        *len += n;
        added->n_control = l->n;
        added->n_unused = end - first_id - l->n;
        added->end = (uint32_t)end;
    }
    free(more);
    return s;
}

enum bise_status added_tokens_append(uint8_t **model, size_t *len, const struct tokenizer *t,
                                     const char *json, size_t json_len, const char *name,
                                     uint32_t vocab_size, struct added_tokens *added,
                                     struct bise_error *err) {
    struct token_list l = {.name = name};
    struct json *j = NULL;
    *added = (struct added_tokens){.end = (uint32_t)tokenizer_size(t)};
    enum bise_status status = json_parse(&j, json, json_len, name, err);
    if (!status)
        status = read_tokens(&l, json_root(j), t, vocab_size, &added->n_ignored, err);
    if (!status)
        status = sort_tokens(&l, err);
    if (!status && l.n)
        status = append(model, len, &l, tokenizer_size(t), added, err);
    free(l.tokens);
    json_close(&j);
    return status;
}
