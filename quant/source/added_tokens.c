#include "quant/source/added_tokens.h"

#include "src/base/array.h"
#include "src/text/tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A token as messages show it: escaped, cut where it is long. */
struct shown {
    char text[96];
};

static struct shown show(const char *text, size_t len) {
    struct shown s;
    json_escape(s.text, sizeof s.text, text, len);
    return s;
}

/* ---- reading ---- */

static enum bise_status add(struct added_list *l, struct added_token token,
                            struct bise_error *err) {
    if (!token.len || token.len > MAX_PIECE_BYTES || memchr(token.text, 0, token.len))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: token %s: expected 1 to %u bytes, none of them zero, found %zu",
                         token.where, show(token.text, token.len).text, MAX_PIECE_BYTES, token.len);
    if (!array_grow(&l->tokens, &l->cap, l->n + 1, sizeof *l->tokens))
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its tokens", token.where);
    l->tokens[l->n++] = token;
    return BISE_OK;
}

static enum bise_status expect_id(const struct json_value *v, const char *text, size_t len,
                                  const char *where, struct bise_error *err) {
    if (v && v->kind == JSON_NUMBER && v->is_integer)
        return BISE_OK;
    return bise_fail(err, BISE_ERR_FORMAT, "%s: token %s: expected a whole number, found %s", where,
                     show(text, len).text,
                     v && v->kind == JSON_NUMBER ? "another number" : json_describe(v));
}

/* {"content": ..., "special": ..., "lstrip": ...}; its id stands elsewhere. */
static enum bise_status add_object(struct added_list *l, const struct json_value *v, int64_t id,
                                   const char *where, struct bise_error *err) {
    const struct json_value *content = json_get(v, "content");
    if (!content || content->kind != JSON_STRING)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: token %" PRId64 ": expected its content, found %s", where, id,
                         json_describe(content ? content : v));
    const bool is_special = json_flag(v, "special", false);
    /* normalized is true where a token is not special and does not say. */
    const bool changed = json_flag(v, "normalized", !is_special);
    const struct added_token token = {
        .text = content->string,
        .len = content->len,
        .id = id,
        .flags = (json_flag(v, "lstrip", false) ? TOKEN_LSTRIP : 0u) |
                 (json_flag(v, "rstrip", false) ? TOKEN_RSTRIP : 0u) |
                 (json_flag(v, "single_word", false) ? TOKEN_SINGLE_WORD : 0u) |
                 (changed ? TOKEN_NORMALIZED : 0u),
        .special = is_special,
        .decided = true,
        .where = where};
    return add(l, token, err);
}

/* A key of added_tokens_decoder. */
static bool id_of_key(const struct json_value *v, int64_t *id) {
    char *end = NULL;
    *id = strtoll(v->key, &end, 10);
    return v->key_len > 0 && v->key_len < 12 && end == v->key + v->key_len;
}

enum bise_status added_read(struct added_list *l, enum added_kind kind,
                            const struct json_value *root, const char *where,
                            struct bise_error *err) {
    const bool list = kind == ADDED_LIST;
    enum bise_status s = BISE_OK;
    if (root->kind != (list ? JSON_ARRAY : JSON_OBJECT))
        return bise_fail(err, BISE_ERR_FORMAT, "%s: expected %s, found %s", where,
                         list                     ? "a list of tokens"
                         : kind == ADDED_BY_TOKEN ? "an object of ids by token"
                                                  : "an object of tokens by id",
                         json_describe(root));
    for (const struct json_value *v = json_first(root); v && !s; v = json_next(root, v)) {
        int64_t id = 0;
        if (kind == ADDED_BY_TOKEN) {
            s = expect_id(v, v->key, v->key_len, where, err);
            const struct added_token token = {.text = v->key,
                                              .len = v->key_len,
                                              .id = v->integer,
                                              .special = true,
                                              .where = where};
            s = s ? s : add(l, token, err);
        } else if (list) {
            const struct json_value *number = json_get(v, "id"), *text = json_get(v, "content");
            const bool named = text && text->kind == JSON_STRING;
            s = expect_id(number, named ? text->string : "", named ? text->len : 0, where, err);
            s = s ? s : add_object(l, v, number->integer, where, err);
        } else {
            s = id_of_key(v, &id)
                    ? add_object(l, v, id, where, err)
                    : bise_fail(err, BISE_ERR_FORMAT, "%s: expected a token's id, found %s", where,
                                show(v->key, v->key_len).text);
        }
    }
    return s;
}

/* ---- merging ---- */

static int compare_texts(const struct added_token *a, const struct added_token *b) {
    const int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Those whose files say whether they are special come first. */
static int by_text(const void *a, const void *b) {
    const struct added_token *x = a, *y = b;
    const int order = compare_texts(x, y);
    return order ? order : (int)y->decided - (int)x->decided;
}

static int by_id(const void *a, const void *b) {
    const int64_t x = ((const struct added_token *)a)->id, y = ((const struct added_token *)b)->id;
    return (x > y) - (x < y);
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

/* The tokenizer may have the token already, under the same id. */
static enum bise_status check_token(const struct added_token *token, const struct tokenizer *t,
                                    struct bise_error *err) {
    const struct shown shown = show(token->text, token->len);
    const int32_t known = tokenizer_find(t, token->text, token->len);
    if (known == token->id)
        return BISE_OK;
    if (known >= 0)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: token %s: expected id %" PRId32
                         " as in the tokenizer, found %" PRId64,
                         token->where, shown.text, known, token->id);
    if (token->id < (int64_t)tokenizer_size(t)) {
        const char *piece = tokenizer_piece_raw(t, (int32_t)token->id);
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: token %s: expected an id from %zu on, found %" PRId64
                         ", the tokenizer's %s",
                         token->where, shown.text, tokenizer_size(t), token->id,
                         show(piece, strlen(piece)).text);
    }
    return BISE_OK;
}

/* Ids that a tokenizer's own may be followed by, gaps included: a fine-tune adds some, or pads its
 * vocabulary to a round number. */
#define MAX_ADDED 65536

/* Leaves those whose ids the vocabulary has and t has not. */
static enum bise_status sieve(struct added_list *l, const struct tokenizer *t, uint32_t vocab_size,
                              struct added_tokens *added, struct note *note,
                              struct bise_error *err) {
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct added_token *token = &l->tokens[i];
        if (token->id < 0 || token->id >= (int64_t)vocab_size) {
            added->n_ignored++;
            if (is_padding(token->text, token->len))
                added->n_padding++;
            else
                note_add(note,
                         "warning: %s: token %s: %" PRId64
                         " is no id below the vocabulary's %" PRIu32 ": it is left out",
                         token->where, show(token->text, token->len).text, token->id, vocab_size);
            continue;
        }
        const enum bise_status s = check_token(token, t, err);
        if (s)
            return s;
        if (token->id >= (int64_t)tokenizer_size(t) + MAX_ADDED)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: token %s: expected an id of the %d behind the tokenizer's %zu "
                             "pieces, found %" PRId64,
                             token->where, show(token->text, token->len).text, MAX_ADDED,
                             tokenizer_size(t), token->id);
        if (token->id >= (int64_t)tokenizer_size(t))
            l->tokens[n++] = *token;
    }
    l->n = n;
    return BISE_OK;
}

/* Sorts by id; a token that is there more than once, alike, is taken once. */
static enum bise_status sort_tokens(struct added_list *l, struct note *note,
                                    struct bise_error *err) {
    struct added_token *tokens = l->tokens;
    size_t n = 0;
    if (l->n > 0)
        qsort(tokens, l->n, sizeof *tokens, by_text);
    for (size_t i = 0; i < l->n; i++) {
        struct added_token *last = n ? &tokens[n - 1] : NULL;
        if (!last || compare_texts(last, &tokens[i]) != 0) {
            tokens[n++] = tokens[i];
            continue;
        }
        if (last->id != tokens[i].id)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: token %s is there twice: expected id %" PRId64
                             " again%s%s, found %" PRId64,
                             tokens[i].where, show(tokens[i].text, tokens[i].len).text, last->id,
                             last->where == tokens[i].where ? "" : " as in ",
                             last->where == tokens[i].where ? "" : last->where, tokens[i].id);
        if (tokens[i].decided && last->special != tokens[i].special) {
            note_add(note, "warning: token %s is special in one of %s and %s: taken as special",
                     show(last->text, last->len).text, last->where, tokens[i].where);
            last->special = true;
        }
    }
    l->n = n;
    if (n > 0)
        qsort(tokens, n, sizeof *tokens, by_id);
    for (size_t i = 1; i < n; i++)
        if (tokens[i - 1].id == tokens[i].id)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: token %s: expected an id of its own, found %" PRId64
                             ", that of %s",
                             tokens[i].where, show(tokens[i].text, tokens[i].len).text,
                             tokens[i].id, show(tokens[i - 1].text, tokens[i - 1].len).text);
    return BISE_OK;
}

enum bise_status added_put(struct added_list *l, const struct tokenizer *t, uint32_t vocab_size,
                           struct proto *pieces, struct proto *rules, struct added_tokens *added,
                           struct note *note, struct bise_error *err) {
    const size_t first_id = tokenizer_size(t);
    *added = (struct added_tokens){.end = (uint32_t)first_id};
    enum bise_status s = sieve(l, t, vocab_size, added, note, err);
    if (!s)
        s = sort_tokens(l, note, err);
    if (s || !l->n)
        return s;
    const struct added_token *next = l->tokens;
    const size_t end = (size_t)l->tokens[l->n - 1].id + 1;
    for (size_t id = first_id; id < end; id++) {
        char unused[32];
        if ((size_t)next->id != id) {
            proto_piece_unscored(pieces, unused,
                                 (size_t)snprintf(unused, sizeof unused, "<unused_%zu>", id),
                                 PIECE_UNUSED);
            continue;
        }
        proto_piece_unscored(pieces, next->text, next->len,
                             next->special ? PIECE_CONTROL : PIECE_USER_DEFINED);
        if (!next->special)
            proto_token_flags(rules, (uint32_t)id, next->flags);
        added->n_control += next->special;
        added->n_matched += !next->special;
        next++;
    }
    added->n_unused = end - first_id - l->n;
    added->end = (uint32_t)end;
    return BISE_OK;
}
