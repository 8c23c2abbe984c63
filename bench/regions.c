/*
 * regions: what the barriers of decode cost. Each region (pool_run) of a token is timed with one
 * thread and with all; what it should take is the one thread's time divided by the threads, or,
 * where it is a single task, that time itself. The two sessions take turns of TURN tokens, so that
 * drift meets both and threads that wait are awake. Linked with --wrap=pool_run.
 *
 * usage: regions FILE [THREADS] [ISA] [TOKENS]      default all CPUs, the best, 2000
 */
#include "bench/limits/bandwidth.h"
#include "src/bise.h"
#include "src/os/cpu.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_REGIONS 1024
#define POSITION    64 /* tokens before the one that is timed again and again */
#define TURN        50

void __real_pool_run(struct pool *pool, pool_fn *fn, void *arg, size_t n_tasks);
void __wrap_pool_run(struct pool *pool, pool_fn *fn, void *arg, size_t n_tasks);

/* Seconds of the regions of the token that runs, in order. */
static double region_time[MAX_REGIONS];
static size_t region_tasks[MAX_REGIONS], n_regions;

void __wrap_pool_run(struct pool *pool, pool_fn *fn, void *arg, size_t n_tasks) {
    const double start = bench_now();
    __real_pool_run(pool, fn, arg, n_tasks);
    if (n_regions < MAX_REGIONS) {
        region_time[n_regions] = bench_now() - start;
        region_tasks[n_regions] = n_tasks;
    }
    n_regions++;
}

struct side {
    struct bise_session *session;
    double *seconds; /* [MAX_REGIONS][tokens] */
    double *total;   /* [tokens] */
};

static bool open_side(struct side *s, const struct bise_model *model, int n_threads,
                      const char *isa, size_t tokens, struct bise_error *err) {
    const struct bise_engine_params params = {
        .n_ctx = 512, .n_threads = n_threads, .isa = isa, .window = -1};
    s->seconds = malloc(MAX_REGIONS * tokens * sizeof *s->seconds);
    s->total = malloc(tokens * sizeof *s->total);
    if (s->seconds == NULL || s->total == NULL ||
        bise_session_open(&s->session, model, &params, err) != BISE_OK)
        return false;
    for (int32_t i = 0; i < POSITION; i++)
        if (bise_decode(s->session, 3 + i, err) != BISE_OK)
            return false;
    return true;
}

static void close_side(struct side *s) {
    bise_session_close(&s->session);
    free(s->seconds);
    free(s->total);
}

/* Runs the same token again, as measurement i. */
static bool time_token(struct side *s, size_t i, size_t tokens, struct bise_error *err) {
    n_regions = 0;
    const double start = bench_now();
    if (bise_decode(s->session, 3, err) != BISE_OK)
        return false;
    s->total[i] = bench_now() - start;
    for (size_t r = 0; r < n_regions && r < MAX_REGIONS; r++)
        s->seconds[r * tokens + i] = region_time[r];
    return bise_truncate(s->session, POSITION, err) == BISE_OK;
}

static void report(struct side *one, struct side *all, int n_threads, size_t tokens) {
    double alone = 0, shared = 0, shared_one = 0;
    size_t n_shared = 0;
    for (size_t r = 0; r < n_regions; r++) {
        const double t1 = bench_median(one->seconds + r * tokens, tokens);
        const double tn = bench_median(all->seconds + r * tokens, tokens);
        if (region_tasks[r] > 1) {
            n_shared++;
            shared += tn;
            shared_one += t1;
        } else {
            alone += tn;
        }
    }
    const double t1 = bench_median(one->total, tokens), tn = bench_median(all->total, tokens);
    const double ideal = shared_one / n_threads, lost = shared - ideal;
    printf("| us a token | 1 thread | %d threads | without barriers |\n|---|---|---|---|\n",
           n_threads);
    printf("| %zu regions of several tasks | %.1f | %.1f | %.1f |\n", n_shared, 1e6 * shared_one,
           1e6 * shared, 1e6 * ideal);
    printf("| %zu regions of one task | | %.1f | %.1f |\n", n_regions - n_shared, 1e6 * alone,
           1e6 * alone);
    printf("| all | %.1f | %.1f | %.1f |\n", 1e6 * t1, 1e6 * tn, 1e6 * (tn - lost));
    printf("barriers: %.2f us a region, %.1f %% more than the sum of the kernels\n",
           1e6 * lost / (double)(n_shared ? n_shared : 1), 100 * lost / (tn - lost));
}

static bool measure(struct side *one, struct side *all, size_t tokens, struct bise_error *err) {
    for (size_t first = 0; first < tokens; first += TURN)
        for (int turn = 0; turn < 2; turn++)
            for (size_t i = first; i < first + TURN && i < tokens; i++)
                if (!time_token(turn ? all : one, i, tokens, err))
                    return false;
    return true;
}

int main(int argc, char **argv) {
    const int n_threads = argc > 2 ? atoi(argv[2]) : cpu_count();
    const char *const isa = argc > 3 ? argv[3] : NULL;
    const size_t tokens = argc > 4 ? strtoul(argv[4], NULL, 10) : 2000;
    if (argc < 2 || n_threads < 2 || tokens < 1 || tokens > 100000) {
        fprintf(stderr, "usage: regions FILE [THREADS] [ISA] [TOKENS]\n");
        return 2;
    }
    struct bise_error err = {.detail = "no memory"};
    struct bise_model *model = NULL;
    struct side one = {NULL}, all = {NULL};
    const bool measured = bise_model_open(&model, argv[1], NULL, &err) == BISE_OK &&
                          open_side(&one, model, 1, isa, tokens, &err) &&
                          open_side(&all, model, n_threads, isa, tokens, &err) &&
                          measure(&one, &all, tokens, &err);
    if (measured && n_regions <= MAX_REGIONS)
        report(&one, &all, n_threads, tokens);
    else
        fprintf(stderr, "regions: %s\n", measured ? "more regions than expected" : err.detail);
    close_side(&one);
    close_side(&all);
    bise_model_close(&model);
    return measured && n_regions <= MAX_REGIONS ? 0 : 1;
}
