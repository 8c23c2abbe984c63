/*
 * bise: Mistral 7B and its family on CPUs. The one public header.
 *
 * A model is const after opening and may be shared by threads; an engine or a session belongs to
 * one thread at a time: bise_step, and what is made of it, refuses a second one that comes while a
 * first is in it (ARG), the other functions are not watched. No pointer may be NULL unless it is
 * said; functions that return a status refuse NULL handles and texts with ARG. The floating-point
 * control word of the caller's thread (rounding, flushing of denormals) is set for the time of a
 * call, and is what it was afterwards. Nothing here prints, exits or reads the environment.
 * Functions return a status; where they take a struct bise_error, it may be NULL. After
 * bise_engine_open nothing allocates memory. Files are not trusted: every length in them is
 * checked before use.
 *
 * The same answer everywhere, and every time: logits are a function of the model's file, the
 * settings (context, window, sinks, type of the cache) and the ids alone, bit for bit; a sampled id
 * of these, the sampler's parameters and the position. Not of the CPU, the threads, the calls the
 * ids came in, what was cached, gone back over, saved and loaded, or what runs beside.
 */
#ifndef BISE_H
#define BISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BISE_API __attribute__((visibility("default")))
#else
#define BISE_API
#endif

enum bise_status {
    BISE_OK = 0,
    BISE_ERR_ARG,         /* an argument outside what the function accepts */
    BISE_ERR_IO,          /* the system refused to open, read or write */
    BISE_ERR_FORMAT,      /* a file that is not what it should be, or is damaged */
    BISE_ERR_UNSUPPORTED, /* a sound file of a kind this program does not run */
    BISE_ERR_MEMORY,      /* not enough memory */
    BISE_ERR_DISK,        /* not enough space on the disk */
    BISE_ERR_CONTEXT,     /* more tokens than the context holds */
    BISE_ERR_NONFINITE,   /* an activation became infinite or not a number */
    BISE_ERR_CPU,         /* the CPU lacks the instruction set asked for */
    BISE_ERR_INTERRUPTED, /* the caller's stop flag was raised */
    BISE_STATUS_COUNT
};

/* Owned by the caller. */
struct bise_error {
    enum bise_status status;
    char detail[512]; /* NUL-terminated: which file, tensor or flag; expected; found */
};

/* A short English sentence for a status; never NULL. */
BISE_API const char *bise_strerror(enum bise_status status);

/* Called by the thread that called, between pieces of long work; returning true stops the work with
 * BISE_ERR_INTERRUPTED. */
typedef bool bise_progress_fn(void *user, size_t done, size_t total);

/* ---- model ------------------------------------------------------------------------------- */

struct bise_model;

enum bise_memory { BISE_MEMORY_AUTO = 0, BISE_MEMORY_HUGE, BISE_MEMORY_MMAP };

struct bise_model_params {
    enum bise_memory memory;    /* how the weights are held */
    int n_threads;              /* for filling memory; 0: choose */
    bool no_tensors;            /* header, config and tokenizer only: no engine opens on it */
    bise_progress_fn *progress; /* may be NULL; bytes read into memory, when they are */
    void *progress_user;
};

/* Shape of a model. Strings are owned by the model. */
struct bise_model_info {
    uint32_t dim, n_layers, n_heads, n_kv_heads, head_dim, ffn_dim, vocab_size;
    uint32_t n_experts, n_experts_used; /* 0 where the model is dense */
    uint32_t window;                    /* sliding window in tokens, itself included; 0: none */
    uint32_t max_context;               /* positions the model was trained for; 0: unknown */
    double rope_theta;
    float norm_eps;
    int32_t bos_id;
    int32_t text_bos;       /* what a text of its own begins with: bos_id, or -1 for nothing */
    bool text_eos;          /* whether the tokenizer puts EOS behind a text of its own */
    const int32_t *eos_ids; /* [n_eos] */
    size_t n_eos;
    const char *name;        /* what the file says it is called; "": nothing */
    const char *chat_format; /* "v1", "v3", "chatml", "zephyr", "llama2", "none" or "" (unknown) */
    const char *weight_type; /* type of most layer weights: "i4", "i8", "bf16", "f32" */
    const char *memory;      /* how the weights are held, and why: one phrase */
    uint64_t file_bytes, weight_bytes, n_params;
    bool has_tokenizer;
};

/* Opens a .bise file. params may be NULL. *model is owned by the caller, until bise_model_close.
 * Errors: ARG, IO, FORMAT, UNSUPPORTED, MEMORY, INTERRUPTED. Checks the header's CRC and every
 * offset, not the tensors' CRCs (bise verify does). A mapped file must not be truncated or
 * rewritten in place while it is open. */
BISE_API enum bise_status bise_model_open(struct bise_model **model, const char *path,
                                          const struct bise_model_params *params,
                                          struct bise_error *err);
/* Accepts NULL and a pointer to NULL; sets *model to NULL. Sessions must be closed before. */
BISE_API void bise_model_close(struct bise_model **model);
BISE_API const struct bise_model_info *bise_model_info(const struct bise_model *model);

/* ---- tokenizer --------------------------------------------------------------------------- */

/* Text (len bytes of UTF-8; control pieces are never matched in it) to ids. dummy prefix as the
 * tokenizer file says. Writes at most cap ids; *n_ids is the number there are, whatever cap, at
 * most 4 * len + 8. Temporary memory in proportion to len is taken and given back. Errors: ARG
 * (invalid UTF-8, with its offset; a model without a tokenizer), MEMORY. */
BISE_API enum bise_status bise_tokenize(const struct bise_model *model, const char *text,
                                        size_t len, int32_t *ids, size_t cap, size_t *n_ids,
                                        struct bise_error *err);
/* The same for a text with the names of control pieces in it ("<s>[INST] ... [/INST]"), which
 * become these; what lies between them is encoded piece by piece. */
BISE_API enum bise_status bise_tokenize_special(const struct bise_model *model, const char *text,
                                                size_t len, int32_t *ids, size_t cap, size_t *n_ids,
                                                struct bise_error *err);
/* Bytes of one id: *len of them at the returned address, owned by the model, not NUL-terminated,
 * may be part of a UTF-8 character. Control pieces give length 0. NULL if id is out of range. */
BISE_API const char *bise_token_piece(const struct bise_model *model, int32_t id, size_t *len);

/* ---- engine ------------------------------------------------------------------------------ */

/* Kernels, threads, scratch, and the caches of a fixed number of sequences: conversations that are
 * computed side by side. All memory is taken when it opens. An engine belongs to one thread at a
 * time. */
struct bise_engine;

enum bise_kv {
    BISE_KV_AUTO = 0,
    BISE_KV_I8,
    BISE_KV_F16,
    BISE_KV_F32,
    BISE_KV_I4, /* half of int8's memory, for many more tokens than it has room for */
    BISE_KV_COUNT
};
/* "auto", "i8", "f16", "f32", "i4"; NULL for another number. */
BISE_API const char *bise_kv_name(enum bise_kv kv);

#define BISE_SPARE_NONE UINT32_MAX

struct bise_engine_params {
    uint32_t n_ctx;     /* positions; 0: the model's, at most 8192. With a window: ids kept */
    uint32_t chunk;     /* tokens of one sequence in one step at most; 0: 256 */
    int n_threads;      /* 0: choose */
    const char *isa;    /* "avx2", ...; NULL: the best the CPU has */
    enum bise_kv kv;    /* AUTO: int8, f32 for f32 and bf16 files */
    int64_t window;     /* -1: the model's; 0: none; else tokens */
    uint64_t start_pos; /* absolute position of a sequence's first token */
    /* Where there is no window: keep the first n tokens (rounded up to 16s; start_pos 0) and a
     * window of n_ctx less these over the others, so that a text may go on without end in the same
     * memory (attention sinks, arXiv 2309.17453). A token sees the first ones as if they stood just
     * before its window; up to n_ctx tokens that is full attention, bit for bit. 0: no. */
    uint32_t n_sinks;
    uint32_t n_seqs; /* sequences; 0: 1 */
    /* Positions kept beyond window and chunk, so that going back by as many is free; 0: 1024,
     * BISE_SPARE_NONE: none. */
    uint32_t spare;
};

/* What an engine will use, in bytes: allocated once, at open. */
struct bise_plan {
    uint64_t weights, cache, scratch, total; /* cache: of all sequences */
    uint32_t n_ctx, window, chunk, ring;     /* ring: positions kept per sequence and layer */
    uint32_t n_sinks;                        /* positions kept besides */
    uint32_t n_seqs;
    uint32_t columns; /* tokens of all sequences that are computed at once: chunk + n_seqs - 1 */
    enum bise_kv kv;
    int n_threads;
    uint64_t ram, available, limit; /* of this machine; limit: cgroup's, UINT64_MAX if none */
    uint32_t largest_ctx;           /* n_ctx that would fit, at most 2^20; 0: none */
    enum bise_kv kv_fits;           /* where this does not fit: what cache would; i8 before i4 */
};

/* params may be NULL: all 0 but window, -1. Errors: ARG, MEMORY (plan is filled nevertheless). */
BISE_API enum bise_status bise_plan(const struct bise_model *model,
                                    const struct bise_engine_params *params, struct bise_plan *plan,
                                    struct bise_error *err);
/* Errors: ARG, CPU (unknown or missing isa), MEMORY. The model must outlive the engine. */
BISE_API enum bise_status bise_engine_open(struct bise_engine **engine,
                                           const struct bise_model *model,
                                           const struct bise_engine_params *params,
                                           struct bise_error *err);
BISE_API void bise_engine_close(struct bise_engine **engine);
BISE_API const struct bise_plan *bise_engine_plan(const struct bise_engine *engine);
BISE_API const char *bise_engine_isa(const struct bise_engine *engine);

enum bise_want {
    BISE_WANT_NONE, /* the cache alone: the last layer is left out */
    BISE_WANT_LAST, /* logits of the last id */
    BISE_WANT_ALL   /* of every id */
};

/* Ids that one sequence goes on by. */
struct bise_run {
    uint32_t seq;       /* below n_seqs; no two runs of a step have the same */
    const int32_t *ids; /* [n] */
    size_t n;           /* 1 to chunk */
    enum bise_want want;
    /* all: [n][vocab_size], must be given; last: [vocab_size], or NULL: only the sequence's own
     * (bise_seq_logits), which are set in either case. Written only where status is OK, but that
     * rows of a step that was stopped or failed may have been begun. */
    float *logits;
    enum bise_status status; /* set: OK, NONFINITE or CONTEXT */
};

/* Runs them all, in as few passes through the model as the columns planned allow (one where no more
 * than one run is longer than an id). What a sequence holds, and its logits, have the bits they
 * would have alone, in one call or in many, on any CPU and with any number of threads.
 *
 * Runs fail alone, and their sequences then stay as they were: CONTEXT (no window, and more ids
 * than are left), NONFINITE (a value that reaches the cache or wanted logits is infinite or not a
 * number); err holds the first one's detail. stop (may be NULL) is looked at before each piece of
 * work, some milliseconds: not 0 means that the step ends with INTERRUPTED. It may be set by any
 * thread and by a signal handler, and is never cleared here. A step that was stopped leaves every
 * sequence as it was, but that positions to go back by may have been used up.
 *
 * Errors: ARG (a run that is none, an id >= vocab_size: nothing is done), INTERRUPTED; else OK, and
 * the runs' statuses are to be looked at. */
BISE_API enum bise_status bise_step(struct bise_engine *engine, struct bise_run *runs,
                                    size_t n_runs, const volatile int *stop,
                                    struct bise_error *err);

/* Absolute position of the next token. seq, here and below, must be below n_seqs. */
BISE_API uint64_t bise_seq_position(const struct bise_engine *engine, uint32_t seq);
/* Of the first token there is: start_pos, or where bise_seq_reset_at began. */
BISE_API uint64_t bise_seq_start(const struct bise_engine *engine, uint32_t seq);
/* [vocab_size] floats of the last token, owned by the engine, valid until the sequence's next call;
 * NULL where there are none: at the beginning, and after going back. */
BISE_API const float *bise_seq_logits(const struct bise_engine *engine, uint32_t seq);
/* Copies the last n ids (n at most n_ctx) to out, unless that is NULL; returns how many there are.
 */
BISE_API size_t bise_seq_last_ids(const struct bise_engine *engine, uint32_t seq, int32_t *out,
                                  size_t n);
/* Goes back so that the next token is at pos. Free while the cache still holds what position pos
 * needs; otherwise CONTEXT, nothing done (the caller then resets and reads again). Errors: ARG. */
BISE_API enum bise_status bise_seq_truncate(struct bise_engine *engine, uint32_t seq, uint64_t pos,
                                            struct bise_error *err);
/* Forgets everything; the next token is at start_pos. */
BISE_API void bise_seq_reset(struct bise_engine *engine, uint32_t seq);
/* The same with the next token at pos: what comes is as if nothing had been before, but for sinks,
 * which stay. With a window a token's logits depend on no more than bise_engine_reach tokens,
 * itself included, so that beginning that far before a position gives what the whole text would;
 * going back to where that is not so is refused (CONTEXT). Errors: ARG (another position than
 * start_pos, but no window; sinks that have not been read). */
BISE_API enum bise_status bise_seq_reset_at(struct bise_engine *engine, uint32_t seq, uint64_t pos,
                                            struct bise_error *err);
/* Makes sequence `to` hold what `from` holds before position pos: cache, sinks, ids, and where pos
 * is from's position, logits. Errors: those of going back there; ARG (to is from). */
BISE_API enum bise_status bise_seq_copy(struct bise_engine *engine, uint32_t to, uint32_t from,
                                        uint64_t pos, struct bise_error *err);
/* layers * (window - 1) + 1 with a window, else UINT64_MAX. */
BISE_API uint64_t bise_engine_reach(const struct bise_engine *engine);

/* ---- session ----------------------------------------------------------------------------- */

/* An engine of one sequence, with calls that are as long as the text. */
struct bise_session;

/* Errors: as bise_engine_open; ARG where n_seqs is more than 1. */
BISE_API enum bise_status bise_session_open(struct bise_session **session,
                                            const struct bise_model *model,
                                            const struct bise_engine_params *params,
                                            struct bise_error *err);
BISE_API void bise_session_close(struct bise_session **session);
BISE_API const struct bise_plan *bise_session_plan(const struct bise_session *session);
BISE_API const char *bise_session_isa(const struct bise_session *session);
/* The session's engine: sequence 0 of it is the session. */
BISE_API struct bise_engine *bise_session_engine(struct bise_session *session);
/* From now on (NULL: no longer) the calls below end with INTERRUPTED when *stop is not 0, as
 * bise_step does. */
BISE_API void bise_session_stop_on(struct bise_session *session, const volatile int *stop);

/* Runs n ids through the model; progress (may be NULL) is called between chunks, with tokens, those
 * done so far being kept when it stops; afterwards bise_logits gives the last one's. How a text
 * is split into calls and chunks never shows in the results. Errors: ARG
 * (an id >= vocab), CONTEXT (no window and n more than is left; nothing is done), NONFINITE,
 * INTERRUPTED. */
BISE_API enum bise_status bise_prefill(struct bise_session *session, const int32_t *ids, size_t n,
                                       bise_progress_fn *progress, void *user,
                                       struct bise_error *err);
/* The same for one id. */
BISE_API enum bise_status bise_decode(struct bise_session *session, int32_t id,
                                      struct bise_error *err);
/* As bise_prefill, with the logits of every position: logits [n][vocab_size], the caller's.
 * n at most the session's chunk. */
BISE_API enum bise_status bise_prefill_logits(struct bise_session *session, const int32_t *ids,
                                              size_t n, float *logits, struct bise_error *err);
/* What the sequence's functions of the same name say. */
BISE_API const float *bise_logits(const struct bise_session *session);
BISE_API uint64_t bise_position(const struct bise_session *session);
BISE_API size_t bise_last_ids(const struct bise_session *session, int32_t *out, size_t n);
BISE_API enum bise_status bise_truncate(struct bise_session *session, uint64_t pos,
                                        struct bise_error *err);
BISE_API void bise_reset(struct bise_session *session);
BISE_API enum bise_status bise_reset_at(struct bise_session *session, uint64_t pos,
                                        struct bise_error *err);
BISE_API uint64_t bise_reach(const struct bise_session *session);

/* ---- sampler ----------------------------------------------------------------------------- */

struct bise_logit_bias {
    int32_t id;
    float bias; /* added to the logit; -INFINITY: never */
};

/* Applied in this order: bias, penalties, top-k, typical, top-p, min-p, temperature. All zero is
 * greedy without anything. */
struct bise_sampler_params {
    float temp;              /* 0: greedy */
    uint32_t top_k;          /* the k likeliest; 0: all */
    float typical_p;         /* locally typical sampling (arXiv 2202.00666); 0 or 1: off */
    float top_p;             /* nucleus (arXiv 1904.09751); 0 or 1: off */
    float min_p;             /* at least min_p times the likeliest (arXiv 2407.01082); 0: off */
    float repeat_penalty;    /* logits of ids seen are divided, or multiplied where negative, by it
                                (CTRL, arXiv 1909.05858); 0 or 1: off */
    float frequency_penalty; /* subtracted for every time the id was seen; 0: off */
    float presence_penalty;  /* subtracted once if the id was seen; 0: off */
    uint32_t repeat_last;    /* how many ids the penalties look back; 0: none */
    uint64_t seed;
    const struct bise_logit_bias *bias; /* [n_bias], copied */
    size_t n_bias;
};

struct bise_sampler;

/* The sampler's only memory is allocated here: 24 bytes for each of n_vocab. Errors: ARG (a
 * parameter out of range, named), MEMORY. */
BISE_API enum bise_status bise_sampler_open(struct bise_sampler **sampler, uint32_t n_vocab,
                                            const struct bise_sampler_params *params,
                                            struct bise_error *err);
BISE_API void bise_sampler_close(struct bise_sampler **sampler);
/* Picks an id from logits [n_vocab] (unchanged), among those whose allowed [n_vocab] is not 0
 * (NULL: all); -1 where none is. A function of its arguments and the parameters, on every
 * machine: nothing is remembered from call to call. ids [n_ids] are the text so far, of which the
 * penalties look at the last repeat_last. position is the absolute one that the picked id will
 * have: one random number belongs to each position and seed (splitmix64 of both). Ties go to the
 * lower id. */
BISE_API int32_t bise_sample(struct bise_sampler *sampler, const float *logits,
                             const uint8_t *allowed, const int32_t *ids, size_t n_ids,
                             uint64_t position);
BISE_API void bise_sampler_set_seed(struct bise_sampler *sampler, uint64_t seed);
BISE_API uint64_t bise_sampler_seed(const struct bise_sampler *sampler);

/* ---- a session as a file ----------------------------------------------------------------- */

/* Writes a sequence (cache, ids, position, logits where there are), the seed of its sampler, and
 * the caller's own note [note_len] into one file (docs/format.md). It appears under its name only
 * when it is whole and on the disk; until then what was there stays. Readable by its owner only,
 * unless a file was there. No second copy of the cache is made. Nothing of text that was taken back
 * is in it. Errors: ARG (a note of more than 4 GiB), IO, DISK, MEMORY (for the names). */
BISE_API enum bise_status bise_seq_save(const struct bise_engine *engine, uint32_t seq,
                                        uint64_t seed, const void *note, size_t note_len,
                                        const char *path, struct bise_error *err);
/* Brings the sequence to where it was, and *seed (NULL: not wanted) to what it was: what follows
 * has the same bits as if nothing had come between, whatever instruction set and number of threads
 * wrote the file or goes on. n_ctx, chunk and spare positions may differ. The file is not trusted:
 * its checksums, numbers and values are checked. After an error found in what follows the header
 * the sequence is as after bise_seq_reset; else, and *seed in any case, as it was.
 * Errors: ARG (another cache type, window or start_pos; a cache of another arithmetic, as that of
 * bise 0.1: the note can still be had), UNSUPPORTED (another model; a later version), CONTEXT (no
 * window, and more tokens than n_ctx), FORMAT, IO. */
BISE_API enum bise_status bise_seq_load(struct bise_engine *engine, uint32_t seq, uint64_t *seed,
                                        const char *path, struct bise_error *err);
/* The same of a session. */
BISE_API enum bise_status bise_session_save(const struct bise_session *session, uint64_t seed,
                                            const void *note, size_t note_len, const char *path,
                                            struct bise_error *err);
BISE_API enum bise_status bise_session_load(struct bise_session *session, uint64_t *seed,
                                            const char *path, struct bise_error *err);
/* The note of a session of this model (of bise 0.1, too), malloc'd, the caller's to free; *len its
 * length. It can be had where what follows it in the file is damaged. Errors: UNSUPPORTED, FORMAT,
 * IO, MEMORY. */
BISE_API enum bise_status bise_session_note(const struct bise_model *model, const char *path,
                                            void **note, size_t *len, struct bise_error *err);

/* ---- grammar ----------------------------------------------------------------------------- */

/* Which tokens may come next, so that a text is one that a grammar allows. */
struct bise_grammar;

/* Reads a grammar in GBNF, llama.cpp's notation (src/constraint/grammar.h), for the model's
 * vocabulary. The model must outlive it. All its memory is taken here. Errors: ARG (line and fault;
 * left recursion; a model without a tokenizer), MEMORY. */
BISE_API enum bise_status bise_grammar_open(struct bise_grammar **grammar,
                                            const struct bise_model *model, const char *gbnf,
                                            size_t len, struct bise_error *err);
/* The same from a JSON Schema: texts that are JSON values of that schema, {} for any. What part of
 * JSON Schema is supported stands in docs/constraints.md. Errors: ARG (where in the schema; a
 * keyword that is not supported, by its name), MEMORY. */
BISE_API enum bise_status bise_grammar_open_schema(struct bise_grammar **grammar,
                                                   const struct bise_model *model,
                                                   const char *schema, size_t len,
                                                   struct bise_error *err);
/* What of the schema says nothing about values and was passed over, by name ("x-order, example"),
 * or NULL. The grammar's. */
BISE_API const char *bise_grammar_note(const struct bise_grammar *grammar);
BISE_API void bise_grammar_close(struct bise_grammar **grammar);
/* A new text begins; with space, one space may come before it, as a first token often has. */
BISE_API void bise_grammar_begin(struct bise_grammar *grammar, bool space);
/* allowed [vocab_size]: 1 for the ids that can come next, the model's end ids among them where the
 * text may end; 0 for all others. Errors: ARG (none can come next), MEMORY (the grammar is deeper
 * in itself than the memory taken). */
BISE_API enum bise_status bise_grammar_allowed(struct bise_grammar *grammar, uint8_t *allowed,
                                               struct bise_error *err);
/* Goes on by an id that was allowed. Errors: ARG (it was not), MEMORY. */
BISE_API enum bise_status bise_grammar_accept(struct bise_grammar *grammar, int32_t id,
                                              struct bise_error *err);
/* Whether the text may end here. */
BISE_API bool bise_grammar_may_end(const struct bise_grammar *grammar);

#ifdef __cplusplus
}
#endif

#endif
