/* Writes the bytes of a tokenizer.model, SentencePiece's ModelProto. Internal to quant/source. */
#ifndef BISE_QUANT_SOURCE_PROTO_H
#define BISE_QUANT_SOURCE_PROTO_H

#include "src/text/tokenizer.h"

struct proto {
    uint8_t *at; /* [n] */
    size_t n, cap;
    bool failed; /* no memory: nothing more is written, proto_take says so */
};

/* One more piece, of at most MAX_PIECE_BYTES. */
void proto_piece(struct proto *p, const char *text, size_t len, float score, enum piece_kind kind);
/* The same without a score, which is 0. */
void proto_piece_unscored(struct proto *p, const char *text, size_t len, enum piece_kind kind);
/* BPE, and the normalizer that changes nothing but spaces. */
void proto_specs(struct proto *p, bool byte_fallback, bool add_prefix);
/* What RULES_TOKENS and RULES_MERGES hold of one token, of one merge. */
void proto_token_flags(struct proto *p, uint32_t id, uint32_t flags);
void proto_merge(struct proto *p, uint32_t left, uint32_t right, uint32_t both);
/* The field of rules: merges and tokens as put above; NULL: none. */
void proto_rules(struct proto *p, uint32_t rules, const struct proto *merges,
                 const struct proto *tokens);
/* A field of bytes. */
void proto_bytes(struct proto *p, uint32_t field, const void *data, size_t len);
void proto_varint(struct proto *p, uint32_t u);
/* Hands the bytes to the caller, to be freed. Errors: MEMORY. */
enum bise_status proto_take(struct proto *p, const char *where, uint8_t **bytes, size_t *len,
                            struct bise_error *err);
void proto_free(struct proto *p);

#endif
