#include "quant/gptq/hessian.h"

#include "src/base/error.h"
#include "src/os/mem.h"

#include <stdlib.h>
#include <string.h>

/* Sums are made in tasks of that many rows and columns. */
#define TASK_ROWS TILE_K
#define TASK_COLS (2 * TILE_K)

static size_t product_bytes(void) {
    return (size_t)TASK_ROWS * TASK_COLS * sizeof(float);
}

enum bise_status hessian_work_open(struct hessian_work *w, const struct kernels *kernels,
                                   struct pool *pool, size_t max_k, struct bise_error *err) {
    const size_t half = max_k * HESSIAN_TOKENS * sizeof(float);
    const size_t n_threads = (size_t)pool_threads(pool);
    *w = (struct hessian_work){.kernels = kernels, .pool = pool, .max_k = max_k};
    w->thread_bytes = round_up(product_bytes() + kernel_scratch_bytes(max_k), 64);
    w->bytes = 2 * half + n_threads * w->thread_bytes;
    w->memory = mem_alloc(w->bytes);
    if (!w->memory)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu bytes of products", w->bytes);
    w->panels = (float *)(void *)w->memory;
    w->rows = (float *)(void *)(w->memory + half);
    w->threads = w->memory + 2 * half;
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
