#include "src/engine/buffers.h"

#include "src/os/mem.h"

/* Memory handed out front to back in lines of 64 bytes. */
struct arena {
    uint8_t *base; /* NULL: only counting */
    size_t used;
    bool ok;
};

static void *take(struct arena *a, size_t count, size_t each, size_t size) {
    size_t bytes, end;
    if (!mul_ok(count, each, &bytes) || !mul_ok(bytes, size, &bytes) ||
        !add_ok(bytes, 63, &bytes) || !add_ok(a->used, bytes & ~(size_t)63, &end)) {
        a->ok = false;
        return NULL;
    }
    void *p = a->base ? a->base + a->used : NULL;
    a->used = end;
    return p;
}

unsigned form_of(enum tensor_type type) {
    switch (type) {
    case TYPE_I4:
        return FORM_Q128;
    case TYPE_I8:
        return FORM_Q32;
    default:
        return FORM_F32;
    }
}

static void take_act(struct arena *a, struct act *act, size_t n, size_t k, unsigned forms) {
    *act = (struct act){.k = k};
    if (forms & FORM_F32)
        act->f = take(a, n, k, sizeof *act->f);
    if (forms & FORM_Q32) {
        act->q32 = take(a, n, k, 1);
        act->d32 = take(a, n, k / BLOCK_K, sizeof *act->d32);
        act->sum32 = take(a, n, k / BLOCK_K, sizeof *act->sum32);
    }
    if (forms & FORM_Q128) {
        act->q128 = take(a, k / PACK_K, act_stride(n), PACK_K);
        act->d128 = take(a, n, k / TILE_K, sizeof *act->d128);
        act->start128 = take(a, n, k / BLOCK_K, sizeof *act->start128);
    }
}

/* Forms wanted by the matrices that read each kind of input, over all layers. */
struct wanted {
    unsigned in, att, hidden;
};

static struct wanted wanted_forms(const struct bise_model *model) {
    struct wanted w = {.in = FORM_F32 | form_of(model->head->type), .att = FORM_F32};
    const size_t n_experts = model->config.n_experts > 0 ? model->config.n_experts : 1;
    for (size_t i = 0; i < model->config.n_layers; i++) {
        const struct layer *const l = &model->layers[i];
        w.in |= form_of(l->wq->type) | form_of(l->wk->type) | form_of(l->wv->type);
        w.att |= form_of(l->wo->type);
        for (size_t e = 0; e < n_experts; e++) {
            w.in |= form_of(l->w1[e]->type) | form_of(l->w3[e]->type);
            w.hidden |= form_of(l->w2[e]->type);
        }
    }
    return w;
}

static void take_thread(struct arena *a, struct thread_scratch *t, size_t columns, size_t hd,
                        enum bise_kv kv) {
    *t = (struct thread_scratch){.matmul = take(a, 1, KERNEL_SCRATCH_BYTES, 1)};
    t->tile[0] = take(a, columns, TILE_ROWS, sizeof(float));
    t->tile[1] = take(a, columns, TILE_ROWS, sizeof(float));
    t->acc = take(a, columns, TILE_ROWS, sizeof(float));
    t->q = take(a, ATTN_COLUMNS, hd, sizeof(float));
    t->out = take(a, ATTN_COLUMNS, hd, sizeof(float));
    t->q8 = take(a, ATTN_COLUMNS, hd, 1);
    t->qd = take(a, ATTN_COLUMNS, 1, sizeof(float));
    t->scores = take(a, ATTN_COLUMNS, SCORES_LD, sizeof(float));
    t->codes = take(a, ATTN_COLUMNS, CODES_LD, ATTN_GROUP);
    t->code_scales = take(a, ATTN_COLUMNS, CODES_LD, sizeof(float));
    t->unpacked = take(a, kv == BISE_KV_I4 ? ATTN_BLOCK : 0, hd, 1);
    t->part = take(a, ATTN_COLUMNS, hd, sizeof(float));
    t->part_sum = take(a, ATTN_COLUMNS, 1, sizeof(float));
    t->part_max = take(a, ATTN_COLUMNS, 1, sizeof(float));
}

/* Blocks of positions that one token sees at most. */
static size_t most_blocks(const struct bise_plan *plan) {
    const size_t seen = plan->window > 0 ? plan->window : plan->ring;
    return seen / ATTN_BLOCK + plan->n_sinks / ATTN_BLOCK + 3; /* with those cut at the ends */
}

/* What attention of a pass is cut into, and what a single deep column needs. */
static void take_attention(struct arena *a, struct buffers *b, const struct model_config *c,
                           const struct bise_plan *plan) {
    const size_t group = c->n_heads / c->n_kv_heads, heads = attention_heads(group);
    const size_t n_subs = (group + heads - 1) / heads, per_task = ATTN_COLUMNS / heads;
    const size_t blocks = plan->columns / per_task + plan->n_seqs;
    b->attn_tasks = take(a, blocks, c->n_kv_heads * n_subs, sizeof *b->attn_tasks);
    b->attn_order = take(a, blocks, c->n_kv_heads * n_subs, sizeof *b->attn_order);
    b->deep_runs = take(a, plan->n_seqs, 1, sizeof *b->deep_runs);
    b->deep_parts =
        take(a, most_blocks(plan) * c->n_heads, round_up(c->head_dim, 32), sizeof *b->deep_parts);
    b->deep_sums = take(a, most_blocks(plan), c->n_heads, sizeof *b->deep_sums);
    b->deep_max = take(a, most_blocks(plan), c->n_heads, sizeof *b->deep_max);
}

bool buffers_layout(struct buffers *b, uint8_t *base, size_t *bytes, const struct bise_model *model,
                    const struct bise_plan *plan) {
    const struct model_config *const c = &model->config;
    const struct wanted wanted = wanted_forms(model);
    const size_t n = plan->columns, used = c->n_experts_used;
    const size_t columns = used > 0 ? n * used : n; /* all of these are bounded */
    const size_t dim = round_up(c->dim, TILE_K), heads = (size_t)c->n_heads * c->head_dim;
    struct arena a = {.base = base, .ok = true};

    *b = (struct buffers){.ldq = round_up(heads, PANEL_ROWS),
                          .ldk = round_up((size_t)c->n_kv_heads * c->head_dim, PANEL_ROWS)};
    b->threads = take(&a, (size_t)plan->n_threads, 1, sizeof *b->threads);
    b->runs = take(&a, plan->n_seqs, 1, sizeof *b->runs);
    b->pass_columns = take(&a, n, 1, sizeof *b->pass_columns);
    b->x = take(&a, n, dim, sizeof *b->x);
    take_act(&a, &b->in, n, dim, wanted.in);
    take_act(&a, &b->att, n, round_up(heads, TILE_K), wanted.att);
    take_act(&a, &b->hidden, columns, round_up(c->ffn_dim, TILE_K), wanted.hidden);
    b->q = take(&a, n, b->ldq, sizeof *b->q);
    b->k = take(&a, n, b->ldk, sizeof *b->k);
    b->v = take(&a, n, b->ldk, sizeof *b->v);
    b->rope = take(&a, n, c->head_dim, sizeof *b->rope);
    if (plan->n_sinks > 0) {
        b->q_sinks = take(&a, n, b->ldq, sizeof *b->q_sinks);
        b->rope_sinks = take(&a, n, c->head_dim, sizeof *b->rope_sinks);
    }
    b->inv_freq = take(&a, c->head_dim, 1, sizeof *b->inv_freq);
    b->logits = take(&a, plan->n_seqs, c->vocab_size, sizeof *b->logits);
    b->new_logits = take(&a, plan->n_seqs, c->vocab_size, sizeof *b->new_logits);
    b->ids = take(&a, plan->n_seqs, plan->n_ctx, sizeof *b->ids);
    take_attention(&a, b, c, plan);
    if (used > 0) {
        take_act(&a, &b->gathered, columns, dim, wanted.in);
        b->router = take(&a, n, round_up(c->n_experts, PANEL_ROWS), sizeof *b->router);
        b->chosen = take(&a, n, used, sizeof *b->chosen);
        b->chosen_weight = take(&a, n, used, sizeof *b->chosen_weight);
        b->columns = take(&a, columns, 1, sizeof *b->columns);
        b->column_weight = take(&a, columns, 1, sizeof *b->column_weight);
    }
    for (int i = 0; i < plan->n_threads; i++) {
        struct thread_scratch t;
        take_thread(&a, &t, n, round_up(c->head_dim, 32), plan->kv);
        if (base != NULL)
            b->threads[i] = t;
    }
    *bytes = a.used;
    return a.ok;
}
