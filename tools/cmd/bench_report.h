/* The table of bise bench. */
#ifndef BISE_TOOLS_CMD_BENCH_REPORT_H
#define BISE_TOOLS_CMD_BENCH_REPORT_H

#include "kernels/kernels.h"

struct bench_row {
    enum isa isa;
    int threads;
    size_t thread_index;
    int64_t n_prompt;
    double prefill[50], decode[50]; /* tokens per second, per repetition */
    double decode_gbs[50];          /* bytes read for weights and cache, in GB per second */
    double limit_gbs;               /* the weights' memory read by a plain loop, same threads */
    double limit_gmacs;             /* multiply-adds from registers, same threads; 0: not known */
    double resident;                /* bytes */
};

struct bench_report {
    const char *model, *memory;
    double load_seconds;
    double prefill_macs; /* multiply-adds of a token of prefill */
    const struct bench_row *rows;
    size_t n_rows, repeats;
    int64_t n_gen, depth;
};

void bench_print_md(const struct bench_report *r);
void bench_print_csv(const struct bench_report *r);
void bench_print_json(const struct bench_report *r);

#endif
