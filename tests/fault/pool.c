/* Faults while threads are started. */
#include "src/os/pool.h"
#include "src/os/cpu.h"
#include "tests/fault/fault.h"

#include <stdatomic.h>

static atomic_size_t sum;

static void add_task(void *arg, size_t task, int thread) {
    (void)arg;
    (void)thread;
    atomic_fetch_add(&sum, task + 1);
}

static enum bise_status run(const char *dir, struct bise_error *err) {
    (void)dir;
    struct pool *pool = NULL;
    if (cpu_count() < 1 || cpu_default_threads() < 1)
        return BISE_STATUS_COUNT;
    enum bise_status status = pool_open(&pool, 4, err);
    if (status == BISE_OK) {
        atomic_store(&sum, 0);
        pool_run(pool, add_task, NULL, 100);
        if (atomic_load(&sum) != 5050)
            status = BISE_STATUS_COUNT;
    }
    pool_close(&pool);
    return status;
}

const struct scenario pool_scenarios[] = {
    {"pool", NULL, run, NULL, NULL, MEETS(MALLOC) | MEETS(THREAD)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
