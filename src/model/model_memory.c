#include "src/model/model_memory.h"

#include "src/base/error.h"
#include "src/os/clock.h"
#include "src/os/cpu.h"
#include "src/os/file.h"
#include "src/os/pool.h"
#include "src/os/sysfile.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define WORTH_BYTES  ((uint64_t)64 << 20) /* smaller files are soon in the CPU's own caches */
#define SPARE_BYTES  ((uint64_t)1 << 30)  /* left for cache, scratch and everybody else */
#define PIECE_BYTES  ((size_t)4 << 20)    /* one task of reading */
#define REGION_BYTES ((size_t)128 << 20)  /* between two calls of progress */
#define PROBE_BYTES  ((size_t)64 << 20)
#define SLOW_RATE    1e9 /* bytes per second; zeroing pages by itself runs at several times that */

bool memory_have_huge_pages(void) {
    char how[16];
    return sysfile_huge_pages(how, sizeof how) && strcmp(how, "never") != 0;
}

bool memory_prefers_huge(enum bise_memory asked, uint64_t file_bytes, const struct mem_facts *facts,
                         bool have_huge_pages, char *phrase, size_t cap) {
    const double gib = (double)(1u << 30);
    const uint64_t left = mem_left(facts);
    if (asked == BISE_MEMORY_MMAP) {
        snprintf(phrase, cap, "mapped file, as asked");
    } else if (asked == BISE_MEMORY_HUGE) {
        snprintf(phrase, cap, "copy in huge pages, as asked%s",
                 have_huge_pages ? "" : " (but this system gives none)");
        return true;
    } else if (!have_huge_pages) {
        snprintf(phrase, cap, "mapped file: this system gives no huge pages");
    } else if (file_bytes < WORTH_BYTES) {
        snprintf(phrase, cap, "mapped file: too small to gain from huge pages");
    } else if (left <= SPARE_BYTES || file_bytes > left - SPARE_BYTES ||
               file_bytes > left / 5 * 3) {
        snprintf(phrase, cap,
                 "mapped file: a copy of %.1f GiB is too much for the %.1f GiB available",
                 (double)file_bytes / gib, (double)left / gib);
    } else {
        snprintf(phrase, cap, "copy in huge pages: %.1f GiB of the %.1f GiB available",
                 (double)file_bytes / gib, (double)left / gib);
        return true;
    }
    return false;
}

struct reading {
    const struct memory_request *request;
    uint8_t *copy;
    size_t at;                 /* where this region begins */
    _Atomic bool failed;       /* a thread could not read */
    struct bise_error failure; /* of the first to fail */
};

static void read_piece(void *arg, size_t task, int thread) {
    (void)thread;
    struct reading *r = arg;
    const struct memory_request *q = r->request;
    const size_t at = r->at + task * PIECE_BYTES;
    const size_t n = q->len - at < PIECE_BYTES ? q->len - at : PIECE_BYTES;
    struct bise_error err = {0};
    if (file_read_at(q->fd, q->name, at, r->copy + at, n, &err) != BISE_OK &&
        !atomic_exchange(&r->failed, true))
        r->failure = err;
}

static enum bise_status read_regions(struct reading *r, struct pool *pool, struct bise_error *err) {
    const struct memory_request *q = r->request;
    while (r->at < q->len) {
        const size_t n = q->len - r->at < REGION_BYTES ? q->len - r->at : REGION_BYTES;
        pool_run(pool, read_piece, r, (n + PIECE_BYTES - 1) / PIECE_BYTES);
        if (r->failed)
            return bise_fail(err, r->failure.status, "%s", r->failure.detail);
        if (q->drop_behind)
            file_forget(q->fd, r->at, n);
        r->at += n;
        if (q->progress && q->progress(q->progress_user, r->at, q->len))
            return bise_fail(err, BISE_ERR_INTERRUPTED, "%s: interrupted while reading", q->name);
    }
    return BISE_OK;
}

/* Touches the first pages. A virtual machine whose memory its host has yet to find takes some
 * microseconds for each: gigabytes of it would take longer than they save (docs/decisions.md). */
static bool memory_comes_slowly(uint8_t *copy, size_t len) {
    const size_t n = len < PROBE_BYTES ? len : PROBE_BYTES;
    const double from = seconds_now();
    for (size_t at = 0; at < n; at += 4096)
        *(volatile uint8_t *)(copy + at) = 0;
    return (seconds_now() - from) * SLOW_RATE > (double)n;
}

enum bise_status memory_read(uint8_t **copy, const struct memory_request *request,
                             struct bise_error *err) {
    const size_t len = request->len;
    const int n_threads = request->n_threads > 0 ? request->n_threads : cpu_default_threads();
    struct pool *pool = NULL;
    struct reading r = {.request = request, .copy = mem_alloc(len)};
    *copy = NULL;
    if (!r.copy)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu bytes", request->name, len);
    if (request->may_decline && memory_comes_slowly(r.copy, len)) {
        mem_free(r.copy, len);
        return BISE_OK;
    }
    file_read_ahead(request->fd);
    enum bise_status s = pool_open(&pool, n_threads, err);
    if (s == BISE_OK)
        s = read_regions(&r, pool, err);
    pool_close(&pool);
    if (s == BISE_OK)
        *copy = r.copy;
    else
        mem_free(r.copy, len);
    return s;
}
