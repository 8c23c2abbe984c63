/*
 * Text that a model writes, one run after the other: whoever drives an engine asks each generator
 * for its next run, steps them together, and gives each its run back; the generator picks ids from
 * the logits, by sampler and grammar, and puts text out until something ends it. What it writes
 * depends on nothing but what it was begun with.
 */
#ifndef BISE_TOOLS_COMMON_GENERATOR_H
#define BISE_TOOLS_COMMON_GENERATOR_H

#include "tools/common/id_list.h"
#include "tools/common/speculate.h"
#include "tools/common/text_out.h"

enum finish {
    FINISH_NONE,        /* it goes on */
    FINISH_END,         /* the model ended it */
    FINISH_STOP,        /* a stop string */
    FINISH_LENGTH,      /* as many tokens as asked for */
    FINISH_CONTEXT,     /* the context is full */
    FINISH_INTERRUPTED, /* Ctrl-C */
    FINISH_OUTPUT,      /* the text could not be written */
    FINISH_ERROR        /* a status says what */
};

/* One word for programs: "end", "stop", ... */
const char *finish_name(enum finish finish);

/* A text may be calls of tools instead: where its first id is this mark, what follows it is held to
 * a grammar of its own and goes out by itself. */
struct generator_calls {
    int32_t mark;
    enum calls_allowed { CALLS_NEVER, CALLS_MAY, CALLS_MUST } allowed;
    struct bise_grammar *grammar;
    struct text_out *out;
};

struct generator {
    struct bise_engine *engine;
    uint32_t seq;
    const struct bise_model *model;
    struct bise_sampler *sampler;
    struct speculation *speculation;     /* NULL: one id a run. Of this generator alone */
    struct bise_grammar *grammar;        /* NULL: any text. Of this generator alone */
    const struct generator_calls *calls; /* NULL: the model has no mark of calls */
    uint8_t *allowed;       /* [vocab_size] scratch; NULL: neither a grammar nor calls */
    struct id_list *ids;    /* the text so far; ids picked are appended, an end's are not */
    const int32_t *end_ids; /* [n_end] */
    size_t n_end;
    int64_t max_tokens; /* -1: no limit; 0: the text is read, no more */
    /* Told every id picked, the end's too, and the logits [vocab_size] it was picked from; false:
     * no memory. May be NULL. */
    bool (*on_id)(void *arg, int32_t id, const float *logits);
    /* Told the logits [n][vocab_size] of each run of what is read, once its ids are held, where
     * read_logits, which has room for them, is not NULL. */
    void (*on_read)(void *arg, const struct bise_run *run);
    float *read_logits;
    void *arg; /* of both */
    struct text_out *out;
    bool print_ids; /* numbers instead of text: the model has no tokenizer */

    /* Its own, set by generator_begin. */
    enum finish finish;
    size_t held;      /* ids that the sequence holds */
    uint64_t base;    /* position of ids[0] */
    int64_t n_picked; /* the end's among them */
    size_t n_own;     /* ids of the run under way that are the text's, not a draft's */
    bool no_draft;    /* the next run is without: one with a draft has failed */
    bool in_calls;    /* it began with the mark of calls */
};

/* The sequence holds the first `held` of the ids; if that is all of them, their logits too: the
 * first id is then picked here. Else the others are read first. Errors: as generator_take. */
enum bise_status generator_begin(struct generator *g, size_t held, struct bise_error *err);
/* Tokens of text so far: what ends it is none. */
size_t generator_written(const struct generator *g);
/* After FINISH_CONTEXT: the ids were changed, and the sequence holds the first `held`, which are
 * fewer than all. */
void generator_resume(struct generator *g, size_t held);

/* Whether it still reads what it was given. */
bool generator_reads(const struct generator *g);
/* The next run, of at most max ids. False: it has finished. */
bool generator_next(struct generator *g, size_t max, struct bise_run *run);
/* What came of it: status is the step's, seconds what it took (drafts are measured
 * by it; 0: not this time). Errors:
 * what the step or the run failed with, but that a full context is FINISH_CONTEXT and a stop
 * FINISH_INTERRUPTED; ARG, MEMORY: a grammar that cannot be gone on with. finish is then
 * FINISH_ERROR. */
enum bise_status generator_take(struct generator *g, const struct bise_run *run,
                                enum bise_status status, double seconds, struct bise_error *err);
/* Ends it, for whatever reason; what is held back of the text is put out. The sequence holds the
 * first g->held ids. */
void generator_end(struct generator *g, enum finish finish);

#endif
