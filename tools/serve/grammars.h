/* Compiled grammars and schemas, kept by their text: what a client asks for again and again is
 * compiled once. Threads may share one. */
#ifndef BISE_TOOLS_SERVE_GRAMMARS_H
#define BISE_TOOLS_SERVE_GRAMMARS_H

#include "src/bise.h"

#include <pthread.h>

#define GRAMMARS_KEPT 16

struct grammar_kept {
    char *text; /* [len]; NULL: the place is free */
    size_t len;
    bool is_schema;
    struct bise_grammar *grammar;
    uint64_t used;
};

struct grammars {
    const struct bise_model *model;
    struct grammar_kept kept[GRAMMARS_KEPT];
    uint64_t clock;
    pthread_mutex_t lock;
};

/* A grammar on loan; zeroed: none. */
struct grammar_loan {
    struct bise_grammar *grammar;
    char *text;
    size_t len;
    bool is_schema;
};

void grammars_open(struct grammars *g, const struct bise_model *model);
void grammars_close(struct grammars *g);
/* Takes a kept one or compiles the text. Errors: as bise_grammar_open. */
enum bise_status grammars_take(struct grammars *g, const char *text, size_t len, bool is_schema,
                               struct grammar_loan *loan, struct bise_error *err);
/* Gives it back; loan is zeroed. */
void grammars_give(struct grammars *g, struct grammar_loan *loan);

#endif
