/* Inside of the tokenizer: what tokenizer.c fills and tokenizer_encode.c reads. */
#ifndef BISE_SRC_TEXT_TOKENIZER_IMPL_H
#define BISE_SRC_TEXT_TOKENIZER_IMPL_H

#include "src/text/name_set.h"
#include "src/text/tokenizer.h"

#define SPACE_MARK     "\xe2\x96\x81" /* U+2581, what a space is inside pieces */
#define SPACE_MARK_LEN 3

struct piece {
    size_t raw, text; /* offsets in tokenizer.raw and tokenizer.text */
    uint32_t raw_len, text_len;
    float score;
    enum piece_kind kind;
};

/* Open addressing over raw pieces: ids, -1 where free. Hashes are keyed by numbers that nobody can
 * foresee, so that no file can be made to collide. */
struct piece_index {
    int32_t *slots;
    size_t mask;
    uint64_t key[2];
};

/* A pair that may be merged. */
struct merge {
    uint32_t right, id; /* id: what it becomes */
    uint32_t rank;      /* place in the list */
};

struct tokenizer {
    struct piece *pieces; /* [n_pieces] */
    size_t n_pieces;
    char *raw;                    /* every piece as in the file, each NUL-terminated */
    char *text;                   /* every piece decoded */
    struct piece_index mergeable; /* normal, user-defined and unused pieces: what text can become */
    struct piece_index reserved;  /* the others */
    struct name_set user_defined; /* pieces matched before merging, as SentencePiece does */
    struct name_set raw_tokens;   /* matched in the text as it stands: docs/format.md's tokens */
    struct name_set changed_tokens; /* and those matched in the changed text */
    struct name_set special_tokens; /* raw_tokens and all control pieces */
    char *patterns;                 /* changed_tokens' texts */
    uint32_t rules;        /* enum tokenizer_rule; SentencePiece's where has_rules is not */
    struct merge *merges;  /* by left, then right; NULL: scores order merges */
    uint32_t *merge_first; /* [n_pieces + 1] in merges, by left */
    int32_t byte_ids[256]; /* used if byte_fallback */
    int32_t unk_id, bos_id, eos_id; /* bos, eos: -1 if there is none */
    bool byte_fallback, has_unused, has_rules;
};

/* The id of a raw piece; -1 if there is none. */
int32_t piece_index_find(const struct piece_index *index, const struct tokenizer *t,
                         const char *piece, size_t len);

#endif
