/* Tasks that may fail: what comes back, and what they work in. */
#include "src/base/error.h"
#include "src/os/jobs.h"

#include <criterion/criterion.h>
#include <stdatomic.h>

#define N_TASKS 500

static struct bise_error err;

struct work {
    const struct jobs *jobs;
    size_t fails_at; /* N_TASKS: no task fails */
    _Atomic unsigned n_done;
    _Atomic bool wrong_buffer;
};

static enum bise_status work_task(void *arg, size_t task, int thread, void *buffer,
                                  struct bise_error *task_err) {
    struct work *const w = arg;
    if (buffer != w->jobs->buffers + (size_t)thread * w->jobs->buffer_bytes ||
        (uintptr_t)buffer % 64 != 0 || w->jobs->buffer_bytes < 100)
        w->wrong_buffer = true;
    ((uint8_t *)buffer)[99] = (uint8_t)task;
    w->n_done++;
    return task == w->fails_at ? bise_fail(task_err, BISE_ERR_FORMAT, "task %zu", task) : BISE_OK;
}

Test(jobs, a_failure_comes_back_and_the_next_run_is_free_of_it) {
    for (int n_threads = 1; n_threads <= 4; n_threads++) {
        struct jobs jobs;
        cr_assert_eq(jobs_open(&jobs, NULL, n_threads, 100, &err), BISE_OK, "%s", err.detail);
        struct work failing = {.jobs = &jobs, .fails_at = 17}, sound = {&jobs, N_TASKS, 0, false};
        cr_assert_eq(jobs_run(&jobs, work_task, &failing, N_TASKS, &err), BISE_ERR_FORMAT);
        cr_assert_str_eq(err.detail, "task 17");
        cr_assert_eq(jobs_run(&jobs, work_task, &failing, N_TASKS, NULL), BISE_ERR_FORMAT);
        cr_assert(n_threads > 1 || failing.n_done == 2 * 18, "%u", failing.n_done);
        cr_assert_eq(jobs_run(&jobs, work_task, &sound, N_TASKS, &err), BISE_OK);
        cr_assert_eq(sound.n_done, N_TASKS);
        cr_assert(!sound.wrong_buffer && !failing.wrong_buffer);
        jobs_close(&jobs);
    }
}

static enum bise_status no_buffer(void *arg, size_t task, int thread, void *buffer,
                                  struct bise_error *task_err) {
    (void)arg, (void)task, (void)thread;
    return buffer ? bise_fail(task_err, BISE_ERR_ARG, "a buffer") : BISE_OK;
}

Test(jobs, in_a_pool_that_stays) {
    struct pool *pool;
    struct jobs jobs;
    cr_assert_eq(pool_open(&pool, 2, &err), BISE_OK);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(jobs_open(&jobs, pool, 0, 0, &err), BISE_OK);
        cr_assert_eq(jobs_run(&jobs, no_buffer, NULL, 10, &err), BISE_OK);
        jobs_close(&jobs);
    }
    pool_close(&pool);
}

Test(jobs, too_many_threads) {
    struct jobs jobs;
    cr_assert_eq(jobs_open(&jobs, NULL, POOL_MAX_THREADS + 1, 0, &err), BISE_ERR_ARG);
    jobs_close(&jobs);
}
