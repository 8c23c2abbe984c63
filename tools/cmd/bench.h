/* bise bench: what is compared, what was measured of it, and the forms that is shown in. */
#ifndef BISE_TOOLS_CMD_BENCH_H
#define BISE_TOOLS_CMD_BENCH_H

#include "bench/slots/slots.h"
#include "tools/common/buffer.h"

#define BENCH_MAX_ROWS   256
#define BENCH_MAX_LIST   8
#define BENCH_MAX_ROUNDS 50
#define BENCH_MAX_MODELS 8
#define BENCH_SETTLED    0.02 /* half an interval, relative to the median */

struct bench_list {
    int64_t x[BENCH_MAX_LIST]; /* [n] */
    size_t n;
};

/* Perplexity before and after, KL divergence: values with standard errors. */
struct bench_evaluation {
    bool is_known;
    char text[64];
    double before[2], after[2], kl[2], same_top; /* same_top: percent */
};

struct bench_model {
    char *path;
    struct bise_model *model;
    double load_seconds;
    double weight_bytes;                /* that a token reads; of experts the share that is used */
    double macs;                        /* multiply-adds of most tokens of a prompt */
    enum peak_op op;                    /* what these are made of */
    int32_t *ids;                       /* of prompts; long enough for every row */
    char hash[65];                      /* SHA-256 of the file's header and table of tensors */
    struct bench_evaluation evaluation; /* what the file says was measured */
};

/* What was seen at one visit. */
struct bench_visit {
    double prefill, decode; /* tokens per second, of all sequences together; 0: not asked for */
    double gmacs, gbs;      /* the limits right before and behind it, on the average; 0: none */
    double celsius, mhz;    /* just behind it; 0: unknown */
    double load;            /* the system's, of the last minute */
    bool throttled;
};

struct bench_row {
    size_t model; /* index */
    enum isa isa;
    int threads;
    size_t n_prompt, depth, n_seqs, n_gen;
    bool shortened;                              /* fewer tokens than asked for: it is slow */
    size_t asked;                                /* rows that were asked for the same tokens */
    struct bench_visit visits[BENCH_MAX_ROUNDS]; /* [n_rounds of the run]: without the warm-up */
    double prefill_seconds, decode_seconds;      /* of the last visit; 0: there was none */
    size_t n_sums;                 /* of the fastest loop of its limit's instructions; 0: unknown */
    double best_gbs, best_gmacs;   /* limits as measured beside this row; 0: there is none */
    double limit_gbs, limit_gmacs; /* the best of those that hold for this row */
    double step_bytes;             /* weights and cache that a step of decode reads */
    double resident;               /* bytes */
    uint64_t cache, scratch;       /* bytes, as planned */
    const char *kv;                /* type of the cache */
    int32_t *tokens; /* [n_gen][n_seqs], the likeliest ones, as the warm-up found them */
    char token_hash[65], logit_hash[65]; /* SHA-256; logits: of the last step, [n_seqs][vocab] */
    bool differs; /* from the warm-up's logits, in some round: a fault of machine or program */
};

/* Tokens that have been read: a file without a name, to be loaded as a sequence. */
struct bench_depth {
    size_t model, depth;
    int fd;
};

struct bench_run {
    struct bench_model models[BENCH_MAX_MODELS];
    size_t n_models;
    struct bench_row rows[BENCH_MAX_ROWS];
    size_t n_rows;
    struct bench_depth depths[BENCH_MAX_MODELS * BENCH_MAX_LIST];
    size_t n_depths;
    size_t n_rounds;                   /* that count */
    enum isa baseline;                 /* ISA_COUNT: the first row's */
    const char *suite, *memory, *slot; /* as given; NULL: none */
    enum bise_kv kv;
    int64_t repeats;             /* 0: until all have settled */
    double max_seconds, seconds; /* since begun, which bench_now gave */
    double begun;
    int64_t chunk;                /* 0: chosen */
    struct slots_result *kernels; /* NULL: not asked for */
    size_t wide;                  /* characters of the terminal that tables go to; 0: any */
};

/* Median of n samples and, from six on, an interval that has the true one in it in 95 of 100 cases:
 * from order statistics, which ask nothing of the distribution. What disturbs a machine lasts
 * longer than a round, so that neighbouring samples are not independent: above nine, it is the
 * interval of the medians of nine parts, of rounds one after the other (batch means). */
struct bench_stat {
    double median, low, high;
    bool has_interval;
};
struct bench_stat bench_stat(const double *samples, size_t n);
/* Of a row; median 0: not measured. */
struct bench_stat bench_prefill(const struct bench_run *r, const struct bench_row *row);
struct bench_stat bench_decode(const struct bench_run *r, const struct bench_row *row);
/* Of what the machine could do right before and behind each visit, round by round: what slows both
 * down is not in it. Never above 1. */
struct bench_stat bench_share(const struct bench_run *r, const struct bench_row *row, bool decode);
/* Bytes per second / 1e9 and multiply-adds per second / 1e9 at the median. */
double bench_gbs(const struct bench_run *r, const struct bench_row *row);
double bench_gmacs(const struct bench_run *r, const struct bench_row *row);
bool bench_is_settled(const struct bench_stat *s);
bool bench_was_throttled(const struct bench_run *r, const struct bench_row *row);
/* The row that this one's speed is shown against: the baseline's instruction set, and the first
 * model, thread count and number of sequences, the same prompt and depth. Where the baseline has no
 * such row (a suite asks less of a slow instruction set): the first that has. */
const struct bench_row *bench_base(const struct bench_run *r, const struct bench_row *row);

/* Fills what is known of an open model without measuring. */
void bench_model_facts(struct bench_model *b);
/* What bise quantize --eval wrote into a file, from its text; false, *e zeroed: another text. */
bool bench_read_evaluation(const char *text, struct bench_evaluation *e);
/* What the pool's threads can do now, on the average of about a tenth of `seconds`: GB/s of reading
 * as many bytes as a step of decode (what lies in a cache has the cache's limit), GMAC/s of the
 * instructions of prefill; 0: scalar. The best there was is kept in the row. */
double bench_limit_gbs(struct pool *pool, const struct bise_model *m, struct bench_row *row,
                       double seconds);
double bench_limit_gmacs(struct pool *pool, enum peak_op op, struct bench_row *row, double seconds);
/* The best of what was measured beside any row that has the same limit, what such a row itself has
 * reached included: the machine can do that, as it did it. */
void bench_settle_limits(struct bench_run *r);
/* Reads n ids in chunks; want: of the last. */
enum bise_status bench_read(struct bise_engine *e, const int32_t *ids, size_t n,
                            enum bise_want want, struct bise_error *err);
/* Puts the first sequence of e where the row's prompt begins. Errors: the engine's, the store's. */
enum bise_status bench_go_to_depth(struct bench_run *r, const struct bench_row *row,
                                   struct bise_engine *e, struct bise_error *err);
void bench_close_depths(struct bench_run *r);
/* All rows in turn, round by round, the first one for warming up. Errors: the engine's. */
enum bise_status bench_measure(struct bench_run *r, struct bise_error *err);

/* Append to b. md: as aligned columns, each line at most 100 characters but for names. On a
 * narrower terminal without lines between columns, and with fewer of them. */
void bench_print_table(struct buffer *b, const struct bench_run *r, bool md);
void bench_print_csv(struct buffer *b, const struct bench_run *r);
/* docs/bench-format.md. */
void bench_print_json(struct buffer *b, const struct bench_run *r);
/* Every kernel whose name has part in it (NULL: all) on every instruction set, alone. Errors: ARG
 * (there is none), MEMORY. */
enum bise_status bench_measure_kernels(struct slots_result *k, const char *part,
                                       struct bise_error *err);
void bench_table_kernels(struct buffer *b, const struct slots_result *k, bool md, size_t wide);
void bench_csv_kernels(struct buffer *b, const struct slots_result *k);
/* The member "kernels"; k NULL: null. */
void bench_json_kernels(struct buffer *b, const struct slots_result *k);

/* The members "machine" and "build" of it. */
void bench_print_facts(struct buffer *b);

#endif
