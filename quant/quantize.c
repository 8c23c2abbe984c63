/* Rows of floats into panels. */
#include "quantize.h"

#include "rounding.h"
#include <float.h>
#include <math.h>

#define SCALE_LIMIT 127      /* of a block scale's magnitude */
#define NEGLIGIBLE  0x1p-60f /* blocks below this, where the row's peak is near 1, become zeros */
#define ROUNDS      2        /* block scales are chosen, the row scale refitted, and once more */

/* A row multiplied by a power of two so that its largest magnitude lies in [0.5, 1): squares and
 * sums of any finite floats then stay finite. */
struct row {
    enum tensor_type type;
    const struct i4_table *table; /* i4 only */
    float *x;                     /* [n_blocks * 32], padded with zeros */
    float *wanted;                /* [n_blocks] the scale each block would like; 0: all zeros */
    size_t cols, n_blocks;
    double unit; /* the power of two: true value = x * unit */
};

size_t quantize_scratch_floats(size_t cols) {
    const size_t k = round_up(cols, TILE_K);
    return k + k / BLOCK_K;
}

static double squares(const float *x, size_t n) {
    double sum[4] = {0};
    for (size_t i = 0; i < n; i++)
        sum[i % 4] += (double)x[i] * (double)x[i];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/* Fills r->x and r->unit; returns false for a row of zeros. */
static bool normalize(struct row *r, const float *x) {
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

/* The row scale as the file will hold it: a positive float, and no weight made with it overflows.
 */
static float row_scale_stored(const struct row *r, double scale) {
    const double largest_value = r->type == TYPE_I4 ? 32 : 127;
    const double limit = FLT_MAX / (SCALE_LIMIT * largest_value) * (1 - 0x1p-20);
    const double wanted = scale * r->unit;
    const double kept = wanted > limit ? limit : wanted;
    return kept < FLT_TRUE_MIN ? FLT_TRUE_MIN : (float)kept;
}

static struct fit fit_block(const struct row *r, const float *x, float scale) {
    return r->type == TYPE_I4 ? i4_fit(x, scale, r->table) : i8_fit(x, scale);
}

/* The block scale of least error among the neighbours of wanted / row_scale. Its fit goes to *best.
 */
static int choose_scale(const struct row *r, size_t block, float row_scale, struct fit *best) {
    const float *x = r->x + block * BLOCK_K;
    const float ratio = r->wanted[block] / row_scale, peak = peak_of(x, BLOCK_K);
    const int sign = ratio < 0 ? -1 : 1;
    const float magnitude = ratio < 0 ? -ratio : ratio;
    const int middle = magnitude < SCALE_LIMIT ? (int)(magnitude + 0.5f) : SCALE_LIMIT;
    int chosen = 0;
    *best = (struct fit){.error = r->type == TYPE_I4 ? 0 : INFINITY}; /* i4: no weights at all */
    for (int s = middle - 1; s <= middle + 1; s++) {
        const float scale = (float)(sign * s) * row_scale;
        if (s < 1 || s > SCALE_LIMIT || (r->type == TYPE_I4 && !i4_in_range(peak, scale)))
            continue;
        const struct fit f = fit_block(r, x, scale);
        if (f.error < best->error) {
            *best = f;
            chosen = sign * s;
        }
    }
    return chosen;
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
        const float *x = r->x + b * BLOCK_K;
        const float peak = peak_of(x, BLOCK_K);
        r->wanted[b] = 0;
        if (peak > NEGLIGIBLE)
            r->wanted[b] =
                r->type == TYPE_I4 ? i4_best_scale(x, peak, r->table) : peak / SCALE_LIMIT;
        largest = fabsf(r->wanted[b]) > largest ? fabsf(r->wanted[b]) : largest;
    }
    return (double)largest / SCALE_LIMIT;
}

/* Writes row number `lane` of the panel; returns its squared error. */
static double store_row(uint8_t *panel, const struct row *r, unsigned lane, float stored) {
    const size_t tile_bytes = r->type == TYPE_I4 ? I4_TILE_BYTES : I8_TILE_BYTES;
    const size_t block_bytes = (tile_bytes - TILE_SCALES) / (TILE_K / BLOCK_K);
    const float row_scale = (float)((double)stored / r->unit);
    double error = 0;
    memcpy(panel + 4 * lane, &stored, sizeof stored);
    for (size_t b = 0; b < r->n_blocks; b++) {
        uint8_t *tile = panel + PANEL_HEAD + b / 4 * tile_bytes;
        uint8_t *lines = tile + TILE_SCALES + b % 4 * block_bytes + 4 * lane;
        const float *x = r->x + b * BLOCK_K;
        const size_t filled = r->cols - b * BLOCK_K < BLOCK_K ? r->cols - b * BLOCK_K : BLOCK_K;
        struct fit f;
        const int s = r->wanted[b] == 0 ? 0 : choose_scale(r, b, row_scale, &f);
        const float scale = (float)s * row_scale;
        tile[PANEL_ROWS * (b % 4) + lane] = (uint8_t)(int8_t)s;
        if (s == 0)
            error += squares(x, BLOCK_K);
        else if (r->type == TYPE_I4)
            error += (double)i4_store(lines, x, filled, scale, r->table);
        else
            error += (double)i8_store(lines, x, scale);
    }
    return error * r->unit * r->unit;
}

static void quantize_rows(uint8_t *panel, enum tensor_type type, const float *x, size_t n_rows,
                          size_t cols, const int8_t *codebook, float *scratch, double *err2) {
    const size_t k = round_up(cols, TILE_K);
    struct i4_table table;
    struct row r = {.type = type,
                    .table = &table,
                    .x = scratch,
                    .wanted = scratch + k,
                    .cols = cols,
                    .n_blocks = k / BLOCK_K};
    memset(panel, 0, panel_bytes(type, k));
    if (type == TYPE_I4)
        i4_table_init(&table, codebook);
    for (size_t i = 0; i < n_rows; i++) {
        if (!normalize(&r, x + i * cols))
            continue;
        float stored = row_scale_stored(&r, want_scales(&r));
        for (int round = 1; round < ROUNDS; round++)
            stored = row_scale_stored(&r, refit(&r, (float)((double)stored / r.unit)));
        *err2 += store_row(panel, &r, (unsigned)i, stored);
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

static void pack_bf16(uint8_t *panel, const float *x, size_t n_rows, size_t cols, double *err2) {
    memset(panel, 0, panel_bytes(TYPE_BF16, round_up(cols, TILE_K)));
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < cols; k++) {
            const uint16_t u = finite_bf16(x[i * cols + k]);
            const double d = (double)x[i * cols + k] - (double)bf16_to_f32(u);
            memcpy(panel + (k * PANEL_ROWS + i) * 2, &u, 2);
            *err2 += d * d;
        }
}

void quantize_panel(uint8_t *panel, enum tensor_type type, const float *x, size_t n_rows,
                    size_t cols, const int8_t *codebook, float *scratch, double *err2,
                    double *ref2) {
    *ref2 += squares(x, n_rows * cols);
    if (type == TYPE_F32)
        pack_f32(panel, x, n_rows, cols);
    else if (type == TYPE_BF16)
        pack_bf16(panel, x, n_rows, cols, err2);
    else
        quantize_rows(panel, type, x, n_rows, cols, codebook, scratch, err2);
}
