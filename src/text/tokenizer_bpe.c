/* Byte-pair merges, in two orders. SentencePiece's (arXiv 1808.06226, bpe_model.cc's rules): of
 * all neighbours whose concatenation is a piece, the pair with the highest score is merged, the
 * leftmost where scores are equal, until no pair is left. Characters that are no piece become
 * bytes at the end. Hugging Face's (tokenizers, models/bpe): only pairs in a list may be merged,
 * the first in it first, leftmost where the same; characters that are no piece are bytes from
 * the beginning. The text is a list of symbols, at first its characters. Candidates wait in a
 * heap; one that an earlier merge has overtaken is recognised when it is taken out. n characters
 * make at most n - 1 candidates at first and two more for each merge: O(n log n). */
#include "src/text/tokenizer_bpe.h"

#include "src/base/error.h"
#include "src/base/utf8.h"

#include <stdlib.h>
#include <string.h>

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

void bpe_put_id(struct bpe *b, int32_t id) {
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

void bpe_open(struct bpe *b, const struct tokenizer *t, int32_t *ids, size_t cap) {
    *b = (struct bpe){.t = t, .ids = ids, .cap = cap};
}

enum bise_status bpe_encode(struct bpe *b, const char *text, size_t len, struct bise_error *err) {
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

void bpe_close(struct bpe *b) {
    free(b->symbols);
    free(b->heap);
    free(b->split);
}
