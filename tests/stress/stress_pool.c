/*
 * Hammers the pool: regions of every size, far more threads than CPUs, tasks of very uneven length,
 * several pools at once. Every task must run exactly once and its plain writes must be visible to
 * the caller. Meant to be built with -fsanitize=thread as well. usage: stress_pool [REGIONS]
 */
#include "src/os/pool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_TASKS 70000 /* more than one batch of the pool */

struct job {
    uint32_t *runs; /* [n_tasks]: plain memory, each written by one task */
    uint32_t value;
    bool uneven;
};

static void task_fn(void *arg, size_t task, int thread) {
    struct job *const job = arg;
    volatile uint32_t spin = job->uneven && task % 13 == 0 ? 2000 : 0;
    while (spin > 0)
        spin = spin - 1;
    job->runs[task] += job->value + (uint32_t)thread * 0;
}

/* Regions of pseudo-random size on one pool; returns how many tasks ran not exactly once. The jobs
 * take turns: a thread that is late must not run a task of the next region for the job before. */
static size_t stress(int n_threads, int regions, uint32_t seed) {
    static uint32_t nowhere[MAX_TASKS];
    struct pool *pool;
    struct job jobs[2];
    uint32_t *runs = calloc(MAX_TASKS, sizeof *runs);
    if (runs == NULL || pool_open(&pool, n_threads, NULL) != BISE_OK) {
        free(runs);
        return 1;
    }
    size_t wrong = 0;
    for (int r = 0; r < regions; r++) {
        seed = seed * 1664525u + 1013904223u;
        const size_t n = r == 0 ? MAX_TASKS : (seed >> 8) % (r % 50 == 0 ? 3000 : 40);
        struct job *const job = &jobs[r % 2];
        *job = (struct job){.runs = runs, .value = (uint32_t)r + 1, .uneven = seed >> 31};
        memset(runs, 0, n * sizeof *runs);
        pool_run(pool, task_fn, job, n);
        for (size_t i = 0; i < n; i++)
            wrong += runs[i] != job->value;
        job->runs = nowhere;
    }
    pool_close(&pool);
    free(runs);
    return wrong;
}

/* The caller's tasks are the shorter ones: it is done first, sleeps, and must be woken. */
static void sleepy_task(void *arg, size_t task, int thread) {
    const struct timespec t = {.tv_nsec = thread == 0 ? 500000 : 4000000};
    (void)arg;
    (void)task;
    nanosleep(&t, NULL);
}

static size_t wait_for_others(void) {
    struct pool *pool;
    if (pool_open(&pool, 2, NULL) != BISE_OK)
        return 1;
    for (int r = 0; r < 20; r++)
        pool_run(pool, sleepy_task, NULL, 6);
    pool_close(&pool);
    return 0;
}

static int regions_of_each = 3000;

static void *stress_thread(void *arg) {
    const int n_threads = *(const int *)arg;
    return (void *)stress(n_threads, regions_of_each, (uint32_t)n_threads);
}

int main(int argc, char **argv) {
    if (argc > 1)
        regions_of_each = atoi(argv[1]);
    static const int counts[] = {1, 2, 3, 4, 8, 16};
    size_t wrong = 0, tests = 0;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++, tests++)
        wrong += stress(counts[i], regions_of_each, (uint32_t)i + 7);
    wrong += wait_for_others();
    pthread_t ids[3];
    for (int i = 0; i < 3; i++)
        if (pthread_create(&ids[i], NULL, stress_thread, (void *)&counts[i + 1]) != 0)
            return 1;
    for (int i = 0; i < 3; i++, tests++) {
        void *bad;
        pthread_join(ids[i], &bad);
        wrong += (size_t)bad;
    }
    for (int i = 0; i < 100; i++) { /* opening and closing without work */
        struct pool *pool;
        wrong += pool_open(&pool, 4, NULL) != BISE_OK;
        pool_close(&pool);
    }
    printf("%s pools: %zu of them, %zu wrong\n", wrong ? "not ok" : "ok", tests, wrong);
    return wrong != 0;
}
