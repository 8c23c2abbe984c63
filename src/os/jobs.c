#include "src/os/jobs.h"

#include "src/base/error.h"
#include "src/os/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

enum bise_status jobs_open(struct jobs *j, struct pool *pool, int n_threads, size_t buffer_bytes,
                           struct bise_error *err) {
    *j = (struct jobs){.pool = pool, .owns_pool = pool == NULL};
    const enum bise_status s = pool ? BISE_OK : pool_open(&j->pool, n_threads, err);
    if (s != BISE_OK)
        return s;
    const size_t n = (size_t)pool_threads(j->pool);
    size_t bytes;
    j->buffer_bytes = buffer_bytes + (64 - buffer_bytes % 64) % 64;
    j->errors = calloc(n, sizeof *j->errors);
    if (j->buffer_bytes > 0 && mul_ok(n, j->buffer_bytes, &bytes))
        j->buffers = mem_alloc(bytes);
    if (j->errors && (j->buffers || buffer_bytes == 0))
        return BISE_OK;
    return bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu buffers of %zu bytes", n,
                     buffer_bytes);
}

void jobs_close(struct jobs *j) {
    if (j->buffers)
        mem_free(j->buffers, (size_t)pool_threads(j->pool) * j->buffer_bytes);
    free(j->errors);
    if (j->owns_pool)
        pool_close(&j->pool);
    *j = (struct jobs){0};
}

struct run {
    struct jobs *jobs;
    jobs_fn *fn;
    void *arg;
    _Atomic bool failed;
};

static void run_task(void *arg, size_t task, int thread) {
    struct run *const r = arg;
    struct bise_error *const err = &r->jobs->errors[thread];
    uint8_t *const buffers = r->jobs->buffers;
    if (r->failed)
        return;
    err->status = r->fn(r->arg, task, thread,
                        buffers ? buffers + (size_t)thread * r->jobs->buffer_bytes : NULL, err);
    if (err->status != BISE_OK)
        r->failed = true;
}

enum bise_status jobs_run(struct jobs *j, jobs_fn *fn, void *arg, size_t n_tasks,
                          struct bise_error *err) {
    struct run r = {.jobs = j, .fn = fn, .arg = arg};
    const int n = pool_threads(j->pool);
    for (int i = 0; i < n; i++)
        j->errors[i].status = BISE_OK;
    pool_run(j->pool, run_task, &r, n_tasks);
    for (int i = 0; i < n; i++)
        if (j->errors[i].status != BISE_OK) {
            if (err)
                *err = j->errors[i];
            return j->errors[i].status;
        }
    return BISE_OK;
}
