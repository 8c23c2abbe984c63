/*
 * One answer on its way: from logits to ids, from ids to text, calls and logprobs, until something
 * ends it. Knows neither sequences nor connections.
 */
#ifndef BISE_TOOLS_SERVE_AUTHOR_H
#define BISE_TOOLS_SERVE_AUTHOR_H

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

struct author {
    const struct prompter *by;
    const struct request *request;
    struct bise_sampler *sampler;               /* NULL where it does not write */
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

/* An author for a choice; a is to be given to author_close in any case. */
bool author_open(struct author *a, const struct prompter *by, struct grammars *grammars,
                 const struct request *r, struct fault *f);
void author_close(struct author *a, struct grammars *grammars);

/* Before the first id, once it has a sequence: the sampler's memory is taken here, so that those
 * who wait have none. Errors: as bise_sampler_open. */
enum bise_status author_begin(struct author *a, uint64_t seed, struct bise_error *err);
/* It writes no more; what it wrote stays. */
void author_rest(struct author *a);
/* The id that follows ids [n], which are all of the conversation, its first one at position 0.
 * allowed [vocab_size] is scratch. Errors: as bise_grammar_allowed. */
enum bise_status author_pick(struct author *a, const float *logits, const int32_t *ids, size_t n,
                             uint8_t *allowed, int32_t *id, struct bise_error *err);
/* Takes the id as the answer's next: a->text grows, a->ending says whether it was the last. False
 * without memory. */
bool author_take(struct author *a, int32_t id);
/* It ends for another reason: what was held back comes. */
void author_end(struct author *a, enum ending ending);

#endif
