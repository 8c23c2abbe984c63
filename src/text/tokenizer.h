/* SentencePiece BPE: identity normalizer, dummy prefix, byte fallback; equal to SentencePiece id
 * for id. With rules of its own (docs/format.md) also as Hugging Face's tokenizers reads such a
 * vocabulary in a tokenizer.json. Const after opening. */
#ifndef BISE_SRC_TEXT_TOKENIZER_H
#define BISE_SRC_TEXT_TOKENIZER_H

#include "src/bise.h"

#define MAX_PIECE_BYTES      1024u
#define TOKENIZER_MAX_PIECES (1u << 20) /* below 64 MB in memory; real ones have 32 to 256 K */

enum piece_kind {
    PIECE_NORMAL = 1, /* SentencePiece's own numbers */
    PIECE_UNKNOWN = 2,
    PIECE_CONTROL = 3,
    PIECE_USER_DEFINED = 4,
    PIECE_UNUSED = 5,
    PIECE_BYTE = 6
};

/* How a text becomes pieces, where not as SentencePiece has it: field 45406 of the ModelProto,
 * bytes of its own: {1: rules, 2: merges, 3: tokens}; numbers little-endian, u32. */
enum {
    RULES_FIELD = 45406,
    RULES_FLAGS = 1,  /* varint: enum tokenizer_rule */
    RULES_MERGES = 2, /* bytes: left, right and what they become, the first to be merged first */
    RULES_TOKENS = 3  /* bytes: id, enum token_flag */
};
enum tokenizer_rule {
    RULE_PREFIX = 3,            /* PREFIX_NEVER, PREFIX_ALWAYS, PREFIX_FIRST */
    RULE_PREFIX_IF_MISSING = 4, /* not where a space is there already */
    RULE_PREFIX_LATE = 8,       /* it comes after matching in the changed text, not before */
    RULE_SPACES_EARLY = 16,     /* spaces become U+2581, before matching in the changed text */
    RULE_SPACES_LATE = 32,      /* the same, after it */
    RULE_SPLIT = 64,            /* words, each from a U+2581 on, are encoded one by one */
    RULE_WHOLE_WORDS = 128,     /* what is a piece as a whole is that piece (ignore_merges) */
    RULE_ALL = 255
};
enum prefix_when {
    PREFIX_NEVER = 0,
    PREFIX_ALWAYS = 1, /* before every stretch of text, those after a token among them */
    PREFIX_FIRST = 2   /* where the text begins */
};
/* Of tokens that are matched in text before it becomes pieces (special ones: if asked for). */
enum token_flag {
    TOKEN_LSTRIP = 1,      /* takes the white space before it along */
    TOKEN_RSTRIP = 2,      /* and that behind it */
    TOKEN_SINGLE_WORD = 4, /* not within a word */
    TOKEN_NORMALIZED = 8,  /* matched in the text with its prefix and changed spaces */
    TOKEN_FLAGS = 15
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
/* When encoding puts a space in front of a text (the dummy prefix). */
enum prefix_when tokenizer_prefix(const struct tokenizer *t);
/* Whether it has rules of its own, which readers of file version 1 do not know. */
bool tokenizer_has_rules(const struct tokenizer *t);
/* Makes a user-defined piece a control piece: it ends answers, and must not be typed. */
void tokenizer_reserve(struct tokenizer *t, int32_t id);
/* id must be in range for the next two. */
enum piece_kind tokenizer_kind(const struct tokenizer *t, int32_t id);
/* The piece as it stands in the file (U+2581 for space); NUL-terminated. */
const char *tokenizer_piece_raw(const struct tokenizer *t, int32_t id);
/* As bise_token_piece: bytes of decoded text. */
const char *tokenizer_piece(const struct tokenizer *t, int32_t id, size_t *len);
/* Id of a raw piece, of any kind; -1 if there is none. */
int32_t tokenizer_find(const struct tokenizer *t, const char *piece, size_t len);
/* Id of the control piece of this name; -1 if there is none. */
int32_t tokenizer_find_control(const struct tokenizer *t, const char *piece);
/* Most ids that a text of so many bytes has: three for a space in bytes, as many for the prefix
 * of a stretch between tokens. */
#define TOKENIZER_MAX_IDS(len) (4 * (size_t)(len) + 8)
/* As bise_tokenize. add_prefix false leaves out the dummy prefix: the text goes on in another. */
enum bise_status tokenizer_encode(const struct tokenizer *t, const char *text, size_t len,
                                  bool add_prefix, int32_t *ids, size_t cap, size_t *n_ids,
                                  struct bise_error *err);
/* The same for a text with the names of control pieces in it, which become these; what lies between
 * them is encoded piece by piece. */
enum bise_status tokenizer_encode_special(const struct tokenizer *t, const char *text, size_t len,
                                          int32_t *ids, size_t cap, size_t *n_ids,
                                          struct bise_error *err);

#endif
