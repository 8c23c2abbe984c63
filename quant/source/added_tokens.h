/* added_tokens.json: the tokens that a fine-tune has beyond its tokenizer.model, ids by token,
 * {"<|im_start|>": 32001}. They become control pieces of the model file's own tokenizer. */
#ifndef BISE_QUANT_SOURCE_ADDED_TOKENS_H
#define BISE_QUANT_SOURCE_ADDED_TOKENS_H

#include "src/base/error.h"

struct tokenizer;

#define ADDED_TOKENS_MAX_BYTES ((size_t)1 << 20) /* of the JSON; real ones have below 1 KiB */

struct added_tokens {
    size_t n_control; /* tokens that were added */
    size_t n_unused;  /* pieces without use that fill the gaps between them */
    size_t n_ignored; /* tokens for padding that lie beyond the vocabulary */
    uint32_t end;     /* pieces there are now: those added have the ids up to here */
};

/* json [json_len]: an object of ids by token; name is for messages. t: the tokenizer of the bytes
 * *model [*len] (malloc'd), to which the tokens it lacks are appended in the order of their ids, as
 * SentencePiece pieces: of repeated fields, protocol buffers may be joined end to end. Unchanged if
 * there is nothing to add, and after a failure. A token for padding ("[PAD]", "<pad>") of an id
 * beyond the vocabulary has no use and is left out.
 * Errors: FORMAT (no object of ids, an id of vocab_size or more, two tokens of one id or two ids of
 * one token, another token than the tokenizer's: token, expected and found id), MEMORY. */
enum bise_status added_tokens_append(uint8_t **model, size_t *len, const struct tokenizer *t,
                                     const char *json, size_t json_len, const char *name,
                                     uint32_t vocab_size, struct added_tokens *added,
                                     struct bise_error *err);

#endif
