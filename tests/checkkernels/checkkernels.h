/*
 * checkkernels: every slot of every instruction set this CPU has against the scalar table, bit for
 * bit, and the scalar table against double precision.
 *
 * A check is a slot with two functions, each of which takes the run it belongs to:
 *
 *   compare  runs r->k and r->ref on the same inputs in buffers from case_alloc and hands the
 *            outputs to case_same_*. The harness calls it for every place a buffer can have.
 *   oracle   runs r->k (the scalar table) and hands outputs to case_near with bounds of its own.
 *
 * --bench then times what passed, by bench/slots, which has the inputs too.
 *
 * The numbers drawn depend on the seed and the slot alone: not on the instruction set or on what
 * ran before. Lists of checks end with an entry without a name and are named in main.c, which
 * fails if a slot is on none of them.
 */
#ifndef BISE_TESTS_CHECKKERNELS_CHECKKERNELS_H
#define BISE_TESTS_CHECKKERNELS_CHECKKERNELS_H

#include "bench/slots/slots.h"

/* Where a buffer lies in its pages: an inaccessible page follows its end, or precedes its start. */
enum place { PLACE_END = 0, PLACE_START, PLACE_COUNT };

#define MAX_BUFFERS 24

struct buffer {
    uint8_t *map, *data;
    size_t map_bytes, bytes;
};

struct check;

/* One check on one instruction set. */
struct run {
    struct inputs in;          /* first: its memory is this run's */
    const struct kernels *k;   /* under test */
    const struct kernels *ref; /* scalar */
    const struct check *check;
    enum place place;
    uint64_t seed;
    char shape[160]; /* of the case, for messages */
    struct buffer buffers[MAX_BUFFERS];
    size_t n_buffers;
    int n_cases, n_failures;
};

struct check {
    const char *name;
    size_t slot; /* offsetof(struct kernels, ...) */
    void (*compare)(struct run *r);
    void (*oracle)(struct run *r);
};

extern const struct check checks_matmul[], checks_vector[], checks_cache[], checks_attention[];

/* Sets r->in: guarded memory, numbers that follow from state. */
void case_inputs(struct run *r, uint64_t state);

/* ---- cases ------------------------------------------------------------------------------- */

/* A case begins with its shape in words, as messages will name it; ends by checking that nothing
 * was written beside a buffer, and by giving the buffers back. */
void case_begin(struct run *r, const char *shape, ...) __attribute__((format(printf, 2, 3)));
void case_end(struct run *r);
/* bytes at r->place, every byte poisoned; 64-byte aligned if bytes is a multiple of 64, else
 * aligned to 4 if it is a multiple of 4. Exits if memory is short. */
void *case_alloc(struct run *r, size_t bytes);
/* The same with the contents of src. */
void *case_copy(struct run *r, const void *src, size_t bytes);
/* From here on p, from case_alloc, may only be read. */
void case_seal(struct run *r, const void *p);

/* Report at most a few failures a slot; all return whether all was well. Strided outputs are
 * compared whole, so that what lies between rows must still be poison. Any NaN equals any other. */
bool case_same_f32(struct run *r, const char *what, const float *found, const float *expected,
                   size_t n);
bool case_same_i32(struct run *r, const char *what, const int32_t *found, const int32_t *expected,
                   size_t n);
bool case_same_i8(struct run *r, const char *what, const int8_t *found, const int8_t *expected,
                  size_t n);
bool case_near(struct run *r, const char *what, size_t index, double found, double expected,
               double tolerance);
bool case_true(struct run *r, bool ok, const char *what);

#endif
