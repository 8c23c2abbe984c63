/* Times kernels that passed and prints what they reach. */
#include "bench/limits/bandwidth.h"
#include "tests/checkkernels/checkkernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
    double limit;                /* seconds it would take at the machine's limit; 0: none known */
};

static struct row rows[MAX_ROWS];
static size_t n_rows;

/* CPU time of this thread: others may be busy. */
static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double median_seconds(void (*fn)(void *arg), void *arg) {
    fn(arg);
    double start = cpu_seconds();
    fn(arg);
    const double once = cpu_seconds() - start;
    const size_t batch = once >= BATCH_S ? 1 : (size_t)(BATCH_S / (once + 1e-9)) + 1;
    double samples[MAX_SAMPLES];
    size_t n = 0;
    const double end = cpu_seconds() + BENCH_S;
    while (n < 5 || (n < MAX_SAMPLES && cpu_seconds() < end)) {
        start = cpu_seconds();
        for (size_t i = 0; i < batch; i++)
            fn(arg);
        samples[n++] = (cpu_seconds() - start) / (double)batch;
    }
    return bench_median(samples, n);
}

/* ---- limits, measured once in the same run, with one thread ------------------------------- */

static double peaks[ISA_COUNT][PEAK_OPS], bandwidth; /* GMAC/s, GB/s; 0: not measured */

static struct pool *open_pool(void) {
    struct pool *pool = NULL;
    struct bise_error err;
    if (pool_open(&pool, 1, &err) != BISE_OK) {
        fprintf(stderr, "checkkernels: %s\n", err.detail);
        exit(1);
    }
    return pool;
}

/* Of pages like those of the buffers that kernels read. */
static double measure_bandwidth(struct pool *pool) {
    const size_t len = (size_t)256 << 20;
    double seconds[5];
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 0.0;
    memset(p, 1, len);
    for (size_t i = 0; i < 5; i++) {
        const double start = cpu_seconds();
        (void)bandwidth_read(pool, p, len);
        seconds[i] = cpu_seconds() - start;
    }
    munmap(p, len);
    return (double)len / bench_median(seconds, 5) * 1e-9;
}

static double limit_of(enum isa isa, enum peak_op op, double bytes, double macs) {
    if (isa == ISA_SCALAR)
        return 0.0;
    struct pool *pool = open_pool();
    if (bytes >= BENCH_STREAM && bandwidth == 0.0)
        bandwidth = measure_bandwidth(pool);
    if (macs > 0.0 && peaks[isa][op] == 0.0)
        peaks[isa][op] = peak_gmacs(pool, isa, op);
    pool_close(&pool);
    double limit = 0.0;
    if (macs > 0.0 && peaks[isa][op] > 0.0)
        limit = macs / peaks[isa][op] * 1e-9;
    if (bytes >= BENCH_STREAM && bandwidth > 0.0 && bytes / bandwidth * 1e-9 > limit)
        limit = bytes / bandwidth * 1e-9;
    return limit;
}

void bench_time(struct run *r, const char *shape, double bytes, double macs, enum peak_op op,
                void (*fn)(void *arg), void *arg) {
    if (n_rows == MAX_ROWS)
        return;
    struct row *row = &rows[n_rows++];
    *row = (struct row){.slot = r->check->name, .isa = r->k->isa, .bytes = bytes, .macs = macs};
    snprintf(row->shape, sizeof row->shape, "%s", shape);
    row->seconds = median_seconds(fn, arg);
    row->limit = limit_of(r->k->isa, op, bytes, macs);
}

/* ---- report ------------------------------------------------------------------------------ */

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
    const double share = 100.0 * row->limit / row->seconds;
    const char *isa = isa_name(row->isa);
    switch (format) {
    case BENCH_CSV:
        printf("%s,%s,\"%s\",%.3f,%.3f,%.3f,%.1f,%.2f\n", row->slot, isa, row->shape, us, gbs,
               gmacs, share, speed);
        break;
    case BENCH_JSON:
        printf("  {\"slot\": \"%s\", \"isa\": \"%s\", \"shape\": \"%s\", \"us\": %.3f, "
               "\"gb_per_s\": %.3f, \"gmac_per_s\": %.3f, \"percent_of_limit\": %.1f, "
               "\"over_scalar\": %.2f}%s\n",
               row->slot, isa, row->shape, us, gbs, gmacs, share, speed, last ? "" : ",");
        break;
    default:
        printf("%-20s %-12s %-34s %11.2f %7.2f %7.2f ", row->slot, isa, row->shape, us, gbs, gmacs);
        printf(row->limit > 0.0 ? "%5.0f %%" : "      -", share);
        printf(speed > 0.0 ? " %8.1fx\n" : "         -\n", speed);
    }
}

/* The limits that were measured, so that shares can be judged. */
static void print_limits(void) {
    static const char *const names[PEAK_OPS] = {"6-bit", "8-bit", "fma"};
    printf("\nlimits of one thread:");
    if (bandwidth > 0.0)
        printf(" memory %.1f GB/s;", bandwidth);
    for (int isa = 0; isa < ISA_COUNT; isa++)
        for (int op = 0; op < PEAK_OPS; op++)
            if (peaks[isa][op] > 0.0)
                printf(" %s %s %.0f GMAC/s;", isa_name((enum isa)isa), names[op], peaks[isa][op]);
    printf("\n");
}

void bench_print(enum bench_format format) {
    if (format == BENCH_CSV)
        printf("slot,isa,shape,us,gb_per_s,gmac_per_s,percent_of_limit,over_scalar\n");
    else if (format == BENCH_JSON)
        printf("[\n");
    else
        printf("\n%-20s %-12s %-34s %11s %7s %7s %7s %9s\n", "slot", "isa", "shape", "us", "GB/s",
               "GMAC/s", "limit", "scalar");
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
    else if (format == BENCH_TABLE)
        print_limits();
}
