/* bise study: the experiments of Mistral 7B's paper, done again with the model at hand. */
#ifndef BISE_TOOLS_CMD_STUDY_H
#define BISE_TOOLS_CMD_STUDY_H

#include "tools/common/buffer.h"
#include "tools/common/runtime.h"

struct study {
    struct runtime_options runtime;
    const char *prompt, *file, *windows, *svg, *shape;
    int64_t steps, tokens, budget; /* GiB */
    bool json;

    struct runtime e; /* the model alone: no session */
    struct bise_engine_params params;
    int32_t *ids; /* [n] of the text, BOS in front */
    size_t n;
};

/* Begins a study's object in b: format, version, machine, build, name, model (NULL: none).
 * docs/bench-format.md. */
void study_begin_json(struct buffer *b, const char *name, const char *model);
/* Closes it, prints and frees it. */
void study_end_json(struct buffer *b);

/* Each returns an exit code, faults said on stderr, the result printed on stdout. */

/* The rolling cache, seen at work: tools/cmd/study_cache.c says what is checked. */
int study_cache(struct study *s);
/* What fewer KV heads save; of random models. */
int study_gqa(struct study *s);
/* What windows of different widths cost and gain on a text. */
int study_window(struct study *s);

/* What a chunk's length costs and gains. */
int study_chunk(struct study *s);
/* Memory and speed over a text that is longer than any context. */
int study_long(struct study *s);

#endif
