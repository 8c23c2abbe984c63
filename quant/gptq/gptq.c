#include "quant/gptq/gptq.h"

#include "src/base/error.h"

#include <string.h>

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
