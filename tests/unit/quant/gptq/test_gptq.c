/* Rounding with error feedback: the factor, and what it is good for. */
#include "kernels/panel.h"
#include "quant/gptq/gptq.h"
#include "src/base/random.h"
#include "src/os/cpu.h"
#include "src/os/mem.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS 256

static struct random_state state;

static float normal(void) {
    const double u = 1 - random_unit(&state);
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * random_unit(&state)));
}

/* Inputs of `cols` columns that go together: a few directions and some noise. */
static float *correlated(size_t cols) {
    enum { DIRECTIONS = 12 };
    const size_t k = round_up(cols, TILE_K);
    float *x = calloc(TOKENS * k, sizeof *x), *mix = calloc(DIRECTIONS * cols, sizeof *mix);
    cr_assert(x && mix);
    for (size_t i = 0; i < DIRECTIONS * cols; i++)
        mix[i] = normal();
    for (size_t t = 0; t < TOKENS; t++)
        for (size_t d = 0; d <= DIRECTIONS; d++) {
            const float a = normal();
            for (size_t c = 0; c < cols; c++)
                x[t * k + c] += d < DIRECTIONS ? a * mix[d * cols + c] : 0.3f * normal();
        }
    free(mix);
    return x;
}

struct bench {
    struct kernels kernels;
    struct pool *pool;
    struct hessian_work work;
    struct hessian hessian;
};

static void sum_up(struct bench *b, enum isa isa, int n_threads, const float *x, size_t cols) {
    const size_t k = round_up(cols, TILE_K);
    struct act act = {.k = k, .f = (float *)x};
    const struct observation seen = {.act = &act, .form = FORM_F32, .n = 200};
    const struct observation more = {.act = &act, .form = FORM_F32, .first = 200, .n = 56};
    cr_assert(kernels_init(&b->kernels, isa));
    cr_assert_eq(pool_open(&b->pool, n_threads, NULL), BISE_OK);
    cr_assert_eq(hessian_work_open(&b->work, &b->kernels, b->pool, k, NULL), BISE_OK);
    cr_assert_eq(hessian_open(&b->hessian, cols, NULL), BISE_OK);
    hessian_add(&b->hessian, &b->work, &seen);
    hessian_add(&b->hessian, &b->work, &more);
    cr_assert_eq(b->hessian.count, TOKENS);
}

static void close_bench(struct bench *b) {
    hessian_close(&b->hessian);
    hessian_work_close(&b->work);
    pool_close(&b->pool);
}

/* [k][k] in double, whole. */
static double *moments_of(const float *x, size_t cols) {
    const size_t k = round_up(cols, TILE_K);
    double *h = calloc(k * k, sizeof *h);
    cr_assert_not_null(h);
    for (size_t t = 0; t < TOKENS; t++)
        for (size_t i = 0; i < cols; i++)
            for (size_t j = 0; j < cols; j++)
                h[i * k + j] += (double)x[t * k + i] * (double)x[t * k + j];
    return h;
}

Test(gptq, sums_are_second_moments) {
    enum { COLS = 200 };
    struct bench b;
    random_seed(&state, 1);
    float *const x = correlated(COLS);
    double *const h = moments_of(x, COLS);
    sum_up(&b, ISA_SCALAR, 1, x, COLS);
    for (size_t i = 0; i < b.hessian.k; i++)
        for (size_t j = i; j < b.hessian.k; j++) {
            const double want = h[i * b.hessian.k + j],
                         found = (double)*hessian_at(&b.hessian, i, j);
            cr_assert(fabs(found - want) <= 1e-3 + 1e-5 * fabs(want), "%zu %zu: %g, not %g", i, j,
                      found, want);
        }
    close_bench(&b);
    free(h);
    free(x);
}

/* A copy of the sums, whose h is the caller's. */
static struct hessian copy_of(const struct hessian *h) {
    struct hessian copy = *h;
    copy.h = malloc(hessian_bytes(h->cols));
    cr_assert_not_null(copy.h);
    memcpy(copy.h, h->h, hessian_bytes(h->cols));
    return copy;
}

/* (I + U) D (I + U)^T is the sum as it was, with so much of its diagonal's mean added to that. */
static void check_factor(const struct hessian *h, const struct hessian *was, double damping) {
    double mean = 0;
    for (size_t i = 0; i < h->cols; i++)
        mean += (double)*hessian_at(was, i, i) / (double)h->cols;
    for (size_t i = 0; i < h->k; i += i < 2 ? 1 : 7)
        for (size_t j = i; j < h->k; j += j < 2 ? 1 : 5) {
            double sum = 0;
            for (size_t c = j; c < h->k; c++) {
                const double ui = c == i ? 1 : (double)*hessian_at(h, i, c);
                const double uj = c == j ? 1 : (double)*hessian_at(h, j, c);
                sum += ui * (double)h->diag[c] * uj;
            }
            const double want = (double)*hessian_at(was, i, j) + (i == j ? damping * mean : 0);
            cr_assert(fabs(sum - want) <= 1e-4 * mean, "%zu %zu: %g, not %g", i, j, sum, want);
        }
}

Test(gptq, factor_multiplied_out_is_the_sum) {
    enum { COLS = 300 };
    struct bench b;
    random_seed(&state, 2);
    float *const x = correlated(COLS);
    sum_up(&b, ISA_SCALAR, 2, x, COLS);
    const struct hessian was = copy_of(&b.hessian);
    cr_assert(hessian_factor(&b.hessian, &b.work));
    check_factor(&b.hessian, &was, 0.01);
    close_bench(&b);
    free(was.h);
    free(x);
}

/* Columns 0 and 1, the last to be factored, are no second moments: a hundredth of the mean does not
 * make them definite, a tenth does. */
Test(gptq, more_damping_begins_with_the_sum_as_it_was) {
    enum { COLS = 300 };
    struct bench b;
    random_seed(&state, 11);
    float *const x = correlated(COLS);
    sum_up(&b, ISA_SCALAR, 2, x, COLS);
    const float diagonal = *hessian_at(&b.hessian, 2, 2);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = i; j < COLS; j++)
            *hessian_at(&b.hessian, i, j) = i == j ? diagonal : 0;
    double mean = 0;
    for (size_t i = 0; i < COLS; i++)
        mean += (double)*hessian_at(&b.hessian, i, i) / COLS;
    *hessian_at(&b.hessian, 0, 1) = diagonal + (float)(0.05 * mean);
    const struct hessian was = copy_of(&b.hessian);
    cr_assert(hessian_factor(&b.hessian, &b.work));
    check_factor(&b.hessian, &was, 0.1);
    close_bench(&b);
    free(was.h);
    free(x);
}

Test(gptq, sums_of_zeros_are_refused) {
    enum { COLS = 40 };
    struct bench b;
    float *const x = calloc(TOKENS * TILE_K, sizeof *x);
    sum_up(&b, ISA_SCALAR, 1, x, COLS);
    cr_assert_not(hessian_factor(&b.hessian, &b.work));
    close_bench(&b);
    free(x);
}

Test(gptq, sums_of_no_inputs_are_refused) {
    enum { COLS = 40 };
    struct bench b;
    random_seed(&state, 5);
    float *const x = correlated(COLS);
    sum_up(&b, ISA_SCALAR, 1, x, COLS);
    *hessian_at(&b.hessian, 3, 30) = 1e6f * *hessian_at(&b.hessian, 3, 3);
    cr_assert_not(hessian_factor(&b.hessian, &b.work), "more in common than each has");
    close_bench(&b);
    free(x);
}

/* Panels of [rows][cols] rounded with feedback; b was summed up. */
static uint8_t *round_rows(struct bench *b, const float *rows, size_t n_rows, size_t cols,
                           struct rounding_sums *sums, size_t *len) {
    struct gptq g;
    const size_t n_panels = (n_rows + PANEL_ROWS - 1) / PANEL_ROWS;
    *len = n_panels * panel_bytes(TYPE_I4, b->hessian.k);
    uint8_t *const panels = mem_alloc(*len), *const work = mem_alloc(gptq_work_bytes(cols));
    cr_assert(panels && work);
    memset(work, 0xff, gptq_work_bytes(cols)); /* what tasks before left there */
    cr_assert(hessian_factor(&b->hessian, &b->work));
    cr_assert_eq(gptq_open(&g, &b->hessian, &b->kernels, codebook_default, NULL, NULL), BISE_OK);
    gptq_round(&g, panels, rows, n_rows, work, sums);
    gptq_close(&g);
    mem_free(work, gptq_work_bytes(cols));
    return panels;
}

/* Mean square of the outputs' errors over all rows and tokens. */
static double output_error(const uint8_t *panels, const float *rows, size_t n_rows, size_t cols,
                           const float *x) {
    const size_t k = round_up(cols, TILE_K);
    const struct wmat w = {.panels = panels, .k = k, .codebook = codebook_default};
    float *const row = malloc(k * sizeof *row);
    double error = 0;
    for (size_t r = 0; r < n_rows; r++) {
        dequantize_row(row, TYPE_I4, &w, r);
        for (size_t t = 0; t < TOKENS; t++) {
            double sum = 0;
            for (size_t c = 0; c < cols; c++)
                sum += ((double)row[c] - (double)rows[r * cols + c]) * (double)x[t * k + c];
            error += sum * sum;
        }
    }
    free(row);
    return error;
}

static float *random_rows(size_t n_rows, size_t cols) {
    float *const rows = malloc(n_rows * cols * sizeof *rows);
    cr_assert_not_null(rows);
    for (size_t i = 0; i < n_rows * cols; i++)
        rows[i] = normal();
    return rows;
}

Test(gptq, beats_plain_rounding_on_correlated_inputs) {
    static const size_t sizes[] = {33, 128, 300};
    enum { ROWS = 21 };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t cols = sizes[s], k = round_up(cols, TILE_K);
        struct bench b;
        struct rounding_sums sums = {0}, plain_sums = {0};
        size_t len;
        random_seed(&state, 3 + s);
        float *const x = correlated(cols), *const rows = random_rows(ROWS, cols);
        memset(rows + 5 * cols, 0, cols * sizeof *rows);
        sum_up(&b, ISA_SCALAR, 1, x, cols);
        uint8_t *const panels = round_rows(&b, rows, ROWS, cols, &sums, &len);
        uint8_t *const plain = mem_alloc(len);
        float *const scratch = malloc(quantize_scratch_floats(cols) * sizeof *scratch);
        const struct rounding how = {.type = TYPE_I4, .codebook = codebook_default};
        for (size_t r = 0; r < ROWS; r += PANEL_ROWS)
            quantize_panel(plain + r / PANEL_ROWS * panel_bytes(TYPE_I4, k), &how, rows + r * cols,
                           r == 0 ? PANEL_ROWS : ROWS - PANEL_ROWS, cols, scratch, &plain_sums);
        const double with = output_error(panels, rows, ROWS, cols, x);
        const double without = output_error(plain, rows, ROWS, cols, x);
        cr_assert_lt(with, 0.6 * without, "%zu columns: %g, %g", cols, with, without);
        cr_assert_gt(sums.error, plain_sums.error); /* the price */
        cr_assert_float_eq(sums.norm, plain_sums.norm, 1e-6 * sums.norm);
        free(scratch);
        mem_free(plain, len);
        mem_free(panels, len);
        close_bench(&b);
        free(rows);
        free(x);
    }
}

/* The sum over columns i < j of x[i] U[i][j]. */
static double fed(const struct bench *b, const double *x, size_t j) {
    double sum = 0;
    for (size_t i = 0; i < j; i++)
        sum += x[i] * (double)*hessian_at(&b->hessian, i, j);
    return sum;
}

/* One row by its definition: each code is the nearest to the weight and what the errors before it
 * feed back, under the row scale that plain rounding finds; the one stored is then the best there
 * is for these codes. */
static void check_row(const struct bench *b, const uint8_t *panel, const uint8_t *plain, size_t r,
                      const float *w, size_t cols) {
    const double scale = (double)panel_row_scale(plain, r);
    const double stored = (double)panel_row_scale(panel, r);
    double code[256], e[256], lost[256], dot = 0, square = 0; /* code: times the block's scale */
    for (size_t j = 0; j < cols; j++) {
        const uint8_t *const tile = panel_tile(panel, I4_TILE_BYTES, j / TILE_K);
        const double s = tile_scale(tile, j % TILE_K / BLOCK_K, r);
        code[j] = s * tile_value_i4(tile, r, j % TILE_K, codebook_default);
        const double v = (double)w[j] + (j ? fed(b, e, j) : 0);
        e[j] = (double)w[j] - scale * code[j];
        lost[j] = (double)w[j] - stored * code[j];
        for (size_t c = 0; c < CODEBOOK_SIZE; c++)
            cr_assert_leq(fabs(v - scale * code[j]),
                          fabs(v - scale * s * codebook_default[c]) + 1e-4 * scale * fabs(s),
                          "row %zu, column %zu", r, j);
    }
    for (size_t j = 0; j < cols; j++) {
        const double z = stored * (code[j] + fed(b, code, j));
        dot += (double)b->hessian.diag[j] * (lost[j] + fed(b, lost, j)) * z;
        square += (double)b->hessian.diag[j] * z * z;
    }
    cr_assert_lt(fabs(dot), 1e-5 * square, "row %zu: %g of %g", r, dot, square);
    cr_assert_neq(stored, scale);
}

Test(gptq, rounds_as_defined) {
    enum { COLS = 200, ROWS = PANEL_ROWS };
    struct bench b;
    struct rounding_sums sums = {0};
    size_t len;
    random_seed(&state, 11);
    float *const x = correlated(COLS), *const rows = random_rows(ROWS, COLS);
    float *const scratch = malloc(quantize_scratch_floats(COLS) * sizeof *scratch);
    sum_up(&b, ISA_SCALAR, 1, x, COLS);
    uint8_t *const panel = round_rows(&b, rows, ROWS, COLS, &sums, &len);
    uint8_t *const plain = mem_alloc(len);
    const struct rounding how = {
        .type = TYPE_I4, .codebook = codebook_default, .weights = b.hessian.diag};
    quantize_panel(plain, &how, rows, ROWS, COLS, scratch, &sums);
    for (size_t r = 0; r < ROWS; r++)
        check_row(&b, panel, plain, r, rows + r * COLS, COLS);
    mem_free(panel, len);
    mem_free(plain, len);
    close_bench(&b);
    free(scratch);
    free(rows);
    free(x);
}

/* What is told of the error is what the panels hold. */
Test(gptq, tells_its_error) {
    enum { COLS = 160, ROWS = 16 };
    struct bench b;
    struct rounding_sums sums = {0};
    size_t len;
    random_seed(&state, 9);
    float *const x = correlated(COLS), *const rows = random_rows(ROWS, COLS);
    sum_up(&b, ISA_SCALAR, 1, x, COLS);
    uint8_t *const panels = round_rows(&b, rows, ROWS, COLS, &sums, &len);
    const struct wmat w = {
        .panels = panels, .k = round_up(COLS, TILE_K), .codebook = codebook_default};
    float row[256];
    double error = 0;
    for (size_t r = 0; r < ROWS; r++) {
        dequantize_row(row, TYPE_I4, &w, r);
        for (size_t c = 0; c < COLS; c++)
            error += pow((double)row[c] - (double)rows[r * COLS + c], 2);
    }
    cr_assert_float_eq(sums.error, error, 1e-3 * error);
    mem_free(panels, len);
    close_bench(&b);
    free(rows);
    free(x);
}

Test(gptq, threads_and_instruction_sets_give_the_same_bytes) {
    enum { COLS = 300, ROWS = 40 };
    struct cpu_features cpu;
    struct rounding_sums sums = {0};
    size_t len;
    struct bench b;
    random_seed(&state, 4);
    float *const x = correlated(COLS), *const rows = random_rows(ROWS, COLS);
    cpu_detect(&cpu);
    sum_up(&b, ISA_SCALAR, 1, x, COLS);
    uint8_t *const want = round_rows(&b, rows, ROWS, COLS, &sums, &len);
    close_bench(&b);
    for (enum isa isa = ISA_SCALAR; isa < ISA_COUNT; isa++) {
        if (!cpu.isa[isa] || !kernels_built(isa))
            continue;
        sum_up(&b, isa, 3, x, COLS);
        uint8_t *const found = round_rows(&b, rows, ROWS, COLS, &sums, &len);
        cr_assert_eq(memcmp(want, found, len), 0, "%s", isa_name(isa));
        mem_free(found, len);
        close_bench(&b);
    }
    mem_free(want, len);
    free(rows);
    free(x);
}
