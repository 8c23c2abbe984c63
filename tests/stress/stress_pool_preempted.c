/*
 * The pool whose caller loses its CPU between any two of its stores: what it hands out is then seen
 * in part, and for long. Threads that have their share must do it once, and no count may be lost (a
 * region would never end). The pool is compiled here with stores that sometimes sleep: no timer
 * hits these few instructions often enough. usage: stress_pool_preempted [REGIONS]
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint32_t random_state = 1;
static _Thread_local bool is_caller;

static uint32_t next_random(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 8;
}

/* Longer than a worker waits awake, once in some hundred stores. */
static void lose_cpu(void) {
    const struct timespec t = {.tv_nsec = 1000000};
    if (is_caller && next_random() % 200 == 0)
        nanosleep(&t, NULL);
}

#undef atomic_store_explicit
#define atomic_store_explicit(object, value, order)                                                \
    (lose_cpu(), (void)(order), (void)(*(object) = (value)))

#include "src/os/pool.c" /* NOLINT(bugprone-suspicious-include) */

#define MAX_TASKS 64

static uint32_t runs[MAX_TASKS]; /* plain memory, each written by one task */
static size_t long_from;         /* the tasks of the last shares are long: the first threads help */

static void task_fn(void *arg, size_t task, int thread) {
    volatile uint32_t spin = task >= long_from ? 20000 : 0;
    (void)thread;
    while (spin > 0)
        spin = spin - 1;
    runs[task] += *(const uint32_t *)arg;
}

/* Returns how many tasks ran not exactly once. */
static size_t stress(int n_threads, int regions) {
    struct pool *pool;
    size_t wrong = 0;
    if (pool_open(&pool, n_threads, NULL) != BISE_OK)
        return 1;
    for (int r = 0; r < regions; r++) {
        uint32_t value = (uint32_t)r + 1;
        const size_t n = 2 + next_random() % (MAX_TASKS - 1);
        long_from = next_random() % 4 == 0 ? n / 2 : SIZE_MAX;
        memset(runs, 0, sizeof runs);
        pool_run(pool, task_fn, &value, n);
        for (size_t i = 0; i < MAX_TASKS; i++)
            wrong += runs[i] != (i < n ? value : 0);
    }
    pool_close(&pool);
    return wrong;
}

int main(int argc, char **argv) {
    static const int counts[] = {2, 3, 8, 16};
    const size_t n_counts = sizeof counts / sizeof counts[0];
    const int regions = argc > 1 ? atoi(argv[1]) : 1000;
    size_t wrong = 0;
    is_caller = true;
    for (size_t i = 0; i < n_counts; i++)
        wrong += stress(counts[i], regions);
    printf("%s pools whose caller loses its CPU: %zu of them, %zu wrong\n", wrong ? "not ok" : "ok",
           n_counts, wrong);
    return wrong != 0;
}
