/* Grammars that answers must follow. */
#ifndef BISE_TOOLS_COMMON_CONSTRAINT_H
#define BISE_TOOLS_COMMON_CONSTRAINT_H

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

#endif
