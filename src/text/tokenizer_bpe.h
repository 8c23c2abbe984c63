/* Byte-pair merges of one stretch of text. Internal to the tokenizer. */
#ifndef BISE_SRC_TEXT_TOKENIZER_BPE_H
#define BISE_SRC_TEXT_TOKENIZER_BPE_H

#include "src/text/tokenizer_impl.h"

struct symbol;
struct pair;

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

void bpe_open(struct bpe *b, const struct tokenizer *t, int32_t *ids, size_t cap);
/* Appends the ids of text [len], at most 2^30 bytes of UTF-8. Errors: MEMORY. */
enum bise_status bpe_encode(struct bpe *b, const char *text, size_t len, struct bise_error *err);
/* Appends an id. */
void bpe_put_id(struct bpe *b, int32_t id);
void bpe_close(struct bpe *b);

#endif
