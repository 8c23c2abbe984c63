/* Files of bise bench and bise study, read for a report. Nothing in them is trusted: sizes are
 * bounded, numbers checked, and texts are kept as they are, to be escaped where they are shown. */
#ifndef BISE_TOOLS_REPORT_RUNS_H
#define BISE_TOOLS_REPORT_RUNS_H

#include "src/base/json.h"

#define RUNS_MAX        8
#define RUN_MAX_BYTES   ((size_t)4 << 20)
#define RUN_MAX_ROWS    256
#define RUN_MAX_ROUNDS  50
#define RUN_MAX_MODELS  8
#define RUN_MAX_KERNELS 512
#define RUN_MAX_ISAS    8
#define RUN_TEXT        128 /* bytes of a text that are kept */

struct run_speed {                       /* all 0: not measured */
    double rate, low, high;              /* tokens per second; low == high: no interval */
    double amount, limit;                /* GMAC/s or GB/s; limit 0: none */
    double share, share_low, share_high; /* of the limit at that moment (files before version 3: of
                                            the best); low == high: no interval */
    bool noisy;
};

struct run_row {
    size_t model;
    char isa[24];
    double threads, sequences, depth, prompt, gen;
    struct run_speed prefill, decode;
    double clock[RUN_MAX_ROUNDS], celsius[RUN_MAX_ROUNDS]; /* [n_clock], [n_celsius]; 0: unknown */
    bool hot[RUN_MAX_ROUNDS];                              /* [n_hot]: throttled in that round */
    size_t n_clock, n_celsius, n_hot;
    bool throttled, shortened, repeatable; /* throttled: in any round */
    double cache, scratch, resident;       /* bytes */
    char tokens[65], logits[65];
};

/* What bise quantize --eval measured: values with standard errors. */
struct run_quality {
    bool is_known;
    char text[RUN_TEXT];
    double before[2], after[2], kl[2], same_top; /* perplexity; same_top: percent */
};

struct run_model {
    char name[RUN_TEXT], type[RUN_TEXT], hash[65];
    double weights, decode_bytes, macs, bits;
    struct run_quality quality;
};

struct run_kernel {
    char kernel[32], shape[32], isa[24], of[24];
    double seconds, gbs, gmacs, share, over_scalar; /* 0: none */
};

/* Of machine and build. */
struct run_facts {
    char cpu[RUN_TEXT], architecture[RUN_TEXT], kernel[RUN_TEXT], compiler[RUN_TEXT],
        version[RUN_TEXT], commit[RUN_TEXT], governor[RUN_TEXT], pages[RUN_TEXT];
    double cores, threads, memory;
    bool is_virtual;
};

struct run {
    char *text; /* [len]: the JSON as it was */
    size_t len;
    struct run_facts facts;
    char baseline[24];
    double rounds;
    struct run_model models[RUN_MAX_MODELS];
    size_t n_models;
    struct run_row rows[RUN_MAX_ROWS];
    size_t n_rows;
    struct run_kernel kernels[RUN_MAX_KERNELS];
    size_t n_kernels;
};

/* A file of bise study --json: looked into where it is shown. */
struct study_file {
    char *text; /* [len]: as it was */
    size_t len;
    struct run_facts facts;
    struct json *json;
};

struct runs {
    struct run *run[RUNS_MAX]; /* [n], in memory of their own */
    size_t n;
    struct study_file study[RUNS_MAX]; /* [n_studies] */
    size_t n_studies;
};

/* Members of an object that may be missing. A number that is none or beyond all measure is 0; so is
 * one below 0, but for run_signed. Text is cut to cap - 1 bytes. */
double run_number(const struct json_value *of, const char *key);
double run_signed(const struct json_value *v);
void run_text(char *out, size_t cap, const struct json_value *of, const char *key);

/* What stands around a file in a page. */
#define RUN_OPEN  "<script type=\"application/json\" class=\"bise\">"
#define RUN_CLOSE "</script>"

/* Adds what path holds: a file of bise bench or bise study, or those inside a page that was made
 * before. Errors: IO, FORMAT (no such file; member and what was expected are named), MEMORY. */
enum bise_status runs_read(struct runs *all, const char *path, struct bise_error *err);
/* The same of text [len], NUL behind it, called name in messages. */
enum bise_status runs_read_text(struct runs *all, const char *text, size_t len, const char *name,
                                struct bise_error *err);
void runs_free(struct runs *r);

#endif
