/* Log probabilities of tokens by the raw logits, and the likeliest others, as JSON. */
#ifndef BISE_TOOLS_SERVE_LOGPROBS_H
#define BISE_TOOLS_SERVE_LOGPROBS_H

#include "tools/common/buffer.h"

#include "src/bise.h"

/* Starts zeroed. The lists are what came since they were last taken, without their brackets. */
struct logprobs {
    bool of_completions; /* four lists, as completions show them, not one */
    struct buffer list;  /* objects, or tokens */
    struct buffer values, tops, offsets;
    size_t offset;   /* in characters of the text, of the next token */
    size_t n_hidden; /* bytes of the next token that the text leaves out */
};

/* Adds a token. logits [vocab_size]; NULL: the first of a text, which nothing foretells. */
void logprobs_put(struct logprobs *l, const struct bise_model *model, const float *logits,
                  int32_t id, uint32_t n_top);
/* The value of "logprobs": what came since the last time. */
void logprobs_take(struct logprobs *l, struct buffer *out);
void logprobs_free(struct logprobs *l);

#endif
