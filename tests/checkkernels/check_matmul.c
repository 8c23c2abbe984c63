/* Checks of the matrix slots. */
#include "kernels/float_formats.h"
#include "kernels/panel.h"
#include "tests/checkkernels/checkkernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a case is filled with. */
static const struct matmul_content contents[] = {
    {CODES_RANDOM, CODES_RANDOM, CODES_RANDOM, FLOATS_UNIT, FLOATS_UNIT},
    {CODES_MAX, CODES_MAX, CODES_MAX, FLOATS_EQUAL, FLOATS_EQUAL},
    {CODES_MAX, CODES_MIN, CODES_MAX, FLOATS_UNIT, FLOATS_UNIT},
    {CODES_MIN, CODES_MAX, CODES_MIN, FLOATS_EQUAL, FLOATS_SPREAD},
    {CODES_MIN, CODES_MIN, CODES_EXTREMES, FLOATS_SPREAD, FLOATS_UNIT},
    {CODES_EXTREMES, CODES_EXTREMES, CODES_RANDOM, FLOATS_SPREAD, FLOATS_SPREAD},
    {CODES_EXTREMES, CODES_EXTREMES, CODES_MIN, FLOATS_UNIT, FLOATS_SPREAD},
    {CODES_RANDOM, CODES_RANDOM, CODES_ZERO, FLOATS_UNIT, FLOATS_UNIT},
    {CODES_ZERO, CODES_RANDOM, CODES_RANDOM, FLOATS_ZERO, FLOATS_SPREAD},
    {CODES_RANDOM, CODES_RANDOM, CODES_RANDOM, FLOATS_DENORMAL, FLOATS_UNIT},
    {CODES_RANDOM, CODES_RANDOM, CODES_RANDOM, FLOATS_UNIT, FLOATS_DENORMAL},
    {CODES_RANDOM, CODES_RANDOM, CODES_RANDOM, FLOATS_HUGE, FLOATS_SPREAD},
    {CODES_RANDOM, CODES_RANDOM, CODES_RANDOM, FLOATS_SPREAD, FLOATS_HUGE},
    /* The largest sums there are: i4's values all -32, codes +-127, scales 127, -127, -128, 127. */
    {CODES_MAX, CODES_MIN, CODES_BLOCKS, FLOATS_UNIT, FLOATS_UNIT},
    {CODES_MIN, CODES_MIN, CODES_BLOCKS, FLOATS_SPREAD, FLOATS_SPREAD},
    {CODES_EXTREMES, CODES_MIN, CODES_BLOCKS, FLOATS_UNIT, FLOATS_EQUAL},
};
#define N_CONTENTS (sizeof contents / sizeof *contents)

/* ---- against scalar ---------------------------------------------------------------------- */

static void compare_case(struct run *r, size_t n, size_t k, const struct matmul_content *content) {
    const size_t panels = random_size(&r->in, 1, 6), p0 = random_size(&r->in, 0, panels - 1);
    const size_t p1 = random_size(&r->in, p0 + 1, panels);
    case_begin(r, "%zu columns of %zu, panels %zu..%zu of %zu, content %d", n, k, p0, p1, panels,
               (int)(content - contents));
    struct matmul_call call = matmul_make(&r->in, n, k, panels, content);
    call.p0 = p0;
    call.p1 = p1;
    call.ldy = PANEL_ROWS * p1 + random_size(&r->in, 0, 2) * 8;
    /* The last row of y ends with its last panel. */
    const size_t y_floats = (n - 1) * call.ldy + PANEL_ROWS * p1;
    float *found = call.y = case_alloc(r, y_floats * 4);
    matmul_run(&call, r->k);
    call.y = case_alloc(r, y_floats * 4);
    matmul_run(&call, r->ref);
    case_same_f32(r, "y", found, call.y, y_floats);
    case_end(r);
}

static void compare(struct run *r) {
    for (size_t c = 0; c < N_CONTENTS; c++) {
        compare_case(r, random_size(&r->in, 1, 15), TILE_K * random_size(&r->in, 1, 6),
                     &contents[c]);
        compare_case(r, random_size(&r->in, 16, 40), TILE_K * random_size(&r->in, 1, 6),
                     &contents[c]);
    }
    for (size_t n = 1; n <= 40; n++)
        compare_case(r, n, TILE_K * (1 + n % 5), &contents[n % 3 * 5]);
    for (size_t tiles = 1; tiles <= 18; tiles++)
        compare_case(r, 1 + tiles % 4, TILE_K * tiles, &contents[tiles % 2 * 5]);
    /* More columns than a kernel takes at a time. */
    compare_case(r, 700, TILE_K, &contents[0]);
}

/* ---- scalar against double precision ----------------------------------------------------- */

/* The weight as the file format defines it, without its row scale. */
static double weight(const struct matmul_call *c, size_t row, size_t i) {
    const enum tensor_type type = c->type;
    const uint8_t *panel = panel_at(&c->w, type, row / PANEL_ROWS);
    const size_t lane = row % PANEL_ROWS, in_tile = i % TILE_K;
    if (type == TYPE_F32)
        return (double)((const float *)panel)[i * PANEL_ROWS + lane];
    if (type == TYPE_BF16)
        return (double)bf16_to_f32(((const uint16_t *)panel)[i * PANEL_ROWS + lane]);
    const uint8_t *tile =
        panel_tile(panel, type == TYPE_I4 ? I4_TILE_BYTES : I8_TILE_BYTES, i / TILE_K);
    const int value = type == TYPE_I4 ? tile_value_i4(tile, lane, in_tile, c->w.codebook)
                                      : tile_value_i8(tile, lane, in_tile);
    return (double)tile_scale(tile, in_tile / BLOCK_K, lane) * value;
}

static double activation(const struct matmul_call *c, size_t column, size_t i) {
    if (c->x != NULL)
        return (double)c->x[column * c->ldx + i];
    const size_t at = column * c->w.k + i;
    return (double)c->q.d[at / matmul_block(c->type)] * c->q.q[at];
}

static void oracle_element(struct run *r, const struct matmul_call *c, size_t column, size_t row) {
    const uint8_t *panel = panel_at(&c->w, c->type, row / PANEL_ROWS);
    const double row_scale = c->x != NULL ? 1.0 : (double)panel_row_scale(panel, row % PANEL_ROWS);
    double sum = 0.0, norm = 0.0;
    for (size_t i = 0; i < c->w.k; i++) {
        const double x = activation(c, column, i) * row_scale, w = weight(c, row, i);
        sum += w * x;
        norm += fabs(w * x);
    }
    case_near(r, "y", column * c->ldy + row, (double)c->y[column * c->ldy + row], sum,
              norm * (double)c->w.k * 0x1p-24 + 1e-40);
}

static void oracle(struct run *r) {
    static const size_t usual[] = {0, 1, 2, 3, 5};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        const size_t n = 3, k = TILE_K * 3, panels = 2;
        case_begin(r, "%zu columns of %zu, content %zu", n, k, usual[i]);
        struct matmul_call c = matmul_make(&r->in, n, k, panels, &contents[usual[i]]);
        c.ldy = panels * PANEL_ROWS;
        c.y = case_alloc(r, n * c.ldy * 4);
        matmul_run(&c, r->k);
        for (size_t j = 0; j < n * c.ldy; j++)
            oracle_element(r, &c, j / c.ldy, j % c.ldy);
        case_end(r);
    }
}

#define SLOT(s) .name = #s, .slot = offsetof(struct kernels, s)

const struct check checks_matmul[] = {
    {SLOT(matmul_f32_q128_i4), compare, oracle},
    {SLOT(matmul_f32_q32_i8), compare, oracle},
    {SLOT(matmul_f32_f32_f32), compare, oracle},
    {SLOT(matmul_f32_f32_bf16), compare, oracle},
    {0},
};
