/* Times kernels that passed and prints what they reach. */
#include "tests/checkkernels/checkkernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_ROWS    512
#define MAX_SAMPLES 101
#define BATCH_S     1e-3 /* a sample repeats the call for at least this long */
#define BENCH_S     0.1  /* and samples are taken for this long, or until there are MAX_SAMPLES */

struct row {
    const char *slot;
    enum isa isa;
    char shape[64];
    double seconds, bytes, macs; /* of one call */
};

static struct row rows[MAX_ROWS];
static size_t n_rows;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_seconds(void (*fn)(void *arg), void *arg) {
    fn(arg);
    double start = now();
    fn(arg);
    const double once = now() - start;
    const size_t batch = once >= BATCH_S ? 1 : (size_t)(BATCH_S / (once + 1e-9)) + 1;
    double samples[MAX_SAMPLES];
    size_t n = 0;
    const double end = now() + BENCH_S;
    while (n < 5 || (n < MAX_SAMPLES && now() < end)) {
        start = now();
        for (size_t i = 0; i < batch; i++)
            fn(arg);
        samples[n++] = (now() - start) / (double)batch;
    }
    qsort(samples, n, sizeof *samples, by_value);
    return samples[n / 2];
}

void bench_time(struct run *r, const char *shape, double bytes, double macs, void (*fn)(void *arg),
                void *arg) {
    if (n_rows == MAX_ROWS)
        return;
    struct row *row = &rows[n_rows++];
    *row = (struct row){.slot = r->check->name, .isa = r->k->isa, .bytes = bytes, .macs = macs};
    snprintf(row->shape, sizeof row->shape, "%s", shape);
    row->seconds = median_seconds(fn, arg);
}

/* How many times faster than the scalar row of the same slot and shape; 0 if there is none. */
static double speed_up(const struct row *row) {
    for (size_t i = 0; i < n_rows; i++)
        if (rows[i].isa == ISA_SCALAR && strcmp(rows[i].slot, row->slot) == 0 &&
            strcmp(rows[i].shape, row->shape) == 0)
            return rows[i].seconds / row->seconds;
    return 0.0;
}

static void print_row(const struct row *row, enum bench_format format, bool last) {
    const double us = row->seconds * 1e6, gbs = row->bytes / row->seconds * 1e-9;
    const double gmacs = row->macs / row->seconds * 1e-9, speed = speed_up(row);
    const char *isa = isa_name(row->isa);
    switch (format) {
    case BENCH_CSV:
        printf("%s,%s,\"%s\",%.3f,%.3f,%.3f,%.2f\n", row->slot, isa, row->shape, us, gbs, gmacs,
               speed);
        break;
    case BENCH_JSON:
        printf("  {\"slot\": \"%s\", \"isa\": \"%s\", \"shape\": \"%s\", \"us\": %.3f, "
               "\"gb_per_s\": %.3f, \"gmac_per_s\": %.3f, \"over_scalar\": %.2f}%s\n",
               row->slot, isa, row->shape, us, gbs, gmacs, speed, last ? "" : ",");
        break;
    default:
        printf("%-20s %-12s %-34s %12.2f %8.2f %8.2f %8.1fx\n", row->slot, isa, row->shape, us, gbs,
               gmacs, speed);
    }
}

void bench_print(enum bench_format format) {
    if (format == BENCH_CSV)
        printf("slot,isa,shape,us,gb_per_s,gmac_per_s,over_scalar\n");
    else if (format == BENCH_JSON)
        printf("[\n");
    else
        printf("\n%-20s %-12s %-34s %12s %8s %8s %9s\n", "slot", "isa", "shape", "us", "GB/s",
               "GMAC/s", "scalar");
    /* Rows of one slot and shape together, in the order of the instruction sets. */
    bool done[MAX_ROWS] = {false};
    size_t n_done = 0;
    for (size_t i = 0; i < n_rows; i++) {
        for (size_t j = i; j < n_rows && !done[i]; j++) {
            if (strcmp(rows[i].slot, rows[j].slot) == 0 &&
                strcmp(rows[i].shape, rows[j].shape) == 0) {
                done[j] = j != i;
                print_row(&rows[j], format, ++n_done == n_rows);
            }
        }
    }
    if (format == BENCH_JSON)
        printf("]\n");
}
