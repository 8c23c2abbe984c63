#include "src/engine/forward.h"

#include "kernels/dmath.h"
#include "src/base/finite.h"
#include "src/engine/attention.h"
#include "src/engine/engine.h"
#include "src/engine/ffn.h"
#include "src/engine/linear.h"
#include "src/engine/observe.h"

#include <string.h>

/* ---- tokens to vectors ------------------------------------------------------------------- */

/* Where the sinks see a query: no further away than just behind the widest window before it. */
static uint64_t sinks_see(const struct bise_plan *plan, uint64_t pos) {
    const uint64_t last = (uint64_t)plan->window + plan->n_sinks - 1;
    return pos < last ? pos : last;
}

static void embed_task(void *arg, size_t block, int thread) {
    (void)thread;
    struct pass *const p = arg;
    struct buffers *const b = &p->e->b;
    const struct tensor *const e = p->e->model->embed;
    const size_t head_dim = p->e->model->config.head_dim, dim = p->e->model->config.dim;
    for (size_t t = block * TOKEN_BLOCK; t < block_end(p, block); t++) {
        float *const x = b->x + t * b->in.k;
        if (p->states == NULL) {
            dequantize_row(x, e->type, &e->w, (size_t)p->columns[t].id);
        } else {
            memcpy(x, p->states + t * dim, dim * sizeof *x);
            memset(x + dim, 0, (b->in.k - dim) * sizeof *x);
        }
        rope_table(b->rope + t * head_dim, p->columns[t].pos, head_dim, b->inv_freq);
        if (b->rope_sinks)
            rope_table(b->rope_sinks + t * head_dim, sinks_see(&p->e->plan, p->columns[t].pos),
                       head_dim, b->inv_freq);
    }
}

/* ---- RMSNorm, and the input of the matrices that follow ----------------------------------- */

struct norm_arg {
    struct pass *p;
    const struct tensor *weight;
    unsigned forms;
};

static void norm_task(void *arg, size_t block, int thread) {
    (void)thread;
    const struct norm_arg *const a = arg;
    struct pass *const p = a->p;
    struct buffers *const b = &p->e->b;
    const struct kernels *const k = &p->e->kernels;
    const struct model_config *const c = &p->e->model->config;
    const float *const weight = (const float *)(const void *)a->weight->w.panels;
    for (size_t t = block * TOKEN_BLOCK; t < block_end(p, block); t++) {
        float *const y = b->in.f + t * b->in.k;
        if (!k->rmsnorm(y, b->x + t * b->in.k, weight, c->dim, c->norm_eps) ||
            !act_put(k, &b->in, t, 0, b->in.k, y, a->forms))
            pass_bad(p, t);
    }
}

static void norm(struct pass *p, const struct tensor *weight, unsigned forms) {
    struct norm_arg arg = {p, weight, forms};
    pool_run(p->e->pool, norm_task, &arg, token_blocks(p));
}

/* ---- positions into queries and keys, keys and values into the cache ----------------------- */

/* n heads to where they stand, and, for a cache of 4 bits, rotated. */
static void place(const struct bise_engine *e, float *x, size_t n, const float *cs) {
    const size_t head_dim = e->model->config.head_dim;
    e->kernels.rope(x, n, head_dim, cs);
    if (e->rotated > 1)
        e->kernels.hadamard(x, n * head_dim / e->rotated, e->rotated);
}

/* A sink's key and value are kept besides the ring. */
static bool store(const struct pass *p, size_t c, size_t head, const float *k, const float *v) {
    struct sequence *const seq = column_seq(p, c);
    const struct kernels *const kernels = &p->e->kernels;
    const uint64_t pos = p->columns[c].pos;
    return kv_write(&seq->kv, kernels, p->layer, head, pos, k, v) &&
           (pos >= p->e->plan.n_sinks || kv_write(&seq->sinks, kernels, p->layer, head, pos, k, v));
}

static void rope_task(void *arg, size_t block, int thread) {
    (void)thread;
    struct pass *const p = arg;
    const struct model_config *const c = &p->e->model->config;
    struct buffers *const b = &p->e->b;
    for (size_t t = block * TOKEN_BLOCK; t < block_end(p, block); t++) {
        const float *const cs = b->rope + t * c->head_dim;
        float *const k = b->k + t * b->ldk, *const v = b->v + t * b->ldk;
        if (b->q_sinks) {
            float *const q = b->q_sinks + t * b->ldq;
            memcpy(q, b->q + t * b->ldq, b->ldq * sizeof *q);
            place(p->e, q, c->n_heads, b->rope_sinks + t * c->head_dim);
        }
        place(p->e, b->q + t * b->ldq, c->n_heads, cs);
        place(p->e, k, c->n_kv_heads, cs);
        for (size_t h = 0; h < c->n_kv_heads; h++)
            if (!store(p, t, h, k + h * c->head_dim, v + h * c->head_dim))
                pass_bad(p, t);
    }
}

static void rope_and_store(struct pass *p) {
    pool_run(p->e->pool, rope_task, p, token_blocks(p));
}

/* ---- attention's output as the input of wo ------------------------------------------------- */

struct quantize_arg {
    struct pass *p;
    unsigned forms;
};

static void quantize_task(void *arg, size_t block, int thread) {
    (void)thread;
    const struct quantize_arg *const a = arg;
    struct pass *const p = a->p;
    struct act *const att = &p->e->b.att;
    for (size_t t = block * TOKEN_BLOCK; t < block_end(p, block); t++)
        if (!act_put(&p->e->kernels, att, t, 0, att->k, att->f + t * att->k, a->forms))
            pass_bad(p, t);
}

static void quantize_att(struct pass *p, unsigned forms) {
    struct quantize_arg arg = {p, forms};
    pool_run(p->e->pool, quantize_task, &arg, token_blocks(p));
}

/* ---- the layers ---------------------------------------------------------------------------- */

/* Runs that met a value that is not finite in this layer have failed, and their columns are zeros
 * from here on. False if there is nothing left to go on for. */
static bool settle(struct pass *p) {
    struct buffers *const b = &p->e->b;
    size_t n_failed = 0;
    for (size_t r = 0; r < p->n_runs; r++) {
        struct pass_run *const run = &p->runs[r];
        const uint64_t bad = atomic_load(&run->bad_pos);
        if (bad != UINT64_MAX && !run->failed) {
            run->failed = true;
            run->failed_layer = p->layer;
            run->failed_pos = bad;
        }
        if (run->failed)
            memset(b->x + run->first * b->in.k, 0, run->n * b->in.k * sizeof *b->x);
        n_failed += run->failed;
    }
    return n_failed < p->n_runs && !pool_stopped(p->e->pool);
}

static size_t n_wanted(const struct pass_run *run) {
    return run->want == BISE_WANT_ALL ? run->n : run->want == BISE_WANT_LAST;
}

/* The pass has n columns from here on. */
static void set_columns(struct pass *p, size_t n) {
    struct buffers *const b = &p->e->b;
    const size_t used = p->e->model->config.n_experts_used;
    p->n = n;
    b->in.ld128 = b->att.ld128 = act_stride(n);
    b->hidden.ld128 = b->gathered.ld128 = act_stride(used > 0 ? n * used : n);
}

/* From here on only the columns whose logits are wanted matter: they close ranks. */
static void keep_wanted(struct pass *p) {
    struct buffers *const b = &p->e->b;
    size_t to = 0;
    for (size_t r = 0; r < p->n_runs; r++) {
        struct pass_run *const run = &p->runs[r];
        const size_t n = n_wanted(run), from = run->first + run->n - n;
        memmove(b->x + to * b->in.k, b->x + from * b->in.k, n * b->in.k * sizeof *b->x);
        memmove(b->q + to * b->ldq, b->q + from * b->ldq, n * b->ldq * sizeof *b->q);
        if (b->q_sinks)
            memmove(b->q_sinks + to * b->ldq, b->q_sinks + from * b->ldq,
                    n * b->ldq * sizeof *b->q_sinks);
        memmove(p->columns + to, p->columns + from, n * sizeof *p->columns);
        run->first = to;
        run->n = n;
        to += n;
    }
    set_columns(p, to);
}

static bool all_layers(struct pass *p, bool whole) {
    const struct bise_model *const m = p->e->model;
    struct buffers *const b = &p->e->b;
    bool goes_on = true;
    set_columns(p, p->n);
    pool_run(p->e->pool, embed_task, p, token_blocks(p));
    attention_plan(p);
    for (p->layer = 0; p->layer < m->config.n_layers && goes_on; p->layer++) {
        const struct layer *const w = &m->layers[p->layer];
        const struct linear qkv = {.w = {w->wq, w->wk, w->wv},
                                   .y = {b->q, b->k, b->v},
                                   .ldy = {b->ldq, b->ldk, b->ldk},
                                   .n_matrices = 3};
        norm(p, w->attn_norm, forms_of(qkv.w, 3));
        pass_observe(p, INPUT_ATTENTION, 0, &b->in, FORM_F32, 0, p->n);
        linear_run(p, &qkv, &b->in);
        rope_and_store(p);
        if (p->layer + 1 == m->config.n_layers && !whole) {
            keep_wanted(p);
            if (p->n == 0)
                return settle(p); /* the caches are all that this pass is for */
            attention_plan(p);
        }
        attention(p);
        pass_observe(p, INPUT_WO, 0, &b->att, FORM_F32, 0, p->n);
        quantize_att(p, forms_of(&w->wo, 1));
        linear_add(p, w->wo, &b->att);
        norm(p, w->ffn_norm, ffn_forms(p, w));
        ffn(p, w);
        goes_on = settle(p);
    }
    return goes_on;
}

/* ---- the output head ------------------------------------------------------------------------ */

static void head_task(void *arg, size_t task, int thread) {
    struct pass *const p = arg;
    const struct tensor *const head = p->e->model->head;
    const struct thread_scratch *const t = &p->e->b.threads[thread];
    const size_t per_task = TILE_ROWS / PANEL_ROWS, p0 = task * per_task, row0 = p0 * PANEL_ROWS;
    const size_t left = panel_count(head) - p0, vocab = head->rows;
    const size_t rows = vocab - row0 < TILE_ROWS ? vocab - row0 : TILE_ROWS;
    linear_panels(p, t->tile[0], TILE_ROWS, &p->e->b.in, 0, p->n, head, p0,
                  p0 + (left < per_task ? left : per_task), t->matmul);
    for (size_t c = 0; c < p->n; c++) {
        const float *const from = t->tile[0] + c * TILE_ROWS;
        memcpy(p->columns[c].logits + row0, from, rows * sizeof *from);
        if (!all_finite(from, rows))
            pass_bad(p, c);
    }
}

/* Logits of the pass's columns from the residual stream. */
static bool output_head(struct pass *p) {
    const struct bise_model *const m = p->e->model;
    const size_t vocab = m->config.vocab_size, per_task = TILE_ROWS / PANEL_ROWS;
    for (size_t r = 0; r < p->n_runs; r++)
        for (size_t i = 0; i < p->runs[r].n; i++)
            p->columns[p->runs[r].first + i].logits = p->runs[r].logits + i * vocab;
    norm(p, m->norm, forms_of(&m->head, 1));
    pool_run(p->e->pool, head_task, p, (panel_count(m->head) + per_task - 1) / per_task);
    (void)settle(p);
    return !pool_stopped(p->e->pool);
}

bool forward_layers(struct pass *p) {
    (void)all_layers(p, true);
    return !pool_stopped(p->e->pool);
}

bool forward(struct pass *p) {
    const bool whole = p->e->observer != NULL; /* every layer is watched, for every column */
    bool goes_on = all_layers(p, whole);
    if (goes_on && whole)
        keep_wanted(p);
    return goes_on && p->n > 0 ? output_head(p) : !pool_stopped(p->e->pool);
}
