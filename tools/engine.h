/* Model and session as the command line asks for them: what run, chat and their like share. */
#ifndef BISE_TOOLS_ENGINE_H
#define BISE_TOOLS_ENGINE_H

#include "tools.h"

struct engine_options {
    const char *model;             /* NULL: default_model_path() */
    const char *isa, *kv, *memory; /* NULL: chosen */
    int64_t threads, n_ctx, chunk; /* 0: chosen */
    int64_t window;                /* -1: the model's; 0: none */
    uint64_t start_pos;            /* of the first token; no option of its own here */
    uint32_t n_sinks;              /* nor this: tokens that stay where there is no window */
};

#define ENGINE_OPTIONS 8
#define ENGINE_DEFAULTS                                                                            \
    { .window = -1 }

/* Writes the ENGINE_OPTIONS option definitions that fill o. */
void engine_option_defs(struct engine_options *o, struct option_def *defs);

/* The value of --mem (NULL: auto); a fault is said on stderr. */
bool engine_parse_memory(const char *value, enum bise_memory *memory);

/* The session that o asks for; a fault is said on stderr. The environment's BISE_ISA stands in for
 * an absent --isa. */
bool engine_session_params(const struct engine_options *o, struct bise_session_params *params);
/* The model that o asks for or the default one; NULL, said on stderr, if there is none. */
const char *engine_model_path(const struct engine_options *o);

struct engine {
    const char *path;
    struct bise_model *model;
    const struct bise_model_info *info;
    struct bise_session *session;
    double load_seconds;
    size_t n_prompt, n_answer; /* tokens read in and generated so far, and the time they took */
    double prompt_seconds, answer_seconds;
};

/* Opens model and session; any fault is said on stderr. Returns an exit code; engine_close is due
 * in any case. */
int engine_open(struct engine *e, const struct engine_options *o);
void engine_close(struct engine *e);

/* Text to ids, malloc'd, BOS in front if add_bos. Returns an exit code, the fault said on stderr.
 */
int engine_tokenize(const struct engine *e, const char *text, size_t len, bool add_bos,
                    int32_t **ids, size_t *n);
/* Reads n ids in, with progress on a terminal; Ctrl-C stops it with BISE_ERR_INTERRUPTED. */
enum bise_status engine_prefill(struct engine *e, const int32_t *ids, size_t n,
                                struct bise_error *err);
enum bise_status engine_decode(struct engine *e, int32_t id, struct bise_error *err);

/* One line: file, type, ISA, threads, memory, context. */
void engine_print_plan(const struct engine *e, FILE *to);
/* Two lines: load, prompt and answer speed, memory. */
void engine_print_stats(const struct engine *e, FILE *to);

#endif
