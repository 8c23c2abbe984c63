#include "model_memory.h"

#include "cpu.h"
#include "error.h"
#include "pool.h"
#include "sysfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORTH_BYTES  ((uint64_t)64 << 20) /* smaller files are soon in the CPU's own caches */
#define SPARE_BYTES  ((uint64_t)1 << 30)  /* left for cache, scratch and everybody else */
#define PIECE_BYTES  ((size_t)4 << 20)    /* one task of reading */
#define REGION_BYTES ((size_t)128 << 20)  /* between two calls of progress */

bool memory_have_huge_pages(void) {
    char text[128];
    return sysfile_read("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text) &&
           strstr(text, "[never]") == NULL;
}

bool memory_prefers_huge(enum bise_memory asked, uint64_t file_bytes, const struct mem_facts *facts,
                         bool have_huge_pages, char *phrase, size_t cap) {
    const double gib = (double)(1u << 30);
    const uint64_t left = facts->limit < facts->available ? facts->limit : facts->available;
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

enum bise_status memory_map(uint8_t **map, int fd, size_t len, const char *name,
                            struct bise_error *err) {
    *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
    if (*map != MAP_FAILED)
        return BISE_OK;
    const int code = errno;
    *map = NULL;
    return bise_fail(err, code == ENOMEM ? BISE_ERR_MEMORY : BISE_ERR_IO,
                     "%s: mapping %zu bytes: %s", name, len, strerror(code));
}

struct reading {
    uint8_t *copy;
    size_t len, at; /* at: where this region begins */
    int fd;
    int code; /* errno of a failed read, -1: end of file; threads only ever set it */
};

static void read_piece(void *arg, size_t task, int thread) {
    (void)thread;
    struct reading *r = arg;
    size_t at = r->at + task * PIECE_BYTES;
    const size_t end = r->len - at < PIECE_BYTES ? r->len : at + PIECE_BYTES;
    while (at < end) {
        const ssize_t n = pread(r->fd, r->copy + at, end - at, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            __atomic_store_n(&r->code, n < 0 ? errno : -1, __ATOMIC_RELAXED);
            return;
        }
        at += (size_t)n;
    }
}

static enum bise_status read_regions(struct reading *r, struct pool *pool, bool drop_behind,
                                     bise_progress_fn *progress, void *user, const char *name,
                                     struct bise_error *err) {
    while (r->at < r->len) {
        const size_t n = r->len - r->at < REGION_BYTES ? r->len - r->at : REGION_BYTES;
        pool_run(pool, read_piece, r, (n + PIECE_BYTES - 1) / PIECE_BYTES);
        if (r->code == -1)
            return bise_fail(err, BISE_ERR_FORMAT, "%s became shorter while it was read", name);
        if (r->code != 0)
            return bise_fail(err, BISE_ERR_IO, "%s: reading: %s", name, strerror(r->code));
        if (drop_behind)
            (void)posix_fadvise(r->fd, (off_t)r->at, (off_t)n, POSIX_FADV_DONTNEED);
        r->at += n;
        if (progress && progress(user, r->at, r->len))
            return bise_fail(err, BISE_ERR_INTERRUPTED, "%s: interrupted while reading", name);
    }
    return BISE_OK;
}

enum bise_status memory_read(uint8_t **copy, int fd, size_t len, int n_threads, bool drop_behind,
                             bise_progress_fn *progress, void *user, const char *name,
                             struct bise_error *err) {
    struct pool *pool = NULL;
    struct reading r = {.copy = mem_alloc(len), .len = len, .fd = fd};
    *copy = NULL;
    if (!r.copy)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu bytes", name, len);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    enum bise_status s = pool_open(&pool, n_threads > 0 ? n_threads : cpu_default_threads(), err);
    if (s == BISE_OK)
        s = read_regions(&r, pool, drop_behind, progress, user, name, err);
    pool_close(&pool);
    if (s == BISE_OK)
        *copy = r.copy;
    else
        mem_free(r.copy, len);
    return s;
}
