/* Tasks of a pool that may fail, each thread with memory of its own. */
#ifndef BISE_SRC_OS_JOBS_H
#define BISE_SRC_OS_JOBS_H

#include "src/os/pool.h"

struct jobs {
    struct pool *pool;
    bool owns_pool;
    uint8_t *buffers; /* [n_threads] of buffer_bytes, 64-byte aligned */
    size_t buffer_bytes;
    struct bise_error *errors; /* [n_threads] */
};

/* pool: one that outlives j, or NULL: n_threads of its own. jobs_close is due in any case.
 * Errors: MEMORY, ARG (n_threads). */
enum bise_status jobs_open(struct jobs *j, struct pool *pool, int n_threads, size_t buffer_bytes,
                           struct bise_error *err);
void jobs_close(struct jobs *j);

/* thread 0 is the one that called jobs_run; buffer and err are the thread's own, err never NULL. */
typedef enum bise_status jobs_fn(void *arg, size_t task, int thread, void *buffer,
                                 struct bise_error *err);
/* Runs fn for every task. Once one has failed no other is begun; its status and detail come back.
 */
enum bise_status jobs_run(struct jobs *j, jobs_fn *fn, void *arg, size_t n_tasks,
                          struct bise_error *err);

#endif
