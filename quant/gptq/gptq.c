#include "quant/gptq/gptq.h"

#include "src/base/error.h"
#include "src/os/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sums are made, and factors taken out, in tasks of that many rows and columns. */
#define TASK_ROWS TILE_K
#define TASK_COLS (2 * TILE_K)
/* Of a block of the diagonal while it is factored, and of its inverse. */
#define BLOCK_BYTES (TASK_ROWS * TASK_ROWS * (sizeof(double) + sizeof(float)))

static size_t product_bytes(void) {
    return (size_t)TASK_ROWS * TASK_COLS * sizeof(float);
}

enum bise_status hessian_work_open(struct hessian_work *w, const struct kernels *kernels,
                                   struct pool *pool, size_t max_k, struct bise_error *err) {
    const size_t half = max_k * HESSIAN_TOKENS * sizeof(float);
    const size_t n_threads = (size_t)pool_threads(pool);
    *w = (struct hessian_work){.kernels = kernels, .pool = pool, .max_k = max_k};
    w->thread_bytes = round_up(product_bytes() + KERNEL_SCRATCH_BYTES, 64);
    w->bytes = 2 * half + BLOCK_BYTES + n_threads * w->thread_bytes;
    w->memory = mem_alloc(w->bytes);
    if (!w->memory)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu bytes of products", w->bytes);
    w->panels = (float *)(void *)w->memory;
    w->rows = (float *)(void *)(w->memory + half);
    w->block = w->memory + 2 * half;
    w->threads = w->block + BLOCK_BYTES;
    return BISE_OK;
}

void hessian_work_close(struct hessian_work *w) {
    mem_free(w->memory, w->bytes);
    *w = (struct hessian_work){0};
}

size_t hessian_bytes(size_t cols) {
    const size_t k = round_up(cols, TILE_K);
    return k * k * sizeof(float);
}

enum bise_status hessian_open(struct hessian *h, size_t cols, struct bise_error *err) {
    const size_t k = round_up(cols, TILE_K);
    *h = (struct hessian){.cols = cols, .k = k};
    h->h = mem_alloc(hessian_bytes(cols));
    h->diag = calloc(k, sizeof *h->diag);
    if (h->h && h->diag)
        return BISE_OK;
    hessian_close(h);
    return bise_fail(err, BISE_ERR_MEMORY, "no memory for second moments of %zu columns: %zu MiB",
                     cols, hessian_bytes(cols) >> 20);
}

void hessian_close(struct hessian *h) {
    mem_free(h->h, hessian_bytes(h->cols));
    free(h->diag);
    *h = (struct hessian){0};
}

/* ---- sums ----------------------------------------------------------------------------------- */

struct add_arg {
    struct hessian *h;
    const struct hessian_work *w;
    const struct observation *o;
    size_t tokens; /* of o, padded to TILE_K */
};

/* Columns [128 task, + 128) of the vectors, as panels and as rows. */
static void gather_task(void *arg, size_t task, int thread) {
    const struct add_arg *const a = arg;
    const size_t at = task * TILE_K, tokens = a->tokens;
    float x[TILE_K];
    (void)thread;
    for (size_t t = 0; t < tokens; t++) {
        if (t < a->o->n)
            observed_get(x, a->o, t, at, TILE_K);
        else
            memset(x, 0, sizeof x);
        for (size_t p = 0; p < TILE_K / PANEL_ROWS; p++)
            memcpy(a->w->panels + ((at / PANEL_ROWS + p) * tokens + t) * PANEL_ROWS,
                   x + p * PANEL_ROWS, PANEL_ROWS * sizeof *x);
        for (size_t c = 0; c < TILE_K; c++)
            a->w->rows[(at + c) * tokens + t] = x[c];
    }
}

static size_t col_tasks(size_t k) {
    return (k + TASK_COLS - 1) / TASK_COLS;
}

/* One block of 128 rows and 256 columns of the sum; those below the diagonal are left out. */
static void add_task(void *arg, size_t task, int thread) {
    const struct add_arg *const a = arg;
    struct hessian *const h = a->h;
    const size_t k = h->k, row = task / col_tasks(k) * TASK_ROWS,
                 col = task % col_tasks(k) * TASK_COLS;
    const size_t cols = k - col < TASK_COLS ? k - col : TASK_COLS;
    uint8_t *const own = a->w->threads + (size_t)thread * a->w->thread_bytes;
    float *const y = (float *)(void *)own;
    if (col + cols <= row)
        return;
    const float *const panels = a->w->panels + col * a->tokens;
    const struct wmat w = {.panels = (const uint8_t *)panels, .k = a->tokens};
    a->w->kernels->matmul_f32_f32_f32(y, TASK_COLS, a->w->rows + row * a->tokens, a->tokens,
                                      TASK_ROWS, &w, 0, cols / PANEL_ROWS, own + product_bytes());
    for (size_t p = 0; p < cols / PANEL_ROWS; p++)
        for (size_t i = 0; i < TASK_ROWS; i++) {
            float *const to = hessian_at(h, row + i, col + p * PANEL_ROWS);
            const float *const from = y + i * TASK_COLS + p * PANEL_ROWS;
            for (size_t c = 0; c < PANEL_ROWS; c++)
                to[c] += from[c];
        }
}

void hessian_add(struct hessian *h, const struct hessian_work *w, const struct observation *o) {
    struct add_arg arg = {h, w, o, round_up(o->n, TILE_K)};
    pool_run(w->pool, gather_task, &arg, h->k / TILE_K);
    pool_run(w->pool, add_task, &arg, h->k / TASK_ROWS * col_tasks(h->k));
    h->count += o->n;
}

/* ---- the factor ------------------------------------------------------------------------------ */

/* H = R R^T with R upper triangular: Cholesky's factorization from the last column to the first, in
 * blocks of 128 columns (Golub and Van Loan, section 4.2, read backwards). */
static const double dampings[] = {0.01, 0.1, 1}; /* of the mean of the diagonal */

struct factor_arg {
    struct hessian *h;
    const struct hessian_work *w;
    size_t block; /* first column of the block at work */
    double (*r)[TASK_ROWS];
    float (*inverse)[TASK_ROWS][PANEL_ROWS]; /* of r, as panels of its rows */
    bool restore;                            /* of triangle_task */
};

/* The rows of the block's columns above it, as rows [block][TASK_ROWS] and as panels of these rows:
 * the memory of the sums' vectors, free by now. */
static float *rows_of(const struct factor_arg *a, size_t row) {
    return a->w->rows + row * TASK_ROWS;
}

static float *panels_of(const struct factor_arg *a, size_t row) {
    return a->w->panels + row * TASK_ROWS;
}

/* r r^T = the block of the diagonal; false if it is not positive definite. */
static bool factor_block(struct factor_arg *a) {
    for (size_t i = 0; i < TASK_ROWS; i++)
        for (size_t j = 0; j < TASK_ROWS; j++)
            a->r[i][j] = i <= j ? (double)*hessian_at(a->h, a->block + i, a->block + j) : 0;
    for (size_t c = TASK_ROWS; c-- > 0;) {
        double pivot = a->r[c][c];
        for (size_t j = c + 1; j < TASK_ROWS; j++)
            pivot -= a->r[c][j] * a->r[c][j];
        if (!(pivot > 0) || !isfinite(pivot))
            return false;
        a->r[c][c] = sqrt(pivot);
        for (size_t i = 0; i < c; i++) {
            double x = a->r[i][c];
            for (size_t j = c + 1; j < TASK_ROWS; j++)
                x -= a->r[i][j] * a->r[c][j];
            a->r[i][c] = x / a->r[c][c];
        }
    }
    for (size_t i = 0; i < TASK_ROWS; i++)
        for (size_t j = i; j < TASK_ROWS; j++)
            *hessian_at(a->h, a->block + i, a->block + j) = (float)a->r[i][j];
    return true;
}

static void invert_block(struct factor_arg *a) {
    static const size_t lanes = PANEL_ROWS;
    double x[TASK_ROWS]; /* one column of the inverse */
    memset(a->inverse, 0, TASK_ROWS * TASK_ROWS * sizeof(float));
    for (size_t j = 0; j < TASK_ROWS; j++)
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
    const size_t row = task * TASK_ROWS;
    uint8_t *const own = a->w->threads + (size_t)thread * a->w->thread_bytes;
    float *const in = (float *)(void *)own; /* [128][128], then the kernel's scratch */
    const struct wmat w = {.panels = (const uint8_t *)a->inverse, .k = TASK_ROWS};
    for (size_t i = 0; i < TASK_ROWS; i++)
        for (size_t p = 0; p < TASK_ROWS; p += PANEL_ROWS)
            memcpy(in + i * TASK_ROWS + p, hessian_at(a->h, row + i, a->block + p),
                   PANEL_ROWS * sizeof *in);
    a->w->kernels->matmul_f32_f32_f32(rows_of(a, row), TASK_ROWS, in, TASK_ROWS, TASK_ROWS, &w, 0,
                                      TASK_ROWS / PANEL_ROWS,
                                      own + sizeof(float) * TASK_ROWS * TASK_ROWS);
    for (size_t i = 0; i < TASK_ROWS; i++) {
        const float *const from = rows_of(a, row + i);
        float *const panel = panels_of(a, (row + i) / PANEL_ROWS * PANEL_ROWS) + i % PANEL_ROWS;
        for (size_t p = 0; p < TASK_ROWS; p += PANEL_ROWS)
            memcpy(hessian_at(a->h, row + i, a->block + p), from + p, PANEL_ROWS * sizeof *from);
        for (size_t c = 0; c < TASK_ROWS; c++)
            panel[c * PANEL_ROWS] = from[c];
    }
}

/* Takes the block's share out of 128 rows and 256 columns before it. */
static void update_task(void *arg, size_t task, int thread) {
    const struct factor_arg *const a = arg;
    const size_t row = task / col_tasks(a->block) * TASK_ROWS,
                 col = task % col_tasks(a->block) * TASK_COLS;
    const size_t cols = a->block - col < TASK_COLS ? a->block - col : TASK_COLS;
    uint8_t *const own = a->w->threads + (size_t)thread * a->w->thread_bytes;
    float *const y = (float *)(void *)own;
    const struct wmat w = {.panels = (const uint8_t *)panels_of(a, col), .k = TASK_ROWS};
    if (col + cols <= row)
        return;
    a->w->kernels->matmul_f32_f32_f32(y, TASK_COLS, rows_of(a, row), TASK_ROWS, TASK_ROWS, &w, 0,
                                      cols / PANEL_ROWS, own + product_bytes());
    for (size_t p = 0; p < cols; p += PANEL_ROWS)
        for (size_t i = 0; i < TASK_ROWS; i++) {
            float *const to = hessian_at(a->h, row + i, col + p);
            const size_t below = row + i > col + p ? row + i - col - p : 0; /* the diagonal: kept */
            for (size_t c = below; c < PANEL_ROWS; c++)
                to[c] -= y[i * TASK_COLS + p + c];
        }
}

static bool factor(struct factor_arg *a) {
    for (size_t block = a->h->k; block > 0;) {
        block -= TASK_ROWS;
        a->block = block;
        if (!factor_block(a))
            return false;
        invert_block(a);
        pool_run(a->w->pool, solve_task, a, block / TASK_ROWS);
        pool_run(a->w->pool, update_task, a, block / TASK_ROWS * col_tasks(a->block));
    }
    return true;
}

/* Copies the upper triangle over the lower, which factoring does not touch, or back: 16 columns of
 * the one and as many rows of the other. */
static void triangle_task(void *arg, size_t panel, int thread) {
    const struct factor_arg *const a = arg;
    (void)thread;
    for (size_t j = panel * PANEL_ROWS; j < (panel + 1) * PANEL_ROWS; j++)
        for (size_t i = 0; i < j; i++) {
            float *const upper = hessian_at(a->h, i, j), *const lower = hessian_at(a->h, j, i);
            *(a->restore ? upper : lower) = a->restore ? *lower : *upper;
        }
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
    struct factor_arg a = {.h = h, .w = w, .r = (void *)w->block};
    a.inverse = (void *)(a.r + TASK_ROWS);
    double mean = 0;
    for (size_t i = 0; i < h->k; i++) {
        h->diag[i] = *hessian_at(h, i, i);
        mean += (double)h->diag[i] / (double)h->cols;
    }
    if (!(mean > 0) || !isfinite(mean))
        return false;
    pool_run(w->pool, triangle_task, &a, h->k / PANEL_ROWS);
    a.restore = true;
    for (size_t n = 0; n < sizeof dampings / sizeof *dampings; n++) {
        if (n > 0)
            pool_run(w->pool, triangle_task, &a, h->k / PANEL_ROWS);
        for (size_t i = 0; i < h->k; i++)
            *hessian_at(h, i, i) = (float)((double)h->diag[i] + dampings[n] * mean);
        if (factor(&a)) {
            pool_run(w->pool, unit_task, &a, h->k / PANEL_ROWS);
            return true;
        }
    }
    return false;
}

/* ---- rounding -------------------------------------------------------------------------------- */

enum bise_status gptq_open(struct gptq *g, const struct hessian *factored,
                           const struct kernels *kernels, const int8_t *codebook,
                           const float *weights, struct bise_error *err) {
    *g = (struct gptq){.hessian = factored, .kernels = kernels, .weights = weights};
    g->feedback = feedback_open(codebook, factored->diag, factored->cols);
    return g->feedback ? BISE_OK
                       : bise_fail(err, BISE_ERR_MEMORY, "no memory for rounding %zu columns",
                                   factored->cols);
}

void gptq_close(struct gptq *g) {
    feedback_close(&g->feedback);
}

/* One task's memory. Errors and weights lie behind each other: both are multiplied by U. */
struct task {
    float *e, *w;  /* [GPTQ_ROWS][k] each, e first */
    float *y;      /* [2 * GPTQ_ROWS][TILE_K]: e * U and w * U at a tile */
    float *u;      /* [TILE_K][TILE_K] */
    float *wanted; /* [k / BLOCK_K] */
    void *scratch;
    struct feedback_row rows[GPTQ_ROWS];
};

static size_t task_floats(size_t k) {
    return 2 * GPTQ_ROWS * k + 2 * GPTQ_ROWS * TILE_K + TILE_K * TILE_K + round_up(k / BLOCK_K, 16);
}

size_t gptq_work_bytes(size_t cols) {
    const size_t k = round_up(cols, TILE_K);
    return task_floats(k) * sizeof(float) + KERNEL_SCRATCH_BYTES;
}

static void lay_out(struct task *t, void *work, size_t k, size_t n_rows) {
    t->e = work;
    t->w = t->e + n_rows * k;
    t->y = t->e + 2 * GPTQ_ROWS * k;
    t->u = t->y + 2 * GPTQ_ROWS * TILE_K;
    t->wanted = t->u + TILE_K * TILE_K;
    t->scratch = t->wanted + round_up(k / BLOCK_K, 16);
}

/* y = (e, w) times the rows of U before a tile, and U within it to u. */
static void multiply(const struct gptq *g, struct task *t, size_t tile, size_t n_rows) {
    const struct hessian *const h = g->hessian;
    const size_t at = tile * TILE_K;
    for (size_t p = 0; p < TILE_K; p += PANEL_ROWS) {
        const struct wmat w = {.panels = (const uint8_t *)hessian_at(h, 0, at + p), .k = at};
        if (at > 0)
            g->kernels->matmul_f32_f32_f32(t->y + p, TILE_K, t->e, h->k, 2 * n_rows, &w, 0, 1,
                                           t->scratch);
        for (size_t i = 0; i < TILE_K; i++)
            memcpy(t->u + i * TILE_K + p, hessian_at(h, at + i, at + p), PANEL_ROWS * sizeof *t->u);
    }
    if (at == 0)
        memset(t->y, 0, 2 * n_rows * TILE_K * sizeof *t->y);
}

void gptq_round(const struct gptq *g, uint8_t *panels, const float *rows, size_t n_rows, void *work,
                struct rounding_sums *sums) {
    const size_t k = g->hessian->k, cols = g->hessian->cols, bytes = panel_bytes(TYPE_I4, k);
    struct task t;
    lay_out(&t, work, k, n_rows);
    for (size_t r = 0; r < n_rows; r++) {
        t.rows[r] = (struct feedback_row){.w = t.w + r * k, .e = t.e + r * k};
        feedback_begin(g->feedback, &t.rows[r], rows + r * cols, t.wanted);
    }
    for (size_t tile = 0; tile < k / TILE_K; tile++) {
        multiply(g, &t, tile, n_rows);
        for (size_t r = 0; r < n_rows; r += PANEL_ROWS) {
            const float *const from_e = t.y + r * TILE_K, *const from_w = from_e + n_rows * TILE_K;
            const size_t n = n_rows - r < PANEL_ROWS ? n_rows - r : PANEL_ROWS;
            feedback_tile(g->feedback, panels + r / PANEL_ROWS * bytes, t.rows + r, n, tile, t.u,
                          from_e, from_w, TILE_K);
        }
    }
    for (size_t r = 0; r < n_rows; r += PANEL_ROWS)
        feedback_end(g->feedback, panels + r / PANEL_ROWS * bytes, t.rows + r,
                     n_rows - r < PANEL_ROWS ? n_rows - r : PANEL_ROWS, g->weights, sums);
}
