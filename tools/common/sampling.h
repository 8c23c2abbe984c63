/* The sampling options of run and chat, and grammars that answers must follow. */
#ifndef BISE_TOOLS_COMMON_SAMPLING_H
#define BISE_TOOLS_COMMON_SAMPLING_H

#include "src/text/stop.h"
#include "tools/common/answer.h"
#include "tools/common/runtime.h"

/* Where a grammar comes from: at most one is not NULL. */
struct constraint_source {
    const char *grammar, *grammar_file; /* GBNF, and the same from a file */
    const char *json_schema;            /* a JSON Schema, or @ and a file */
    bool strict;                        /* a schema is refused of which something is not applied */
};

/* A grammar that answers must follow. */
struct constraint {
    struct bise_grammar *grammar; /* NULL: none */
    uint8_t *allowed;             /* [vocab_size] */
};

/* Without any source there is no grammar. Returns an exit code, the fault said on stderr;
 * constraint_close is due in any case. */
int constraint_open(struct constraint *c, const struct runtime *e,
                    const struct constraint_source *from);
void constraint_close(struct constraint *c);

struct sampling_options {
    double temp, typical_p, top_p, min_p;
    double repeat_penalty, frequency_penalty, presence_penalty;
    int64_t top_k, repeat_last, seed; /* seed -1: chosen at random */
    int64_t lookup;
    struct option_list bias, stops;
    struct constraint_source constraint;
};

#define SAMPLING_OPTIONS 17
#define SAMPLING_DEFAULTS                                                                          \
    {                                                                                              \
        .temp = 0.7, .typical_p = 1, .top_p = 0.95, .min_p = 0.05, .repeat_penalty = 1,            \
        .top_k = 40, .repeat_last = 64, .seed = -1                                                 \
    }

/* Writes the SAMPLING_OPTIONS option definitions that fill o. */
void sampling_option_defs(struct sampling_options *o, struct option_def *defs);

/* The sampler's parameters; bias [OPTION_LIST_MAX] is theirs. False, said on stderr, where a bias
 * is not understood. */
bool sampling_params(const struct sampling_options *o, struct bise_logit_bias *bias,
                     struct bise_sampler_params *params);
/* A seed that was not given is chosen at random, put into o->seed and, unless quiet, said on stderr
 * where it matters. */
void sampling_draw_seed(struct sampling_options *o, bool quiet);
/* Opens a sampler, its seed drawn where there is none. Returns an exit code, the fault said on
 * stderr. */
int sampling_open(struct bise_sampler **sampler, struct sampling_options *o, uint32_t n_vocab,
                  bool quiet);
/* Adds the stop strings to stop. Returns an exit code, the fault said on stderr. */
int sampling_stops(const struct sampling_options *o, struct stop *stop);
/* Whether stop strings, sampler and grammar are as they should be for a model that has been looked
 * at: all three are opened, and closed again. Returns an exit code, the fault said on stderr. */
int sampling_check(const struct sampling_options *o, const struct runtime *e);

#endif
