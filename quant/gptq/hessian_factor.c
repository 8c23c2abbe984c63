/* H = R R^T with R upper triangular: Cholesky's factorization from the last column to the first, in
 * blocks of 128 columns (Golub and Van Loan, section 4.2, read backwards). */
#include "quant/gptq/hessian.h"

#include <math.h>
#include <string.h>

#define BLOCK TILE_K
#define COLS  (2 * TILE_K) /* of the tasks that update what is left */

static const double dampings[] = {0.01, 0.1, 1}; /* of the mean of the diagonal */

struct factor_arg {
    struct hessian *h;
    const struct hessian_work *w;
    size_t block; /* first column of the block at work */
    double r[BLOCK][BLOCK];
    _Alignas(
        64) float inverse[BLOCK / PANEL_ROWS][BLOCK][PANEL_ROWS]; /* of r, as panels of its rows */
};

/* The rows of the block's columns above it, as rows [block][BLOCK] and as panels of these rows:
 * the memory of the sums' vectors, free by now. */
static float *rows_of(const struct factor_arg *a, size_t row) {
    return a->w->rows + row * BLOCK;
}

static float *panels_of(const struct factor_arg *a, size_t row) {
    return a->w->panels + row * BLOCK;
}

/* r r^T = the block of the diagonal; false if it is not positive definite. */
static bool factor_block(struct factor_arg *a) {
    for (size_t i = 0; i < BLOCK; i++)
        for (size_t j = 0; j < BLOCK; j++)
            a->r[i][j] = i <= j ? (double)*hessian_at(a->h, a->block + i, a->block + j) : 0;
    for (size_t c = BLOCK; c-- > 0;) {
        double pivot = a->r[c][c];
        for (size_t j = c + 1; j < BLOCK; j++)
            pivot -= a->r[c][j] * a->r[c][j];
        if (!(pivot > 0) || !isfinite(pivot))
            return false;
        a->r[c][c] = sqrt(pivot);
        for (size_t i = 0; i < c; i++) {
            double x = a->r[i][c];
            for (size_t j = c + 1; j < BLOCK; j++)
                x -= a->r[i][j] * a->r[c][j];
            a->r[i][c] = x / a->r[c][c];
        }
    }
    for (size_t i = 0; i < BLOCK; i++)
        for (size_t j = i; j < BLOCK; j++)
            *hessian_at(a->h, a->block + i, a->block + j) = (float)a->r[i][j];
    return true;
}

static void invert_block(struct factor_arg *a) {
    static const size_t lanes = PANEL_ROWS;
    double x[BLOCK]; /* one column of the inverse */
    memset(a->inverse, 0, sizeof a->inverse);
    for (size_t j = 0; j < BLOCK; j++)
        for (size_t i = j + 1; i-- > 0;) {
            double sum = i == j ? 1 : 0;
            for (size_t m = i + 1; m <= j; m++)
                sum -= a->r[i][m] * x[m];
            x[i] = sum / a->r[i][i];
            a->inverse[i / lanes][j][i % lanes] = (float)x[i];
        }
}

/* 128 rows above the block, times the inverse of r^T. */
static void solve_task(void *arg, size_t task, int thread) {
    const struct factor_arg *const a = arg;
    const size_t row = task * BLOCK;
    uint8_t *const own = a->w->threads + (size_t)thread * a->w->thread_bytes;
    float *const in = (float *)(void *)own; /* [128][128], then the kernel's scratch */
    const struct wmat w = {.panels = (const uint8_t *)a->inverse, .k = BLOCK};
    for (size_t i = 0; i < BLOCK; i++)
        for (size_t p = 0; p < BLOCK; p += PANEL_ROWS)
            memcpy(in + i * BLOCK + p, hessian_at(a->h, row + i, a->block + p),
                   PANEL_ROWS * sizeof *in);
    a->w->kernels->matmul_f32_f32_f32(rows_of(a, row), BLOCK, in, BLOCK, BLOCK, &w, 0,
                                      BLOCK / PANEL_ROWS, own + sizeof(float) * BLOCK * BLOCK);
    for (size_t i = 0; i < BLOCK; i++) {
        const float *const from = rows_of(a, row + i);
        float *const panel = panels_of(a, (row + i) / PANEL_ROWS * PANEL_ROWS) + i % PANEL_ROWS;
        for (size_t p = 0; p < BLOCK; p += PANEL_ROWS)
            memcpy(hessian_at(a->h, row + i, a->block + p), from + p, PANEL_ROWS * sizeof *from);
        for (size_t c = 0; c < BLOCK; c++)
            panel[c * PANEL_ROWS] = from[c];
    }
}

static size_t col_tasks(const struct factor_arg *a) {
    return (a->block + COLS - 1) / COLS;
}

/* Takes the block's share out of 128 rows and 256 columns before it. */
static void update_task(void *arg, size_t task, int thread) {
    const struct factor_arg *const a = arg;
    const size_t row = task / col_tasks(a) * BLOCK, col = task % col_tasks(a) * COLS;
    const size_t cols = a->block - col < COLS ? a->block - col : COLS;
    uint8_t *const own = a->w->threads + (size_t)thread * a->w->thread_bytes;
    float *const y = (float *)(void *)own;
    const struct wmat w = {.panels = (const uint8_t *)panels_of(a, col), .k = BLOCK};
    if (col + cols <= row)
        return;
    a->w->kernels->matmul_f32_f32_f32(y, COLS, rows_of(a, row), BLOCK, BLOCK, &w, 0,
                                      cols / PANEL_ROWS, own + sizeof(float) * BLOCK * COLS);
    for (size_t p = 0; p < cols; p += PANEL_ROWS)
        for (size_t i = 0; i < BLOCK; i++) {
            float *const to = hessian_at(a->h, row + i, col + p);
            const size_t below = row + i > col + p ? row + i - col - p : 0; /* the diagonal: kept */
            for (size_t c = below; c < PANEL_ROWS; c++)
                to[c] -= y[i * COLS + p + c];
        }
}

static bool factor(struct factor_arg *a) {
    for (size_t block = a->h->k; block > 0;) {
        block -= BLOCK;
        a->block = block;
        if (!factor_block(a))
            return false;
        invert_block(a);
        pool_run(a->w->pool, solve_task, a, block / BLOCK);
        pool_run(a->w->pool, update_task, a, block / BLOCK * col_tasks(a));
    }
    return true;
}

/* Copies one triangle over the other, 16 columns of the upper one and as many rows of the lower.
 * The lower one is not touched by factoring. */
static void keep_task(void *arg, size_t panel, int thread) {
    const struct factor_arg *const a = arg;
    (void)thread;
    for (size_t j = panel * PANEL_ROWS; j < (panel + 1) * PANEL_ROWS; j++)
        for (size_t i = 0; i < j; i++)
            *hessian_at(a->h, j, i) = *hessian_at(a->h, i, j);
}

static void restore_task(void *arg, size_t panel, int thread) {
    const struct factor_arg *const a = arg;
    (void)thread;
    for (size_t j = panel * PANEL_ROWS; j < (panel + 1) * PANEL_ROWS; j++)
        for (size_t i = 0; i < j; i++)
            *hessian_at(a->h, i, j) = *hessian_at(a->h, j, i);
}

/* R to U and D. */
static void unit_task(void *arg, size_t panel, int thread) {
    const struct factor_arg *const a = arg;
    struct hessian *const h = a->h;
    (void)thread;
    for (size_t j = panel * PANEL_ROWS; j < (panel + 1) * PANEL_ROWS; j++) {
        const float r = *hessian_at(h, j, j);
        for (size_t i = 0; i < j; i++)
            *hessian_at(h, i, j) /= r;
        h->diag[j] = r * r;
    }
}

bool hessian_factor(struct hessian *h, const struct hessian_work *w) {
    struct factor_arg a = {.h = h, .w = w};
    double mean = 0;
    for (size_t i = 0; i < h->k; i++) {
        h->diag[i] = *hessian_at(h, i, i);
        mean += (double)h->diag[i] / (double)h->cols;
    }
    if (!(mean > 0) || !isfinite(mean))
        return false;
    pool_run(w->pool, keep_task, &a, h->k / PANEL_ROWS);
    for (size_t n = 0; n < sizeof dampings / sizeof *dampings; n++) {
        if (n > 0)
            pool_run(w->pool, restore_task, &a, h->k / PANEL_ROWS);
        for (size_t i = 0; i < h->k; i++)
            *hessian_at(h, i, i) = (float)((double)h->diag[i] + dampings[n] * mean);
        if (factor(&a)) {
            pool_run(w->pool, unit_task, &a, h->k / PANEL_ROWS);
            return true;
        }
    }
    return false;
}
