/* Checks of what a cache of 4 bits needs: rotating, numbers to codes, codes to int8. */
#include "kernels/grid.h"
#include "tests/checkkernels/checkkernels.h"

#include <math.h>
#include <string.h>

/* ---- unpacking ---------------------------------------------------------------------------- */

static void compare_unpack(struct run *r) {
    static const size_t head_dims[] = {32, 64, 96, 128, 160, 256, 1024};
    for (size_t i = 0; i < 42; i++) {
        const size_t hd = head_dims[i % 7], n_groups = i / 7, n = n_groups * ATTN_GROUP * hd;
        case_begin(r, "%zu groups of %zu", n_groups, hd);
        struct unpack_call c = unpack_make(&r->in, hd, n_groups);
        int8_t *found = case_alloc(r, n), *want = case_alloc(r, n);
        c.x = found;
        unpack_run(&c, r->in.slot, r->k);
        c.x = want;
        unpack_run(&c, r->in.slot, r->ref);
        case_same_i8(r, "x", found, want, n);
        case_end(r);
    }
}

static void oracle_unpack(struct run *r) {
    const bool keys = r->in.slot == offsetof(struct kernels, unpack_keys_i4);
    const size_t hd = 96, n_groups = 3, n_pos = n_groups * ATTN_GROUP;
    case_begin(r, "%zu groups of %zu", n_groups, hd);
    struct unpack_call c = unpack_make(&r->in, hd, n_groups);
    c.x = case_alloc(r, n_pos * hd);
    unpack_run(&c, r->in.slot, r->k);
    for (size_t i = 0; i < n_pos * hd; i++) {
        const size_t pos = i / hd, d = i % hd, group = pos / 16, lane = pos % 16;
        const uint8_t grid = c.grids[(group * (hd / 32) + d / 32) * 16 + lane];
        const size_t of_key = ((group * (hd / 8) + d / 8) * 16 + lane) * 4 + d % 4;
        const size_t of_value = ((pos / 4 * (hd / 32) + d / 32) * 16 + d % 16) * 4 + pos % 4;
        const uint8_t byte = c.codes[keys ? of_key : of_value];
        const bool high = keys ? d % 8 >= 4 : d % 32 >= 16;
        const int value = ((high ? byte >> 4 : byte & 15) - (grid >> 4)) * (grid & 15);
        const size_t at = keys ? ((group * (hd / 4) + d / 4) * 16 + lane) * 4 + d % 4
                               : (pos / 4 * hd + d) * 4 + pos % 4;
        case_near(r, "x", i, (uint8_t)c.x[at], (uint8_t)value, 0);
    }
    case_end(r);
}

/* ---- numbers to codes ---------------------------------------------------------------------- */

#define MAX_N 1024

static void compare_quantize_case(struct run *r, const float *x, size_t n) {
    const float *in = case_copy(r, x, n * 4);
    case_seal(r, in);
    uint8_t *q = case_alloc(r, n), *want_q = case_alloc(r, n);
    uint8_t *grids = case_alloc(r, n / 32), *want_grids = case_alloc(r, n / 32);
    float *d = case_alloc(r, 4), *want_d = case_alloc(r, 4);
    const bool ok = r->ref->quantize_i4(want_q, want_grids, want_d, in, n);
    case_true(r, r->k->quantize_i4(q, grids, d, in, n) == ok, "another status");
    if (ok) {
        case_same_i8(r, "q", (int8_t *)q, (int8_t *)want_q, n);
        case_same_i8(r, "grids", (int8_t *)grids, (int8_t *)want_grids, n / 32);
        case_same_f32(r, "d", d, want_d, 1);
    }
}

/* Numbers on one side of 0, too, and blocks of very different sizes. */
static void fill(struct run *r, float *x, size_t n, size_t i) {
    fill_floats(&r->in, x, n, (enum floats)(i % FLOATS_COUNT));
    for (size_t k = 0; k < n; k++) {
        x[k] = i % 3 == 1 ? fabsf(x[k]) : i % 3 == 2 && k % 7 ? -fabsf(x[k]) : x[k];
        x[k] *= i % 4 == 3 ? powf(0.25f, (float)(k / 32)) : 1;
    }
}

static void compare_quantize(struct run *r) {
    static const float bad[] = {INFINITY, -INFINITY, NAN, -NAN};
    static float x[MAX_N];
    for (size_t i = 0; i < 36 * FLOATS_COUNT; i++) {
        const size_t n = 32 * (i < 30 ? 1 + i % 5 : random_size(&r->in, 1, MAX_N / 32));
        fill(r, x, n, i);
        case_begin(r, "n %zu, inputs of kind %zu", n, i % FLOATS_COUNT);
        compare_quantize_case(r, x, n);
        case_end(r);
    }
    for (size_t i = 0; i < 96; i++) {
        fill(r, x, 96, 0);
        x[i] = bad[i % 4];
        case_begin(r, "not finite at %zu", i);
        compare_quantize_case(r, x, 96);
        case_end(r);
    }
}

static void oracle_quantize(struct run *r) {
    static float x[MAX_N];
    static uint8_t q[MAX_N], grids[MAX_N / 32];
    for (size_t i = 0; i < 12 * FLOATS_COUNT; i++) {
        const size_t n = 32 * (1 + i % 6);
        float d;
        fill(r, x, n, i);
        case_begin(r, "n %zu, inputs of kind %zu", n, i % FLOATS_COUNT);
        case_true(r, r->k->quantize_i4(q, grids, &d, x, n), "refused");
        bool most = d == 0;
        for (size_t b = 0; b < n / 32; b++) {
            const unsigned zero = grids[b] >> 4, step = grids[b] & 15;
            const double unit = (double)d, one = step * unit;
            case_true(r, grid_sound(grids[b]), "no sound grid");
            most = most || step == grid_most_step(zero);
            /* half a step, and at the ends what a step that was made shorter leaves out */
            for (size_t k = 32 * b; k < 32 * b + 32; k++)
                case_near(r, "q", k, ((int)q[k] - (int)zero) * one, (double)x[k],
                          0.5001 * one + 0.5001 * unit * (GRID_MOST_ZERO + 1) + 2e-29);
        }
        case_true(r, most, "no block has the largest step");
        case_end(r);
    }
    memset(x, 0, sizeof x);
    x[31] = NAN;
    case_begin(r, "not finite");
    case_true(r, !r->k->quantize_i4(q, grids, x + 64, x, 64), "not found");
    case_end(r);
}

/* ---- rotating ------------------------------------------------------------------------------ */

static void compare_hadamard(struct run *r) {
    static float x[4 * MAX_N];
    for (size_t size = 1; size <= MAX_N; size *= 2)
        for (size_t i = 0; i < 2 * FLOATS_COUNT; i++) {
            const size_t n = random_size(&r->in, i == 0 ? 0 : 1, size < 64 ? 9 : 3);
            fill_floats(&r->in, x, n * size, (enum floats)(i % FLOATS_COUNT));
            case_begin(r, "%zu times %zu, inputs of kind %zu", n, size, i % FLOATS_COUNT);
            float *found = case_copy(r, x, n * size * 4), *want = case_copy(r, x, n * size * 4);
            r->k->hadamard(found, n, size);
            r->ref->hadamard(want, n, size);
            case_same_f32(r, "x", found, want, n * size);
            case_end(r);
        }
}

static void oracle_hadamard(struct run *r) {
    static float x[MAX_N], y[MAX_N];
    for (size_t size = 1; size <= 256; size *= 2) {
        const size_t n = 2;
        fill_floats(&r->in, x, n * size, FLOATS_UNIT);
        memcpy(y, x, sizeof y);
        case_begin(r, "%zu times %zu", n, size);
        r->k->hadamard(y, n, size);
        for (size_t i = 0; i < n * size; i++) {
            double sum = 0.0, norm = 0.0;
            for (size_t j = 0; j < size; j++) {
                const double t = (double)x[i / size * size + j];
                sum += __builtin_popcountll(i % size & j) % 2 ? -t : t;
                norm += fabs(t);
            }
            case_near(r, "x", i, (double)y[i], sum, norm * 1e-6);
        }
        case_end(r);
    }
}

#define SLOT(s) .name = #s, .slot = offsetof(struct kernels, s)

const struct check checks_cache[] = {
    {SLOT(hadamard), compare_hadamard, oracle_hadamard},
    {SLOT(quantize_i4), compare_quantize, oracle_quantize},
    {SLOT(unpack_keys_i4), compare_unpack, oracle_unpack},
    {SLOT(unpack_values_i4), compare_unpack, oracle_unpack},
    {0},
};
