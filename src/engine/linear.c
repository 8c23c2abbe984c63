#include "src/engine/linear.h"

#include "src/engine/engine.h"

#include <string.h>

/* Columns from which on a task takes all the rows it may: their activations are used again. Fewer
 * stream the weights: small tasks balance the threads. */
#define MANY_COLUMNS 16
#define FEW_PANELS   4

static bool many_columns(const struct pass *p) {
    return p->n >= MANY_COLUMNS;
}

size_t task_panels(const struct pass *p) {
    return many_columns(p) ? TILE_ROWS / PANEL_ROWS : FEW_PANELS;
}

size_t panel_count(const struct tensor *t) {
    return (t->rows + PANEL_ROWS - 1) / PANEL_ROWS;
}

unsigned forms_of(const struct tensor *const *w, size_t n) {
    unsigned forms = 0;
    for (size_t i = 0; i < n; i++)
        forms |= form_of(w[i]->type);
    return forms;
}

bool act_put(const struct kernels *k, struct act *act, size_t i, size_t at, size_t len,
             const float *x, unsigned forms) {
    const size_t e = i * act->k + at, b32 = e / BLOCK_K;
    bool ok = true;
    if ((forms & FORM_F32) && act->f + e != x)
        memcpy(act->f + e, x, len * sizeof *x);
    if (forms & FORM_Q32)
        ok = k->quantize_q32(act->q32 + e, act->d32 + b32, act->sum32 + b32, x, len) && ok;
    if (forms & FORM_Q128)
        ok = k->quantize_q128(act->q128 + (at / PACK_K * act->ld128 + i) * PACK_K,
                              act->ld128 * PACK_K, act->d128 + e / TILE_K, act->start128 + b32, x,
                              len) &&
             ok;
    return ok;
}

void linear_panels(const struct pass *p, float *y, size_t ldy, const struct act *x, size_t first,
                   size_t n, const struct tensor *t, size_t p0, size_t p1, void *scratch) {
    const struct kernels *const k = &p->e->kernels;
    struct wmat w = t->w;
    w.panels += p0 * panel_bytes(t->type, w.k);
    const size_t panels = p1 - p0, e = first * x->k;
    if (t->type == TYPE_F32) {
        k->matmul_f32_f32_f32(y, ldy, x->f + e, x->k, n, &w, 0, panels, scratch);
    } else if (t->type == TYPE_BF16) {
        k->matmul_f32_f32_bf16(y, ldy, x->f + e, x->k, n, &w, 0, panels, scratch);
    } else if (t->type == TYPE_I4) {
        const struct act_q128 all = {x->q128, x->ld128, x->d128, x->start128},
                              q = act_q128_from(&all, first, x->k);
        k->matmul_f32_q128_i4(y, ldy, &q, n, &w, 0, panels, scratch);
    } else {
        const struct act_q8 q = {x->q32 + e, x->d32 + e / BLOCK_K, x->sum32 + e / BLOCK_K};
        k->matmul_f32_q32_i8(y, ldy, &q, n, &w, 0, panels, scratch);
    }
}

static size_t task_count(const struct pass *p, const struct tensor *t) {
    return (panel_count(t) + task_panels(p) - 1) / task_panels(p);
}

struct linear_arg {
    struct pass *p;
    const struct linear *job;
    const struct act *x;
};

static void linear_task(void *arg, size_t task, int thread) {
    const struct linear_arg *const a = arg;
    const struct linear *const job = a->job;
    size_t m = 0;
    while (task >= task_count(a->p, job->w[m]))
        task -= task_count(a->p, job->w[m++]);
    const size_t p0 = task * task_panels(a->p);
    const size_t p1 = min_size(p0 + task_panels(a->p), panel_count(job->w[m]));
    const struct thread_scratch *const t = &a->p->e->b.threads[thread];
    float *const y = job->y[m] + p0 * PANEL_ROWS;
    if (!many_columns(a->p)) {
        linear_panels(a->p, y, job->ldy[m], a->x, 0, a->p->n, job->w[m], p0, p1, t->matmul);
        return;
    }
    /* Rows a large power of two apart share few sets of a cache: sums grow side by side. */
    linear_panels(a->p, t->tile[0], TILE_ROWS, a->x, 0, a->p->n, job->w[m], p0, p1, t->matmul);
    for (size_t c = 0; c < a->p->n; c++)
        memcpy(y + c * job->ldy[m], t->tile[0] + c * TILE_ROWS, (p1 - p0) * PANEL_ROWS * sizeof *y);
}

void linear_run(struct pass *p, const struct linear *job, const struct act *x) {
    struct linear_arg arg = {p, job, x};
    size_t n_tasks = 0;
    for (size_t m = 0; m < job->n_matrices; m++)
        n_tasks += task_count(p, job->w[m]);
    pool_run(p->e->pool, linear_task, &arg, n_tasks);
}

struct add_arg {
    struct pass *p;
    const struct tensor *w;
    const struct act *act;
};

static void add_task(void *arg, size_t task, int thread) {
    const struct add_arg *const a = arg;
    struct buffers *const b = &a->p->e->b;
    const struct thread_scratch *const t = &b->threads[thread];
    const size_t p0 = task * task_panels(a->p);
    const size_t p1 = min_size(p0 + task_panels(a->p), panel_count(a->w));
    linear_panels(a->p, t->tile[0], TILE_ROWS, a->act, 0, a->p->n, a->w, p0, p1, t->matmul);
    for (size_t c = 0; c < a->p->n; c++)
        a->p->e->kernels.add(b->x + c * b->in.k + p0 * PANEL_ROWS, t->tile[0] + c * TILE_ROWS,
                             (p1 - p0) * PANEL_ROWS);
}

void linear_add(struct pass *p, const struct tensor *w, const struct act *act) {
    struct add_arg arg = {p, w, act};
    pool_run(p->e->pool, add_task, &arg, task_count(p, w));
}
