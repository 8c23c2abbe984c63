/*
 * What kernels are called with: drawn at random, in memory that whoever asks gives. A benchmark has
 * ordinary memory, tests/checkkernels guard pages around it.
 */
#ifndef BISE_BENCH_SLOTS_INPUTS_H
#define BISE_BENCH_SLOTS_INPUTS_H

#include "kernels/kernels.h"

struct inputs {
    size_t slot;    /* offsetof(struct kernels, ...) */
    uint64_t state; /* of the generator: the same numbers follow from the same state */
    /* Never NULL; 64-byte aligned where bytes is a multiple of 64, else to 4 where of 4. */
    void *(*alloc)(struct inputs *in, size_t bytes);
    /* From here on p, from alloc, is only read. */
    void (*seal)(struct inputs *in, const void *p);
};

/* ---- numbers ----------------------------------------------------------------------------- */

uint64_t random_u64(struct inputs *in);
/* lo..hi, both included. */
size_t random_size(struct inputs *in, size_t lo, size_t hi);
/* -1..1. */
float random_unit(struct inputs *in);

enum floats {
    FLOATS_UNIT = 0, /* even in -1..1 */
    FLOATS_SPREAD,   /* magnitudes from 1e-6 to 1e4, a few outliers and zeros */
    FLOATS_EQUAL,    /* all +1 or -1: every code of a quantized vector at an extreme */
    FLOATS_TIES,     /* 127 and halves: quantized values that lie between two codes */
    FLOATS_ZERO,     /* +0 and -0 */
    FLOATS_DENORMAL, /* below 2^-126 */
    FLOATS_TINY,     /* around 1e-30, where a block counts as zero */
    FLOATS_HUGE,     /* up to FLT_MAX */
    FLOATS_COUNT
};
void fill_floats(struct inputs *in, float *x, size_t n, enum floats kind);

enum codes {
    CODES_RANDOM = 0, /* -127..127 */
    CODES_MAX,
    CODES_MIN,
    CODES_EXTREMES, /* each one of both */
    CODES_ZERO,
    CODES_BLOCKS, /* 16 times each of 127, -127, -128, 127, whatever the limit */
    CODES_COUNT
};
/* Codes of magnitude at most limit. */
void fill_codes(struct inputs *in, int8_t *q, size_t n, int limit, enum codes kind);

/* n of them in sealed memory. */
float *make_floats(struct inputs *in, size_t n, enum floats kind);
float *make_magnitudes(struct inputs *in, size_t n, enum floats kind); /* none negative */

/* ---- matrix slots ------------------------------------------------------------------------ */

struct matmul_content {
    enum codes codes;    /* of activations */
    enum codes values;   /* of weights: i8's bytes; for i4 the codebook, its codes being random */
    enum codes scales;   /* of blocks */
    enum floats weights; /* f32 and bf16 weights, and row scales */
    enum floats floats;  /* float activations, and scales of quantized ones */
};

struct matmul_call {
    enum tensor_type type;
    struct wmat w;
    size_t n, p0, p1, ldy, ldx;
    struct act_q8 q;      /* i4 (with its scales), i8 */
    struct act_q128 q128; /* i4: the same in its order */
    const float *x;       /* f32, bf16 */
    float *y;             /* [n][ldy] */
    void *scratch;
};

/* The weights' type of the matrix slot, and how many activations share a scale. */
enum tensor_type matmul_type(size_t slot);
size_t matmul_block(enum tensor_type type);
/* All panels, k columns, n columns of activations; what the call writes is left out. */
struct matmul_call matmul_make(struct inputs *in, size_t n, size_t k, size_t panels,
                               const struct matmul_content *c);
void matmul_run(const struct matmul_call *c, const struct kernels *k);

/* ---- vector slots ------------------------------------------------------------------------ */

/* The three slots that quantize as one: blocks of 32 or 128, or 0: all under one scale, sum unused.
 * q128 leaves PACK_K bytes out behind every PACK_K codes. */
bool vector_quantize(const struct kernels *k, size_t block, int8_t *q, float *d, int32_t *sum,
                     const float *x, size_t n);
/* The slots that map elements to elements as one: y from y, x and a. */
void vector_map(const struct kernels *k, size_t slot, float *y, const float *x, float a, size_t n);

/* Codes and grids (any bytes) of n_groups groups of a cache of 4 bits, for unpack_keys_i4 or
 * unpack_values_i4. */
struct unpack_call {
    const uint8_t *codes, *grids;
    size_t hd, n_groups;
    int8_t *x; /* left out by unpack_make */
};
struct unpack_call unpack_make(struct inputs *in, size_t hd, size_t n_groups);
void unpack_run(const struct unpack_call *c, size_t slot, const struct kernels *k);

/* ---- attention slots --------------------------------------------------------------------- */

enum cache { CACHE_I8 = 0, CACHE_F32, CACHE_F16 };

enum cache cache_of(size_t slot);
size_t cache_bytes_of(enum cache cache); /* of an element */

struct attention_content {
    enum codes codes;
    enum floats floats; /* of scales, float caches and float queries */
};

/* n elements of keys or values with one scale (i8) per hd of them. */
struct stored {
    enum cache cache;
    const void *data;
    const float *scale; /* i8 only */
};
struct stored stored_make(struct inputs *in, size_t n, size_t hd,
                          const struct attention_content *c);

struct scores_call {
    struct stored keys;
    const int8_t *q8; /* [n_q][hd]: q8 and qd, or q */
    const float *qd, *q;
    float scale;
    size_t n_q, hd, n_groups, lds;
    float *s; /* [n_q][lds], left out by scores_make */
};
struct scores_call scores_make(struct inputs *in, size_t n_q, size_t hd, size_t n_groups,
                               size_t lds, const struct attention_content *c);
void scores_run(const struct scores_call *c, const struct kernels *k);

struct values_call {
    struct stored v;
    const float *p;       /* f32, f16: [n_q][ldp] */
    const uint8_t *codes; /* i8: [n_q][ldp], */
    const float *scales;  /* [n_q][ldp / 16] */
    size_t ldo, ldp, n_q, hd, n_pos;
    float *out; /* [n_q][ldo], left out by values_make, as is ldo */
};
/* Rows of p, or of codes, end with the last position of the last row: nothing may be read beyond.
 * i8: n_pos and ldp are multiples of 16. */
struct values_call values_make(struct inputs *in, size_t n_q, size_t hd, size_t n_pos, size_t ldp,
                               const struct attention_content *c);
void values_run(const struct values_call *c, const struct kernels *k);

#endif
