#include "src/engine/attention.h"

#include <string.h>

#define UNSEEN -1e30f /* a score whose exp, less that of any score there is, is zero */

/* One task: the query heads h0 .. h0 + n_heads - 1 of one KV head, for tokens t0 .. t0 + n - 1.
 * Column c is head h0 + c % n_heads of token t0 + c / n_heads. */
struct attn_task {
    size_t kv_head, h0, n_heads, t0, n;
    uint64_t lo, hi; /* positions seen by any of the tokens, lo rounded down to a group */
};

/* Query heads of one task, and tokens of one task. */
static size_t heads_per_task(size_t group) {
    return group < ATTN_COLUMNS ? group : ATTN_COLUMNS;
}

static size_t tokens_per_task(size_t group) {
    return ATTN_COLUMNS / heads_per_task(group);
}

/* First position that a query at pos sees, sinks aside. */
static uint64_t first_seen(const struct bise_session *s, uint64_t pos) {
    const uint64_t window = s->plan.window, sinks = s->plan.n_sinks;
    const uint64_t lo = window > 0 && pos >= window ? pos - window + 1 : 0;
    const uint64_t least = s->start_pos > sinks ? s->start_pos : sinks;
    return lo > least ? lo : least;
}

static struct attn_task task_of(const struct pass *p, size_t task) {
    const struct model_config *const c = &p->s->model->config;
    const size_t group = c->n_heads / c->n_kv_heads;
    const size_t heads = heads_per_task(group), tokens = tokens_per_task(group);
    const size_t n_blocks = (p->n + tokens - 1) / tokens, n_subs = (group + heads - 1) / heads;
    const size_t block = task % n_blocks, sub = task / n_blocks % n_subs;
    struct attn_task t = {.kv_head = task / n_blocks / n_subs, .t0 = block * tokens};
    t.h0 = t.kv_head * group + sub * heads;
    t.n_heads = group - sub * heads < heads ? group - sub * heads : heads;
    t.n = p->n - t.t0 < tokens ? p->n - t.t0 : tokens;
    t.lo = first_seen(p->s, p->pos + t.t0) & ~(uint64_t)(ATTN_GROUP - 1);
    t.hi = p->pos + t.t0 + t.n;
    if (t.hi < t.lo)
        t.hi = t.lo; /* the sinks alone are seen */
    return t;
}

/* Queries [n][ldq] of the task as columns [n_heads * n][hd], padded, quantized for an int8 cache.
 */
static void gather_queries(struct pass *p, const struct attn_task *t, struct thread_scratch *ts,
                           const float *queries) {
    const struct bise_session *const s = p->s;
    const size_t head_dim = s->kv.head_dim, hd = s->kv.hd;
    for (size_t c = 0; c < t->n * t->n_heads; c++) {
        const size_t token = t->t0 + c / t->n_heads, head = t->h0 + c % t->n_heads;
        float *const q = ts->q + c * hd;
        memcpy(q, queries + token * s->b.ldq + head * head_dim, head_dim * sizeof *q);
        memset(q + head_dim, 0, (hd - head_dim) * sizeof *q);
        if (s->kv.type != BISE_KV_I8)
            continue;
        if (!s->kernels.quantize_block(ts->q8 + c * hd, &ts->qd[c], q, hd)) {
            memset(ts->q8 + c * hd, 0, hd);
            ts->qd[c] = 0;
            pass_bad(p, token);
        }
        ts->qd[c] *= s->query_scale;
    }
}

/* A run of positions that are contiguous in memory. Scores of a column: the sinks', then those of
 * the positions from the task's lo on. */
struct segment {
    struct kv_view view;
    size_t at, len; /* of its scores in a column */
};

static struct segment sinks_segment(const struct pass *p, const struct attn_task *t) {
    const struct kv_cache *const sinks = &p->s->sinks;
    return (struct segment){.view = kv_at(sinks, p->layer, t->kv_head, 0), .len = sinks->ring};
}

/* The next segment of [lo, hi); before the first, seg is the sinks' or all zero. False at the end.
 */
static bool next_segment(const struct pass *p, const struct attn_task *t, struct segment *seg) {
    const struct kv_cache *const kv = &p->s->kv;
    seg->at += seg->len;
    const uint64_t pos = t->lo + seg->at - p->s->plan.n_sinks;
    if (pos >= t->hi)
        return false;
    const size_t slot = (size_t)(pos % kv->ring), left = (size_t)(t->hi - pos);
    seg->len = left < kv->ring - slot ? left : kv->ring - slot;
    seg->view = kv_at(kv, p->layer, t->kv_head, slot);
    return true;
}

static void scores(const struct pass *p, const struct attn_task *t, const struct thread_scratch *ts,
                   const struct segment *seg) {
    const struct bise_session *const s = p->s;
    const struct kernels *const k = &s->kernels;
    const size_t ld = s->b.scores_ld, hd = s->kv.hd, n_q = t->n * t->n_heads;
    const size_t n_groups = (seg->len + ATTN_GROUP - 1) / ATTN_GROUP;
    float *const out = ts->scores + seg->at;
    if (s->kv.type == BISE_KV_I8)
        k->scores_i8(out, ld, ts->q8, ts->qd, n_q, seg->view.keys, seg->view.key_scales, hd,
                     n_groups);
    else if (s->kv.type == BISE_KV_F16)
        k->scores_f16(out, ld, ts->q, s->query_scale, n_q, seg->view.keys, hd, n_groups);
    else
        k->scores_f32(out, ld, ts->q, s->query_scale, n_q, seg->view.keys, hd, n_groups);
}

static void values(const struct pass *p, const struct attn_task *t, const struct thread_scratch *ts,
                   const struct segment *seg) {
    const struct bise_session *const s = p->s;
    const struct kernels *const k = &s->kernels;
    const size_t ld = s->b.scores_ld, hd = s->kv.hd, n_q = t->n * t->n_heads;
    const float *const w = ts->scores + seg->at;
    if (s->kv.type == BISE_KV_I8)
        k->values_i8(ts->out, hd, w, ld, n_q, seg->view.values, seg->view.value_scales, hd,
                     hd, seg->len);
    else if (s->kv.type == BISE_KV_F16)
        k->values_f16(ts->out, hd, w, ld, n_q, seg->view.values, hd, hd, seg->len);
    else
        k->values_f32(ts->out, hd, w, ld, n_q, seg->view.values, hd, hd, seg->len);
}

/* Part [*lo, *hi) of a column's scores that the query at pos sees. */
static void seen_by(const struct bise_session *s, const struct attn_task *t, uint64_t pos,
                    float *column, size_t *lo, size_t *hi) {
    const size_t sinks = s->plan.n_sinks;
    const size_t first = sinks + (size_t)(first_seen(s, pos) - t->lo);
    *lo = sinks > 0 ? 0 : first;
    *hi = pos < sinks ? (size_t)pos + 1 : sinks + (size_t)(pos + 1 - t->lo);
    for (size_t i = sinks; i < first && sinks > 0; i++)
        column[i] = UNSEEN; /* between the sinks and the window */
}

/* Scores to probabilities, not yet divided by their sums. */
static void softmax(struct pass *p, const struct attn_task *t, struct thread_scratch *ts) {
    const struct bise_session *const s = p->s;
    const size_t n = s->plan.n_sinks + round_up((size_t)(t->hi - t->lo), ATTN_GROUP);
    for (size_t c = 0; c < t->n * t->n_heads; c++) {
        const uint64_t pos = p->pos + t->t0 + c / t->n_heads;
        float *const column = ts->scores + c * s->b.scores_ld;
        size_t lo, hi;
        seen_by(s, t, pos, column, &lo, &hi);
        ts->sum[c] = s->kernels.softmax(column, lo, hi, n);
        if (ts->sum[c] != ts->sum[c])
            pass_bad(p, t->t0 + c / t->n_heads);
    }
}

static void attention_task(void *arg, size_t task, int thread) {
    struct pass *const p = arg;
    struct bise_session *const s = p->s;
    struct thread_scratch *const ts = &s->b.threads[thread];
    const struct attn_task t = task_of(p, task);
    const size_t n_q = t.n * t.n_heads, hd = s->kv.hd, head_dim = s->kv.head_dim;
    const bool has_sinks = s->plan.n_sinks > 0;
    const struct segment sinks = has_sinks ? sinks_segment(p, &t) : (struct segment){.at = 0};

    if (has_sinks) {
        gather_queries(p, &t, ts, s->b.q_sinks);
        scores(p, &t, ts, &sinks);
    }
    gather_queries(p, &t, ts, s->b.q);
    for (struct segment seg = sinks; next_segment(p, &t, &seg);)
        scores(p, &t, ts, &seg);
    softmax(p, &t, ts);
    memset(ts->out, 0, n_q * hd * sizeof *ts->out);
    if (has_sinks)
        values(p, &t, ts, &sinks);
    for (struct segment seg = sinks; next_segment(p, &t, &seg);)
        values(p, &t, ts, &seg);
    for (size_t c = 0; c < n_q; c++) {
        const size_t token = t.t0 + c / t.n_heads, head = t.h0 + c % t.n_heads;
        float *const out = s->b.att.f + token * s->b.att.k + head * head_dim;
        memcpy(out, ts->out + c * hd, head_dim * sizeof *out);
        s->kernels.scale(out, 1.0f / ts->sum[c], head_dim);
    }
}

void attention(struct pass *p) {
    const struct model_config *const c = &p->s->model->config;
    const size_t group = c->n_heads / c->n_kv_heads;
    const size_t heads = heads_per_task(group), tokens = tokens_per_task(group);
    const size_t n_blocks = (p->n + tokens - 1) / tokens, n_subs = (group + heads - 1) / heads;
    pool_run(p->s->pool, attention_task, p, c->n_kv_heads * n_subs * n_blocks);
}
