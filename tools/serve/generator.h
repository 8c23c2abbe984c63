/*
 * One answer on its way: from logits to ids, from ids to text, calls and logprobs, until something
 * ends it. Knows neither sequences nor connections.
 */
#ifndef BISE_TOOLS_SERVE_GENERATOR_H
#define BISE_TOOLS_SERVE_GENERATOR_H

#include "src/base/utf8.h"
#include "tools/serve/calls.h"
#include "tools/serve/grammars.h"
#include "tools/serve/logprobs.h"
#include "tools/serve/prompt.h"

enum ending {
    ENDING_NONE, /* it goes on */
    ENDING_STOP,
    ENDING_LENGTH,
    ENDING_CALLS,
    ENDING_FILTER
};

/* "stop", "length", "tool_calls", "content_filter"; NULL for ENDING_NONE. */
const char *ending_name(enum ending e);

struct generator {
    const struct prompter *by;
    const struct request *request;
    struct bise_sampler *sampler;
    struct grammar_loan grammar, calls_grammar; /* of the text, and of calls; perhaps none */
    bool has_begun, in_calls, strip_space;
    struct stop stop;
    struct utf8_stream utf8;
    struct calls_reader calls;
    struct logprobs logprobs;
    int64_t max_tokens;
    size_t n_tokens;    /* picked so far, the end's id not counted */
    struct buffer text; /* what came since it was last taken */
    enum ending ending;
};

/* A generator for a choice; g is to be given to generator_close in any case. */
bool generator_open(struct generator *g, const struct prompter *by, struct grammars *grammars,
                    const struct request *r, uint64_t seed, struct fault *f);
void generator_close(struct generator *g, struct grammars *grammars);

/* Before the first: the ids [n] that are gone on with. */
void generator_begin(struct generator *g, const int32_t *ids, size_t n);
/* The id that follows ids [n]. allowed [vocab_size] is scratch. Errors: as bise_grammar_allowed. */
enum bise_status generator_pick(struct generator *g, const float *logits, const int32_t *ids,
                                size_t n, uint8_t *allowed, int32_t *id, struct bise_error *err);
/* Takes the id as the answer's next: g->text grows, g->ending says whether it was the last. False
 * without memory. */
bool generator_take(struct generator *g, int32_t id);
/* It ends for another reason: what was held back comes. */
void generator_end(struct generator *g, enum ending ending);

#endif
