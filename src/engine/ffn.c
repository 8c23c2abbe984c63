#include "src/engine/ffn.h"

#include "src/engine/engine.h"
#include "src/engine/linear.h"
#include "src/engine/observe.h"

#include <string.h>

/* One expert's share of a pass; a dense layer is one expert with every token. */
struct expert {
    const struct tensor *w1, *w2, *w3;
    size_t index;
    size_t first, n; /* its columns in b.hidden (and in b.gathered) */
    size_t first_in; /* the first one's input vector in `in` */
};

struct ffn_arg {
    struct pass *p;
    const struct act *in;
    struct expert experts[MAX_EXPERTS]; /* those that have tokens, ascending */
    size_t n_experts;
    size_t tiles; /* of TILE_ROWS of ffn_dim */
    bool mixed;   /* sum by weight; else the one expert's output as it is */
};

unsigned ffn_forms(const struct pass *p, const struct layer *w) {
    const uint32_t n = p->e->model->config.n_experts;
    return forms_of(w->w1, n > 0 ? n : 1) | forms_of(w->w3, n > 0 ? n : 1) |
           (n > 0 ? (unsigned)FORM_F32 : 0u);
}

/* ---- gate and up, SwiGLU, quantization of what down reads --------------------------------- */

static void gate_up_task(void *arg, size_t task, int thread) {
    const struct ffn_arg *const a = arg;
    struct pass *const p = a->p;
    struct buffers *const b = &p->e->b;
    const struct thread_scratch *const t = &b->threads[thread];
    const struct expert *const e = &a->experts[task / a->tiles];
    const size_t tile = task % a->tiles, p0 = tile * (TILE_ROWS / PANEL_ROWS);
    const size_t p1 = min_size(p0 + TILE_ROWS / PANEL_ROWS, panel_count(e->w1));
    const unsigned forms = form_of(e->w2->type);
    float *const gate = t->tile[0], *const up = t->tile[1];
    if (p1 - p0 < TILE_ROWS / PANEL_ROWS) { /* rows the matrix does not have are padding: zero */
        memset(gate, 0, e->n * TILE_ROWS * sizeof *gate);
        memset(up, 0, e->n * TILE_ROWS * sizeof *up);
    }
    linear_panels(p, gate, TILE_ROWS, a->in, e->first_in, e->n, e->w1, p0, p1, t->matmul);
    linear_panels(p, up, TILE_ROWS, a->in, e->first_in, e->n, e->w3, p0, p1, t->matmul);
    p->e->kernels.swiglu(gate, gate, up, e->n * TILE_ROWS);
    for (size_t c = 0; c < e->n; c++) {
        if (!act_put(&p->e->kernels, &b->hidden, e->first + c, tile * TILE_ROWS, TILE_ROWS,
                     gate + c * TILE_ROWS, forms))
            pass_bad(p, a->mixed && p->n > 1 ? b->columns[e->first + c] : c);
    }
}

/* ---- down, and the sum over experts ------------------------------------------------------- */

static void down_task(void *arg, size_t task, int thread) {
    const struct ffn_arg *const a = arg;
    struct pass *const p = a->p;
    struct buffers *const b = &p->e->b;
    const struct kernels *const k = &p->e->kernels;
    const struct thread_scratch *const t = &b->threads[thread];
    const size_t p0 = task * task_panels(p);
    const size_t p1 = min_size(p0 + task_panels(p), panel_count(a->experts[0].w2));
    const size_t rows = (p1 - p0) * PANEL_ROWS;
    float *const x = b->x + p0 * PANEL_ROWS;
    if (a->mixed)
        memset(t->acc, 0, p->n * TILE_ROWS * sizeof *t->acc);
    for (size_t i = 0; i < a->n_experts; i++) {
        const struct expert *const e = &a->experts[i];
        linear_panels(p, t->tile[0], TILE_ROWS, &b->hidden, e->first, e->n, e->w2, p0, p1,
                      t->matmul);
        for (size_t c = 0; c < e->n && a->mixed; c++)
            k->madd(t->acc + b->columns[e->first + c] * TILE_ROWS, t->tile[0] + c * TILE_ROWS,
                    b->column_weight[e->first + c], rows);
    }
    const float *const sum = a->mixed ? t->acc : t->tile[0];
    for (size_t c = 0; c < p->n; c++)
        k->add(x + c * b->in.k, sum + c * TILE_ROWS, rows);
}

/* ---- Mixtral's router -------------------------------------------------------------------- */

/* The n_used best of logits [n], by value, ties to the lowest index; left in ascending order. */
static void choose_best(const float *logits, uint32_t n, uint32_t n_used, uint32_t *chosen) {
    bool taken[MAX_EXPERTS] = {false};
    for (uint32_t i = 0; i < n_used; i++) {
        uint32_t best = n;
        for (uint32_t e = 0; e < n; e++)
            if (!taken[e] && (best == n || logits[e] > logits[best]))
                best = e;
        taken[best] = true;
    }
    for (uint32_t e = 0, i = 0; e < n; e++)
        if (taken[e])
            chosen[i++] = e;
}

struct route_arg {
    struct pass *p;
    const struct tensor *router;
};

static void route_task(void *arg, size_t block, int thread) {
    const struct route_arg *const a = arg;
    struct pass *const p = a->p;
    struct buffers *const b = &p->e->b;
    const struct model_config *const c = &p->e->model->config;
    const size_t ld = panel_count(a->router) * PANEL_ROWS, used = c->n_experts_used;
    const size_t t0 = block * TOKEN_BLOCK, t1 = block_end(p, block);
    linear_panels(p, b->router + t0 * ld, ld, &b->in, t0, t1 - t0, a->router, 0,
                  panel_count(a->router), b->threads[thread].matmul);
    for (size_t t = t0; t < t1; t++) {
        const float *const logits = b->router + t * ld;
        _Alignas(64) float w[MAX_EXPERTS] = {0};
        choose_best(logits, c->n_experts, c->n_experts_used, b->chosen + t * used);
        for (size_t i = 0; i < used; i++)
            w[i] = logits[b->chosen[t * used + i]];
        float max;
        const float sum = p->e->kernels.softmax(w, 0, used, round_up(used, 16), &max);
        if (sum != sum)
            pass_bad(p, t);
        for (size_t i = 0; i < used; i++)
            b->chosen_weight[t * used + i] = w[i] / sum;
    }
}

/* Sorts the tokens by expert: columns of each are contiguous, tokens ascending within them. */
static void sort_columns(struct ffn_arg *a, const struct layer *w) {
    struct buffers *const b = &a->p->e->b;
    const struct model_config *const c = &a->p->e->model->config;
    const size_t used = c->n_experts_used, n_chosen = a->p->n * used;
    size_t first[MAX_EXPERTS + 1] = {0};
    for (size_t i = 0; i < n_chosen; i++)
        first[b->chosen[i] + 1]++;
    for (size_t e = 0; e < c->n_experts; e++) {
        if (first[e + 1] > 0)
            a->experts[a->n_experts++] = (struct expert){.w1 = w->w1[e],
                                                         .w2 = w->w2[e],
                                                         .w3 = w->w3[e],
                                                         .index = e,
                                                         .first = first[e],
                                                         .first_in = a->p->n > 1 ? first[e] : 0,
                                                         .n = first[e + 1]};
        first[e + 1] += first[e];
    }
    for (size_t i = 0; i < n_chosen; i++) {
        const size_t column = first[b->chosen[i]]++;
        b->columns[column] = (uint32_t)(i / used);
        b->column_weight[column] = b->chosen_weight[i];
    }
}

/* Copies the input vectors of a block of columns to their places in b.gathered. */
static void gather_task(void *arg, size_t block, int thread) {
    (void)thread;
    const struct ffn_arg *const a = arg;
    struct buffers *const b = &a->p->e->b;
    const size_t n_columns = a->p->n * a->p->e->model->config.n_experts_used;
    const size_t c1 = min_size((block + 1) * TOKEN_BLOCK, n_columns), k = b->in.k;
    for (size_t c = block * TOKEN_BLOCK; c < c1; c++) {
        const size_t from = b->columns[c] * k, to = c * k;
        if (b->in.f && b->gathered.f)
            memcpy(b->gathered.f + to, b->in.f + from, k * sizeof *b->in.f);
        if (b->in.q32) {
            const size_t n = k / BLOCK_K;
            memcpy(b->gathered.q32 + to, b->in.q32 + from, k);
            memcpy(b->gathered.d32 + c * n, b->in.d32 + b->columns[c] * n, n * sizeof(float));
            memcpy(b->gathered.sum32 + c * n, b->in.sum32 + b->columns[c] * n, n * sizeof(int32_t));
        }
        if (b->in.q128) {
            const size_t n = k / TILE_K;
            for (size_t i = 0; i < k / PACK_K; i++)
                memcpy(b->gathered.q128 + (i * b->gathered.ld128 + c) * PACK_K,
                       b->in.q128 + (i * b->in.ld128 + b->columns[c]) * PACK_K, PACK_K);
            memcpy(b->gathered.d128 + c * n, b->in.d128 + b->columns[c] * n, n * sizeof(float));
            memcpy(b->gathered.start128 + 4 * c * n, b->in.start128 + 4 * b->columns[c] * n,
                   4 * n * sizeof(int32_t));
        }
    }
}

/* Chooses experts for every token; with several tokens, gathers each expert's inputs. */
static void route(struct ffn_arg *a, const struct layer *w) {
    struct pass *const p = a->p;
    struct route_arg arg = {p, w->router};
    pool_run(p->e->pool, route_task, &arg, token_blocks(p));
    a->mixed = true;
    sort_columns(a, w);
    if (p->n > 1) {
        const size_t n_columns = p->n * p->e->model->config.n_experts_used;
        a->in = &p->e->b.gathered;
        pool_run(p->e->pool, gather_task, a, (n_columns + TOKEN_BLOCK - 1) / TOKEN_BLOCK);
    }
}

void ffn(struct pass *p, const struct layer *w) {
    struct ffn_arg a;
    a.p = p;
    a.in = &p->e->b.in;
    a.n_experts = 0;
    a.mixed = false;
    a.tiles = (panel_count(w->w1[0]) * PANEL_ROWS + TILE_ROWS - 1) / TILE_ROWS;
    if (w->router != NULL)
        route(&a, w);
    else
        a.experts[a.n_experts++] =
            (struct expert){.w1 = w->w1[0], .w2 = w->w2[0], .w3 = w->w3[0], .n = p->n};
    pool_run(p->e->pool, gate_up_task, &a, a.n_experts * a.tiles);
    for (size_t i = 0; i < a.n_experts; i++) {
        const struct expert *const e = &a.experts[i];
        pass_observe(p, INPUT_FFN, e->index, a.in, FORM_F32, e->first_in, e->n);
        pass_observe(p, INPUT_W2, e->index, &p->e->b.hidden, form_of(e->w2->type), e->first, e->n);
    }
    const size_t panels = panel_count(w->w2[0]);
    pool_run(p->e->pool, down_task, &a, (panels + task_panels(p) - 1) / task_panels(p));
}
