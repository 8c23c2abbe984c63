/* Panels against a decoder written from the text of layout.h, and the errors the search reaches. */
#include "kernels/float_formats.h"
#include "quant/round/quantize.h"
#include "src/base/random.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct random_state state;

static double uniform(void) { /* in (0, 1] */
    return 1 - random_unit(&state);
}

static double normal(void) {
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static double student5(void) {
    double sum = 0;
    const double z = normal();
    for (int i = 0; i < 5; i++) {
        const double n = normal();
        sum += n * n;
    }
    return z / sqrt(sum / 5);
}

/* weight(row, k) by the text of layout.h; row and k within the padded panel. */
static double weight_at(const uint8_t *panel, enum tensor_type type, size_t row, size_t k,
                        const int8_t *codebook) {
    float f;
    uint16_t u;
    if (type == TYPE_F32) {
        memcpy(&f, panel + k * 64 + row * 4, 4);
        return (double)f;
    }
    if (type == TYPE_BF16) {
        memcpy(&u, panel + k * 32 + row * 2, 2);
        return (double)bf16_to_f32(u);
    }
    memcpy(&f, panel + row * 4, 4);
    const size_t tile_size = type == TYPE_I4 ? 64 + 1024 : 64 + 2048;
    const uint8_t *tile = panel + 64 + k / 128 * tile_size;
    const size_t block = k % 128 / 32, within = k % 32;
    const int8_t scale = (int8_t)tile[block * 16 + row];
    int value;
    if (type == TYPE_I4) {
        const uint8_t byte = tile[64 + block * 256 + within / 8 * 64 + 4 * row + within % 4];
        value = codebook[within % 8 < 4 ? byte & 15 : byte >> 4];
    } else {
        value = (int8_t)tile[64 + block * 512 + within / 4 * 64 + 4 * row + within % 4];
    }
    const float s = f * (float)scale;
    return (double)(s * (float)value);
}

struct result {
    struct rounding_sums sums;
    double decoded; /* squared error */
    bool finite;
};

/* Quantizes [rows][cols] as one panel and decodes it again; checks padding. */
static struct result round_trip(enum tensor_type type, const float *x, size_t rows, size_t cols) {
    const size_t k = round_up(cols, TILE_K), bytes = panel_bytes(type, k);
    uint8_t *panel = aligned_alloc(64, bytes);
    float *scratch = malloc(quantize_scratch_floats(cols) * sizeof *scratch);
    struct result r = {.finite = true};
    memset(panel, 0xA5, bytes);
    const struct rounding how = {.type = type, .codebook = codebook_default};
    quantize_panel(panel, &how, x, rows, cols, scratch, &r.sums);
    for (size_t i = 0; i < PANEL_ROWS; i++)
        for (size_t j = 0; j < k; j++) {
            const double w = weight_at(panel, type, i, j, codebook_default);
            r.finite = r.finite && isfinite(w);
            if (i < rows && j < cols)
                r.decoded += (w - (double)x[i * cols + j]) * (w - (double)x[i * cols + j]);
            else if (i >= rows || j >= round_up(cols, BLOCK_K))
                cr_assert_eq(w, 0, "padding at row %zu, column %zu", i, j);
        }
    free(panel);
    free(scratch);
    return r;
}

static void random_rows(float *x, size_t n, double (*draw)(void)) {
    for (size_t i = 0; i < n; i++)
        x[i] = (float)draw();
}

/* Relative squared error over 64 panels. */
static double relative_error(enum tensor_type type, double (*draw)(void)) {
    enum { COLS = 1024 };
    static float x[PANEL_ROWS * COLS];
    double error = 0, norm = 0;
    random_seed(&state, 88172645463325252);
    for (int i = 0; i < 64; i++) {
        random_rows(x, PANEL_ROWS * COLS, draw);
        const struct result r = round_trip(type, x, PANEL_ROWS, COLS);
        cr_assert_float_eq(r.sums.error, r.decoded, 1e-4 * r.decoded);
        error += r.decoded;
        norm += r.sums.norm;
    }
    return error / norm;
}

/* architecture.md's table: 5.39e-3 and 7.39e-3 for an asymmetric codebook with searched scales. */
Test(quantize, i4_error) {
    const double on_normal = relative_error(TYPE_I4, normal);
    const double on_student = relative_error(TYPE_I4, student5);
    cr_assert_lt(on_normal, 5.39e-3, "normal: %.4g", on_normal);
    cr_assert_lt(on_student, 7.39e-3, "t5: %.4g", on_student);
}

Test(quantize, i8_error) {
    const double on_normal = relative_error(TYPE_I8, normal);
    const double on_student = relative_error(TYPE_I8, student5);
    cr_assert_lt(on_normal, 2.8e-5, "normal: %.4g", on_normal);
    cr_assert_lt(on_student, 4.6e-5, "t5: %.4g", on_student);
}

Test(quantize, odd_sizes) {
    static const size_t sizes[] = {1, 31, 32, 33, 96, 127, 128, 129, 160, 300};
    static float x[PANEL_ROWS * 300];
    random_seed(&state, 7);
    random_rows(x, sizeof x / sizeof *x, normal);
    for (int type = 0; type < TYPE_COUNT; type++)
        for (size_t rows = 1; rows <= PANEL_ROWS; rows += 5)
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                const struct result r = round_trip((enum tensor_type)type, x, rows, sizes[i]);
                const double bound[TYPE_COUNT] = {0, 1e-5, 1e-4, 2e-2};
                cr_assert_leq(r.decoded, bound[type] * r.sums.norm, "type %d, %zu x %zu", type,
                              rows, sizes[i]);
                cr_assert(fabs(r.sums.error - r.decoded) <= 1e-3 * r.decoded + 1e-12);
            }
}

/* Values that lie on the grid come back (nearly) unchanged, wherever they stand: a code written to
 * another place would be seen. */
Test(quantize, values_on_the_grid_survive) {
    enum { COLS = 384 };
    static float x[PANEL_ROWS * COLS];
    random_seed(&state, 99);
    for (size_t i = 0; i < PANEL_ROWS * COLS; i++) {
        const size_t code = (size_t)(random_unit(&state) * CODEBOOK_SIZE);
        x[i] = 0.25f * codebook_default[i % BLOCK_K == 5 ? 0 : code];
    }
    cr_assert_lt(round_trip(TYPE_I4, x, PANEL_ROWS, COLS).decoded, 1e-9);
    for (size_t i = 0; i < PANEL_ROWS * COLS; i++)
        x[i] = -0.5f * (float)(i % BLOCK_K == 7 ? 127 : (int)(random_unit(&state) * 255) - 127);
    cr_assert_lt(round_trip(TYPE_I8, x, PANEL_ROWS, COLS).decoded, 1e-7);
}

/* One row each of a kind that breaks careless scales. */
Test(quantize, extremes) {
    enum { COLS = 256 };
    static float x[9 * COLS];
    random_seed(&state, 5);
    for (size_t k = 0; k < COLS; k++) {
        const float n = (float)normal();
        x[0 * COLS + k] = 0;
        x[1 * COLS + k] = k % 2 ? FLT_MAX : -FLT_MAX;
        x[2 * COLS + k] = n * 1e38f / 8;
        x[3 * COLS + k] = n * 1e-39f; /* denormal */
        x[4 * COLS + k] = k == 100 ? FLT_TRUE_MIN : 0;
        x[5 * COLS + k] = k == 3 ? 1e30f : n * 1e-30f; /* one giant */
        x[6 * COLS + k] = k == 200 ? -1.0f : 0;
        x[7 * COLS + k] = FLT_MIN;
        x[8 * COLS + k] = k < 32 ? FLT_MAX : n * FLT_TRUE_MIN;
    }
    for (int type = 0; type < TYPE_COUNT; type++)
        for (size_t row = 0; row < 9; row++) {
            const struct result r = round_trip((enum tensor_type)type, x + row * COLS, 1, COLS);
            cr_assert(r.finite, "type %d row %zu", type, row);
            cr_assert(isfinite(r.sums.error));
            if (row == 4 && (type == TYPE_I4 || type == TYPE_BF16))
                cr_assert_leq(r.decoded, r.sums.norm); /* below the finest grid there is */
            else
                cr_assert_leq(r.decoded, (type == TYPE_I4 ? 0.035 : 0.01) * r.sums.norm,
                              "type %d row %zu: %g of %g", type, row, r.decoded, r.sums.norm);
        }
}

/* The same rows give the same bytes, and a row does not depend on its neighbours. */
Test(quantize, rows_are_independent) {
    enum { COLS = 256 };
    static float x[PANEL_ROWS * COLS];
    static uint8_t whole[64 + 2 * I8_TILE_BYTES] __attribute__((aligned(64)));
    static uint8_t alone[64 + 2 * I8_TILE_BYTES] __attribute__((aligned(64)));
    float scratch[3 * COLS];
    struct rounding_sums sums = {0};
    cr_assert_leq(quantize_scratch_floats(COLS), sizeof scratch / sizeof *scratch);
    random_seed(&state, 3);
    random_rows(x, PANEL_ROWS * COLS, student5);
    for (int type = TYPE_I8; type <= TYPE_I4; type++) {
        const struct rounding how = {.type = (enum tensor_type)type, .codebook = codebook_default};
        quantize_panel(whole, &how, x, 16, COLS, scratch, &sums);
        quantize_panel(alone, &how, x + 9 * COLS, 1, COLS, scratch, &sums);
        for (size_t k = 0; k < COLS; k++)
            cr_assert_eq(weight_at(whole, how.type, 9, k, codebook_default),
                         weight_at(alone, how.type, 0, k, codebook_default));
    }
}

/* Sums for a panel of normal weights, with or without weights of columns; the weighted sums are
 * those of `weights` in both cases. */
static struct rounding_sums weighted_sums(enum tensor_type type, const float *weights, size_t cols,
                                          bool use) {
    static float x[PANEL_ROWS * 1024], scratch[3 * 1024];
    static uint8_t panel[64 + 8 * I8_TILE_BYTES] __attribute__((aligned(64)));
    const struct rounding how = {
        .type = type, .codebook = codebook_default, .weights = use ? weights : NULL};
    struct rounding_sums sums = {0};
    random_seed(&state, 11);
    random_rows(x, PANEL_ROWS * cols, normal);
    quantize_panel(panel, &how, x, PANEL_ROWS, cols, scratch, &sums);
    double error = 0, norm = 0;
    for (size_t i = 0; i < PANEL_ROWS * cols; i++) {
        const double w = (double)weights[i % cols], value = (double)x[i];
        const double d = value - weight_at(panel, type, i / cols, i % cols, codebook_default);
        error += w * d * d;
        norm += w * value * value;
    }
    if (use) {
        cr_assert_float_eq(sums.weighted_error, error, 1e-3 * error);
        cr_assert_float_eq(sums.weighted_norm, norm, 1e-6 * norm);
    }
    sums.weighted_error = error;
    return sums;
}

/* Columns that matter more are rounded better, at the cost of the others. */
Test(quantize, weights_of_columns_matter) {
    enum { COLS = 1000 };
    float weights[COLS];
    random_seed(&state, 5);
    for (size_t i = 0; i < COLS; i++)
        weights[i] = (float)exp(2 * normal());
    for (int type = TYPE_I8; type <= TYPE_I4; type++) {
        const struct rounding_sums plain =
            weighted_sums((enum tensor_type)type, weights, COLS, false);
        const struct rounding_sums with =
            weighted_sums((enum tensor_type)type, weights, COLS, true);
        cr_assert_lt(with.weighted_error, (type == TYPE_I4 ? 0.8 : 1) * plain.weighted_error);
        cr_assert_gt(with.error, plain.error);
    }
}

/* Weights all alike, of any size, and weights all zero change nothing. */
Test(quantize, equal_weights_are_no_weights) {
    enum { COLS = 300 };
    static const float values[] = {0, 1e-30f, 1, 1e30f};
    float weights[COLS];
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        for (size_t i = 0; i < COLS; i++)
            weights[i] = values[v];
        const double plain = weighted_sums(TYPE_I4, weights, COLS, false).error;
        cr_assert_eq(weighted_sums(TYPE_I4, weights, COLS, true).error, plain);
    }
}

/* Much heavier tails than normal have a codebook of their own; normal samples have the other. */
Test(quantize, a_codebook_for_tails) {
    enum { COLS = 1024 };
    static float x[PANEL_ROWS * COLS], scratch[3 * COLS];
    static uint8_t panel[64 + 8 * I4_TILE_BYTES] __attribute__((aligned(64)));
    for (int tails = 0; tails < 2; tails++) {
        struct rounding_sums with[2];
        memset(with, 0, sizeof with);
        const int8_t *const codebooks[] = {codebook_default, codebook_tails};
        random_seed(&state, 17);
        for (size_t i = 0; i < PANEL_ROWS * COLS; i++) {
            const double z = normal();
            x[i] = (float)(tails ? z * z * z : z);
        }
        for (int c = 0; c < 2; c++) {
            const struct rounding how = {.type = TYPE_I4, .codebook = codebooks[c]};
            quantize_panel(panel, &how, x, PANEL_ROWS, COLS, scratch, &with[c]);
        }
        cr_assert_lt(with[tails].error, 0.97 * with[1 - tails].error, "%g, %g", with[0].error,
                     with[1].error);
    }
}
