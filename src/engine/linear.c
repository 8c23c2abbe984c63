#include "src/engine/linear.h"

#include "src/engine/engine.h"

#include <string.h>

/* Decode streams weights: small tasks balance the threads. Prefill reuses a task's activations. */
#define DECODE_PANELS  4
#define PREFILL_PANELS (TILE_ROWS / PANEL_ROWS)

size_t task_panels(const struct pass *p) {
    return p->prefill ? PREFILL_PANELS : DECODE_PANELS;
}

size_t panel_count(const struct tensor *t) {
    return (t->rows + PANEL_ROWS - 1) / PANEL_ROWS;
}

unsigned pass_forms(const struct pass *p, const struct tensor *const *w, size_t n) {
    unsigned forms = 0;
    for (size_t i = 0; i < n; i++)
        forms |= form_of(w[i]->type, p->prefill);
    return forms;
}

/* The same for what prefill reads, which wants the codes of several vectors side by side. */
static bool put_q128(const struct kernels *k, struct act *act, size_t i, size_t at, size_t len,
                     const float *x) {
    const uint64_t flip = k->q128_flip * UINT64_C(0x0101010101010101);
    float *const d = act->d128 + (i * act->k + at) / TILE_K;
    bool ok = true;
    for (size_t tile = 0; tile < len / TILE_K; tile++) {
        _Alignas(64) int8_t codes[TILE_K];
        int32_t sum;
        ok = k->quantize_q128(codes, d + tile, &sum, x + tile * TILE_K, TILE_K) && ok;
        uint8_t *to = act->q128 + ((at + tile * TILE_K) / PACK_K * act->ld128 + i) * PACK_K;
        for (size_t j = 0; j < TILE_K; j += PACK_K, to += act->ld128 * PACK_K) {
            uint64_t words[PACK_K / 8];
            memcpy(words, codes + j, sizeof words);
            for (size_t b = 0; b < PACK_K / 8; b++)
                words[b] ^= flip;
            memcpy(to, words, sizeof words);
        }
    }
    return ok;
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
        ok = put_q128(k, act, i, at, len, x) && ok;
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
    } else if (t->type == TYPE_I4 && p->prefill) {
        const struct act_q128 all = {x->q128, x->ld128, x->d128},
                              q = act_q128_from(&all, first, x->k);
        k->matmul_f32_q128_i4(y, ldy, &q, n, &w, 0, panels, scratch);
    } else {
        const struct act_q8 q = {x->q32 + e, x->d32 + e / BLOCK_K, x->sum32 + e / BLOCK_K};
        if (t->type == TYPE_I4)
            k->matmul_f32_q32_i4(y, ldy, &q, n, &w, 0, panels, scratch);
        else
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
    if (!a->p->prefill) {
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
