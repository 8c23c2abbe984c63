#include "src/engine/forward.h"

#include "kernels/dmath.h"
#include "src/base/error.h"
#include "src/base/finite.h"
#include "src/engine/attention.h"
#include "src/engine/ffn.h"
#include "src/engine/linear.h"
#include "src/engine/observe.h"

#include <string.h>

/* ---- tokens to vectors ------------------------------------------------------------------- */

/* Where the sinks see a query: no further away than just behind the widest window before it. */
static uint64_t sinks_see(const struct bise_session *s, uint64_t pos) {
    const uint64_t last = (uint64_t)s->plan.window + s->plan.n_sinks - 1;
    return pos < last ? pos : last;
}

static void embed_task(void *arg, size_t block, int thread) {
    (void)thread;
    struct pass *const p = arg;
    struct buffers *const b = &p->s->b;
    const struct tensor *const e = p->s->model->embed;
    const size_t head_dim = p->s->kv.head_dim, dim = p->s->model->config.dim;
    for (size_t t = block * TOKEN_BLOCK; t < block_end(p, block); t++) {
        float *const x = b->x + t * b->in.k;
        if (p->ids) {
            dequantize_row(x, e->type, &e->w, (size_t)p->ids[t]);
        } else {
            memcpy(x, p->states + t * dim, dim * sizeof *x);
            memset(x + dim, 0, (b->in.k - dim) * sizeof *x);
        }
        rope_table(b->rope + t * head_dim, p->pos + t, head_dim, b->inv_freq);
        if (b->rope_sinks)
            rope_table(b->rope_sinks + t * head_dim, sinks_see(p->s, p->pos + t), head_dim,
                       b->inv_freq);
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
    struct buffers *const b = &p->s->b;
    const struct kernels *const k = &p->s->kernels;
    const struct model_config *const c = &p->s->model->config;
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
    pool_run(p->s->pool, norm_task, &arg, token_blocks(p));
}

/* ---- positions into queries and keys, keys and values into the cache ----------------------- */

/* A sink's key and value are kept besides the ring. */
static bool store(struct pass *p, size_t head, uint64_t pos, const float *k, const float *v) {
    struct bise_session *const s = p->s;
    return kv_write(&s->kv, &s->kernels, p->layer, head, pos, k, v) &&
           (pos >= s->plan.n_sinks || kv_write(&s->sinks, &s->kernels, p->layer, head, pos, k, v));
}

static void rope_task(void *arg, size_t block, int thread) {
    (void)thread;
    struct pass *const p = arg;
    struct bise_session *const s = p->s;
    struct buffers *const b = &s->b;
    const size_t head_dim = s->kv.head_dim, n_kv = s->kv.n_heads;
    for (size_t t = block * TOKEN_BLOCK; t < block_end(p, block); t++) {
        const float *const cs = b->rope + t * head_dim;
        float *const k = b->k + t * b->ldk, *const v = b->v + t * b->ldk;
        if (b->q_sinks) {
            float *const q = b->q_sinks + t * b->ldq;
            memcpy(q, b->q + t * b->ldq, b->ldq * sizeof *q);
            s->kernels.rope(q, s->model->config.n_heads, head_dim, b->rope_sinks + t * head_dim);
        }
        s->kernels.rope(b->q + t * b->ldq, s->model->config.n_heads, head_dim, cs);
        s->kernels.rope(k, n_kv, head_dim, cs);
        for (size_t h = 0; h < n_kv; h++)
            if (!store(p, h, p->pos + t, k + h * head_dim, v + h * head_dim))
                pass_bad(p, t);
    }
}

static void rope_and_store(struct pass *p) {
    pool_run(p->s->pool, rope_task, p, token_blocks(p));
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
    struct act *const att = &p->s->b.att;
    for (size_t t = block * TOKEN_BLOCK; t < block_end(p, block); t++)
        if (!act_put(&p->s->kernels, att, t, 0, att->k, att->f + t * att->k, a->forms))
            pass_bad(p, t);
}

static void quantize_att(struct pass *p, unsigned forms) {
    struct quantize_arg arg = {p, forms};
    pool_run(p->s->pool, quantize_task, &arg, token_blocks(p));
}

/* ---- the layers ---------------------------------------------------------------------------- */

static enum bise_status check_finite(struct pass *p, struct bise_error *err) {
    const uint64_t pos = atomic_load(&p->bad_pos);
    if (pos == UINT64_MAX)
        return BISE_OK;
    const char *const bad = "a value became infinite or not a number in, or just before,";
    if (p->layer == p->s->model->config.n_layers)
        return bise_fail(err, BISE_ERR_NONFINITE, "%s the output head, position %llu", bad,
                         (unsigned long long)pos);
    return bise_fail(err, BISE_ERR_NONFINITE, "%s layer %zu, position %llu", bad, p->layer,
                     (unsigned long long)pos);
}

/* From here on only the last token matters: it becomes the pass's only one. */
static void keep_last_token(struct pass *p) {
    struct buffers *const b = &p->s->b;
    const size_t last = p->n - 1;
    memmove(b->x, b->x + last * b->in.k, b->in.k * sizeof *b->x);
    memmove(b->q, b->q + last * b->ldq, b->ldq * sizeof *b->q);
    if (b->q_sinks)
        memmove(b->q_sinks, b->q_sinks + last * b->ldq, b->ldq * sizeof *b->q_sinks);
    p->pos += last;
    p->n = 1;
}

static enum bise_status layers(struct pass *p, enum want want, struct bise_error *err) {
    const struct bise_model *const m = p->s->model;
    struct buffers *const b = &p->s->b;
    const bool watched = p->s->observer != NULL;
    enum bise_status status = BISE_OK;
    pool_run(p->s->pool, embed_task, p, token_blocks(p));
    for (p->layer = 0; p->layer < m->config.n_layers && status == BISE_OK; p->layer++) {
        const struct layer *const w = &m->layers[p->layer];
        const bool last = p->layer + 1 == m->config.n_layers;
        const struct linear qkv = {.w = {w->wq, w->wk, w->wv},
                                   .y = {b->q, b->k, b->v},
                                   .ldy = {b->ldq, b->ldk, b->ldk},
                                   .n_matrices = 3};
        norm(p, w->attn_norm, pass_forms(p, qkv.w, 3));
        pass_observe(p, INPUT_ATTENTION, 0, &b->in, FORM_F32, 0, p->n);
        linear_run(p, &qkv, &b->in);
        rope_and_store(p);
        if (last && want == WANT_NONE && !watched)
            return check_finite(p, err); /* the cache is all that this pass is for */
        if (last && want == WANT_LAST && !watched)
            keep_last_token(p);
        attention(p);
        pass_observe(p, INPUT_WO, 0, &b->att, FORM_F32, 0, p->n);
        quantize_att(p, pass_forms(p, &w->wo, 1));
        linear_add(p, w->wo, &b->att);
        norm(p, w->ffn_norm, ffn_forms(p, w));
        ffn(p, w);
        status = check_finite(p, err);
    }
    if (want == WANT_LAST && watched)
        keep_last_token(p);
    return status;
}

/* ---- the output head ------------------------------------------------------------------------ */

struct head_arg {
    struct pass *p;
    float *y; /* [n][vocab_size] */
};

static void head_task(void *arg, size_t task, int thread) {
    const struct head_arg *const a = arg;
    struct pass *const p = a->p;
    const struct tensor *const head = p->s->model->head;
    const struct thread_scratch *const t = &p->s->b.threads[thread];
    const size_t per_task = TILE_ROWS / PANEL_ROWS, p0 = task * per_task, row0 = p0 * PANEL_ROWS;
    const size_t left = panel_count(head) - p0, vocab = head->rows;
    const size_t rows = vocab - row0 < TILE_ROWS ? vocab - row0 : TILE_ROWS;
    linear_panels(p, t->tile[0], TILE_ROWS, &p->s->b.in, 0, p->n, head, p0,
                  p0 + (left < per_task ? left : per_task), t->matmul);
    for (size_t c = 0; c < p->n; c++) {
        const float *const from = t->tile[0] + c * TILE_ROWS;
        memcpy(a->y + c * vocab + row0, from, rows * sizeof *from);
        if (!all_finite(from, rows))
            pass_bad(p, c);
    }
}

/* Logits of the pass's tokens from the residual stream into y [n][vocab_size]. */
static enum bise_status output_head(struct pass *p, float *y, struct bise_error *err) {
    const struct bise_model *const m = p->s->model;
    struct head_arg arg = {p, y};
    norm(p, m->norm, pass_forms(p, &m->head, 1));
    const size_t per_task = TILE_ROWS / PANEL_ROWS;
    pool_run(p->s->pool, head_task, &arg, (panel_count(m->head) + per_task - 1) / per_task);
    return check_finite(p, err);
}

enum bise_status forward_layers(struct bise_session *s, float *states, size_t n,
                                struct bise_error *err) {
    struct pass p = {.s = s, .states = states, .n = n, .pos = s->pos, .prefill = true};
    const struct buffers *const b = &s->b;
    const size_t dim = s->model->config.dim;
    atomic_init(&p.bad_pos, UINT64_MAX);
    s->filled = s->pos + n > s->filled ? s->pos + n : s->filled;
    const enum bise_status status = layers(&p, WANT_ALL, err);
    if (status != BISE_OK)
        return status;
    for (size_t t = 0; t < n; t++)
        memcpy(states + t * dim, b->x + t * b->in.k, dim * sizeof *states);
    s->pos += n;
    return BISE_OK;
}

enum bise_status forward(struct bise_session *s, const int32_t *ids, size_t n, bool prefill,
                         enum want want, float *all, struct bise_error *err) {
    struct pass p = {.s = s, .ids = ids, .n = n, .pos = s->pos, .prefill = prefill};
    const size_t vocab = s->model->config.vocab_size;
    atomic_init(&p.bad_pos, UINT64_MAX);
    /* Slots are overwritten from here on, whatever comes of the pass. */
    s->filled = s->pos + n > s->filled ? s->pos + n : s->filled;
    enum bise_status status = layers(&p, want, err);
    if (status == BISE_OK && want == WANT_ALL) {
        status = output_head(&p, all, err);
        if (status == BISE_OK)
            memcpy(s->b.logits, all + (n - 1) * vocab, vocab * sizeof *all);
    } else if (status == BISE_OK && want == WANT_LAST) {
        status = output_head(&p, s->b.logits, err);
    }
    if (status == BISE_OK)
        s->pos += n;
    return status;
}
