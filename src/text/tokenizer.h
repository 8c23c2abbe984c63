/* SentencePiece BPE: identity normalizer, dummy prefix, byte fallback; equal to SentencePiece id
 * for id. Const after opening. */
#ifndef BISE_SRC_TEXT_TOKENIZER_H
#define BISE_SRC_TEXT_TOKENIZER_H

#include "src/bise.h"

#define MAX_PIECE_BYTES      1024u
#define TOKENIZER_MAX_PIECES (1u << 22)

enum piece_kind {
    PIECE_NORMAL = 1, /* SentencePiece's own numbers */
    PIECE_UNKNOWN = 2,
    PIECE_CONTROL = 3,
    PIECE_USER_DEFINED = 4,
    PIECE_UNUSED = 5,
    PIECE_BYTE = 6
};

struct tokenizer;

/* Reads the bytes of a tokenizer.model; name is for messages. Nothing of data is kept.
 * Errors: FORMAT, UNSUPPORTED (not BPE, another normalizer: named), MEMORY. */
enum bise_status tokenizer_open(struct tokenizer **out, const void *data, size_t len,
                                const char *name, struct bise_error *err);
void tokenizer_close(struct tokenizer **t);

size_t tokenizer_size(const struct tokenizer *t);
int32_t tokenizer_bos(const struct tokenizer *t); /* -1: none */
int32_t tokenizer_eos(const struct tokenizer *t);
/* Whether encoding puts a space in front of a text (the dummy prefix). */
bool tokenizer_adds_prefix(const struct tokenizer *t);
/* id must be in range for the next two. */
enum piece_kind tokenizer_kind(const struct tokenizer *t, int32_t id);
/* The piece as it stands in the file (U+2581 for space); NUL-terminated. */
const char *tokenizer_piece_raw(const struct tokenizer *t, int32_t id);
/* As bise_token_piece: bytes of decoded text. */
const char *tokenizer_piece(const struct tokenizer *t, int32_t id, size_t *len);
/* Id of a raw piece, of any kind; -1 if there is none. */
int32_t tokenizer_find(const struct tokenizer *t, const char *piece, size_t len);
/* As bise_tokenize. add_prefix false leaves out the dummy prefix. */
enum bise_status tokenizer_encode(const struct tokenizer *t, const char *text, size_t len,
                                  bool add_prefix, int32_t *ids, size_t cap, size_t *n_ids,
                                  struct bise_error *err);

#endif
