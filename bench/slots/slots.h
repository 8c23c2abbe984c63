/*
 * Every slot of the kernel table timed on every instruction set, beside what the machine could do:
 * for bise bench --kernels, and for checkkernels --bench, which times what it found right.
 */
#ifndef BISE_BENCH_SLOTS_SLOTS_H
#define BISE_BENCH_SLOTS_SLOTS_H

#include "bench/limits/peak.h"
#include "bench/slots/inputs.h"

#define SLOTS_MAX_ROWS 512
#define SLOTS_ROUNDS   15
#define SLOT_STREAM    ((size_t)64 << 20) /* bytes that are read from memory, not from a cache */

/* One shape of a slot, ready to be called. */
struct slot_case {
    char shape[32];
    double bytes, macs; /* of one call: bytes it reads of what may be large */
    enum peak_op op;    /* what its macs are done with, or PEAK_READ: it has none */
    bool slow;          /* too much for scalar */
    void (*call)(const struct slot_case *c, const struct kernels *k);
    size_t slot, n_heads;
    struct matmul_call matmul;
    struct scores_call scores;
    struct values_call values;
    struct unpack_call unpack;
    struct vector_call {
        const float *x;
        float *y, *w, *d;
        int8_t *q;
        int32_t *sum;
        size_t n;
    } vector;
};

/* Makes case i of in->slot; brief: the fewer that tell most. false: there is none. */
typedef bool slot_case_fn(struct inputs *in, size_t i, bool brief, struct slot_case *c);
slot_case_fn matmul_case, vector_case, scores_case, values_case, softmax_case, weigh_case;
slot_case_fn unpack_case;

struct slot {
    const char *name;
    size_t slot; /* offsetof(struct kernels, ...) */
    slot_case_fn *make;
};
/* All of them; ends with one without a name. */
extern const struct slot slots[];

/* Whether both tables have the same function there. */
bool same_slot(const struct kernels *a, const struct kernels *b, size_t slot);

struct slot_row {
    const char *slot;
    char shape[32];
    enum isa isa, of; /* of: whose function it is; another one's figures are not measured again */
    double seconds; /* of one call: the median of rounds in which all instruction sets had a turn */
    double bytes, macs;
    double limit;       /* seconds that the machine would take at least; 0: not known */
    double over_scalar; /* how many times faster than scalar; 0: that was not timed */
    enum peak_op op;
    double best, read; /* seconds: fastest sample; reading as many bytes */
};

struct slots_wish {
    const struct kernels *tables; /* [n_tables], scalar first */
    size_t n_tables;
    bool brief;
    const char *part; /* of the names of slots that are timed; NULL: all */
    /* What is timed besides scalar; NULL: all. */
    bool (*wanted)(void *arg, size_t slot, const struct kernels *k);
    void (*progress)(void *arg, const char *slot); /* NULL: none */
    void *arg;
    const volatile int *stop; /* looked at before each case; NULL: none */
};

struct slots_result {
    struct slot_row rows[SLOTS_MAX_ROWS]; /* [n]: of one slot and shape together */
    size_t n;
    double peaks[ISA_COUNT][PEAK_OPS]; /* 0: not measured */
};

/* With one thread, in its CPU time: others may be busy. r: zeroed. Errors: MEMORY, INTERRUPTED (the
 * rows so far are there), those of pool_open. */
enum bise_status slots_measure(struct slots_result *r, const struct slots_wish *w,
                               struct bise_error *err);

/* Of a row; 0: it multiplies nothing, or is not known. */
double slot_gbs(const struct slot_row *row);
double slot_gmacs(const struct slot_row *row);
double slot_share(const struct slot_row *row);

#endif
