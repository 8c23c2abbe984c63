/* Model and session as the command line asks for them: what run, chat and their like share. */
#ifndef BISE_TOOLS_COMMON_RUNTIME_H
#define BISE_TOOLS_COMMON_RUNTIME_H

#include "src/os/thermal.h"
#include "tools/common/tools.h"

struct runtime_options {
    const char *model;             /* NULL: the default; else as model_path has it */
    const char *isa, *kv, *memory; /* NULL: chosen */
    int64_t threads, n_ctx, chunk; /* 0: chosen */
    int64_t window;                /* -1: the model's; 0: none */
    bool verbose;                  /* -v: memory and pages too */
    uint64_t start_pos;            /* of the first token; no option of its own here */
    uint32_t n_sinks;              /* nor this: tokens that stay where there is no window */
    int64_t n_seqs;                /* nor this: sequences, 0: 1 */
    uint32_t spare;                /* nor this: as the engine's */
};

#define RUNTIME_OPTIONS 9
#define RUNTIME_DEFAULTS                                                                           \
    { .window = -1 }

/* Writes the RUNTIME_OPTIONS option definitions that fill o. */
void runtime_option_defs(struct runtime_options *o, struct option_def *defs);

/* Takes a model given as the argument (may be NULL). False, said on stderr, where -m gave one too;
 * *code then. */
bool runtime_argument(struct runtime_options *o, const char *argument, int *code);

/* The value of --mem (NULL: auto); a fault is said on stderr. */
bool runtime_parse_memory(const char *value, enum bise_memory *memory);

/* The session that o asks for; a fault is said on stderr. The environment's BISE_ISA stands in for
 * an absent --isa. */
bool runtime_session_params(const struct runtime_options *o, struct bise_engine_params *params);

struct runtime {
    const char *path;
    struct bise_model *model;
    const struct bise_model_info *info;
    struct bise_session *session; /* NULL where n_seqs is more than 1: there is the engine alone */
    struct bise_engine *engine;   /* the session's, or of several sequences */
    bool verbose;
    struct bise_plan plan; /* what it takes, or would take */
    double load_seconds;
    size_t n_prompt, n_answer; /* tokens read in and written so far */
    size_t n_decoded;          /* of the latter, how many were run: an answer's last is not */
    double prompt_seconds, answer_seconds; /* what n_prompt and n_decoded took */
    struct thermal_history thermal;
    double thermal_noted; /* when, as seconds_now */
};

/* The file and the session that o asks for, nothing opened yet. Returns an exit code, the fault
 * said on stderr. */
int runtime_choose(struct runtime *e, const struct runtime_options *o,
                   struct bise_engine_params *params, enum bise_memory *memory);
/* Then model, info and plan, by the file's header alone. Errors: bise_model_open's, bise_plan's. */
enum bise_status runtime_peek(struct runtime *e, const struct bise_engine_params *params,
                              struct bise_error *err);
/* Looks at what can be refused by the options and the file's header alone, before gigabytes are
 * read: e is then without weights and session. As runtime_open otherwise. */
int runtime_look(struct runtime *e, const struct runtime_options *o);
/* Opens model and session; any fault is said on stderr. Returns an exit code; runtime_close is due
 * in any case. */
int runtime_open(struct runtime *e, const struct runtime_options *o);
void runtime_close(struct runtime *e);
/* Looks at the CPUs' clock, once a second at most; to be called while they work. */
void runtime_note_clock(struct runtime *e);

/* Text to ids, malloc'd, BOS in front if add_bos. special: names of control tokens in the text are
 * these tokens, and BOS stands in front once. Errors: as bise_tokenize; *ids is to be freed. */
enum bise_status runtime_ids(const struct runtime *e, const char *text, size_t len, bool add_bos,
                             bool special, int32_t **ids, size_t *n, struct bise_error *err);
/* The same of a text without such names. Returns an exit code, the fault said on stderr. */
int runtime_tokenize(const struct runtime *e, const char *text, size_t len, bool add_bos,
                     int32_t **ids, size_t *n);
/* Reads n ids in, with progress on a terminal; Ctrl-C stops it with BISE_ERR_INTERRUPTED. */
enum bise_status runtime_prefill(struct runtime *e, const int32_t *ids, size_t n,
                                 struct bise_error *err);

/* One line: file, type, ISA, threads, context; verbose: memory on a second. */
void runtime_print_plan(const struct runtime *e, FILE *to);
/* Two lines: load, prompt and answer speed, memory. */
void runtime_print_stats(const struct runtime *e, FILE *to);

#endif
