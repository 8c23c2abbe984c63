/*
 * Each region gives every thread a contiguous share of the tasks, in one 64-bit word: the region's
 * number and the first and last of what is left. The owner takes from the front, a thread that has
 * finished its own takes from the back of another's. A region ends when all tasks are done, not
 * when all threads have seen it: a thread that the system did not run misses nothing, since its
 * share was taken over; what it then still knows of the old region is refused by the number in the
 * words.
 *
 * Small regions cost little but cache lines that travel between CPUs, so as few as can be do: a
 * thread that waits awake polls its own word, whose line brings all that it needs to begin, and
 * counts what it did in a line of its own.
 */
#include "src/os/pool.h"

#include "src/base/error.h"
#include "src/base/float_mode.h"
#include "src/os/cpu.h"
#include "src/os/mem.h"
#include "src/os/thread.h"

#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_BATCH UINT16_MAX /* tasks of one region: what the words have room for */
#define SPINS     4000       /* waits of some tens of cycles each, before sleeping */

/* What a thread is given, written by the caller, and what it did. CPUs fetch lines in pairs. */
struct share {
    _Alignas(128) _Atomic uint64_t word; /* region << 32 | begin << 16 | end; begin == end: empty */
    _Atomic(pool_fn *) fn;
    _Atomic(void *) arg;
    _Atomic size_t base;                 /* first task of this region's batch */
    _Alignas(128) _Atomic uint64_t done; /* region << 32 | tasks of it that this thread has run */
};

struct pool {
    _Alignas(64) _Atomic uint32_t region;   /* written by the caller alone; workers sleep on it */
    _Alignas(64) _Atomic uint32_t sleepers; /* workers in futex_wait, or about to be */
    _Atomic uint32_t spinners;              /* workers waiting awake; counted where crowded */
    _Alignas(64) _Atomic uint32_t caller_sleeps;
    _Atomic bool closing;
    const volatile int *stop; /* pool_stop_on; changed between regions, NULL: never */
    int n_threads;
    int n_workers;         /* threads really started; n_threads - 1 once open */
    bool crowded;          /* more threads than CPUs */
    uint32_t max_spinners; /* workers that may wait awake: CPUs less the caller's */
    struct share *shares;  /* [n_threads] */
    struct worker *workers;
};

struct worker {
    struct pool *pool;
    struct thread *id;
    int thread;
};

static void futex_wait(_Atomic uint32_t *word, uint32_t expected) {
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, uint32_t n_threads) {
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n_threads, NULL, NULL, 0);
}

static inline void spin_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    /* yield is a no-op on most cores; isb waits some cycles. */
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* Takes one task of the region from the front or the back of a share. False if none is left. */
static bool take(struct share *share, uint32_t region, bool from_back, size_t *task) {
    uint64_t word = atomic_load_explicit(&share->word, memory_order_acquire);
    for (;;) {
        const uint32_t begin = word >> 16 & 0xffff, end = word & 0xffff;
        if ((uint32_t)(word >> 32) != region || begin == end)
            return false;
        const uint64_t next = from_back ? word - 1 : word + ((uint64_t)1 << 16);
        if (atomic_compare_exchange_weak_explicit(&share->word, &word, next, memory_order_acq_rel,
                                                  memory_order_acquire)) {
            *task = from_back ? end - 1 : begin;
            return true;
        }
    }
}

/* Runs tasks of the region until none can be taken; returns how many it ran. */
static uint32_t work(struct pool *pool, uint32_t region, int thread) {
    /* A task that could be taken keeps fn, arg and base from being replaced (see take). */
    const struct share *const own = &pool->shares[thread];
    pool_fn *const fn = atomic_load_explicit(&own->fn, memory_order_relaxed);
    void *const arg = atomic_load_explicit(&own->arg, memory_order_relaxed);
    const size_t base = atomic_load_explicit(&own->base, memory_order_relaxed);
    __builtin_prefetch(arg);
    uint32_t done = 0;
    for (int i = 0; i < pool->n_threads; i++) {
        const int owner = thread + i < pool->n_threads ? thread + i : thread + i - pool->n_threads;
        size_t task;
        while (take(&pool->shares[owner], region, owner != thread, &task)) {
            if (!pool_stopped(pool))
                fn(arg, base + task, thread);
            done++;
        }
    }
    return done;
}

static uint32_t region_of(const struct share *share) {
    return (uint32_t)(atomic_load_explicit(&share->word, memory_order_acquire) >> 32);
}

/* Polls a while for the region of the thread's share to change from `seen`. */
static bool spin_region(const struct share *own, uint32_t seen) {
    for (int i = 0; i < SPINS; i++) {
        if (region_of(own) != seen)
            return true;
        spin_pause();
    }
    return false;
}

/* Waits until the region of the thread's share is no longer `seen`; returns the new one, once. It
 * may come before the region is published: the caller may lose its CPU between two shares. Where
 * there are more threads than CPUs only as many wait awake as there are CPUs: others would keep
 * them from work. */
static uint32_t wait_region(struct pool *pool, const struct share *own, uint32_t seen) {
    bool changed = false;
    if (!pool->crowded) {
        changed = spin_region(own, seen);
    } else {
        if (atomic_fetch_add(&pool->spinners, 1) < pool->max_spinners)
            changed = spin_region(own, seen);
        atomic_fetch_sub(&pool->spinners, 1);
    }
    if (!changed) {
        atomic_fetch_add(&pool->sleepers, 1);
        for (;;) {
            const uint32_t published = atomic_load(&pool->region); /* after the shares' words */
            if (region_of(own) != seen)
                break;
            futex_wait(&pool->region, published);
        }
        atomic_fetch_sub(&pool->sleepers, 1);
    }
    return region_of(own);
}

static void *worker_main(void *p) {
    struct worker *const w = p;
    struct pool *const pool = w->pool;
    struct share *const own = &pool->shares[w->thread];
    uint32_t seen = 0;
    (void)float_mode_begin(); /* threads inherit their maker's */
    for (;;) {
        seen = wait_region(pool, own, seen);
        if (atomic_load(&pool->closing))
            return NULL;
        const uint32_t done = work(pool, seen, w->thread);
        if (done == 0)
            continue;
        /* Exchanges, here and in wait_done: some emulators let a load pass a store before it. */
        (void)atomic_exchange(&own->done, (uint64_t)seen << 32 | done);
        if (atomic_load(&pool->caller_sleeps) != 0 && atomic_exchange(&pool->caller_sleeps, 0) != 0)
            futex_wake(&pool->caller_sleeps, 1);
    }
}

/* Starts the next region, and wakes workers that sleep: all, or where there are more than CPUs, as
 * many as CPUs wait for work. */
static void publish(struct pool *pool) {
    atomic_fetch_add(&pool->region, 1);
    if (atomic_load(&pool->sleepers) == 0)
        return;
    const uint32_t spinners = pool->crowded ? atomic_load(&pool->spinners) : 0;
    if (spinners < pool->max_spinners)
        futex_wake(&pool->region, pool->max_spinners - spinners);
}

/* Whether the workers have run n tasks of the region. */
static bool have_done(const struct pool *pool, uint32_t region, uint32_t n) {
    for (int i = 1; i < pool->n_threads && n > 0; i++) {
        const uint64_t done = atomic_load(&pool->shares[i].done);
        if ((uint32_t)(done >> 32) == region)
            n -= (uint32_t)done;
    }
    return n == 0;
}

static void wait_done(struct pool *pool, uint32_t region, uint32_t n) {
    for (int i = 0; i < SPINS; i++) {
        if (have_done(pool, region, n))
            return;
        spin_pause();
    }
    for (;;) {
        (void)atomic_exchange(&pool->caller_sleeps, 1);
        if (have_done(pool, region, n))
            break;
        futex_wait(&pool->caller_sleeps, 1);
    }
    atomic_store(&pool->caller_sleeps, 0);
}

static void run_batch(struct pool *pool, pool_fn *fn, void *arg, size_t base, uint32_t n) {
    const uint32_t n_threads = (uint32_t)pool->n_threads;
    const uint32_t region = atomic_load_explicit(&pool->region, memory_order_relaxed) + 1;
    for (uint32_t i = 0; i < n_threads; i++) {
        struct share *const share = &pool->shares[i];
        const uint64_t begin = (uint64_t)n * i / n_threads, end = (uint64_t)n * (i + 1) / n_threads;
        atomic_store_explicit(&share->fn, fn, memory_order_relaxed);
        atomic_store_explicit(&share->arg, arg, memory_order_relaxed);
        atomic_store_explicit(&share->base, base, memory_order_relaxed);
        atomic_store_explicit(&share->word, (uint64_t)region << 32 | begin << 16 | end,
                              memory_order_release);
    }
    publish(pool);
    const uint32_t done = work(pool, region, 0);
    wait_done(pool, region, n - done);
}

void pool_run(struct pool *pool, pool_fn *fn, void *arg, size_t n_tasks) {
    if (pool->n_threads == 1 || n_tasks == 1) {
        for (size_t i = 0; i < n_tasks && !pool_stopped(pool); i++)
            fn(arg, i, 0);
        return;
    }
    for (size_t base = 0; base < n_tasks; base += MAX_BATCH) {
        const size_t left = n_tasks - base;
        run_batch(pool, fn, arg, base, left < MAX_BATCH ? (uint32_t)left : MAX_BATCH);
    }
}

/* Starts the workers with signals blocked, so that they are handled by the caller's threads;
 * but not those that a thread's own doing raises, which would end the process without its
 * handler. */
static bool start_workers(struct pool *pool) {
    static const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
    sigset_t all, before;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = true;
    while (ok && pool->n_workers < pool->n_threads - 1) {
        struct worker *const w = &pool->workers[pool->n_workers];
        *w = (struct worker){.pool = pool, .thread = pool->n_workers + 1};
        w->id = thread_start(worker_main, w);
        ok = w->id != NULL;
        pool->n_workers += ok;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

enum bise_status pool_open(struct pool **out, int n_threads, struct bise_error *err) {
    *out = NULL;
    if (n_threads < 1 || n_threads > POOL_MAX_THREADS)
        return bise_fail(err, BISE_ERR_ARG, "threads: expected 1 to %d, found %d", POOL_MAX_THREADS,
                         n_threads);
    struct pool *pool = mem_alloc(sizeof *pool);
    if (pool == NULL)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %d threads", n_threads);
    pool->n_threads = n_threads;
    const int n_cpus = cpu_count();
    pool->crowded = n_threads > n_cpus;
    pool->max_spinners = (uint32_t)(pool->crowded ? n_cpus : n_threads) - 1;
    pool->shares = mem_alloc(sizeof *pool->shares * (size_t)n_threads);
    pool->workers = calloc((size_t)n_threads, sizeof *pool->workers);
    if (pool->shares == NULL || pool->workers == NULL || !start_workers(pool)) {
        pool_close(&pool);
        return bise_fail(err, BISE_ERR_MEMORY, "%d threads could not be started", n_threads);
    }
    *out = pool;
    return BISE_OK;
}

void pool_close(struct pool **p) {
    struct pool *const pool = *p ? *p : NULL;
    if (pool == NULL)
        return;
    atomic_store(&pool->closing, true);
    const uint32_t region = atomic_load(&pool->region) + 1;
    for (int i = 1; i <= pool->n_workers; i++)
        atomic_store(&pool->shares[i].word, (uint64_t)region << 32);
    atomic_store(&pool->region, region);
    futex_wake(&pool->region, POOL_MAX_THREADS);
    for (int i = 0; i < pool->n_workers; i++)
        thread_join(&pool->workers[i].id);
    free(pool->workers);
    mem_free(pool->shares, sizeof *pool->shares * (size_t)pool->n_threads);
    mem_free(pool, sizeof *pool);
    *p = NULL;
}

void pool_stop_on(struct pool *pool, const volatile int *stop) {
    pool->stop = stop;
}

bool pool_stopped(const struct pool *pool) {
    return pool->stop != NULL && __atomic_load_n(pool->stop, __ATOMIC_RELAXED) != 0;
}

int pool_threads(const struct pool *pool) {
    return pool->n_threads;
}

#define TOUCH_BYTES ((size_t)2 << 20) /* of a task */
#define PAGE_BYTES  ((size_t)4096)    /* the smallest there is */

struct touch {
    volatile uint8_t *p;
    size_t bytes;
};

static void touch_task(void *arg, size_t task, int thread) {
    (void)thread;
    const struct touch *const t = arg;
    const size_t begin = task * TOUCH_BYTES, left = t->bytes - begin;
    const size_t end = begin + (left < TOUCH_BYTES ? left : TOUCH_BYTES);
    for (size_t i = begin; i < end; i += PAGE_BYTES)
        t->p[i] = 0;
}

void pool_touch(struct pool *pool, void *p, size_t bytes) {
    struct touch t = {.p = p, .bytes = bytes};
    pool_run(pool, touch_task, &t, (bytes + TOUCH_BYTES - 1) / TOUCH_BYTES);
}
