/*
 * A text's way to ids: tokens that are matched in it as it stands; for each stretch between them a
 * prefix and U+2581 for spaces; tokens that are matched in that; words, where they are taken one by
 * one; byte-pair merges of each. Most tokenizers have one stretch and one word: the whole text.
 */
#include "src/base/error.h"
#include "src/base/utf8.h"
#include "src/text/tokenizer_impl.h"
#include "src/text/word_chars.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT_BYTES ((size_t)1 << 30)

/* ---- byte-pair merges ----
 *
 * In two orders. SentencePiece's (arXiv 1808.06226, bpe_model.cc's rules): of
 * all neighbours whose concatenation is a piece, the pair with the highest score is merged, the
 * leftmost where scores are equal, until no pair is left. Characters that are no piece become
 * bytes at the end. Hugging Face's (tokenizers, models/bpe): only pairs in a list may be merged,
 * the first in it first, leftmost where the same; characters that are no piece are bytes from
 * the beginning. The text is a list of symbols, at first its characters. Candidates wait in a
 * heap; one that an earlier merge has overtaken is recognised when it is taken out. n characters
 * make at most n - 1 candidates at first and two more for each merge: O(n log n). */

struct symbol {
    uint32_t at, len;   /* in the text; len 0 once merged into its left neighbour */
    int32_t prev, next; /* -1: none */
    int32_t id;         /* where pairs are in a list; -1 for a user-defined piece: never merged */
};

struct pair {
    float order;   /* the lowest first: minus the score, or the place in the list */
    int32_t left;  /* symbol; its partner is the next one */
    uint32_t what; /* bytes of both together when the pair was found, or what they become */
};

struct bpe {
    const struct tokenizer *t;
    const char *text; /* the stretch, with U+2581 for spaces */
    size_t len;
    struct symbol *symbols; /* [cap_symbols] */
    struct pair *heap;      /* [2 * cap_symbols] */
    size_t n_symbols, cap_symbols, n_heap;
    uint32_t *split; /* [n_pieces], if there are unused pieces: bytes of the left half, by id */
    int32_t *ids;    /* the caller's, [cap] */
    size_t cap, n_ids;
    bool last_unknown;
};

enum { FREE_SYMBOL = 0, FROZEN = -1 };

/* ---- heap ---- */

static bool before(const struct pair *a, const struct pair *b) {
    return a->order < b->order || (a->order == b->order && a->left < b->left);
}

static void heap_push(struct bpe *b, struct pair pair) {
    size_t i = b->n_heap++;
    while (i > 0) {
        const size_t parent = (i - 1) / 2;
        if (!before(&pair, &b->heap[parent]))
            break;
        b->heap[i] = b->heap[parent];
        i = parent;
    }
    b->heap[i] = pair;
}

static struct pair heap_pop(struct bpe *b) {
    const struct pair top = b->heap[0], last = b->heap[--b->n_heap];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= b->n_heap)
            break;
        if (child + 1 < b->n_heap && before(&b->heap[child + 1], &b->heap[child]))
            child++;
        if (!before(&b->heap[child], &last))
            break;
        b->heap[i] = b->heap[child];
        i = child;
    }
    b->heap[i] = last;
    return top;
}

/* ---- text to symbols ---- */

static enum bise_status reserve(struct bpe *b, struct bise_error *err) {
    size_t n_chars = 1; /* of nothing, malloc may give nothing */
    for (size_t i = 0; i < b->len; i++)
        n_chars += ((uint8_t)b->text[i] & 0xc0) != 0x80;
    if (b->t->merges) /* a character may be four bytes */
        n_chars = b->len + 1;
    if (b->t->has_unused && !b->split)
        b->split = calloc(b->t->n_pieces, sizeof *b->split);
    if (n_chars > b->cap_symbols) {
        free(b->symbols);
        free(b->heap);
        b->cap_symbols = n_chars;
        b->symbols = malloc(n_chars * sizeof *b->symbols);
        b->heap = malloc(2 * n_chars * sizeof *b->heap); /* pages are used as far as it grows */
    }
    if (b->symbols && b->heap && (b->split || !b->t->has_unused))
        return BISE_OK;
    b->cap_symbols = 0;
    return bise_fail(err, BISE_ERR_MEMORY, "no memory to tokenize %zu bytes", b->len);
}

static void add_symbol(struct bpe *b, size_t at, size_t len, int32_t id) {
    const int32_t i = (int32_t)b->n_symbols++;
    b->symbols[i] = (struct symbol){.at = (uint32_t)at,
                                    .len = (uint32_t)len,
                                    .prev = i - 1,
                                    .next = at + len < b->len ? i + 1 : -1,
                                    .id = id};
}

/* The piece that a text becomes; -1 if there is none. Control pieces never are. */
static int32_t find_piece(const struct tokenizer *t, const char *s, size_t len) {
    const int32_t id = piece_index_find(&t->mergeable, t, s, len);
    return id >= 0 && t->pieces[id].kind != PIECE_CONTROL ? id : -1;
}

/* Characters; user-defined pieces as wholes; with a list of pairs, bytes where there is no
 * piece. */
static void split_symbols(struct bpe *b) {
    b->n_symbols = 0;
    for (size_t at = 0; at < b->len;) {
        const char *s = b->text + at;
        const struct set_name *name = name_set_longest(&b->t->user_defined, s, b->len - at);
        const size_t len = name ? name->len : utf8_char_len(s, b->len - at);
        if (name || !b->t->merges) {
            add_symbol(b, at, len, name ? FROZEN : FREE_SYMBOL);
        } else {
            const int32_t id = find_piece(b->t, s, len);
            if (id >= 0)
                add_symbol(b, at, len, id);
            for (size_t i = 0; i < len && id < 0; i++)
                add_symbol(b, at + i, 1, b->t->byte_ids[(uint8_t)s[i]]);
        }
        at += len;
    }
}

/* ---- merges ---- */

const struct merge *merge_find(const struct tokenizer *t, int32_t left, int32_t right) {
    size_t lo = t->merge_first[left], hi = t->merge_first[left + 1];
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (t->merges[mid].right < (uint32_t)right)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < t->merge_first[left + 1] && t->merges[lo].right == (uint32_t)right ? &t->merges[lo]
                                                                                   : NULL;
}

/* Queues the pair (left, its next) if it may be merged. */
static void consider(struct bpe *b, int32_t left) {
    if (left < 0 || b->symbols[left].next < 0)
        return;
    const struct symbol *x = &b->symbols[left], *y = &b->symbols[x->next];
    const uint32_t len = x->len + y->len;
    if (x->id == FROZEN || y->id == FROZEN || len > MAX_PIECE_BYTES)
        return;
    if (b->t->merges) {
        const struct merge *m = merge_find(b->t, x->id, y->id);
        if (m)
            heap_push(b, (struct pair){(float)m->rank, left, m->id});
        return;
    }
    const int32_t id = find_piece(b->t, b->text + x->at, len);
    if (id < 0)
        return;
    heap_push(b, (struct pair){-b->t->pieces[id].score, left, len});
    if (b->split && b->t->pieces[id].kind == PIECE_UNUSED)
        b->split[id] = x->len;
}

/* Whether a pair is still what it was when it was queued, or, in a list, becomes the same. */
static bool still_holds(const struct bpe *b, const struct pair *p) {
    const struct symbol *x = &b->symbols[p->left];
    if (!x->len || x->next < 0)
        return false;
    const struct symbol *y = &b->symbols[x->next];
    if (!b->t->merges)
        return x->len + y->len == p->what;
    if (x->id == FROZEN || y->id == FROZEN)
        return false;
    const struct merge *m = merge_find(b->t, x->id, y->id);
    return m && m->id == p->what;
}

static void merge_all(struct bpe *b) {
    b->n_heap = 0;
    for (size_t i = 0; i < b->n_symbols; i++)
        consider(b, (int32_t)i);
    while (b->n_heap) {
        const struct pair pair = heap_pop(b);
        if (!still_holds(b, &pair))
            continue;
        struct symbol *x = &b->symbols[pair.left], *y = &b->symbols[x->next];
        x->len += y->len;
        x->next = y->next;
        x->id = b->t->merges ? (int32_t)pair.what : FREE_SYMBOL;
        y->len = 0;
        if (x->next >= 0)
            b->symbols[x->next].prev = pair.left;
        consider(b, x->prev);
        consider(b, pair.left);
    }
}

/* ---- symbols to ids ---- */

/* Appends an id. */
static void bpe_put_id(struct bpe *b, int32_t id) {
    if (b->n_ids < b->cap)
        b->ids[b->n_ids] = id;
    b->n_ids++;
}

/* Not in the vocabulary: its bytes, or one unknown id for a whole run of such. */
static void put_unknown(struct bpe *b, const char *s, size_t len) {
    if (b->t->byte_fallback) {
        for (size_t i = 0; i < len; i++)
            bpe_put_id(b, b->t->byte_ids[(uint8_t)s[i]]);
        return;
    }
    if (!b->last_unknown)
        bpe_put_id(b, b->t->unk_id);
    b->last_unknown = true;
}

/* An unused piece serves as a step of merging only: it is taken apart again, as it was put
 * together. What waits lies within s, so that there is room for all of it. */
static void put_symbol(struct bpe *b, const char *s, size_t len) {
    uint16_t waiting[MAX_PIECE_BYTES];
    size_t n_waiting = 0;
    for (;;) {
        const int32_t id = find_piece(b->t, s, len);
        if (id >= 0 && b->split && b->t->pieces[id].kind == PIECE_UNUSED && b->split[id]) {
            waiting[n_waiting++] = (uint16_t)(len - b->split[id]);
            len = b->split[id];
            continue;
        }
        if (id < 0) {
            put_unknown(b, s, len);
        } else {
            b->last_unknown = false;
            bpe_put_id(b, id);
        }
        if (n_waiting == 0)
            return;
        s += len;
        len = waiting[--n_waiting];
    }
}

static void put_symbols(struct bpe *b) {
    for (int32_t i = b->n_symbols ? 0 : -1; i >= 0; i = b->symbols[i].next) {
        const struct symbol *x = &b->symbols[i];
        if (b->t->merges && x->id != FROZEN)
            bpe_put_id(b, x->id);
        else
            put_symbol(b, b->text + x->at, x->len);
    }
}

static void bpe_open(struct bpe *b, const struct tokenizer *t, int32_t *ids, size_t cap) {
    *b = (struct bpe){.t = t, .ids = ids, .cap = cap};
}

/* Appends the ids of text [len], at most 2^30 bytes of UTF-8. Errors: MEMORY. */
static enum bise_status bpe_encode(struct bpe *b, const char *text, size_t len,
                                   struct bise_error *err) {
    b->text = text;
    b->len = len;
    b->last_unknown = false;
    if (b->t->rules & RULE_WHOLE_WORDS) {
        const int32_t id = len <= MAX_PIECE_BYTES ? find_piece(b->t, text, len) : -1;
        if (id >= 0) {
            bpe_put_id(b, id);
            return BISE_OK;
        }
    }
    const enum bise_status s = reserve(b, err);
    if (s)
        return s;
    split_symbols(b);
    merge_all(b);
    put_symbols(b);
    return BISE_OK;
}

static void bpe_close(struct bpe *b) {
    free(b->symbols);
    free(b->heap);
    free(b->split);
}

/* ---- stretches ---- */

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
