#include "src/engine/engine.h"

#include "kernels/dmath.h"
#include "src/base/error.h"
#include "src/base/float_mode.h"
#include "src/engine/forward.h"
#include "src/engine/plan.h"
#include "src/os/cpu.h"
#include "src/os/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long ull; /* for %llu */

/* ---- opening -------------------------------------------------------------------------------- */

static enum bise_status choose_kernels(struct kernels *k, const char *name,
                                       struct bise_error *err) {
    struct cpu_features cpu;
    cpu_detect(&cpu);
    const enum isa isa = name ? isa_from_name(name) : cpu_best_isa(&cpu);
    if (isa == ISA_COUNT)
        return bise_fail(err, BISE_ERR_CPU, "unknown instruction set \"%.40s\"", name);
    if (!cpu.isa[isa] || !kernels_init(k, isa))
        return bise_fail(err, BISE_ERR_CPU,
                         "instruction set %s: not in this CPU, or not in this build",
                         isa_name(isa));
    return BISE_OK;
}

static enum bise_status open_scratch(struct bise_engine *e, struct bise_error *err) {
    size_t bytes;
    e->scratch = mem_alloc(e->plan.scratch);
    if (e->scratch == NULL)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %llu bytes of scratch",
                         (ull)e->plan.scratch);
    pool_touch(e->pool, e->scratch, e->plan.scratch);
    (void)buffers_layout(&e->b, e->scratch, &bytes, e->model, &e->plan);
    const struct model_config *const c = &e->model->config;
    rope_inv_freq(e->b.inv_freq, c->head_dim, c->rope_theta);
    e->rotated = e->plan.kv == BISE_KV_I4 ? kv_rotated(c->head_dim) : 1;
    e->query_scale = 1.0f / sqrtf((float)c->head_dim) / (float)e->rotated;
    return BISE_OK;
}

static enum bise_status open_sequence(struct bise_engine *e, size_t i, const struct kv_cache *kv,
                                      uint64_t start_pos, struct bise_error *err) {
    struct sequence *const s = &e->seqs[i];
    s->kv = *kv;
    (void)kv_layout(&s->sinks, kv->type, kv->n_layers, kv->n_heads, kv->head_dim, e->plan.n_sinks);
    s->ids = e->b.ids + i * e->plan.n_ctx;
    s->logits = e->b.logits + i * e->model->config.vocab_size;
    s->opened_at = start_pos;
    sequence_begin(s, start_pos);
    const enum bise_status status = kv_open(&s->kv, e->pool, err);
    return status == BISE_OK && e->plan.n_sinks > 0 ? kv_open(&s->sinks, e->pool, err) : status;
}

static enum bise_status open_engine(struct bise_engine **engine, const struct bise_model *model,
                                    const struct bise_engine_params *params,
                                    struct bise_error *err) {
    struct kv_cache kv;
    if (model->norm->w.panels == NULL)
        return bise_fail(err, BISE_ERR_ARG, "%s: opened without its tensors: nothing runs on it",
                         model->name);
    struct bise_engine *e = calloc(1, sizeof *e);
    if (e == NULL)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for an engine");
    e->model = model;
    enum bise_status status = choose_kernels(&e->kernels, params ? params->isa : NULL, err);
    if (status == BISE_OK)
        status = plan_engine(model, params, &e->plan, &kv, err);
    if (status == BISE_OK && (e->seqs = calloc(e->plan.n_seqs, sizeof *e->seqs)) == NULL)
        status = bise_fail(err, BISE_ERR_MEMORY, "no memory for %u sequences", e->plan.n_seqs);
    if (status == BISE_OK)
        status = pool_open(&e->pool, e->plan.n_threads, err);
    if (status == BISE_OK)
        status = open_scratch(e, err);
    for (size_t i = 0; status == BISE_OK && i < e->plan.n_seqs; i++)
        status = open_sequence(e, i, &kv, params ? params->start_pos : 0, err);
    if (status != BISE_OK) {
        bise_engine_close(&e);
        return status;
    }
    *engine = e;
    return BISE_OK;
}

enum bise_status bise_engine_open(struct bise_engine **engine, const struct bise_model *model,
                                  const struct bise_engine_params *params, struct bise_error *err) {
    if (engine == NULL || model == NULL)
        return bise_fail(err, BISE_ERR_ARG, "bise_engine_open: engine and model are needed");
    *engine = NULL;
    const struct float_mode before = float_mode_begin();
    const enum bise_status status = open_engine(engine, model, params, err);
    float_mode_end(before);
    return status;
}

void bise_engine_close(struct bise_engine **engine) {
    if (engine == NULL || *engine == NULL)
        return;
    struct bise_engine *const e = *engine;
    for (size_t i = 0; e->seqs && i < e->plan.n_seqs; i++) {
        kv_close(&e->seqs[i].kv);
        kv_close(&e->seqs[i].sinks);
    }
    mem_free(e->scratch, e->plan.scratch);
    pool_close(&e->pool);
    free(e->seqs);
    free(e);
    *engine = NULL;
}

/* ---- a step --------------------------------------------------------------------------------- */

static enum bise_status check_run(const struct bise_engine *e, const struct bise_run *runs,
                                  size_t i, struct bise_error *err) {
    const struct bise_run *const run = &runs[i];
    const uint32_t vocab = e->model->config.vocab_size;
    if (run->seq >= e->plan.n_seqs)
        return bise_fail(err, BISE_ERR_ARG, "run %zu: expected a sequence below %u, found %u", i,
                         e->plan.n_seqs, run->seq);
    for (size_t j = 0; j < i; j++)
        if (runs[j].seq == run->seq)
            return bise_fail(err, BISE_ERR_ARG, "runs %zu and %zu are both of sequence %u", j, i,
                             run->seq);
    if (run->n == 0 || run->ids == NULL)
        return bise_fail(err, BISE_ERR_ARG, "no tokens to run");
    if (run->n > e->plan.chunk)
        return bise_fail(err, BISE_ERR_ARG, "%zu tokens at once, but the chunk is %u", run->n,
                         e->plan.chunk);
    if ((unsigned)run->want > BISE_WANT_ALL || (run->want == BISE_WANT_ALL && run->logits == NULL))
        return bise_fail(err, BISE_ERR_ARG, "run %zu: logits of every token, but no place for them",
                         i);
    for (size_t j = 0; j < run->n; j++)
        if (run->ids[j] < 0 || (uint32_t)run->ids[j] >= vocab)
            return bise_fail(err, BISE_ERR_ARG, "token %zu: expected an id below %u, found %d", j,
                             vocab, (int)run->ids[j]);
    return BISE_OK;
}

/* The first failure of a step keeps its detail. */
static void fail_run(struct bise_run *run, enum bise_status status, const struct bise_error *detail,
                     bool *failed, struct bise_error *err) {
    run->status = status;
    if (err != NULL && !*failed)
        *err = *detail;
    *failed = true;
}

static enum bise_status nonfinite(const struct bise_engine *e, const struct pass_run *run,
                                  struct bise_error *err) {
    const char *const bad = "a value became infinite or not a number in, or just before,";
    if (run->failed_layer == e->model->config.n_layers)
        return bise_fail(err, BISE_ERR_NONFINITE, "%s the output head, position %llu", bad,
                         (ull)run->failed_pos);
    return bise_fail(err, BISE_ERR_NONFINITE, "%s layer %zu, position %llu", bad, run->failed_layer,
                     (ull)run->failed_pos);
}

/* Appends a run to the pass; logits: where they are to be written. */
static void add_run(struct pass *p, const struct bise_run *run, float *logits) {
    struct sequence *const s = &p->e->seqs[run->seq];
    struct pass_run *const to = &p->runs[p->n_runs];
    *to = (struct pass_run){
        .seq = s, .first = p->n, .n = run->n, .want = run->want, .logits = logits};
    atomic_init(&to->bad_pos, UINT64_MAX);
    for (size_t i = 0; i < run->n; i++)
        p->columns[p->n++] = (struct column){
            .run = (uint32_t)p->n_runs, .id = run->ids ? run->ids[i] : 0, .pos = s->pos + i};
    p->n_runs++;
    /* Slots are overwritten from here on, whatever comes of the pass. */
    s->filled = s->pos + run->n > s->filled ? s->pos + run->n : s->filled;
}

static struct pass new_pass(struct bise_engine *e) {
    return (struct pass){.e = e, .runs = e->b.runs, .columns = e->b.pass_columns};
}

/* One pass over runs from *next on, as many as the columns planned have room for; runs that have
 * failed already are left out. False if it was stopped. */
static bool run_pass(struct bise_engine *e, struct bise_run *runs, size_t n_runs, size_t *next,
                     bool *failed, struct bise_error *err) {
    struct pass p = new_pass(e);
    const size_t vocab = e->model->config.vocab_size, first = *next;
    for (; *next < n_runs && p.n + runs[*next].n <= e->plan.columns; (*next)++) {
        const struct bise_run *const run = &runs[*next];
        if (run->status == BISE_OK)
            add_run(&p, run,
                    run->want == BISE_WANT_ALL ? run->logits : e->b.new_logits + run->seq * vocab);
    }
    if (p.n > 0 && !forward(&p))
        return false;
    size_t r = 0;
    for (size_t i = first; i < *next; i++) {
        struct bise_error detail;
        if (runs[i].status != BISE_OK)
            continue;
        if (p.runs[r].failed)
            fail_run(&runs[i], nonfinite(e, &p.runs[r], &detail), &detail, failed, err);
        r++;
    }
    return true;
}

/* What a run that went well has done to its sequence. */
static void take_over(struct bise_engine *e, const struct bise_run *run) {
    struct sequence *const s = &e->seqs[run->seq];
    const size_t vocab = e->model->config.vocab_size;
    const float *const last = run->want == BISE_WANT_ALL ? run->logits + (run->n - 1) * vocab
                                                         : e->b.new_logits + run->seq * vocab;
    sequence_keep_ids(s, &e->plan, s->pos, run->ids, run->n);
    s->pos += run->n;
    s->has_logits = run->want != BISE_WANT_NONE;
    if (s->has_logits)
        memcpy(s->logits, last, vocab * sizeof *last);
    if (run->want == BISE_WANT_LAST && run->logits != NULL)
        memcpy(run->logits, last, vocab * sizeof *last);
}

static enum bise_status step(struct bise_engine *e, struct bise_run *runs, size_t n_runs,
                             const volatile int *stop, struct bise_error *err) {
    bool failed = false, goes_on = true;
    for (size_t i = 0; i < n_runs; i++) {
        const enum bise_status status = check_run(e, runs, i, err);
        if (status != BISE_OK)
            return status;
    }
    for (size_t i = 0; i < n_runs; i++) {
        struct bise_error detail;
        const enum bise_status status =
            sequence_check_room(&e->seqs[runs[i].seq], &e->plan, runs[i].n, &detail);
        runs[i].status = BISE_OK;
        if (status != BISE_OK)
            fail_run(&runs[i], status, &detail, &failed, err);
    }
    pool_stop_on(e->pool, stop);
    for (size_t next = 0; next < n_runs && goes_on;)
        goes_on = run_pass(e, runs, n_runs, &next, &failed, err);
    pool_stop_on(e->pool, NULL);
    if (!goes_on)
        return bise_fail(err, BISE_ERR_INTERRUPTED, "stopped");
    for (size_t i = 0; i < n_runs; i++)
        if (runs[i].status == BISE_OK)
            take_over(e, &runs[i]);
    return BISE_OK;
}

/* The float mode is the calling thread's own again when the step is over. */
enum bise_status bise_step(struct bise_engine *e, struct bise_run *runs, size_t n_runs,
                           const volatile int *stop, struct bise_error *err) {
    if (e == NULL || (runs == NULL && n_runs > 0))
        return bise_fail(err, BISE_ERR_ARG, "bise_step: engine and runs are needed");
    if (atomic_exchange(&e->busy, true))
        return bise_fail(err, BISE_ERR_ARG, "an engine is used by two threads at once");
    const struct float_mode before = float_mode_begin();
    const enum bise_status status = step(e, runs, n_runs, stop, err);
    float_mode_end(before);
    atomic_store(&e->busy, false);
    return status;
}

enum bise_status engine_layers(struct bise_engine *e, float *states, size_t n,
                               struct bise_error *err) {
    struct pass p = new_pass(e);
    const struct buffers *const b = &e->b;
    const size_t dim = e->model->config.dim;
    p.states = states;
    add_run(&p, &(struct bise_run){.n = n, .want = BISE_WANT_ALL}, NULL);
    if (!forward_layers(&p))
        return bise_fail(err, BISE_ERR_INTERRUPTED, "stopped");
    if (p.runs[0].failed)
        return nonfinite(e, &p.runs[0], err);
    for (size_t t = 0; t < n; t++)
        memcpy(states + t * dim, b->x + t * b->in.k, dim * sizeof *states);
    e->seqs[0].pos += n;
    return BISE_OK;
}

/* ---- sequences ------------------------------------------------------------------------------ */

const struct bise_plan *bise_engine_plan(const struct bise_engine *e) {
    return &e->plan;
}

const char *bise_engine_isa(const struct bise_engine *e) {
    return e->kernels.name;
}

uint64_t bise_engine_reach(const struct bise_engine *e) {
    const uint64_t window = e->plan.window;
    return window > 0 ? e->model->config.n_layers * (window - 1) + 1 : UINT64_MAX;
}

uint64_t bise_seq_position(const struct bise_engine *e, uint32_t seq) {
    return e->seqs[seq].pos;
}

uint64_t bise_seq_start(const struct bise_engine *e, uint32_t seq) {
    return e->seqs[seq].start_pos;
}

const float *bise_seq_logits(const struct bise_engine *e, uint32_t seq) {
    return e->seqs[seq].has_logits ? e->seqs[seq].logits : NULL;
}

size_t bise_seq_last_ids(const struct bise_engine *e, uint32_t seq, int32_t *out, size_t n) {
    const struct sequence *const s = &e->seqs[seq];
    const uint64_t ring = e->plan.n_ctx, first = sequence_oldest_id(s, &e->plan);
    const uint64_t have = s->pos > first ? s->pos - first : 0;
    const size_t count = have < n ? (size_t)have : n;
    for (size_t i = 0; out && i < count; i++)
        out[i] = s->ids[(s->pos - count + i) % ring];
    return count;
}

static enum bise_status check_seq(const struct bise_engine *e, uint32_t seq,
                                  struct bise_error *err) {
    if (e == NULL)
        return bise_fail(err, BISE_ERR_ARG, "an engine is needed");
    if (seq >= e->plan.n_seqs)
        return bise_fail(err, BISE_ERR_ARG, "expected a sequence below %u, found %u",
                         e->plan.n_seqs, seq);
    return BISE_OK;
}

enum bise_status bise_seq_truncate(struct bise_engine *e, uint32_t seq, uint64_t pos,
                                   struct bise_error *err) {
    if (check_seq(e, seq, err) != BISE_OK)
        return BISE_ERR_ARG;
    struct sequence *const s = &e->seqs[seq];
    const enum bise_status status =
        pos == s->pos ? BISE_OK : sequence_check(s, &e->plan, bise_engine_reach(e), pos, err);
    if (status != BISE_OK)
        return status;
    s->has_logits = s->has_logits && pos == s->pos;
    s->pos = pos;
    return BISE_OK;
}

void bise_seq_reset(struct bise_engine *e, uint32_t seq) {
    sequence_begin(&e->seqs[seq], e->seqs[seq].opened_at);
}

enum bise_status bise_seq_reset_at(struct bise_engine *e, uint32_t seq, uint64_t pos,
                                   struct bise_error *err) {
    if (check_seq(e, seq, err) != BISE_OK)
        return BISE_ERR_ARG;
    struct sequence *const s = &e->seqs[seq];
    const uint32_t sinks = e->plan.n_sinks;
    if (e->plan.window == 0 && pos != s->opened_at)
        return bise_fail(err, BISE_ERR_ARG,
                         "beginning at position %llu: without a window a session begins at %llu",
                         (ull)pos, (ull)s->opened_at);
    if (pos > 2 * MAX_START_POSITION)
        return bise_fail(err, BISE_ERR_ARG, "beginning at position %llu: at most %llu", (ull)pos,
                         (ull)(2 * MAX_START_POSITION));
    if (pos != s->opened_at && sinks > 0 && (pos < sinks || s->pos < sinks))
        return bise_fail(err, BISE_ERR_ARG,
                         "beginning at position %llu: the %u tokens that stay have not been read",
                         (ull)pos, sinks);
    sequence_begin(s, pos);
    return BISE_OK;
}

struct copy_arg {
    struct kv_cache *to;
    const struct kv_cache *from;
    uint64_t first, end; /* positions; first a multiple of ATTN_GROUP */
};

static void copy_task(void *arg, size_t i, int thread) {
    (void)thread;
    const struct copy_arg *const a = arg;
    kv_copy(a->to, a->from, i / a->to->n_heads, i % a->to->n_heads, a->first, a->end);
}

enum bise_status bise_seq_copy(struct bise_engine *e, uint32_t to, uint32_t from, uint64_t pos,
                               struct bise_error *err) {
    if (check_seq(e, to, err) != BISE_OK || check_seq(e, from, err) != BISE_OK)
        return BISE_ERR_ARG;
    struct sequence *const t = &e->seqs[to];
    const struct sequence *const f = &e->seqs[from];
    if (to == from)
        return bise_fail(err, BISE_ERR_ARG, "a sequence cannot be copied to itself");
    const enum bise_status status = sequence_check(f, &e->plan, bise_engine_reach(e), pos, err);
    if (status != BISE_OK)
        return status;
    const uint64_t seen = sequence_sees(f, &e->plan, pos);
    struct copy_arg arg = {&t->kv, &f->kv, seen & ~(uint64_t)(ATTN_GROUP - 1), pos};
    sequence_begin(t, f->start_pos);
    if (pos > seen)
        pool_run(e->pool, copy_task, &arg, t->kv.n_layers * t->kv.n_heads);
    if (e->plan.n_sinks > 0)
        memcpy(t->sinks.memory, f->sinks.memory, t->sinks.bytes);
    memcpy(t->ids, f->ids, e->plan.n_ctx * sizeof *t->ids);
    t->pos = t->filled = pos;
    t->kept_from = seen;
    t->ids_from = sequence_oldest_id(f, &e->plan);
    t->ids_from = t->ids_from < pos ? t->ids_from : pos;
    t->has_logits = f->has_logits && pos == f->pos;
    if (t->has_logits)
        memcpy(t->logits, f->logits, e->model->config.vocab_size * sizeof *t->logits);
    return BISE_OK;
}
