/* How one block of 32 values meets the grid of its type; internal to quant/round.
 *
 * The float work is written in vectors of four, which gcc and clang turn into SSE2 or NEON without
 * any flag. Every operation is a single IEEE one, so a file does not depend on the machine that
 * made it. */
#ifndef BISE_QUANT_ROUND_ROUNDING_H
#define BISE_QUANT_ROUND_ROUNDING_H

#include "kernels/layout.h"
#include <stdbool.h>
#include <string.h>

typedef float f32x4 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));

static inline f32x4 load_f32x4(const float *x) {
    f32x4 v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline void store_f32x4(float *x, f32x4 v) {
    memcpy(x, &v, sizeof v);
}

static inline float sum_f32x4(f32x4 v) {
    return (v[0] + v[2]) + (v[1] + v[3]);
}

static inline f32x4 splat(float x) {
    return (f32x4){x, x, x, x};
}

/* Lanes of a where mask is set, of b elsewhere. */
static inline f32x4 choose(i32x4 mask, f32x4 a, f32x4 b) {
    return (f32x4)(((i32x4)a & mask) | ((i32x4)b & ~mask));
}

/* Largest magnitude of n values, n a multiple of 4. */
static inline float peak_of(const float *x, size_t n) {
    const i32x4 magnitude = {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX};
    f32x4 peak = {0};
    for (size_t i = 0; i < n; i += 4) {
        const f32x4 v = (f32x4)((i32x4)load_f32x4(x + i) & magnitude);
        peak = choose(v > peak, v, peak);
    }
    const float a = peak[0] > peak[1] ? peak[0] : peak[1],
                b = peak[2] > peak[3] ? peak[2] : peak[3];
    return a > b ? a : b;
}

/* What rounding a block at some scale gave: weighted sums of x * value and of value^2, and the
 * weighted squared error, up to a constant of the block (it ranks scales of one block, nothing
 * else). */
struct fit {
    float xv, vv, error;
};

/* A block of 32 values and what errors in them cost. */
struct block {
    const float *x, *weight; /* [32] */
    float peak;              /* largest magnitude of x */
};

/* The nearest codebook value of every interval of half a step: borders between integer values are
 * multiples of a half, so the table is exact. Entry n is for n - 128 <= 2 u < n - 127. */
struct i4_table {
    float value[256];
    uint8_t code[256];
    float lowest, highest; /* values of the codebook */
};

void i4_table_init(struct i4_table *t, const int8_t *codebook);
/* Whether values up to peak in magnitude stay inside the table at this scale. */
bool i4_in_range(float peak, float scale);
/* The scale (of either sign, not 0) of about the least weighted error. peak > 0. */
float i4_best_scale(const struct block *b, const struct i4_table *t);
/* Rounds at scale, which must be in range. */
struct fit i4_fit(const struct block *b, float scale, const struct i4_table *t);
/* Rounds x [32]; writes the codes to bytes 0..3 of lines [4] of stride 64 (layout.h), and to d [32]
 * what is lost, x - scale * value. */
void i4_store(uint8_t *lines, float *d, const float *x, float scale, const struct i4_table *t);

/* The code of x, whatever its size, where factor is 2 / scale; *value gets the codebook's. */
uint8_t i4_code(float x, float factor, const struct i4_table *t, float *value);

/* Bytes -127..127. */
struct fit i8_fit(const struct block *b, float scale);
/* Lines [8] of stride 64. */
void i8_store(uint8_t *lines, float *d, const float *x, float scale);

/* A row multiplied by a power of two so that its largest magnitude lies in [0.5, 1): squares and
 * sums of any finite floats then stay finite. Its arrays belong to the caller. */
struct row {
    enum tensor_type type;
    const struct i4_table *table; /* i4 only */
    float *x;                     /* [n_blocks * 32], padded with zeros */
    float *weight;                /* [n_blocks * 32] of mean 1, padded with zeros */
    float *wanted;                /* [n_blocks] the scale each block would like; 0: all zeros */
    size_t cols, n_blocks;
    double unit;        /* the power of two: true value = x * unit */
    double weight_unit; /* true weight = weight * weight_unit */
};

/* Fills weight and weight_unit from weights [cols], NULL: all alike. */
void row_set_weights(struct row *r, const float *weights);
/* Fills x and unit; returns false for a row of zeros. */
bool row_normalize(struct row *r, const float *x);
/* The row scale of about the least weighted error, as the file will hold it. */
float row_best_scale(struct row *r);
/* scale (of x) as the file will hold it: a positive float, and no weight made with it overflows. */
float row_scale_stored(const struct row *r, double scale);
/* The block scale of least error among the neighbours of wanted / row_scale, 0 for none; *best gets
 * its fit. */
int block_scale(enum tensor_type type, const struct i4_table *t, const struct block *b,
                float wanted, float row_scale, struct fit *best);
/* Blocks whose peak is not above this, where the row's is near 1, become zeros. */
#define NEGLIGIBLE 0x1p-48f

/* Adds n squares to the plain and the weighted sum; weight may be NULL. */
void add_squares(double *plain, double *weighted, const float *x, const float *weight, size_t n);

#endif
