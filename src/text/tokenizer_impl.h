/* Inside of the tokenizer: what tokenizer.c fills and tokenizer_bpe.c reads. */
#ifndef BISE_SRC_TEXT_TOKENIZER_IMPL_H
#define BISE_SRC_TEXT_TOKENIZER_IMPL_H

#include "src/text/tokenizer.h"

#define SPACE_MARK     "\xe2\x96\x81" /* U+2581, what a space is inside pieces */
#define SPACE_MARK_LEN 3

struct piece {
    size_t raw, text; /* offsets in tokenizer.raw and tokenizer.text */
    uint32_t raw_len, text_len;
    float score;
    enum piece_kind kind;
};

/* Open addressing over raw pieces: ids, -1 where free. */
struct piece_index {
    int32_t *slots;
    size_t mask;
};

struct tokenizer {
    struct piece *pieces; /* [n_pieces] */
    size_t n_pieces;
    char *raw;                    /* every piece as in the file, each NUL-terminated */
    char *text;                   /* every piece decoded */
    struct piece_index mergeable; /* normal, user-defined and unused pieces: what text can become */
    struct piece_index reserved;  /* the others */
    int32_t *user_defined;        /* [n_user_defined] ids in order of their bytes */
    size_t n_user_defined;
    int32_t byte_ids[256];          /* used if byte_fallback */
    int32_t unk_id, bos_id, eos_id; /* bos, eos: -1 if there is none */
    bool byte_fallback, add_prefix, has_unused;
};

/* The id of a raw piece; -1 if there is none. */
int32_t piece_index_find(const struct piece_index *index, const struct tokenizer *t,
                         const char *piece, size_t len);

#endif
