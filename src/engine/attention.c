#include "src/engine/attention.h"

#include "src/engine/engine.h"

#include <string.h>

#define UNSEEN    -1e30f /* a score whose exp, less that of any score there is, is zero */
#define DEEP      1024   /* positions from which on a token's heads may be cut */
#define PIECE     512    /* positions of a cut head's scores that one task computes */
#define DIM_BYTES 64     /* of a position's values that one task weighs: a line */

/* ---- tasks ---------------------------------------------------------------------------------- */

/* First position that a query at pos sees, sinks aside. */
static uint64_t first_seen(const struct pass *p, const struct sequence *seq, uint64_t pos) {
    const uint64_t window = p->e->plan.window, sinks = p->e->plan.n_sinks;
    const uint64_t lo = window > 0 && pos >= window ? pos - window + 1 : 0;
    const uint64_t least = seq->start_pos > sinks ? seq->start_pos : sinks;
    return lo > least ? lo : least;
}

static struct attn_task task_of(const struct pass *p, size_t r, size_t kv_head, size_t h0,
                                size_t n_heads, size_t t0, size_t n) {
    const struct column *const first = &p->columns[t0];
    struct attn_task t = {
        (uint32_t)r, (uint32_t)kv_head, (uint32_t)h0, (uint32_t)n_heads, (uint32_t)t0, (uint32_t)n,
        0,           first->pos + n};
    t.lo = first_seen(p, p->runs[r].seq, first->pos) & ~(uint64_t)(ATTN_GROUP - 1);
    if (t.hi < t.lo)
        t.hi = t.lo; /* the sinks alone are seen */
    return t;
}

static uint64_t cost(const struct attn_task *t) {
    return (t->hi - t->lo + ATTN_GROUP) * t->n_heads * t->n;
}

/* The tasks of a run, to be appended to tasks [n]. Returns how many there are then. */
static size_t add_tasks(const struct pass *p, size_t r, struct attn_task *tasks, size_t n) {
    const struct model_config *const c = &p->e->model->config;
    const struct pass_run *const run = &p->runs[r];
    const size_t group = c->n_heads / c->n_kv_heads, heads = attention_heads(group);
    const size_t columns = ATTN_COLUMNS / heads;
    for (size_t h = 0; h < c->n_kv_heads; h++)
        for (size_t sub = 0; sub < group; sub += heads)
            for (size_t at = 0; at < run->n; at += columns)
                tasks[n++] =
                    task_of(p, r, h, h * group + sub, group - sub < heads ? group - sub : heads,
                            run->first + at, run->n - at < columns ? run->n - at : columns);
    return n;
}

static void sift_down(struct attn_task *tasks, size_t i, size_t n) {
    const struct attn_task moved = tasks[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && cost(&tasks[child + 1]) < cost(&tasks[child]))
            child++;
        if (cost(&tasks[child]) >= cost(&moved))
            break;
        tasks[i] = tasks[child];
    }
    tasks[i] = moved;
}

/* Dearest first (which thread runs a task does not matter to the result, nor does the order). */
static void sort_tasks(struct attn_task *tasks, size_t n) {
    for (size_t i = n / 2; i-- > 0;)
        sift_down(tasks, i, n);
    while (n-- > 1) {
        const struct attn_task cheapest = tasks[0];
        tasks[0] = tasks[n];
        tasks[n] = cheapest;
        sift_down(tasks, 0, n);
    }
}

/* Deals them out, so that each thread's share (pool.h) begins with its dearest and shares are
 * alike: order [n] is what the pool's task i runs. */
static void deal_tasks(uint32_t *order, size_t n, size_t n_threads) {
    size_t next = 0;
    for (size_t round = 0; next < n; round++)
        for (size_t i = 0; i < n_threads; i++) {
            const size_t at = n * i / n_threads + round;
            if (at < n * (i + 1) / n_threads)
                order[at] = (uint32_t)next++;
        }
}

void attention_plan(struct pass *p) {
    struct buffers *const b = &p->e->b;
    struct attn_task *const tasks = b->attn_tasks;
    const uint64_t n_threads = (uint64_t)p->e->plan.n_threads;
    uint64_t all = 0;
    size_t n = 0;
    p->n_deep = 0;
    for (size_t r = 0; r < p->n_runs; r++)
        n = add_tasks(p, r, tasks, n);
    for (size_t i = 0; i < n; i++)
        all += cost(&tasks[i]);
    /* Tasks that could be the last to end, alone, are taken out: their runs are cut. */
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const struct attn_task *const t = &tasks[i];
        const bool deep = p->runs[t->run].n == 1 && t->hi - t->lo >= DEEP && n_threads > 1 &&
                          4 * n_threads * cost(t) > all;
        if (!deep)
            tasks[kept++] = *t;
        else if (p->n_deep == 0 || b->deep_runs[p->n_deep - 1] != t->run)
            b->deep_runs[p->n_deep++] = t->run;
    }
    p->n_tasks = kept;
    sort_tasks(tasks, kept);
    deal_tasks(b->attn_order, kept, n_threads);
}

/* ---- queries, scores, probabilities, values ------------------------------------------------- */

/* Queries [n][ldq] of the task as vectors [n_heads * n][hd], padded, quantized for an int8 cache.
 */
static void gather_queries(struct pass *p, const struct attn_task *t, struct thread_scratch *ts,
                           const float *queries) {
    const struct bise_engine *const e = p->e;
    const struct kv_cache *const kv = &p->runs[t->run].seq->kv;
    const size_t head_dim = kv->head_dim, hd = kv->hd;
    for (size_t c = 0; c < (size_t)t->n * t->n_heads; c++) {
        const size_t column = t->t0 + c / t->n_heads, head = t->h0 + c % t->n_heads;
        float *const q = ts->q + c * hd;
        memcpy(q, queries + column * e->b.ldq + head * head_dim, head_dim * sizeof *q);
        memset(q + head_dim, 0, (hd - head_dim) * sizeof *q);
        if (kv->type != BISE_KV_I8)
            continue;
        if (!e->kernels.quantize_block(ts->q8 + c * hd, &ts->qd[c], q, hd)) {
            memset(ts->q8 + c * hd, 0, hd);
            ts->qd[c] = 0;
            pass_bad(p, column);
        }
        ts->qd[c] *= e->query_scale;
    }
}

/* A run of positions that are contiguous in memory. Scores of a vector: the sinks', then those of
 * the positions from the task's lo on. */
struct segment {
    struct kv_view view;
    size_t at, len; /* of its scores in a row */
};

static struct segment sinks_segment(const struct pass *p, const struct attn_task *t) {
    const struct kv_cache *const sinks = &p->runs[t->run].seq->sinks;
    return (struct segment){.view = kv_at(sinks, p->layer, t->kv_head, 0), .len = sinks->ring};
}

/* The next segment of positions [t->lo + seg->at + seg->len - sinks, to). False at the end. */
static bool next_segment(const struct pass *p, const struct attn_task *t, uint64_t to,
                         struct segment *seg) {
    const struct kv_cache *const kv = &p->runs[t->run].seq->kv;
    seg->at += seg->len;
    const uint64_t pos = t->lo + seg->at - p->e->plan.n_sinks;
    if (pos >= to)
        return false;
    const size_t slot = (size_t)(pos % kv->ring), left = (size_t)(to - pos);
    seg->len = left < kv->ring - slot ? left : kv->ring - slot;
    seg->view = kv_at(kv, p->layer, t->kv_head, slot);
    return true;
}

/* Scores of a segment; rows: of the task's first vector. */
static void scores(const struct pass *p, const struct attn_task *t, const struct thread_scratch *ts,
                   const struct segment *seg, float *rows) {
    const struct kernels *const k = &p->e->kernels;
    const struct kv_cache *const kv = &p->runs[t->run].seq->kv;
    const size_t ld = p->e->b.scores_ld, n_q = (size_t)t->n * t->n_heads;
    const size_t n_groups = (seg->len + ATTN_GROUP - 1) / ATTN_GROUP;
    const float scale = p->e->query_scale;
    float *const out = rows + seg->at;
    if (kv->type == BISE_KV_I8)
        k->scores_i8(out, ld, ts->q8, ts->qd, n_q, seg->view.keys, seg->view.key_scales, kv->hd,
                     n_groups);
    else if (kv->type == BISE_KV_F16)
        k->scores_f16(out, ld, ts->q, scale, n_q, seg->view.keys, kv->hd, n_groups);
    else
        k->scores_f32(out, ld, ts->q, scale, n_q, seg->view.keys, kv->hd, n_groups);
}

/* Adds dimensions d .. d + n_d - 1 of a segment's values to ts->out [n_q][n_d]. */
static void values(const struct pass *p, const struct attn_task *t, const struct thread_scratch *ts,
                   const struct segment *seg, const float *rows, size_t d, size_t n_d) {
    const struct kernels *const k = &p->e->kernels;
    const struct kv_cache *const kv = &p->runs[t->run].seq->kv;
    const size_t ld = p->e->b.scores_ld, n_q = (size_t)t->n * t->n_heads;
    const float *const w = rows + seg->at;
    const void *const v = (const uint8_t *)seg->view.values + d * kv->elem_bytes;
    if (kv->type == BISE_KV_I8)
        k->values_i8(ts->out, n_d, w, ld, n_q, v, seg->view.value_scales, kv->hd, n_d, seg->len);
    else if (kv->type == BISE_KV_F16)
        k->values_f16(ts->out, n_d, w, ld, n_q, v, kv->hd, n_d, seg->len);
    else
        k->values_f32(ts->out, n_d, w, ld, n_q, v, kv->hd, n_d, seg->len);
}

/* Part [*lo, *hi) of a row of scores that the query at pos sees. */
static void seen_by(const struct pass *p, const struct attn_task *t, uint64_t pos, float *row,
                    size_t *lo, size_t *hi) {
    const size_t sinks = p->e->plan.n_sinks;
    const size_t first = sinks + (size_t)(first_seen(p, p->runs[t->run].seq, pos) - t->lo);
    *lo = sinks > 0 ? 0 : first;
    *hi = pos < sinks ? (size_t)pos + 1 : sinks + (size_t)(pos + 1 - t->lo);
    for (size_t i = sinks; i < first && sinks > 0; i++)
        row[i] = UNSEEN; /* between the sinks and the window */
}

/* Scores of vector c to probabilities, not yet divided by their sum, which is returned. */
static float softmax(struct pass *p, const struct attn_task *t, size_t c, float *row) {
    const size_t column = t->t0 + c / t->n_heads;
    const size_t n = p->e->plan.n_sinks + round_up((size_t)(t->hi - t->lo), ATTN_GROUP);
    size_t lo, hi;
    seen_by(p, t, p->columns[column].pos, row, &lo, &hi);
    const float sum = p->e->kernels.softmax(row, lo, hi, n);
    if (sum != sum)
        pass_bad(p, column);
    return sum;
}

/* What came out for vector c, dimensions d .. d + n_d - 1, into attention's output. */
static void put_out(const struct pass *p, const struct attn_task *t, size_t c, const float *from,
                    float sum, size_t d, size_t n_d) {
    const size_t head_dim = p->e->model->config.head_dim;
    const size_t column = t->t0 + c / t->n_heads, head = t->h0 + c % t->n_heads;
    float *const out = p->e->b.att.f + column * p->e->b.att.k + head * head_dim + d;
    const size_t n = head_dim - d < n_d ? head_dim - d : n_d;
    memcpy(out, from, n * sizeof *out);
    p->e->kernels.scale(out, 1.0f / sum, n);
}

static struct segment sinks_or_none(const struct pass *p, const struct attn_task *t) {
    return p->e->plan.n_sinks > 0 ? sinks_segment(p, t) : (struct segment){.at = 0};
}

/* ---- a task of its own ---------------------------------------------------------------------- */

static void attention_task(void *arg, size_t i, int thread) {
    struct pass *const p = arg;
    const struct buffers *const b = &p->e->b;
    struct thread_scratch *const ts = &b->threads[thread];
    const struct attn_task *const t = &b->attn_tasks[b->attn_order[i]];
    const size_t n_q = (size_t)t->n * t->n_heads, hd = p->runs[t->run].seq->kv.hd;
    const struct segment sinks = sinks_or_none(p, t);
    if (sinks.len > 0) {
        gather_queries(p, t, ts, b->q_sinks);
        scores(p, t, ts, &sinks, ts->scores);
    }
    gather_queries(p, t, ts, b->q);
    for (struct segment seg = sinks; next_segment(p, t, t->hi, &seg);)
        scores(p, t, ts, &seg, ts->scores);
    for (size_t c = 0; c < n_q; c++)
        ts->sum[c] = softmax(p, t, c, ts->scores + c * b->scores_ld);
    memset(ts->out, 0, n_q * hd * sizeof *ts->out);
    if (sinks.len > 0)
        values(p, t, ts, &sinks, ts->scores, 0, hd);
    for (struct segment seg = sinks; next_segment(p, t, t->hi, &seg);)
        values(p, t, ts, &seg, ts->scores, 0, hd);
    for (size_t c = 0; c < n_q; c++)
        put_out(p, t, c, ts->out + c * hd, ts->sum[c], 0, hd);
}

/* ---- one token that sees much: cut by positions, by heads, by dimensions --------------------- */

struct deep {
    struct pass *p;
    size_t run, n_subs, n_pieces;
};

/* Task i of those that a KV head's (or a part of its) query heads would be. */
static struct attn_task deep_task(const struct deep *a, size_t i) {
    const struct pass *const p = a->p;
    const struct model_config *const c = &p->e->model->config;
    const size_t group = c->n_heads / c->n_kv_heads, heads = attention_heads(group);
    const size_t kv_head = i / a->n_subs, sub = i % a->n_subs * heads;
    return task_of(p, a->run, kv_head, kv_head * group + sub,
                   group - sub < heads ? group - sub : heads, p->runs[a->run].first, 1);
}

static float *deep_rows(const struct pass *p, const struct attn_task *t) {
    return p->e->b.deep_scores + t->h0 * p->e->b.scores_ld;
}

/* Piece 0 begins with the sinks. */
static void deep_scores_task(void *arg, size_t i, int thread) {
    const struct deep *const a = arg;
    struct pass *const p = a->p;
    const struct buffers *const b = &p->e->b;
    struct thread_scratch *const ts = &b->threads[thread];
    const struct attn_task t = deep_task(a, i / a->n_pieces);
    const uint64_t from = t.lo + i % a->n_pieces * PIECE, left = t.hi - from;
    const struct segment sinks = sinks_or_none(p, &t);
    struct segment seg = {.at = sinks.len + (size_t)(from - t.lo)};
    if (from == t.lo && sinks.len > 0) {
        gather_queries(p, &t, ts, b->q_sinks);
        scores(p, &t, ts, &sinks, deep_rows(p, &t));
    }
    gather_queries(p, &t, ts, b->q);
    while (next_segment(p, &t, from + (left < PIECE ? left : PIECE), &seg))
        scores(p, &t, ts, &seg, deep_rows(p, &t));
}

static void deep_softmax_task(void *arg, size_t head, int thread) {
    (void)thread;
    const struct deep *const a = arg;
    const struct model_config *const c = &a->p->e->model->config;
    const struct buffers *const b = &a->p->e->b;
    const size_t group = c->n_heads / c->n_kv_heads;
    const struct attn_task t =
        task_of(a->p, a->run, head / group, head, 1, a->p->runs[a->run].first, 1);
    b->deep_sums[head] = softmax(a->p, &t, 0, deep_rows(a->p, &t));
}

static void deep_values_task(void *arg, size_t i, int thread) {
    const struct deep *const a = arg;
    struct pass *const p = a->p;
    const struct buffers *const b = &p->e->b;
    struct thread_scratch *const ts = &b->threads[thread];
    const struct attn_task t = deep_task(a, i / a->n_pieces);
    const struct kv_cache *const kv = &p->runs[t.run].seq->kv;
    const size_t wide = DIM_BYTES / kv->elem_bytes, d = i % a->n_pieces * wide;
    const size_t n_d = kv->hd - d < wide ? kv->hd - d : wide;
    const struct segment sinks = sinks_or_none(p, &t);
    memset(ts->out, 0, t.n_heads * n_d * sizeof *ts->out);
    if (sinks.len > 0)
        values(p, &t, ts, &sinks, deep_rows(p, &t), d, n_d);
    for (struct segment seg = sinks; next_segment(p, &t, t.hi, &seg);)
        values(p, &t, ts, &seg, deep_rows(p, &t), d, n_d);
    for (size_t c = 0; c < t.n_heads && d < kv->head_dim; c++)
        put_out(p, &t, c, ts->out + c * n_d, b->deep_sums[t.h0 + c], d, n_d);
}

static void attend_deep(struct pass *p, size_t r) {
    const struct model_config *const c = &p->e->model->config;
    const struct kv_cache *const kv = &p->runs[r].seq->kv;
    const size_t group = c->n_heads / c->n_kv_heads, heads = attention_heads(group);
    struct deep a = {.p = p, .run = r, .n_subs = (group + heads - 1) / heads};
    const size_t n_parts = c->n_kv_heads * a.n_subs;
    const struct attn_task any = deep_task(&a, 0);
    a.n_pieces = (size_t)((any.hi - any.lo + PIECE - 1) / PIECE);
    pool_run(p->e->pool, deep_scores_task, &a, n_parts * a.n_pieces);
    pool_run(p->e->pool, deep_softmax_task, &a, c->n_heads);
    a.n_pieces = (kv->hd * kv->elem_bytes + DIM_BYTES - 1) / DIM_BYTES;
    pool_run(p->e->pool, deep_values_task, &a, n_parts * a.n_pieces);
}

void attention(struct pass *p) {
    for (size_t i = 0; i < p->n_deep; i++)
        attend_deep(p, p->e->b.deep_runs[i]);
    pool_run(p->e->pool, attention_task, p, p->n_tasks);
}
