#include "src/base/error.h"
#include "src/text/tokenizer_impl.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, folded so that the low bits depend on all of it. */
static size_t hash_bytes(const char *s, size_t len) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)s[i]) * 0x100000001b3u;
    return (size_t)(h ^ h >> 29);
}

bool piece_index_open(struct piece_index *index, size_t n) {
    size_t size = 16;
    while (size < 2 * n)
        size *= 2;
    index->slots = malloc(size * sizeof *index->slots);
    if (!index->slots)
        return false;
    memset(index->slots, 0xff, size * sizeof *index->slots);
    index->mask = size - 1;
    return true;
}

/* The slot that holds the piece, or the free one where it belongs. */
static size_t find_slot(const struct piece_index *index, const struct tokenizer *t,
                        const char *piece, size_t len) {
    size_t i = hash_bytes(piece, len) & index->mask;
    while (index->slots[i] >= 0) {
        const struct piece *p = &t->pieces[index->slots[i]];
        if (p->raw_len == len && memcmp(t->raw + p->raw, piece, len) == 0)
            break;
        i = (i + 1) & index->mask;
    }
    return i;
}

bool piece_index_add(struct piece_index *index, const struct tokenizer *t, int32_t id) {
    const struct piece *p = &t->pieces[id];
    const size_t i = find_slot(index, t, t->raw + p->raw, p->raw_len);
    if (index->slots[i] >= 0)
        return false;
    index->slots[i] = id;
    return true;
}

int32_t piece_index_find(const struct piece_index *index, const struct tokenizer *t,
                         const char *piece, size_t len) {
    return index->slots[find_slot(index, t, piece, len)];
}

enum bise_status tokenizer_open(struct tokenizer **out, const void *data, size_t len,
                                const char *name, struct bise_error *err) {
    *out = NULL;
    struct tokenizer *t = calloc(1, sizeof *t);
    if (!t)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the tokenizer", name);
    const enum bise_status status = tokenizer_read(t, data, len, name, err);
    if (status) {
        tokenizer_close(&t);
        return status;
    }
    *out = t;
    return BISE_OK;
}

void tokenizer_close(struct tokenizer **t) {
    if (!t || !*t)
        return;
    free((*t)->pieces);
    free((*t)->raw);
    free((*t)->text);
    free((*t)->mergeable.slots);
    free((*t)->reserved.slots);
    free((*t)->user_defined);
    free(*t);
    *t = NULL;
}

size_t tokenizer_size(const struct tokenizer *t) {
    return t->n_pieces;
}

int32_t tokenizer_bos(const struct tokenizer *t) {
    return t->bos_id;
}

int32_t tokenizer_eos(const struct tokenizer *t) {
    return t->eos_id;
}

bool tokenizer_adds_prefix(const struct tokenizer *t) {
    return t->add_prefix;
}

enum piece_kind tokenizer_kind(const struct tokenizer *t, int32_t id) {
    return t->pieces[id].kind;
}

const char *tokenizer_piece_raw(const struct tokenizer *t, int32_t id) {
    return t->raw + t->pieces[id].raw;
}

const char *tokenizer_piece(const struct tokenizer *t, int32_t id, size_t *len) {
    *len = 0;
    if (id < 0 || (size_t)id >= t->n_pieces)
        return NULL;
    *len = t->pieces[id].text_len;
    return t->text + t->pieces[id].text;
}

int32_t tokenizer_find(const struct tokenizer *t, const char *piece, size_t len) {
    const int32_t id = piece_index_find(&t->reserved, t, piece, len);
    return id >= 0 ? id : piece_index_find(&t->mergeable, t, piece, len);
}
