/* The tokens that a fine-tune has beyond its tokenizer's pieces. They stand in up to three files:
 * added_tokens.json, ids by token, {"<|im_start|>": 32001}; tokenizer_config.json's
 * added_tokens_decoder, tokens by id; tokenizer.json's added_tokens, a list. Special ones become
 * control pieces of the model file's own tokenizer, others are matched in text. */
#ifndef BISE_QUANT_SOURCE_ADDED_TOKENS_H
#define BISE_QUANT_SOURCE_ADDED_TOKENS_H

#include "quant/source/note.h"
#include "quant/source/proto.h"
#include "src/base/json.h"

enum added_kind {
    ADDED_BY_TOKEN, /* added_tokens.json: all are taken as special */
    ADDED_BY_ID,    /* added_tokens_decoder */
    ADDED_LIST      /* tokenizer.json's added_tokens */
};

struct added_token {
    const char *text; /* [len], inside the JSON */
    size_t len;
    int64_t id;
    uint32_t flags;        /* enum token_flag */
    bool special, decided; /* decided: the file says whether it is special */
    const char *where;     /* the file */
};

struct added_list {
    struct added_token *tokens; /* [n], freed by the caller */
    size_t n, cap;
};

struct added_tokens {
    size_t n_control; /* tokens that were added */
    size_t n_matched; /* tokens that were added and are matched in text */
    size_t n_unused;  /* pieces without use that fill the gaps between them */
    size_t n_ignored; /* tokens whose ids are none of the vocabulary */
    size_t n_padding; /* those of them that are for padding */
    uint32_t end;     /* pieces there are now: those added have the ids up to here */
};

/* Adds the tokens of one file's object or list to l; where, its name, and root must outlive l.
 * Errors: FORMAT (not of that form: token, expected, found), MEMORY. */
enum bise_status added_read(struct added_list *l, enum added_kind kind,
                            const struct json_value *root, const char *where,
                            struct bise_error *err);
/* Puts the tokens that t lacks as pieces, in the order of their ids, which go on where t's end;
 * what is to be known of those that are matched in text goes to rules as RULES_TOKENS has it. l
 * is sorted and loses what is there twice. An id of vocab_size or more, or below zero, can never
 * occur: left out with a warning, without one where the token is for padding. Errors: FORMAT
 * (two tokens of one id or two ids of one token, another token than t's: token, file, expected
 * and found id), MEMORY. */
enum bise_status added_put(struct added_list *l, const struct tokenizer *t, uint32_t vocab_size,
                           struct proto *pieces, struct proto *rules, struct added_tokens *added,
                           struct note *note, struct bise_error *err);

#endif
