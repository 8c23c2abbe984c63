/* Threads started once. A region is cut into tasks whose number and borders never depend on the
 * number of threads; which thread runs a task does not matter to the result. */
#ifndef BISE_SRC_OS_POOL_H
#define BISE_SRC_OS_POOL_H

#include "src/bise.h"

struct pool;

#define POOL_MAX_THREADS 1024

/* n_threads: 1 to POOL_MAX_THREADS, the caller's thread among them. */
enum bise_status pool_open(struct pool **out, int n_threads, struct bise_error *err);
void pool_close(struct pool **pool);
int pool_threads(const struct pool *pool);

/* task in 0..n_tasks-1; thread in 0..n_threads-1 (to pick scratch). */
typedef void pool_fn(void *arg, size_t task, int thread);

/* Runs fn for every task; returns when all are done. All writes made by tasks are visible after. */
void pool_run(struct pool *pool, pool_fn *fn, void *arg, size_t n_tasks);

/* From now on (NULL: no longer) a thread looks at *stop before each task, and where it is not 0 the
 * task is left out and counts as done. stop may be set by any thread and by a signal handler. */
void pool_stop_on(struct pool *pool, const volatile int *stop);
bool pool_stopped(const struct pool *pool);

/* Makes memory resident before it is needed, by all threads: writes a zero into each page of p,
 * which must be zeroed. */
void pool_touch(struct pool *pool, void *p, size_t bytes);

#endif
