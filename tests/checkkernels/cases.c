/* Buffers beside guard pages, comparison, generators. */
#include "tests/checkkernels/checkkernels.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define POISON       0xcb /* as a float -2.7e7; no kernel computes it by chance in all four bytes */
#define MAX_MESSAGES 3

/* ---- failures ---------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static bool fail(struct run *r, const char *fmt, ...) {
    if (r->n_failures++ < MAX_MESSAGES) {
        fprintf(stderr, "FAILED %s of %s, seed %llu, %s, %s: ", r->check->name, r->k->name,
                (unsigned long long)r->seed, r->shape,
                r->place == PLACE_END ? "buffers end at a guard page" : "buffers start at one");
        va_list ap;
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fprintf(stderr, "\n");
    }
    return false;
}

bool case_same_f32(struct run *r, const char *what, const float *found, const float *expected,
                   size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t f, e;
        memcpy(&f, found + i, sizeof f);
        memcpy(&e, expected + i, sizeof e);
        if (f != e && !(isnan(found[i]) && isnan(expected[i])))
            return fail(r, "%s[%zu]: expected %.9g (%08x), found %.9g (%08x)", what, i,
                        (double)expected[i], e, (double)found[i], f);
    }
    return true;
}

bool case_same_i32(struct run *r, const char *what, const int32_t *found, const int32_t *expected,
                   size_t n) {
    for (size_t i = 0; i < n; i++)
        if (found[i] != expected[i])
            return fail(r, "%s[%zu]: expected %d, found %d", what, i, (int)expected[i],
                        (int)found[i]);
    return true;
}

bool case_same_i8(struct run *r, const char *what, const int8_t *found, const int8_t *expected,
                  size_t n) {
    for (size_t i = 0; i < n; i++)
        if (found[i] != expected[i])
            return fail(r, "%s[%zu]: expected %d, found %d", what, i, expected[i], found[i]);
    return true;
}

bool case_near(struct run *r, const char *what, size_t index, double found, double expected,
               double tolerance) {
    if (fabs(found - expected) <= tolerance) /* false for NaN */
        return true;
    return fail(r, "%s[%zu]: expected %.12g within %.3g, found %.12g", what, index, expected,
                tolerance, found);
}

bool case_true(struct run *r, bool ok, const char *what) {
    return ok || fail(r, "%s", what);
}

/* ---- buffers ----------------------------------------------------------------------------- */

void case_begin(struct run *r, const char *shape, ...) {
    va_list ap;
    va_start(ap, shape);
    vsnprintf(r->shape, sizeof r->shape, shape, ap);
    va_end(ap);
    r->n_cases++;
}

static void *guarded(struct inputs *in, size_t bytes) {
    struct run *const r = (struct run *)in;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t inner = (bytes + page - 1) / page * page + (bytes == 0 ? page : 0);
    struct buffer *b = &r->buffers[r->n_buffers];
    b->bytes = bytes;
    b->map_bytes = inner + 2 * page;
    if (r->n_buffers == MAX_BUFFERS ||
        (b->map = mmap(NULL, b->map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) ==
            MAP_FAILED ||
        mprotect(b->map + page, inner, PROT_READ | PROT_WRITE) != 0) {
        fprintf(stderr, "checkkernels: no buffer of %zu bytes\n", bytes);
        exit(1);
    }
    r->n_buffers++;
    memset(b->map + page, POISON, inner);
    b->data = b->map + page + (r->place == PLACE_END ? inner - bytes : 0);
    return b->data;
}

void *case_alloc(struct run *r, size_t bytes) {
    return guarded(&r->in, bytes);
}

void *case_copy(struct run *r, const void *src, size_t bytes) {
    return memcpy(case_alloc(r, bytes), src, bytes);
}

static void seal(struct inputs *in, const void *p) {
    const struct run *const r = (const struct run *)in;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < r->n_buffers; i++) {
        const struct buffer *b = &r->buffers[i];
        if (b->data == p && mprotect(b->map + page, b->map_bytes - 2 * page, PROT_READ) != 0) {
            fprintf(stderr, "checkkernels: mprotect failed\n");
            exit(1);
        }
    }
}

void case_seal(struct run *r, const void *p) {
    seal(&r->in, p);
}

void case_inputs(struct run *r, uint64_t state) {
    r->in = (struct inputs){.slot = r->check->slot, .state = state, .alloc = guarded, .seal = seal};
}

static bool poisoned(const uint8_t *p, const uint8_t *end) {
    while (p < end)
        if (*p++ != POISON)
            return false;
    return true;
}

void case_end(struct run *r) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < r->n_buffers; i++) {
        struct buffer *b = &r->buffers[i];
        if (!poisoned(b->map + page, b->data) ||
            !poisoned(b->data + b->bytes, b->map + b->map_bytes - page))
            fail(r, "wrote beside buffer %zu of the case (%zu bytes)", i, b->bytes);
        munmap(b->map, b->map_bytes);
    }
    r->n_buffers = 0;
}
