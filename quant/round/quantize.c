/* Rows of floats into panels. */
#include "quant/round/quantize.h"

#include "kernels/float_formats.h"
#include "quant/round/rounding.h"

#include <float.h>
#include <math.h>

#define SCALE_LIMIT  127  /* of a block scale's magnitude */
#define ROUNDS       2    /* block scales are chosen, the row scale refitted, and once more */
#define LEAST_WEIGHT 1e-3 /* of a column, relative to the mean: no error is for nothing */

/* Found by bench/fit_codebook.c; docs/decisions.md says how they compare. */
const int8_t codebook_default[CODEBOOK_SIZE] = {-32, -24, -19, -15, -11, -8, -5, -2,
                                                1,   4,   7,   10,  14,  18, 23, 30};

const int8_t codebook_tails[CODEBOOK_SIZE] = {-32, -23, -18, -13, -10, -7, -4, -2,
                                              0,   3,   6,   9,   12,  17, 22, 30};

size_t quantize_scratch_floats(size_t cols) {
    const size_t k = round_up(cols, TILE_K);
    return 2 * k + k / BLOCK_K;
}

void add_squares(double *plain, double *weighted, const float *x, const float *weight, size_t n) {
    double sum[4] = {0}, with[4] = {0};
    for (size_t i = 0; i < n; i++) {
        const double square = (double)x[i] * (double)x[i];
        sum[i % 4] += square;
        with[i % 4] += weight ? square * (double)weight[i] : square;
    }
    *plain += (sum[0] + sum[2]) + (sum[1] + sum[3]);
    *weighted += (with[0] + with[2]) + (with[1] + with[3]);
}

void row_set_weights(struct row *r, const float *weights) {
    double sum = 0;
    for (size_t i = 0; i < r->cols; i++)
        sum += weights ? (double)weights[i] : 1;
    const double mean = sum / (double)r->cols;
    const bool alike = !(mean > 0);
    memset(r->weight, 0, r->n_blocks * BLOCK_K * sizeof *r->weight);
    for (size_t i = 0; i < r->cols; i++) {
        const double w = alike || !weights ? 1 : (double)weights[i] / mean;
        r->weight[i] = (float)(w < LEAST_WEIGHT ? LEAST_WEIGHT : w);
    }
    r->weight_unit = alike ? 0 : mean;
}

bool row_normalize(struct row *r, const float *x) {
    const size_t cols = r->cols, padding = r->n_blocks * BLOCK_K - cols;
    int exponent;
    memcpy(r->x, x, cols * sizeof *x);
    memset(r->x + cols, 0, padding * sizeof *x);
    const float peak = peak_of(r->x, cols + padding);
    if (!(peak > 0))
        return false;
    frexpf(peak, &exponent);
    const double factor = ldexp(1, -exponent);
    r->unit = ldexp(1, exponent);
    for (size_t i = 0; i < cols; i++)
        r->x[i] = (float)((double)r->x[i] * factor);
    return true;
}

float row_scale_stored(const struct row *r, double scale) {
    const double largest_value = r->type == TYPE_I4 ? 32 : 127;
    const double limit = FLT_MAX / (SCALE_LIMIT * largest_value) * (1 - 0x1p-20);
    const double wanted = scale * r->unit;
    const double kept = wanted > limit ? limit : wanted;
    return kept < FLT_TRUE_MIN ? FLT_TRUE_MIN : (float)kept;
}

static struct block block_of(const struct row *r, size_t block) {
    const size_t at = block * BLOCK_K;
    return (struct block){r->x + at, r->weight + at, peak_of(r->x + at, BLOCK_K)};
}

int block_scale(enum tensor_type type, const struct i4_table *t, const struct block *b,
                float wanted, float row_scale, struct fit *best) {
    const float ratio = wanted / row_scale, magnitude = ratio < 0 ? -ratio : ratio;
    const int sign = ratio < 0 ? -1 : 1;
    const int middle = magnitude < SCALE_LIMIT ? (int)(magnitude + 0.5f) : SCALE_LIMIT;
    int chosen = 0;
    *best = (struct fit){.error = type == TYPE_I4 ? 0 : INFINITY}; /* i4: no weights at all */
    for (int s = middle - 1; s <= middle + 1; s++) {
        const float scale = (float)(sign * s) * row_scale;
        if (s < 1 || s > SCALE_LIMIT || (type == TYPE_I4 && !i4_in_range(b->peak, scale)))
            continue;
        const struct fit f = type == TYPE_I4 ? i4_fit(b, scale, t) : i8_fit(b, scale);
        if (f.error < best->error) {
            *best = f;
            chosen = sign * s;
        }
    }
    return chosen;
}

/* Block number `block` under a row scale. */
static int choose_scale(const struct row *r, size_t block, float row_scale, struct fit *best) {
    const struct block b = block_of(r, block);
    return block_scale(r->type, r->table, &b, r->wanted[block], row_scale, best);
}

/* Chooses every block scale under row_scale; returns the row scale of least error for them. */
static double refit(const struct row *r, float row_scale) {
    double top = 0, bottom = 0;
    for (size_t b = 0; b < r->n_blocks; b++) {
        struct fit f;
        if (r->wanted[b] == 0)
            continue;
        const double s = choose_scale(r, b, row_scale, &f);
        top += s * (double)f.xv;
        bottom += s * s * (double)f.vv;
    }
    return top > 0 && bottom > 0 ? top / bottom : (double)row_scale;
}

/* The scales blocks would like by themselves; returns the row scale that lets the largest of them
 * use the whole range. */
static double want_scales(struct row *r) {
    float largest = 0;
    for (size_t b = 0; b < r->n_blocks; b++) {
        const struct block block = block_of(r, b);
        r->wanted[b] = 0;
        if (block.peak > NEGLIGIBLE)
            r->wanted[b] =
                r->type == TYPE_I4 ? i4_best_scale(&block, r->table) : block.peak / SCALE_LIMIT;
        largest = fabsf(r->wanted[b]) > largest ? fabsf(r->wanted[b]) : largest;
    }
    return (double)largest / SCALE_LIMIT;
}

float row_best_scale(struct row *r) {
    float stored = row_scale_stored(r, want_scales(r));
    for (int round = 1; round < ROUNDS; round++)
        stored = row_scale_stored(r, refit(r, (float)((double)stored / r->unit)));
    return stored;
}

/* Writes row number `lane` of the panel and adds its errors to *sums. */
static void store_row(uint8_t *panel, const struct row *r, unsigned lane, float stored,
                      struct rounding_sums *sums) {
    const size_t tile_bytes = r->type == TYPE_I4 ? I4_TILE_BYTES : I8_TILE_BYTES;
    const size_t block_bytes = (tile_bytes - TILE_SCALES) / (TILE_K / BLOCK_K);
    const float row_scale = (float)((double)stored / r->unit);
    const double unit2 = r->unit * r->unit;
    double error = 0, weighted = 0;
    memcpy(panel + 4 * lane, &stored, sizeof stored);
    for (size_t b = 0; b < r->n_blocks; b++) {
        uint8_t *tile = panel + PANEL_HEAD + b / 4 * tile_bytes;
        uint8_t *lines = tile + TILE_SCALES + b % 4 * block_bytes + 4 * lane;
        const float *x = r->x + b * BLOCK_K, *lost = x;
        float d[BLOCK_K];
        struct fit f;
        const int s = r->wanted[b] == 0 ? 0 : choose_scale(r, b, row_scale, &f);
        const float scale = (float)s * row_scale;
        tile[PANEL_ROWS * (b % 4) + lane] = (uint8_t)(int8_t)s;
        if (s != 0) {
            if (r->type == TYPE_I4)
                i4_store(lines, d, x, scale, r->table);
            else
                i8_store(lines, d, x, scale);
            lost = d;
        }
        const size_t left = b * BLOCK_K < r->cols ? r->cols - b * BLOCK_K : 0;
        add_squares(&error, &weighted, lost, r->weight + b * BLOCK_K,
                    left < BLOCK_K ? left : BLOCK_K);
    }
    sums->error += error * unit2;
    sums->weighted_error += weighted * r->weight_unit * unit2;
}

static void quantize_rows(uint8_t *panel, const struct rounding *how, const float *x, size_t n_rows,
                          size_t cols, float *scratch, struct rounding_sums *sums) {
    const size_t k = round_up(cols, TILE_K);
    struct i4_table table;
    struct row r = {.type = how->type,
                    .table = &table,
                    .x = scratch,
                    .weight = scratch + k,
                    .wanted = scratch + 2 * k,
                    .cols = cols,
                    .n_blocks = k / BLOCK_K};
    memset(panel, 0, panel_bytes(how->type, k));
    if (how->type == TYPE_I4)
        i4_table_init(&table, how->codebook);
    row_set_weights(&r, how->weights);
    for (size_t i = 0; i < n_rows; i++) {
        if (!row_normalize(&r, x + i * cols))
            continue;
        store_row(panel, &r, (unsigned)i, row_best_scale(&r), sums);
    }
}

static void pack_f32(uint8_t *panel, const float *x, size_t n_rows, size_t cols) {
    memset(panel, 0, panel_bytes(TYPE_F32, round_up(cols, TILE_K)));
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < cols; k++)
            memcpy(panel + (k * PANEL_ROWS + i) * 4, &x[i * cols + k], 4);
}

/* Nearest finite bf16: a value that would round to infinity becomes the largest. */
static uint16_t finite_bf16(float x) {
    const uint16_t u = f32_to_bf16(x);
    return (u & 0x7FFF) == 0x7F80 ? (uint16_t)(u - 1) : u;
}

static void pack_bf16(uint8_t *panel, const struct rounding *how, const float *x, size_t n_rows,
                      size_t cols, struct rounding_sums *sums) {
    memset(panel, 0, panel_bytes(TYPE_BF16, round_up(cols, TILE_K)));
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < cols; k++) {
            const uint16_t u = finite_bf16(x[i * cols + k]);
            const double d = (double)x[i * cols + k] - (double)bf16_to_f32(u);
            memcpy(panel + (k * PANEL_ROWS + i) * 2, &u, 2);
            sums->error += d * d;
            sums->weighted_error += how->weights ? d * d * (double)how->weights[k] : d * d;
        }
}

void quantize_panel(uint8_t *panel, const struct rounding *how, const float *x, size_t n_rows,
                    size_t cols, float *scratch, struct rounding_sums *sums) {
    for (size_t i = 0; i < n_rows; i++)
        add_squares(&sums->norm, &sums->weighted_norm, x + i * cols, how->weights, cols);
    if (how->type == TYPE_F32)
        pack_f32(panel, x, n_rows, cols);
    else if (how->type == TYPE_BF16)
        pack_bf16(panel, how, x, n_rows, cols, sums);
    else
        quantize_rows(panel, how, x, n_rows, cols, scratch, sums);
}
