/*
 * Encoding: byte-pair merges as SentencePiece does them (arXiv 1808.06226, bpe_model.cc's rules).
 *
 * The text is a list of symbols, at first its characters. Of all neighbours whose concatenation is
 * a piece, the pair with the highest score is merged, the leftmost where scores are equal, until no
 * pair is left. Candidates wait in a heap; one that an earlier merge has overtaken is recognised
 * when it is taken out, by its length. n characters make at most n - 1 candidates at first and two
 * more for each merge: O(n log n).
 */
#include "src/base/error.h"
#include "src/base/utf8.h"
#include "src/text/tokenizer_impl.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT_BYTES ((size_t)1 << 30)

struct symbol {
    uint32_t at, len;   /* in the normalized text; len 0 once merged into its left neighbour */
    int32_t prev, next; /* -1: none */
    bool frozen;        /* a user-defined piece: never merged */
};

struct pair {
    float score;
    int32_t left; /* symbol; its partner is the next one */
    uint32_t len; /* of both together, when the pair was found */
};

struct encoder {
    const struct tokenizer *t;
    char *text; /* with U+2581 for spaces */
    size_t len;
    struct symbol *symbols;
    size_t n_symbols;
    struct pair *heap;
    size_t n_heap;
    uint32_t *split; /* [n_pieces], if there are unused pieces: bytes of the left half, by id */
    int32_t *ids;    /* the caller's */
    size_t cap, n_ids;
    bool last_unknown;
};

/* ---- heap ---- */

static bool before(const struct pair *a, const struct pair *b) {
    return a->score > b->score || (a->score == b->score && a->left < b->left);
}

static void heap_push(struct encoder *e, struct pair pair) {
    size_t i = e->n_heap++;
    while (i > 0) {
        const size_t parent = (i - 1) / 2;
        if (!before(&pair, &e->heap[parent]))
            break;
        e->heap[i] = e->heap[parent];
        i = parent;
    }
    e->heap[i] = pair;
}

static struct pair heap_pop(struct encoder *e) {
    const struct pair top = e->heap[0], last = e->heap[--e->n_heap];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= e->n_heap)
            break;
        if (child + 1 < e->n_heap && before(&e->heap[child + 1], &e->heap[child]))
            child++;
        if (!before(&e->heap[child], &last))
            break;
        e->heap[i] = e->heap[child];
        i = child;
    }
    e->heap[i] = last;
    return top;
}

/* ---- text to symbols ---- */

static enum bise_status normalize(struct encoder *e, const char *text, size_t len, bool add_prefix,
                                  struct bise_error *err) {
    const size_t invalid = utf8_invalid_at(text, len);
    if (invalid < len)
        return bise_fail(err, BISE_ERR_ARG,
                         "the text is not valid UTF-8: byte 0x%02x at offset %zu",
                         (unsigned)(uint8_t)text[invalid], invalid);
    size_t n = add_prefix ? SPACE_MARK_LEN : 0;
    for (size_t i = 0; i < len; i++)
        n += text[i] == ' ' ? SPACE_MARK_LEN : 1;
    if (n > MAX_TEXT_BYTES)
        return bise_fail(err, BISE_ERR_ARG, "the text: expected at most %zu bytes, found %zu",
                         MAX_TEXT_BYTES, n);
    e->text = calloc(n, 1);
    if (!e->text)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory to tokenize %zu bytes", len);
    char *out = e->text;
    if (add_prefix) {
        memcpy(out, SPACE_MARK, SPACE_MARK_LEN);
        out += SPACE_MARK_LEN;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] == ' ') {
            memcpy(out, SPACE_MARK, SPACE_MARK_LEN);
            out += SPACE_MARK_LEN;
        } else {
            *out++ = text[i];
        }
    }
    e->len = n;
    return BISE_OK;
}

/* First of the user-defined pieces lo..hi-1 whose byte number depth is at least byte. They share
 * their first depth bytes and are longer than that. */
static size_t lower_bound(const struct tokenizer *t, size_t lo, size_t hi, size_t depth,
                          unsigned byte) {
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const struct piece *p = &t->pieces[t->user_defined[mid]];
        if ((uint8_t)t->raw[p->raw + depth] < byte)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Length of the longest user-defined piece at the beginning of s [n], 0 if there is none. */
static size_t match_user_defined(const struct tokenizer *t, const char *s, size_t n) {
    size_t lo = 0, hi = t->n_user_defined, longest = 0;
    for (size_t depth = 0; lo < hi; depth++) {
        if (t->pieces[t->user_defined[lo]].raw_len == depth) { /* sorted: only the first can be */
            longest = depth;
            lo++;
        }
        if (depth == n)
            break;
        const unsigned byte = (uint8_t)s[depth];
        lo = lower_bound(t, lo, hi, depth, byte);
        hi = lower_bound(t, lo, hi, depth, byte + 1);
    }
    return longest;
}

static enum bise_status split_symbols(struct encoder *e, struct bise_error *err) {
    size_t n_chars = 0;
    for (size_t i = 0; i < e->len; i++)
        n_chars += ((uint8_t)e->text[i] & 0xc0) != 0x80;
    n_chars++; /* of nothing, malloc may give nothing */
    e->symbols = calloc(n_chars, sizeof *e->symbols);
    e->heap = malloc(2 * n_chars * sizeof *e->heap); /* pages are only used as far as it grows */
    if (e->t->has_unused)
        e->split = calloc(e->t->n_pieces, sizeof *e->split);
    if (!e->symbols || !e->heap || (e->t->has_unused && !e->split))
        return bise_fail(err, BISE_ERR_MEMORY, "no memory to tokenize %zu bytes", e->len);
    for (size_t at = 0; at < e->len;) {
        size_t len = match_user_defined(e->t, e->text + at, e->len - at);
        const bool frozen = len > 0;
        if (!frozen)
            len = utf8_char_len(e->text + at, e->len - at);
        const int32_t i = (int32_t)e->n_symbols++;
        e->symbols[i] = (struct symbol){.at = (uint32_t)at,
                                        .len = (uint32_t)len,
                                        .prev = i - 1,
                                        .next = at + len < e->len ? i + 1 : -1,
                                        .frozen = frozen};
        at += len;
    }
    return BISE_OK;
}

/* ---- merges ---- */

/* Queues the pair (left, its next) if together they are a piece. */
static void consider(struct encoder *e, int32_t left) {
    if (left < 0 || e->symbols[left].next < 0)
        return;
    const struct symbol *a = &e->symbols[left], *b = &e->symbols[a->next];
    if (a->frozen || b->frozen)
        return;
    const uint32_t len = a->len + b->len;
    if (len > MAX_PIECE_BYTES)
        return;
    const int32_t id = piece_index_find(&e->t->mergeable, e->t, e->text + a->at, len);
    if (id < 0)
        return;
    heap_push(e, (struct pair){e->t->pieces[id].score, left, len});
    if (e->split && e->t->pieces[id].kind == PIECE_UNUSED)
        e->split[id] = a->len;
}

static void merge_all(struct encoder *e) {
    for (size_t i = 0; i < e->n_symbols; i++)
        consider(e, (int32_t)i);
    while (e->n_heap) {
        const struct pair pair = heap_pop(e);
        struct symbol *a = &e->symbols[pair.left];
        if (!a->len || a->next < 0)
            continue;
        struct symbol *b = &e->symbols[a->next];
        if (a->len + b->len != pair.len) /* one of the two has been merged meanwhile */
            continue;
        a->len = pair.len;
        a->next = b->next;
        b->len = 0;
        if (a->next >= 0)
            e->symbols[a->next].prev = pair.left;
        consider(e, a->prev);
        consider(e, pair.left);
    }
}

/* ---- symbols to ids ---- */

static void put_id(struct encoder *e, int32_t id) {
    if (e->n_ids < e->cap)
        e->ids[e->n_ids] = id;
    e->n_ids++;
}

/* Not in the vocabulary: its bytes, or one unknown id for a whole run of such. */
static void put_unknown(struct encoder *e, const char *s, size_t len) {
    if (e->t->byte_fallback) {
        for (size_t i = 0; i < len; i++)
            put_id(e, e->t->byte_ids[(uint8_t)s[i]]);
        return;
    }
    if (!e->last_unknown)
        put_id(e, e->t->unk_id);
    e->last_unknown = true;
}

/* An unused piece serves as a step of merging only: it is taken apart again, as it was put
 * together. Halves are shorter than the whole, so the depth is below MAX_PIECE_BYTES. */
static void put_symbol(struct encoder *e, const char *s, size_t len) {
    const int32_t id = piece_index_find(&e->t->mergeable, e->t, s, len);
    if (id < 0) {
        put_unknown(e, s, len);
        return;
    }
    if (e->split && e->t->pieces[id].kind == PIECE_UNUSED && e->split[id]) {
        const size_t left = e->split[id];
        put_symbol(e, s, left);
        put_symbol(e, s + left, len - left);
        return;
    }
    e->last_unknown = false;
    put_id(e, id);
}

enum bise_status tokenizer_encode(const struct tokenizer *t, const char *text, size_t len,
                                  bool add_prefix, int32_t *ids, size_t cap, size_t *n_ids,
                                  struct bise_error *err) {
    *n_ids = 0;
    if (!len)
        return BISE_OK;
    struct encoder e = {.t = t, .ids = ids, .cap = cap};
    enum bise_status status = normalize(&e, text, len, add_prefix && t->add_prefix, err);
    if (!status)
        status = split_symbols(&e, err);
    if (status)
        goto done;
    merge_all(&e);
    for (int32_t i = 0; i >= 0; i = e.symbols[i].next) /* NOLINT: freed below */
        put_symbol(&e, e.text + e.symbols[i].at, e.symbols[i].len);
    *n_ids = e.n_ids;
done:
    free(e.split);
    free(e.heap);
    free(e.symbols);
    free(e.text);
    return status;
}
