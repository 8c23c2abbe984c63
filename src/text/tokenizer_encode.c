/*
 * A text's way to ids: tokens that are matched in it as it stands; for each stretch between them a
 * prefix and U+2581 for spaces; tokens that are matched in that; words, where they are taken one by
 * one; byte-pair merges of each. Most tokenizers have one stretch and one word: the whole text.
 */
#include "src/base/error.h"
#include "src/base/utf8.h"
#include "src/text/tokenizer_bpe.h"
#include "src/text/word_chars.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT_BYTES ((size_t)1 << 30)

struct buffer {
    char *at;
    size_t cap;
};

struct encoding {
    const struct tokenizer *t;
    struct bpe bpe;
    struct buffer early, late; /* a stretch with the changes before and after matching */
    bool goes_on;              /* the text's beginning goes on in another: no prefix */
    bool special;              /* control pieces are matched as well */
    struct bise_error *err;
};

typedef enum bise_status stretch_fn(struct encoding *e, const char *s, size_t n, bool first);

/* ---- prefix and spaces ---- */

static bool begins_with_space(const char *s, size_t n) {
    return n > 0 &&
           (*s == ' ' || (n >= SPACE_MARK_LEN && memcmp(s, SPACE_MARK, SPACE_MARK_LEN) == 0));
}

static bool takes_prefix(const struct encoding *e, const char *s, size_t n, bool first) {
    const uint32_t rules = e->t->rules;
    if ((rules & RULE_PREFIX) == PREFIX_NEVER || (first && e->goes_on) ||
        (!first && (rules & RULE_PREFIX) == PREFIX_FIRST))
        return false;
    /* A text with marks in it, as people write it, often has the prefix as a blank. */
    const bool if_missing = (rules & RULE_PREFIX_IF_MISSING) || (e->special && !e->t->has_rules);
    return !(if_missing && begins_with_space(s, n));
}

/* Into out: s with a prefix and changed spaces, where those rules are among `stage`. */
static enum bise_status change(struct encoding *e, struct buffer *out, const char *s, size_t len,
                               bool first, uint32_t stage, size_t *n_out) {
    const uint32_t rules = e->t->rules & stage;
    const bool spaces = rules & (RULE_SPACES_EARLY | RULE_SPACES_LATE);
    const bool prefix =
        (stage & (e->t->rules & RULE_PREFIX_LATE ? RULE_PREFIX_LATE : RULE_SPACES_EARLY)) &&
        takes_prefix(e, s, len, first);
    size_t n = prefix ? SPACE_MARK_LEN : 0;
    for (size_t i = 0; i < len; i++)
        n += spaces && s[i] == ' ' ? SPACE_MARK_LEN : 1;
    *n_out = n;
    if (n > MAX_TEXT_BYTES)
        return bise_fail(e->err, BISE_ERR_ARG, "the text: expected at most %zu bytes, found %zu",
                         MAX_TEXT_BYTES, n);
    if (n > out->cap) {
        free(out->at);
        out->at = malloc(n);
        out->cap = out->at ? n : 0;
        if (!out->at)
            return bise_fail(e->err, BISE_ERR_MEMORY, "no memory to tokenize %zu bytes", len);
    }
    char *at = out->at;
    if (prefix) {
        memcpy(at, SPACE_MARK, SPACE_MARK_LEN);
        at += SPACE_MARK_LEN;
    }
    for (size_t i = 0; i < len; i++) {
        if (spaces && s[i] == ' ') {
            memcpy(at, SPACE_MARK, SPACE_MARK_LEN);
            at += SPACE_MARK_LEN;
        } else {
            *at++ = s[i];
        }
    }
    return BISE_OK;
}

/* ---- tokens in the text ---- */

/* Where the character before place `at` begins. */
static size_t char_before(const char *s, size_t at) {
    do
        at--;
    while (at > 0 && ((uint8_t)s[at] & 0xc0) == 0x80);
    return at;
}

static bool is_space_at(const char *s, size_t n, size_t at) {
    return at < n && is_space_char(utf8_code_point(s + at, utf8_char_len(s + at, n - at)));
}

static bool is_word_at(const char *s, size_t n, size_t at) {
    return at < n && is_word_char(utf8_code_point(s + at, utf8_char_len(s + at, n - at)));
}

/* Appends the tokens that m has in s, and what rest makes of the stretches between them. */
static enum bise_status match_tokens(struct encoding *e, const struct name_set *m, const char *s,
                                     size_t n, bool first, stretch_fn *rest) {
    size_t done = 0, at = 0;
    enum bise_status status = BISE_OK;
    while (m->n && at < n && !status) {
        const struct set_name *name = name_set_longest(m, s + at, n - at);
        if (!name) {
            at++;
            continue;
        }
        size_t begin = at, end = at + name->len;
        at = end;
        if ((name->flags & TOKEN_SINGLE_WORD) &&
            ((begin > 0 && is_word_at(s, n, char_before(s, begin))) || is_word_at(s, n, end)))
            continue;
        while ((name->flags & TOKEN_LSTRIP) && begin > done &&
               is_space_at(s, n, char_before(s, begin)))
            begin = char_before(s, begin);
        while ((name->flags & TOKEN_RSTRIP) && is_space_at(s, n, end))
            end += utf8_char_len(s + end, n - end);
        if (done < begin)
            status = rest(e, s + done, begin - done, first && done == 0);
        bpe_put_id(&e->bpe, name->id);
        done = end;
    }
    return status || done == n ? status : rest(e, s + done, n - done, first && done == 0);
}

/* ---- stretches ---- */

/* Each word begins with U+2581, the first one aside. */
static enum bise_status encode_words(struct encoding *e, const char *s, size_t n) {
    size_t begin = 0;
    enum bise_status status = BISE_OK;
    if (!(e->t->rules & RULE_SPLIT))
        return bpe_encode(&e->bpe, s, n, e->err);
    for (size_t at = 1; at <= n && !status; at++)
        if (at == n ||
            (n - at >= SPACE_MARK_LEN && memcmp(s + at, SPACE_MARK, SPACE_MARK_LEN) == 0)) {
            status = bpe_encode(&e->bpe, s + begin, at - begin, e->err);
            begin = at;
        }
    return status;
}

static enum bise_status encode_late(struct encoding *e, const char *s, size_t n, bool first) {
    const enum bise_status status =
        change(e, &e->late, s, n, first, RULE_SPACES_LATE | RULE_PREFIX_LATE, &n);
    return status ? status : encode_words(e, e->late.at, n);
}

static enum bise_status encode_stretch(struct encoding *e, const char *s, size_t n, bool first) {
    const bool matched = e->t->changed_tokens.n > 0;
    const uint32_t early = RULE_SPACES_EARLY, late = RULE_SPACES_LATE | RULE_PREFIX_LATE;
    const enum bise_status status =
        change(e, &e->early, s, n, first, matched ? early : early | late, &n);
    if (status)
        return status;
    return matched ? match_tokens(e, &e->t->changed_tokens, e->early.at, n, first, encode_late)
                   : encode_words(e, e->early.at, n);
}

static enum bise_status encode(const struct tokenizer *t, const char *text, size_t len,
                               bool goes_on, bool special, int32_t *ids, size_t cap, size_t *n_ids,
                               struct bise_error *err) {
    const size_t invalid = utf8_invalid_at(text, len);
    *n_ids = 0;
    if (!len)
        return BISE_OK;
    if (invalid < len)
        return bise_fail(err, BISE_ERR_ARG,
                         "the text is not valid UTF-8: byte 0x%02x at offset %zu",
                         (unsigned)(uint8_t)text[invalid], invalid);
    struct encoding e = {.t = t, .goes_on = goes_on, .special = special, .err = err};
    bpe_open(&e.bpe, t, ids, cap);
    const enum bise_status s = match_tokens(&e, special ? &t->special_tokens : &t->raw_tokens, text,
                                            len, true, encode_stretch);
    if (!s)
        *n_ids = e.bpe.n_ids;
    bpe_close(&e.bpe);
    free(e.early.at);
    free(e.late.at);
    return s;
}

enum bise_status tokenizer_encode(const struct tokenizer *t, const char *text, size_t len,
                                  bool add_prefix, int32_t *ids, size_t cap, size_t *n_ids,
                                  struct bise_error *err) {
    return encode(t, text, len, !add_prefix, false, ids, cap, n_ids, err);
}

enum bise_status tokenizer_encode_special(const struct tokenizer *t, const char *text, size_t len,
                                          int32_t *ids, size_t cap, size_t *n_ids,
                                          struct bise_error *err) {
    return encode(t, text, len, false, true, ids, cap, n_ids, err);
}
