#include "bench/limits/bandwidth.h"

#include <stdlib.h>
#include <time.h>

struct read_job {
    const uint64_t *words;
    size_t n_lines; /* of 64 bytes */
    size_t n_shares;
    _Atomic uint64_t sink; /* so that nothing is left out */
};

/* One word of each line: memory gives whole lines, and the fewer instructions a line takes, the
 * more lines a CPU has under way. */
static void read_share(void *arg, size_t task, int thread) {
    struct read_job *job = arg;
    const size_t from = job->n_lines * task / job->n_shares;
    const size_t to = job->n_lines * (task + 1) / job->n_shares;
    uint64_t s[4] = {0};
    (void)thread;
    for (size_t i = from; i < to; i++)
        s[i % 4] ^= job->words[8 * i];
    job->sink = s[0] ^ s[1] ^ s[2] ^ s[3];
}

double bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bandwidth_read(struct pool *pool, const void *p, size_t len) {
    struct read_job job = {.words = p, .n_lines = len / 64};
    job.n_shares = (size_t)pool_threads(pool);
    const double start = bench_now();
    pool_run(pool, read_share, &job, job.n_shares);
    return bench_now() - start;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *x, size_t n) {
    qsort(x, n, sizeof *x, by_value);
    return n % 2 ? x[n / 2] : 0.5 * (x[n / 2 - 1] + x[n / 2]);
}
