/* Checks of the matrix slots. */
#include "kernels/float_formats.h"
#include "kernels/panel.h"
#include "tests/checkkernels/checkkernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one call ---------------------------------------------------------------------------- */

/* Which slot a run is about. */
enum kind { I4 = 0, I8, F32, BF16 };

static enum kind kind_of(const struct run *r) {
    static const size_t slots[] = {
        offsetof(struct kernels, matmul_f32_q128_i4),
        offsetof(struct kernels, matmul_f32_q32_i8),
        offsetof(struct kernels, matmul_f32_f32_f32),
        offsetof(struct kernels, matmul_f32_f32_bf16),
    };
    size_t i = 0;
    while (slots[i] != r->check->slot)
        i++;
    return (enum kind)i;
}

static enum tensor_type type_of(enum kind kind) {
    static const enum tensor_type types[] = {TYPE_I4, TYPE_I8, TYPE_F32, TYPE_BF16};
    return types[kind];
}

static size_t block_of(enum kind kind) {
    return kind == I4 ? TILE_K : BLOCK_K;
}

struct call {
    const struct kernels *k;
    enum kind kind;
    struct wmat w;
    size_t n, p0, p1, ldy, ldx;
    struct act_q8 q;      /* i4 (with its scales), i8 */
    struct act_q128 q128; /* i4: the same in its order */
    const float *x;       /* f32, bf16 */
    float *y;             /* [n][ldy] */
    void *scratch;
};

static void run_call(void *arg) {
    const struct call *c = arg;
    const struct kernels *k = c->k;
    switch (c->kind) {
    case I4:
        k->matmul_f32_q128_i4(c->y, c->ldy, &c->q128, c->n, &c->w, c->p0, c->p1, c->scratch);
        break;
    case I8:
        k->matmul_f32_q32_i8(c->y, c->ldy, &c->q, c->n, &c->w, c->p0, c->p1, c->scratch);
        break;
    case F32:
        k->matmul_f32_f32_f32(c->y, c->ldy, c->x, c->ldx, c->n, &c->w, c->p0, c->p1, c->scratch);
        break;
    default:
        k->matmul_f32_f32_bf16(c->y, c->ldy, c->x, c->ldx, c->n, &c->w, c->p0, c->p1, c->scratch);
    }
}

/* ---- inputs ------------------------------------------------------------------------------ */

/* What a case is filled with. */
struct content {
    enum codes codes;    /* of activations */
    enum codes values;   /* of weights: i8's bytes; for i4 the codebook, its codes being random */
    enum codes scales;   /* of blocks */
    enum floats weights; /* f32 and bf16 weights, and row scales */
    enum floats floats;  /* float activations, and scales of quantized ones */
};

static const struct content contents[] = {
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

/* What a file holds is not checked: bytes may be -128. */
static int limit_of(enum codes kind) {
    return kind == CODES_MIN ? 128 : 127;
}

static void fill_quantized_panel(struct run *r, uint8_t *panel, enum tensor_type type, size_t k,
                                 const struct content *c) {
    const size_t tile_bytes = type == TYPE_I4 ? I4_TILE_BYTES : I8_TILE_BYTES;
    float row_scales[PANEL_ROWS];
    fill_floats(r, row_scales, PANEL_ROWS, c->weights);
    row_scales[random_size(r, 0, 15)] = 0.0f;
    memcpy(panel, row_scales, sizeof row_scales);
    for (size_t tile = 0; tile < k / TILE_K; tile++) {
        uint8_t *t = panel + PANEL_HEAD + tile * tile_bytes;
        fill_codes(r, (int8_t *)t, TILE_SCALES, limit_of(c->scales), c->scales);
        t[random_size(r, 0, TILE_SCALES - 1)] = 0;
        if (type == TYPE_I8)
            fill_codes(r, (int8_t *)t + TILE_SCALES, tile_bytes - TILE_SCALES, limit_of(c->values),
                       c->values);
        for (size_t i = TILE_SCALES; type == TYPE_I4 && i < tile_bytes; i++)
            t[i] = (uint8_t)random_u64(r);
    }
}

static void fill_panels(struct run *r, struct call *call, size_t panels, const struct content *c) {
    const enum tensor_type type = type_of(call->kind);
    const size_t k = call->w.k, bytes = panel_bytes(type, k);
    uint8_t *data = case_alloc(r, panels * bytes);
    call->w.panels = data;
    if (type == TYPE_F32) {
        fill_floats(r, (float *)data, panels * PANEL_ROWS * k, c->weights);
    } else if (type == TYPE_BF16) {
        for (size_t i = 0; i < panels * PANEL_ROWS * k; i++) {
            float x;
            fill_floats(r, &x, 1, c->weights);
            ((uint16_t *)data)[i] = f32_to_bf16(x);
        }
    } else {
        for (size_t p = 0; p < panels; p++)
            fill_quantized_panel(r, data + p * bytes, type, k, c);
    }
    case_seal(r, data);
    if (type == TYPE_I4) {
        int8_t *codebook = case_alloc(r, CODEBOOK_SIZE);
        fill_codes(r, codebook, CODEBOOK_SIZE, 31, c->values);
        for (size_t i = 0; i < CODEBOOK_SIZE; i++)
            codebook[i] = codebook[i] == -31 ? -32 : codebook[i];
        case_seal(r, codebook);
        call->w.codebook = codebook;
    }
}

/* q [n][k] in the order of act_q128; what lies between is random. */
static void pack(struct run *r, struct call *call, const int8_t *q) {
    const size_t k = call->w.k, ld = call->n + random_size(r, 0, 3);
    const size_t bytes = ((k / PACK_K - 1) * ld + call->n) * PACK_K; /* ends with the last vector */
    int8_t *const packed = case_alloc(r, bytes);
    int32_t *const start = case_alloc(r, call->n * (k / BLOCK_K) * 4);
    for (size_t i = 0; i < bytes; i++)
        packed[i] = (int8_t)random_u64(r);
    memset(start, 0, call->n * (k / BLOCK_K) * 4);
    for (size_t i = 0; i < call->n * k; i++) {
        packed[(i % k / PACK_K * ld + i / k) * PACK_K + i % PACK_K] = q[i];
        start[i / BLOCK_K] -= I4_BIAS * q[i];
    }
    case_seal(r, packed);
    case_seal(r, start);
    call->q128 = (struct act_q128){packed, ld, call->q.d, start};
}

static void fill_activations(struct run *r, struct call *call, const struct content *c) {
    const size_t k = call->w.k, block = block_of(call->kind), n_blocks = call->n * (k / block);
    if (type_of(call->kind) == TYPE_F32 || type_of(call->kind) == TYPE_BF16) {
        call->ldx = k + random_size(r, 0, 3);
        float *x = case_alloc(r, ((call->n - 1) * call->ldx + k) * 4);
        fill_floats(r, x, (call->n - 1) * call->ldx + k, c->floats);
        case_seal(r, x);
        call->x = x;
        return;
    }
    int8_t *q = case_alloc(r, call->n * k);
    float *d = case_alloc(r, n_blocks * 4);
    int32_t *sum = case_alloc(r, n_blocks * 4);
    fill_codes(r, q, call->n * k, 127, c->codes);
    fill_floats(r, d, n_blocks, c->floats);
    for (size_t i = 0; i < n_blocks; i++) {
        sum[i] = 0;
        for (size_t j = 0; j < block; j++)
            sum[i] += q[i * block + j];
    }
    case_seal(r, q);
    case_seal(r, d);
    case_seal(r, sum);
    call->q = (struct act_q8){.q = q, .d = d, .sum = sum};
    if (call->kind == I4) {
        pack(r, call, q);
    }
}

/* panels panels of k columns, n columns of activations; what the call writes is left out. */
static struct call make_call(struct run *r, size_t n, size_t k, size_t panels,
                             const struct content *c) {
    struct call call = {.k = r->k, .kind = kind_of(r), .w = {.k = k}, .n = n, .p1 = panels};
    fill_panels(r, &call, panels, c);
    fill_activations(r, &call, c);
    call.scratch = case_alloc(r, KERNEL_SCRATCH_BYTES);
    return call;
}

/* ---- against scalar ---------------------------------------------------------------------- */

static void compare_case(struct run *r, size_t n, size_t k, const struct content *content) {
    const size_t panels = random_size(r, 1, 6), p0 = random_size(r, 0, panels - 1);
    const size_t p1 = random_size(r, p0 + 1, panels);
    case_begin(r, "%zu columns of %zu, panels %zu..%zu of %zu, content %d", n, k, p0, p1, panels,
               (int)(content - contents));
    struct call call = make_call(r, n, k, panels, content);
    call.p0 = p0;
    call.p1 = p1;
    call.ldy = PANEL_ROWS * p1 + random_size(r, 0, 2) * 8;
    /* The last row of y ends with its last panel. */
    const size_t y_floats = (n - 1) * call.ldy + PANEL_ROWS * p1;
    float *found = call.y = case_alloc(r, y_floats * 4);
    run_call(&call);
    call.y = case_alloc(r, y_floats * 4);
    call.k = r->ref;
    run_call(&call);
    case_same_f32(r, "y", found, call.y, y_floats);
    case_end(r);
}

static void compare(struct run *r) {
    for (size_t c = 0; c < N_CONTENTS; c++) {
        compare_case(r, random_size(r, 1, 15), TILE_K * random_size(r, 1, 6), &contents[c]);
        compare_case(r, random_size(r, 16, 40), TILE_K * random_size(r, 1, 6), &contents[c]);
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
static double weight(const struct call *c, size_t row, size_t i) {
    const enum tensor_type type = type_of(c->kind);
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

static double activation(const struct call *c, size_t column, size_t i) {
    if (c->x != NULL)
        return (double)c->x[column * c->ldx + i];
    const size_t at = column * c->w.k + i;
    return (double)c->q.d[at / block_of(c->kind)] * c->q.q[at];
}

static void oracle_element(struct run *r, const struct call *c, size_t column, size_t row) {
    const uint8_t *panel = panel_at(&c->w, type_of(c->kind), row / PANEL_ROWS);
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
        struct call c = make_call(r, n, k, panels, &contents[usual[i]]);
        c.ldy = panels * PANEL_ROWS;
        c.y = case_alloc(r, n * c.ldy * 4);
        run_call(&c);
        for (size_t j = 0; j < n * c.ldy; j++)
            oracle_element(r, &c, j / c.ldy, j % c.ldy);
        case_end(r);
    }
}

/* ---- bench ------------------------------------------------------------------------------- */

/* rows of 7B's width. Bytes: of weights, read once. */
static void bench_shape(struct run *r, size_t n, size_t k, size_t rows) {
    char shape[64];
    (void)snprintf(shape, sizeof shape, "%zu columns x %zu x %zu rows", n, k, rows);
    case_begin(r, "%s", shape);
    struct call c = make_call(r, n, k, rows / PANEL_ROWS, &contents[0]);
    c.ldy = rows;
    c.y = case_alloc(r, n * rows * 4);
    const double bytes = (double)panel_bytes(type_of(c.kind), k) * (double)(rows / PANEL_ROWS);
    const enum peak_op op = c.x != NULL ? PEAK_FMA : c.kind == I4 ? PEAK_DOT6 : PEAK_DOT8;
    bench_time(r, shape, bytes, (double)n * (double)k * (double)rows, op, run_call, &c);
    case_end(r);
}

static void bench_quantized(struct run *r) {
    static const size_t columns[] = {1, 2, 4, 8, 12, 16, 32, 64, 128, 512};
    bench_shape(r, 1, 4096, r->k->isa == ISA_SCALAR ? 256 : 28672); /* more than caches hold */
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        bench_shape(r, columns[i], 4096, 128);
    bench_shape(r, 128, 14336, 128);
}

static void bench_float(struct run *r) {
    bench_shape(r, 1, 4096, 256);
    bench_shape(r, 4, 4096, 256);
    bench_shape(r, 16, 4096, 256);
    if (r->k->isa != ISA_SCALAR) { /* a second and more a call */
        bench_shape(r, 128, 4096, 256);
        bench_shape(r, 1, 4096, 4096);
    }
}

#define SLOT(s) .name = #s, .slot = offsetof(struct kernels, s)

const struct check checks_matmul[] = {
    {SLOT(matmul_f32_q128_i4), compare, oracle, bench_quantized},
    {SLOT(matmul_f32_q32_i8), compare, oracle, bench_quantized},
    {SLOT(matmul_f32_f32_f32), compare, oracle, bench_float},
    {SLOT(matmul_f32_f32_bf16), compare, oracle, bench_float},
    {0},
};
