/* Generation as the user sees it: tokens become text on standard output until something ends them.
 */
#ifndef BISE_TOOLS_COMMON_ANSWER_H
#define BISE_TOOLS_COMMON_ANSWER_H

#include "src/base/utf8.h"
#include "src/text/stop.h"
#include "tools/common/buffer.h"
#include "tools/common/runtime.h"
#include "tools/common/speculate.h"

/* Text on its way to a file descriptor: stop strings end it, characters are never cut. */
struct text_out {
    int fd;
    bool strip_space;  /* one space at the beginning is left out */
    struct stop *stop; /* NULL: none */
    struct utf8_stream utf8;
    size_t n_bytes;      /* that came in */
    size_t n_shown;      /* of these, before a stop string or its possible beginning */
    char last;           /* last byte written, 0 before the first */
    struct buffer *hold; /* where bytes go instead of fd; NULL: fd */
    bool terminal;       /* fd is one: control characters are written as ^X */
    bool failed;         /* the reader has gone, or the disk is full */
};

/* Begins a new text: strip_space, stop and fd are kept. */
void text_out_begin(struct text_out *out);
void text_out_put(struct text_out *out, const char *bytes, size_t n);
void text_out_end(struct text_out *out);
/* Writes what was held back, and empties hold. */
void text_out_release(struct text_out *out);

/* Where a grammar comes from: at most one is not NULL. */
struct constraint_source {
    const char *grammar, *grammar_file; /* GBNF, and the same from a file */
    const char *json_schema;            /* a JSON Schema, or @ and a file */
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

enum finish {
    FINISH_END,         /* the model ended it */
    FINISH_STOP,        /* a stop string */
    FINISH_LENGTH,      /* as many tokens as asked for */
    FINISH_CONTEXT,     /* the context is full */
    FINISH_INTERRUPTED, /* Ctrl-C */
    FINISH_OUTPUT,      /* standard output could not be written */
    FINISH_ERROR        /* said on stderr already */
};

/* One word for programs: "end", "stop", ... */
const char *finish_name(enum finish finish);

struct answer {
    struct runtime *runtime;
    struct bise_sampler *sampler;
    struct speculation *speculation; /* NULL: one call for every token */
    struct constraint *constraint;   /* NULL: any text */
    int64_t max_tokens;              /* -1: no limit */
    const int32_t *end_ids;          /* [n_end] */
    size_t n_end;
    /* Told every id picked, the end's too; false: no memory. May be NULL. */
    bool (*on_id)(void *arg, int32_t id);
    /* The context has no room for the last id; true: now it has. May be NULL. */
    bool (*on_full)(void *arg);
    void *id_arg;
    struct text_out *out;
    bool print_ids;         /* numbers instead of text: the model has no tokenizer */
    enum bise_status error; /* where FINISH_ERROR */
};

/* Generates from the session's logits. The last id picked has not been decoded. */
enum finish answer_run(struct answer *a);

#endif
