#include "src/engine/attention.h"

#include "kernels/fmath.h"
#include "src/engine/engine.h"

#include <string.h>

#define UNSEEN -1e30f /* a score whose exp, less that of any score there is, is zero */
#define DEEP   1024   /* positions from which on a token's heads may be cut */

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

/* Queries [n][ldq] of the task as vectors [n_heads * n][hd], padded, quantized where keys are. */
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
        if (!kv_has_scales(kv->type))
            continue;
        if (!e->kernels.quantize_block(ts->q8 + c * hd, &ts->qd[c], q, hd)) {
            memset(ts->q8 + c * hd, 0, hd);
            ts->qd[c] = 0;
            pass_bad(p, column);
        }
        ts->qd[c] *= e->query_scale;
    }
}

/* ---- blocks --------------------------------------------------------------------------------- */

/* Positions [from, to) of those that a task sees, or the sinks alone do, within a block. */
struct block {
    uint64_t from, to; /* of the ring; from a multiple of ATTN_GROUP; none: equal */
    uint64_t at;       /* first position of the block, */
    size_t sinks;      /* of which so many, from the first on, are sinks, */
    size_t len;        /* and what is looked at ends with this one, rounded up to ATTN_GROUP */
};

/* Blocks of the sinks that none of the window's is. */
static size_t sink_blocks(const struct pass *p, const struct attn_task *t) {
    const size_t n = (p->e->plan.n_sinks + ATTN_BLOCK - 1) / ATTN_BLOCK;
    const uint64_t first = t->lo / ATTN_BLOCK;
    return t->hi == t->lo || n < first ? n : (size_t)first;
}

static size_t n_blocks(const struct pass *p, const struct attn_task *t) {
    const size_t windows =
        t->hi == t->lo ? 0 : (size_t)((t->hi - 1) / ATTN_BLOCK - t->lo / ATTN_BLOCK) + 1;
    return sink_blocks(p, t) + windows;
}

static struct block block_at(const struct pass *p, const struct attn_task *t, size_t i) {
    const size_t before = sink_blocks(p, t);
    const uint64_t index = i < before ? i : t->lo / ATTN_BLOCK + (i - before);
    const uint64_t at = index * ATTN_BLOCK, end = at + ATTN_BLOCK, sinks = p->e->plan.n_sinks;
    struct block b = {.at = at};
    b.sinks = sinks <= at ? 0 : (size_t)((sinks < end ? sinks : end) - at);
    b.from = t->lo > at ? t->lo : at;
    b.to = t->hi < end ? t->hi : end;
    if (b.from >= b.to)
        b.from = b.to = at + b.sinks;
    b.len = round_up((size_t)(b.to - at), ATTN_GROUP);
    return b;
}

/* Positions that are contiguous in memory. */
struct segment {
    struct kv_view view;
    size_t at, len; /* of its scores in a row of a block */
};

/* Those of a block: sinks first, then what the ring holds in one piece or two. Returns how many. */
static size_t segments_of(const struct pass *p, const struct attn_task *t, const struct block *b,
                          struct segment segs[3]) {
    const struct sequence *const seq = p->runs[t->run].seq;
    size_t n = 0;
    if (b->sinks > 0)
        segs[n++] =
            (struct segment){kv_at(&seq->sinks, p->layer, t->kv_head, (size_t)b->at), 0, b->sinks};
    for (uint64_t pos = b->from; pos < b->to; n++) {
        const size_t slot = (size_t)(pos % seq->kv.ring), room = seq->kv.ring - slot;
        const size_t left = (size_t)(b->to - pos), len = left < room ? left : room;
        segs[n] = (struct segment){kv_at(&seq->kv, p->layer, t->kv_head, slot),
                                   (size_t)(pos - b->at), len};
        pos += len;
    }
    return n;
}

/* Scores of a segment. */
static void scores(const struct pass *p, const struct attn_task *t, const struct thread_scratch *ts,
                   const struct segment *seg) {
    const struct kernels *const k = &p->e->kernels;
    const struct kv_cache *const kv = &p->runs[t->run].seq->kv;
    const size_t n_q = (size_t)t->n * t->n_heads;
    const size_t n_groups = (seg->len + ATTN_GROUP - 1) / ATTN_GROUP;
    const float scale = p->e->query_scale;
    const void *keys = seg->view.keys;
    float *const out = ts->scores + seg->at;
    if (kv->type == BISE_KV_I4) {
        k->unpack_keys_i4(ts->unpacked, keys, seg->view.key_grids, kv->hd, n_groups);
        keys = ts->unpacked;
    }
    if (kv_has_scales(kv->type))
        k->scores_i8(out, SCORES_LD, ts->q8, ts->qd, n_q, keys, seg->view.key_scales, kv->hd,
                     n_groups);
    else if (kv->type == BISE_KV_F16)
        k->scores_f16(out, SCORES_LD, ts->q, scale, n_q, keys, kv->hd, n_groups);
    else
        k->scores_f32(out, SCORES_LD, ts->q, scale, n_q, keys, kv->hd, n_groups);
}

/* Adds a segment's values, weighed by the probabilities in ts->scores, to ts->part. */
static void values(const struct pass *p, const struct attn_task *t, const struct thread_scratch *ts,
                   const struct segment *seg) {
    const struct kernels *const k = &p->e->kernels;
    const struct kv_cache *const kv = &p->runs[t->run].seq->kv;
    const size_t n_q = (size_t)t->n * t->n_heads;
    const size_t n_groups = (seg->len + ATTN_GROUP - 1) / ATTN_GROUP;
    const float *const w = ts->scores + seg->at;
    const void *v = seg->view.values;
    if (kv->type == BISE_KV_I4) {
        k->unpack_values_i4(ts->unpacked, v, seg->view.value_grids, kv->hd, n_groups);
        v = ts->unpacked;
    }
    if (kv_has_scales(kv->type)) {
        uint8_t *const codes = ts->codes + seg->at;
        float *const scales = ts->code_scales + seg->at / ATTN_GROUP;
        for (size_t c = 0; c < n_q; c++)
            k->weigh_i8(codes + c * CODES_LD * ATTN_GROUP, scales + c * CODES_LD, w + c * SCORES_LD,
                        seg->view.value_scales, n_groups);
        k->values_i8(ts->part, kv->hd, codes, scales, CODES_LD, n_q, v, kv->hd, n_groups);
    } else if (kv->type == BISE_KV_F16) {
        k->values_f16(ts->part, kv->hd, w, SCORES_LD, n_q, v, kv->hd, seg->len);
    } else {
        k->values_f32(ts->part, kv->hd, w, SCORES_LD, n_q, v, kv->hd, seg->len);
    }
}

/* Part [*lo, *hi) of a row of a block's scores that the query at pos sees; none: equal. */
static void seen_by(const struct pass *p, const struct attn_task *t, const struct block *b,
                    uint64_t pos, float *row, size_t *lo, size_t *hi) {
    const uint64_t first = first_seen(p, p->runs[t->run].seq, pos), end = pos + 1;
    const size_t from = first > b->from ? (size_t)(first - b->at) : (size_t)(b->from - b->at);
    const size_t to =
        end < b->to ? (size_t)(end > b->at ? end - b->at : 0) : (size_t)(b->to - b->at);
    const size_t sinks = end < b->at + b->sinks ? (size_t)(end - b->at) : b->sinks;
    *lo = b->sinks > 0 ? 0 : from;
    *hi = from < to ? to : b->sinks > 0 ? sinks : from;
    for (size_t i = b->sinks; b->sinks > 0 && i < from && from < to; i++)
        row[i] = UNSEEN; /* between the sinks and the window */
}

/* Scores of vector c to probabilities, not yet divided by their sum. A vector that sees nothing of
 * the block has a sum of zero. */
static void softmax(struct pass *p, const struct attn_task *t, const struct thread_scratch *ts,
                    const struct block *b, size_t c) {
    const size_t column = t->t0 + c / t->n_heads;
    float *const row = ts->scores + c * SCORES_LD;
    size_t lo, hi;
    seen_by(p, t, b, p->columns[column].pos, row, &lo, &hi);
    ts->part_sum[c] = ts->part_max[c] = 0;
    if (lo < hi)
        ts->part_sum[c] = p->e->kernels.softmax(row, lo, hi, b->len, &ts->part_max[c]);
    const bool bad = ts->part_sum[c] != ts->part_sum[c];
    if (bad)
        pass_bad(p, column);
    if (lo >= hi || bad) {
        memset(row, 0, b->len * sizeof *row);
        ts->part_sum[c] = 0;
    }
}

/* ts->part, part_sum and part_max of block i. Queries have been gathered. */
static void attend_block(struct pass *p, const struct attn_task *t, struct thread_scratch *ts,
                         size_t i) {
    const size_t n_q = (size_t)t->n * t->n_heads, hd = p->runs[t->run].seq->kv.hd;
    const struct block b = block_at(p, t, i);
    struct segment segs[3];
    const size_t n = segments_of(p, t, &b, segs);
    if (b.sinks > 0)
        gather_queries(p, t, ts, p->e->b.q_sinks);
    for (size_t j = 0; j < n; j++) {
        scores(p, t, ts, &segs[j]);
        if (j == 0 && b.sinks > 0)
            gather_queries(p, t, ts, p->e->b.q);
    }
    for (size_t c = 0; c < n_q; c++)
        softmax(p, t, ts, &b, c);
    memset(ts->part, 0, n_q * hd * sizeof *ts->part);
    for (size_t j = 0; j < n; j++)
        values(p, t, ts, &segs[j]);
}

/* What a vector has seen so far: its sum and out [hd] by the largest score, max. */
struct seen {
    float *out, sum, max;
};

/* Takes in a block, in ascending order: whichever maximum is less than the other, what was made by
 * it is scaled down (arXiv 1805.02867). */
static void take_block(const struct kernels *k, struct seen *s, const float *part, float sum,
                       float max, size_t hd) {
    if (sum == 0)
        return;
    if (s->sum == 0) {
        memcpy(s->out, part, hd * sizeof *part);
        s->sum = sum;
        s->max = max;
        return;
    }
    const float top = max > s->max ? max : s->max;
    const float before = exp32(s->max - top), now = exp32(max - top);
    k->scale(s->out, before, hd);
    k->madd(s->out, part, now, hd);
    s->sum = s->sum * before + sum * now;
    s->max = top;
}

/* What came out for vector c into attention's output. */
static void put_out(const struct pass *p, const struct attn_task *t, size_t c,
                    const struct seen *s) {
    const size_t head_dim = p->e->model->config.head_dim;
    const size_t column = t->t0 + c / t->n_heads, head = t->h0 + c % t->n_heads;
    float *const out = p->e->b.att.f + column * p->e->b.att.k + head * head_dim;
    if (s->sum == 0) { /* scores that are no numbers */
        memset(out, 0, head_dim * sizeof *out);
        return;
    }
    memcpy(out, s->out, head_dim * sizeof *out);
    p->e->kernels.scale(out, 1.0f / s->sum, head_dim);
}

/* ---- a task: a KV head's query heads of some columns ---------------------------------------- */

static void attention_task(void *arg, size_t i, int thread) {
    struct pass *const p = arg;
    const struct buffers *const b = &p->e->b;
    const struct attn_task *const t = &b->attn_tasks[b->attn_order[i]];
    struct thread_scratch *const ts = &b->threads[thread];
    const size_t n_q = (size_t)t->n * t->n_heads, hd = p->runs[t->run].seq->kv.hd;
    struct seen seen[ATTN_COLUMNS];
    for (size_t c = 0; c < n_q; c++)
        seen[c] = (struct seen){.out = ts->out + c * hd};
    gather_queries(p, t, ts, b->q);
    for (size_t block = 0; block < n_blocks(p, t); block++) {
        attend_block(p, t, ts, block);
        for (size_t c = 0; c < n_q; c++)
            take_block(&p->e->kernels, &seen[c], ts->part + c * hd, ts->part_sum[c],
                       ts->part_max[c], hd);
    }
    for (size_t c = 0; c < n_q; c++)
        put_out(p, t, c, &seen[c]);
}

/* ---- one token that sees much: cut by blocks ------------------------------------------------ */

struct deep {
    struct pass *p;
    size_t run, n_subs, n_blocks;
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

static void deep_block_task(void *arg, size_t i, int thread) {
    const struct deep *const a = arg;
    struct pass *const p = a->p;
    const struct buffers *const b = &p->e->b;
    struct thread_scratch *const ts = &b->threads[thread];
    const struct attn_task t = deep_task(a, i / a->n_blocks);
    const size_t hd = p->runs[t.run].seq->kv.hd, block = i % a->n_blocks;
    const size_t at = block * p->e->model->config.n_heads + t.h0;
    gather_queries(p, &t, ts, b->q);
    attend_block(p, &t, ts, block);
    memcpy(b->deep_parts + at * hd, ts->part, t.n_heads * hd * sizeof *ts->part);
    memcpy(b->deep_sums + at, ts->part_sum, t.n_heads * sizeof *ts->part_sum);
    memcpy(b->deep_max + at, ts->part_max, t.n_heads * sizeof *ts->part_max);
}

static void deep_head_task(void *arg, size_t head, int thread) {
    const struct deep *const a = arg;
    const struct pass *const p = a->p;
    const struct model_config *const c = &p->e->model->config;
    const struct buffers *const b = &p->e->b;
    const size_t hd = p->runs[a->run].seq->kv.hd, group = c->n_heads / c->n_kv_heads;
    const struct attn_task t = task_of(p, a->run, head / group, head, 1, p->runs[a->run].first, 1);
    struct seen seen = {.out = b->threads[thread].out};
    for (size_t block = 0; block < a->n_blocks; block++) {
        const size_t at = block * c->n_heads + head;
        take_block(&p->e->kernels, &seen, b->deep_parts + at * hd, b->deep_sums[at],
                   b->deep_max[at], hd);
    }
    put_out(p, &t, 0, &seen);
}

static void attend_deep(struct pass *p, size_t r) {
    const struct model_config *const c = &p->e->model->config;
    const size_t group = c->n_heads / c->n_kv_heads, heads = attention_heads(group);
    struct deep a = {.p = p, .run = r, .n_subs = (group + heads - 1) / heads};
    const struct attn_task any = deep_task(&a, 0);
    a.n_blocks = n_blocks(p, &any);
    pool_run(p->e->pool, deep_block_task, &a, c->n_kv_heads * a.n_subs * a.n_blocks);
    pool_run(p->e->pool, deep_head_task, &a, c->n_heads);
}

void attention(struct pass *p) {
    for (size_t i = 0; i < p->n_deep; i++)
        attend_deep(p, p->e->b.deep_runs[i]);
    pool_run(p->e->pool, attention_task, p, p->n_tasks);
}
