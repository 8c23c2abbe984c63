/* Buffers beside guard pages, comparison, generators. */
#include "tests/checkkernels/checkkernels.h"

#include <float.h>
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

void *case_alloc(struct run *r, size_t bytes) {
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

void *case_copy(struct run *r, const void *src, size_t bytes) {
    return memcpy(case_alloc(r, bytes), src, bytes);
}

void case_seal(struct run *r, const void *p) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < r->n_buffers; i++) {
        const struct buffer *b = &r->buffers[i];
        if (b->data == p && mprotect(b->map + page, b->map_bytes - 2 * page, PROT_READ) != 0) {
            fprintf(stderr, "checkkernels: mprotect failed\n");
            exit(1);
        }
    }
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

/* ---- inputs ------------------------------------------------------------------------------ */

/* splitmix64 (Steele, Lea and Flood, 2014). */
uint64_t random_u64(struct run *r) {
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

size_t random_size(struct run *r, size_t lo, size_t hi) {
    return lo + random_u64(r) % (hi - lo + 1);
}

float random_unit(struct run *r) {
    return (float)((int64_t)random_u64(r) >> 40) * 0x1p-23f;
}

static float one_float(struct run *r, enum floats kind) {
    const float u = random_unit(r), sign = u < 0.0f ? -1.0f : 1.0f;
    const uint64_t choice = random_u64(r);
    switch (kind) {
    case FLOATS_SPREAD:
        if (choice % 16 == 0)
            return 0.0f;
        return u * powf(10.0f, (float)(choice % 11) - 6.0f);
    case FLOATS_EQUAL:
        return sign;
    case FLOATS_TIES:
        return choice % 32 == 0 ? 127.0f : sign * ((float)(choice % 127) + 0.5f);
    case FLOATS_ZERO:
        return sign * 0.0f;
    case FLOATS_DENORMAL:
        return u * 0x1p-126f;
    case FLOATS_TINY:
        return u * 2e-30f;
    case FLOATS_HUGE:
        return choice % 8 == 0 ? sign * FLT_MAX : u * FLT_MAX;
    default:
        return u;
    }
}

void fill_floats(struct run *r, float *x, size_t n, enum floats kind) {
    for (size_t i = 0; i < n; i++)
        x[i] = one_float(r, kind);
}

void fill_codes(struct run *r, int8_t *q, size_t n, int limit, enum codes kind) {
    static const int8_t blocks[4] = {127, -127, -128, 127};
    for (size_t i = 0; i < n; i++) {
        const uint64_t u = random_u64(r);
        int code = 0;
        if (kind == CODES_BLOCKS)
            code = blocks[i / 16 % 4];
        else if (kind == CODES_RANDOM)
            code = (int)(u % (2u * (unsigned)limit + 1)) - limit;
        else if (kind == CODES_MAX || (kind == CODES_EXTREMES && u % 2 != 0))
            code = limit;
        else if (kind != CODES_ZERO)
            code = -limit;
        q[i] = (int8_t)code;
    }
}
