/*
 * What an answer's generator is given by its request, and what comes of it: grammars, stop strings,
 * text, calls and logprobs. Knows neither the schedule nor connections.
 */
#ifndef BISE_TOOLS_SERVE_AUTHOR_H
#define BISE_TOOLS_SERVE_AUTHOR_H

#include "tools/common/generator.h"
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

struct author {
    const struct prompter *by;
    const struct request *request;
    struct grammar_loan grammar, calls_grammar; /* of the text, and of calls; perhaps none */
    struct generator generator;                 /* once it has a sequence */
    struct generator_calls marked;
    struct text_out out, calls_out;
    struct stop stop;
    struct buffer text; /* what came since it was last taken, of the text or of calls */
    struct calls_reader calls;
    struct logprobs logprobs;
    enum ending ending;
};

/* An author for a choice; a is to be given to author_close in any case. */
bool author_open(struct author *a, const struct prompter *by, struct grammars *grammars,
                 const struct request *r, struct fault *f);
void author_close(struct author *a, struct grammars *grammars);

/* What it writes with, of which it has nothing while it waits: a sequence, which holds the first
 * `held` of the ids of the prompt; room for logits [n][vocab_size] of a prompt's runs, NULL where
 * they are not wanted; scratch [vocab_size]. */
struct author_place {
    struct bise_engine *engine;
    uint32_t seq;
    struct id_list *ids;
    size_t held;
    float *read_logits;
    uint8_t *allowed;
};

/* Begins to read and write. Errors: as bise_sampler_open and generator_begin. */
enum bise_status author_begin(struct author *a, const struct author_place *at, uint64_t seed,
                              struct bise_error *err);
/* It writes no more; what it wrote stays. */
void author_rest(struct author *a);
/* Tokens written, the end's not counted. */
size_t author_tokens(const struct author *a);
/* How the answer ended, of a generator that has finished. */
enum ending author_ending(const struct author *a);
/* Memory has failed it. */
bool author_failed(const struct author *a);

#endif
