#include "tools/cmd/bench_batch.h"

#include "bench/limits/bandwidth.h"
#include "src/base/error.h"
#include "tools/common/output.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK       256
#define MAX_REPEATS 50

/* Every sequence at the depth: one reads, the others are copies. */
static enum bise_status fill(const struct bench_batch *b, struct bise_engine *e, size_t n_seqs,
                             size_t depth, struct bise_error *err) {
    enum bise_status s = BISE_OK;
    for (size_t at = 0, n; at < depth && s == BISE_OK; at += n) {
        n = depth - at < CHUNK ? depth - at : CHUNK;
        struct bise_run run = {.ids = b->ids + at, .n = n};
        s = bise_step(e, &run, 1, NULL, err);
        s = s != BISE_OK ? s : run.status;
    }
    for (size_t i = 1; i < n_seqs && s == BISE_OK && depth > 0; i++)
        s = bise_seq_copy(e, (uint32_t)i, 0, depth, err);
    return s;
}

/* Tokens per second of n_seqs sequences in all. */
static enum bise_status visit(const struct bench_batch *b, size_t n_seqs, size_t depth,
                              double *rate, struct bise_error *err) {
    const struct bise_engine_params params = {.n_ctx = (uint32_t)(depth + b->n_gen + 1),
                                              .chunk = CHUNK,
                                              .n_threads = b->n_threads,
                                              .isa = b->isa,
                                              .window = -1,
                                              .n_seqs = (uint32_t)n_seqs};
    struct bise_engine *e = NULL;
    struct bise_run *const runs = calloc(n_seqs, sizeof *runs);
    if (runs == NULL)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu runs", n_seqs);
    enum bise_status s = bise_engine_open(&e, b->model, &params, err);
    if (s == BISE_OK)
        s = fill(b, e, n_seqs, depth, err);
    const double start = bench_now();
    for (size_t i = 0; i < b->n_gen && s == BISE_OK; i++) {
        for (size_t j = 0; j < n_seqs; j++)
            runs[j] = (struct bise_run){.seq = (uint32_t)j,
                                        .ids = b->ids + (i + 31 * j) % b->n_ids,
                                        .n = 1,
                                        .want = BISE_WANT_LAST};
        s = bise_step(e, runs, n_seqs, NULL, err);
        for (size_t j = 0; j < n_seqs && s == BISE_OK; j++)
            s = runs[j].status;
    }
    *rate = (double)(n_seqs * b->n_gen) / (bench_now() - start);
    bise_engine_close(&e);
    free(runs);
    return s;
}

static void print_head(const struct bench_batch *b) {
    if (strcmp(b->form, "md") == 0)
        print("%s, %d threads; medians of %zu, +- half the range; %zu tokens each\n\n"
              "| conversations | depth | tokens/s in all | each | x of one "
              "|\n|---|---|---|---|---|\n",
              b->isa, b->n_threads, b->repeats, b->n_gen);
    else if (strcmp(b->form, "csv") == 0)
        print("isa,threads,sequences,depth,all_tps,spread,each_tps,ratio\n");
    else
        print("{\"isa\": \"%s\", \"threads\": %d, \"gen\": %zu, \"repeats\": %zu, \"rows\": [",
              b->isa, b->n_threads, b->n_gen, b->repeats);
}

static void print_row(const struct bench_batch *b, int64_t n, int64_t depth, double *rates,
                      double one, bool first) {
    const double all = bench_median(rates, b->repeats); /* sorts them */
    const double spread = 0.5 * (rates[b->repeats - 1] - rates[0]), each = all / (double)n;
    const double ratio = one > 0 ? all / one : 0;
    if (strcmp(b->form, "md") == 0)
        print("| %lld | %lld | %.2f +- %.2f | %.2f | %.2f |\n", (long long)n, (long long)depth, all,
              spread, each, ratio);
    else if (strcmp(b->form, "csv") == 0)
        print("%s,%d,%lld,%lld,%.4f,%.4f,%.4f,%.4f\n", b->isa, b->n_threads, (long long)n,
              (long long)depth, all, spread, each, ratio);
    else
        print("%s\n  {\"sequences\": %lld, \"depth\": %lld, \"all_tps\": %.4f, \"spread\": %.4f, "
              "\"each_tps\": %.4f, \"ratio\": %.4f}",
              first ? "" : ",", (long long)n, (long long)depth, all, spread, each, ratio);
}

enum bise_status bench_batch_run(const struct bench_batch *b, struct bise_error *err) {
    static double rates[BATCH_MAX_LIST][BATCH_MAX_LIST][MAX_REPEATS];
    for (size_t rep = 0; rep < b->repeats; rep++)
        for (size_t d = 0; d < b->n_depths; d++)
            for (size_t i = 0; i < b->n_counts; i++) {
                const enum bise_status s =
                    visit(b, (size_t)b->counts[i], (size_t)b->depths[d], &rates[d][i][rep], err);
                if (s != BISE_OK)
                    return s;
            }
    print_head(b);
    for (size_t d = 0; d < b->n_depths; d++) {
        double one[MAX_REPEATS];
        memcpy(one, rates[d][0], sizeof one);
        const double base = b->counts[0] == 1 ? bench_median(one, b->repeats) : 0;
        for (size_t i = 0; i < b->n_counts; i++)
            print_row(b, b->counts[i], b->depths[d], rates[d][i], base, d + i == 0);
    }
    print(strcmp(b->form, "json") == 0 ? "\n]}\n" : "");
    return BISE_OK;
}
