/* The measuring core of bise bench: one visit of a row, limits beside it, rounds over all rows. */
#include "bench/limits/bandwidth.h"
#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/model/model.h"
#include "src/os/mem.h"
#include "src/os/sysfile.h"
#include "src/os/thermal.h"
#include "tools/cmd/bench.h"
#include "tools/common/interrupt.h"
#include "tools/common/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_S     5e-3 /* the limit of memory is the best of reads during this time */
#define MIN_SAMPLE 6    /* fewer have no interval of 95 % */

/* ---- figures of samples ---------------------------------------------------------------------- */

/* How many of n sorted samples may be left out at either end so that the true median is between
 * the rest with a probability of 95 %; n / 2: there is no such number. */
static size_t outside(size_t n) {
    double probability = 1, below = 0;
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        probability *= 0.5;
    for (; k < n / 2; k++) {
        below += probability; /* that exactly k are below the true median */
        if (below > 0.025)
            break;
        probability *= (double)(n - k) / (double)(k + 1);
    }
    return k;
}

struct bench_stat bench_stat(const double *samples, size_t n) {
    double x[BENCH_MAX_ROUNDS];
    struct bench_stat s = {0};
    if (n == 0)
        return s;
    memcpy(x, samples, n * sizeof *x);
    s.median = s.low = s.high = bench_median(x, n); /* sorts x */
    if (n >= MIN_SAMPLE) {
        const size_t k = outside(n);
        s.low = x[k - 1];
        s.high = x[n - k];
        s.has_interval = true;
    }
    return s;
}

struct bench_stat bench_prefill(const struct bench_run *r, const struct bench_row *row) {
    double x[BENCH_MAX_ROUNDS];
    for (size_t i = 0; i < r->n_rounds; i++)
        x[i] = row->visits[i].prefill;
    return bench_stat(x, r->n_rounds);
}

struct bench_stat bench_decode(const struct bench_run *r, const struct bench_row *row) {
    double x[BENCH_MAX_ROUNDS];
    for (size_t i = 0; i < r->n_rounds; i++)
        x[i] = row->visits[i].decode;
    return bench_stat(x, r->n_rounds);
}

double bench_gbs(const struct bench_run *r, const struct bench_row *row) {
    return bench_decode(r, row).median / (double)row->n_seqs * row->step_bytes / 1e9;
}

double bench_gmacs(const struct bench_run *r, const struct bench_row *row) {
    return bench_prefill(r, row).median * r->models[row->model].macs / 1e9;
}

bool bench_is_settled(const struct bench_stat *s) {
    return s->median == 0 ||
           (s->has_interval && 0.5 * (s->high - s->low) <= BENCH_SETTLED * s->median);
}

bool bench_was_throttled(const struct bench_run *r, const struct bench_row *row) {
    bool throttled = false;
    for (size_t i = 0; i < r->n_rounds; i++)
        throttled = throttled || row->visits[i].throttled;
    return throttled;
}

const struct bench_row *bench_base(const struct bench_run *r, const struct bench_row *row) {
    const enum isa isa = r->baseline == ISA_COUNT ? r->rows[0].isa : r->baseline;
    for (size_t i = 0; i < r->n_rows; i++)
        if (r->rows[i].isa == isa && r->rows[i].asked == row->asked)
            return &r->rows[i];
    return NULL;
}

/* ---- what a model costs, and is worth -------------------------------------------------------- */

/* Whether only the last token of a prompt meets this matrix: the head, and what follows the cache
 * in the last layer. */
static bool only_last_token(const struct bise_model *m, const struct tensor *t) {
    const struct layer *const l = &m->layers[m->config.n_layers - 1];
    const size_t n_experts = m->config.n_experts > 0 ? m->config.n_experts : 1;
    bool found = t == m->head || t == l->wo;
    for (size_t e = 0; e < n_experts && !found; e++)
        found = t == l->w1[e] || t == l->w2[e] || t == l->w3[e];
    return found;
}

/* What a file says is not trusted: it may be no number at all. */
static bool is_measure(double x) {
    return x >= 0 && x < 1e12;
}

bool bench_read_evaluation(const char *text, struct bench_evaluation *e) {
    static const char before[] = ": perplexity ";
    const char *at = NULL;
    *e = (struct bench_evaluation){0};
    for (const char *p = strstr(text, before); p; p = strstr(p + 1, before))
        at = p; /* the last: a file's name stands in front */
    e->is_known =
        at && sscanf(at + sizeof before - 1,
                     "%lf +- %lf before, %lf +- %lf after, KL %lf +- %lf, same top token %lf",
                     &e->before[0], &e->before[1], &e->after[0], &e->after[1], &e->kl[0], &e->kl[1],
                     &e->same_top) == 7;
    const double *const x[] = {e->before, e->after, e->kl};
    for (size_t i = 0; i < 3 && e->is_known; i++)
        e->is_known = is_measure(x[i][0]) && is_measure(x[i][1]) && is_measure(e->same_top);
    if (e->is_known)
        snprintf(e->text, sizeof e->text, "%.*s", (int)(at - text), text);
    else
        *e = (struct bench_evaluation){0};
    return e->is_known;
}

void bench_model_facts(struct bench_model *b) {
    const struct bise_model *const m = b->model;
    uint64_t header = m->map_len;
    struct sha256 hash;
    b->weight_bytes = b->macs = 0;
    for (size_t i = 0; i < m->n_tensors; i++) {
        const struct tensor *t = &m->tensors[i];
        double share = 1;
        if (strstr(t->name, ".experts."))
            share = (double)m->config.n_experts_used / m->config.n_experts;
        if (t != m->embed || m->config.tied_head)
            b->weight_bytes += share * (double)t->length;
        if (!t->is_vector && t != m->embed && !only_last_token(m, t))
            b->macs += share * (double)t->rows * t->cols;
        if (t->offset < header)
            header = t->offset;
    }
    switch (m->layers[0].w1[0]->type) {
    case TYPE_I4:
        b->op = PEAK_DOT6;
        break;
    case TYPE_I8:
        b->op = PEAK_DOT8;
        break;
    default:
        b->op = PEAK_FMA;
    }
    (void)bench_read_evaluation(m->provenance.eval, &b->evaluation);
    sha256_begin(&hash);
    sha256_put(&hash, m->map, header);
    sha256_end(&hash, b->hash);
}

/* Bytes of keys and values that a token at position pos reads. */
static double cache_bytes(const struct bise_model *m, const struct bise_plan *plan, double pos) {
    const struct model_config *c = &m->config;
    const double seen = plan->window && pos > plan->window ? plan->window : pos;
    const double size = plan->kv == BISE_KV_I8 ? 1 : plan->kv == BISE_KV_F16 ? 2 : 4;
    const double scales = plan->kv == BISE_KV_I8 ? 4 : 0;
    return seen * c->n_layers * c->n_kv_heads * 2 * (c->head_dim * size + scales);
}

/* ---- a visit --------------------------------------------------------------------------------- */

static enum bise_status read_ids(struct bise_engine *e, const int32_t *ids, size_t n, bool logits,
                                 struct bise_error *err) {
    const size_t chunk = bise_engine_plan(e)->chunk;
    enum bise_status s = BISE_OK;
    for (size_t at = 0, part; at < n && s == BISE_OK; at += part) {
        part = n - at < chunk ? n - at : chunk;
        struct bise_run run = {.ids = ids + at,
                               .n = part,
                               .want = logits && at + part == n ? BISE_WANT_LAST : BISE_WANT_NONE};
        s = bise_step(e, &run, 1, interrupt_word(), err);
        s = s != BISE_OK ? s : run.status;
    }
    return s;
}

static int32_t likeliest(const float *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return (int32_t)best;
}

/* n_gen steps of all sequences. The warm-up follows the likeliest tokens and notes them; later
 * rounds do the same work by what was noted, with nothing else in their time. */
static enum bise_status decode(const struct bench_run *r, struct bench_row *row,
                               struct bise_engine *e, bool warm_up, double *seconds,
                               struct bise_error *err) {
    const size_t n_vocab = bise_model_info(r->models[row->model].model)->vocab_size;
    const size_t n_seqs = row->n_seqs, at = row->depth + row->n_prompt;
    struct bise_run *const runs = calloc(n_seqs, sizeof *runs);
    enum bise_status s = BISE_OK;
    if (runs == NULL)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu sequences", n_seqs);
    const double start = bench_now();
    for (size_t i = 0; i < row->n_gen && s == BISE_OK; i++) {
        for (size_t j = 0; j < n_seqs; j++)
            runs[j] = (struct bise_run){.seq = (uint32_t)j,
                                        .ids = i ? row->tokens + (i - 1) * n_seqs + j
                                                 : r->models[row->model].ids + at + 31 * j,
                                        .n = 1,
                                        .want = BISE_WANT_LAST};
        s = bise_step(e, runs, n_seqs, interrupt_word(), err);
        for (size_t j = 0; j < n_seqs && s == BISE_OK; j++) {
            s = runs[j].status;
            if (warm_up && s == BISE_OK)
                row->tokens[i * n_seqs + j] = likeliest(bise_seq_logits(e, (uint32_t)j), n_vocab);
        }
    }
    *seconds = bench_now() - start;
    free(runs);
    return s;
}

/* Of what the warm-up computed; later rounds are held against it. */
static void hash_results(struct bench_row *row, const struct bise_engine *e, size_t n_vocab,
                         bool warm_up) {
    struct sha256 hash;
    char hex[65];
    sha256_begin(&hash);
    for (size_t j = 0; j < row->n_seqs; j++) {
        const float *const logits = bise_seq_logits(e, (uint32_t)j);
        if (logits)
            sha256_put(&hash, logits, n_vocab * sizeof *logits);
    }
    sha256_end(&hash, hex);
    if (!warm_up) {
        row->differs = row->differs || strcmp(hex, row->logit_hash) != 0;
        return;
    }
    memcpy(row->logit_hash, hex, sizeof hex);
    sha256_begin(&hash);
    sha256_put(&hash, row->tokens, row->n_gen * row->n_seqs * sizeof *row->tokens);
    sha256_end(&hash, row->token_hash);
}

static enum bise_status visit(struct bench_run *r, struct bench_row *row, bool warm_up,
                              struct bench_visit *v, struct bise_error *err) {
    const struct bise_model *const m = r->models[row->model].model;
    const struct bise_engine_params params = {
        .n_ctx = (uint32_t)(row->depth + row->n_prompt + row->n_gen + 1),
        .chunk = (uint32_t)r->chunk,
        .n_threads = row->threads,
        .isa = isa_name(row->isa),
        .kv = r->kv,
        .window = -1,
        .n_seqs = (uint32_t)row->n_seqs};
    const size_t at = row->depth + row->n_prompt;
    const int32_t *const ids = r->models[row->model].ids;
    struct bise_engine *e = NULL;
    double seconds = 0;
    enum bise_status s = bise_engine_open(&e, m, &params, err);
    if (s == BISE_OK)
        s = read_ids(e, ids, row->depth, false, err);
    const double start = bench_now();
    if (s == BISE_OK)
        s = read_ids(e, ids + row->depth, row->n_prompt, true, err);
    if (row->n_prompt)
        v->prefill = (double)row->n_prompt / (bench_now() - start);
    for (size_t j = 1; j < row->n_seqs && at && s == BISE_OK; j++)
        s = bise_seq_copy(e, (uint32_t)j, 0, at, err);
    if (s == BISE_OK)
        s = decode(r, row, e, warm_up, &seconds, err);
    if (s == BISE_OK) {
        const struct bise_plan *const plan = bise_engine_plan(e);
        if (row->n_gen)
            v->decode = (double)(row->n_gen * row->n_seqs) / seconds;
        row->step_bytes =
            r->models[row->model].weight_bytes +
            (double)row->n_seqs * cache_bytes(m, plan, (double)at + 0.5 * (double)row->n_gen);
        row->cache = plan->cache;
        row->scratch = plan->scratch;
        row->kv = bise_kv_name(plan->kv);
        row->resident = (double)mem_resident();
        hash_results(row, e, m->config.vocab_size, warm_up);
    }
    bise_engine_close(&e);
    return s;
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Bytes per second / 1e9 of reading as much as a step of decode reads: what lies in a cache has the
 * cache's limit. */
static double read_gbs(struct pool *pool, const struct bise_model *m, double bytes) {
    const size_t len = bytes < (double)m->map_len ? (size_t)bytes : m->map_len;
    const double end = bench_now() + READ_S;
    double best = 0;
    size_t n = 0;
    while (n < 2 || bench_now() < end) {
        const double rate = (double)len / bandwidth_read(pool, m->map, len) / 1e9;
        if (n++ && rate > best)
            best = rate;
    }
    return best;
}

/* before: the row visited before, NULL at the beginning of a round; what was measured beside it is
 * not measured again for the same instructions. */
static enum bise_status measure_limits(struct bench_run *r, struct bench_row *row,
                                       const struct bench_row *before, struct bise_error *err) {
    const struct bench_model *const m = &r->models[row->model];
    const bool peak_known = before && before->n_prompt && before->isa == row->isa &&
                            before->threads == row->threads && r->models[before->model].op == m->op;
    struct pool *pool = NULL;
    const enum bise_status s = pool_open(&pool, row->threads, err);
    if (s != BISE_OK)
        return s;
    if (row->n_gen) {
        const double gbs = read_gbs(pool, m->model, row->step_bytes);
        row->best_gbs = gbs > row->best_gbs ? gbs : row->best_gbs;
    }
    if (row->n_prompt && row->isa != ISA_SCALAR && !peak_known) {
        const double gmacs = peak_gmacs(pool, row->isa, m->op);
        row->best_gmacs = gmacs > row->best_gmacs ? gmacs : row->best_gmacs;
    }
    pool_close(&pool);
    return s;
}

/* The best of what was measured beside any row that has the same limit, what such a row itself has
 * reached included: the machine can do that, as it did it. */
static void settle_limits(struct bench_run *r) {
    for (size_t i = 0; i < r->n_rows; i++)
        for (size_t v = 0; v < r->n_rounds; v++) {
            struct bench_row *const row = &r->rows[i];
            const double gbs = row->visits[v].decode / (double)row->n_seqs * row->step_bytes / 1e9;
            const double gmacs = row->visits[v].prefill * r->models[row->model].macs / 1e9;
            if (gbs > row->best_gbs)
                row->best_gbs = gbs;
            if (row->isa != ISA_SCALAR && gmacs > row->best_gmacs)
                row->best_gmacs = gmacs;
        }
    for (size_t i = 0; i < r->n_rows; i++)
        for (size_t j = 0; j < r->n_rows; j++) {
            struct bench_row *const a = &r->rows[i];
            const struct bench_row *const b = &r->rows[j];
            if (a->threads != b->threads)
                continue;
            if (a->model == b->model && a->step_bytes == b->step_bytes &&
                b->best_gbs > a->limit_gbs)
                a->limit_gbs = b->best_gbs;
            if (a->isa == b->isa && r->models[a->model].op == r->models[b->model].op &&
                b->best_gmacs > a->limit_gmacs)
                a->limit_gmacs = b->best_gmacs;
        }
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static void note_machine(struct thermal_history *history, struct bench_visit *v) {
    struct thermal t;
    char text[64];
    thermal_read(&t, "/sys");
    thermal_note(history, &t, true);
    v->celsius = t.has_temperature ? t.celsius : 0;
    v->mhz = t.has_clock ? (double)t.mhz : 0;
    v->throttled = thermal_is_throttled(&t, history);
    if (sysfile_read("/proc/loadavg", text, sizeof text))
        v->load = strtod(text, NULL);
}

static bool all_settled(const struct bench_run *r) {
    bool settled = true;
    for (size_t i = 0; i < r->n_rows && settled; i++) {
        const struct bench_stat prefill = bench_prefill(r, &r->rows[i]);
        const struct bench_stat written = bench_decode(r, &r->rows[i]);
        settled = bench_is_settled(&prefill) && bench_is_settled(&written);
    }
    return settled;
}

static enum bise_status visit_all(struct bench_run *r, size_t round,
                                  struct thermal_history *history, struct bise_error *err) {
    enum bise_status s = BISE_OK;
    for (size_t i = 0; i < r->n_rows && s == BISE_OK; i++) {
        struct bench_row *const row = &r->rows[i];
        struct bench_visit v = {0};
        if (isatty(STDERR_FILENO))
            say("\r%s %zu: %s, %d threads, prompt %zu, row %zu of %zu \033[K",
                round ? "round" : "warm-up", round, isa_name(row->isa), row->threads, row->n_prompt,
                i + 1, r->n_rows);
        s = visit(r, row, round == 0, &v, err);
        note_machine(history, &v);
        if (s == BISE_OK)
            s = measure_limits(r, row, i ? row - 1 : NULL, err);
        if (round > 0)
            row->visits[round - 1] = v;
    }
    return s;
}

enum bise_status bench_measure(struct bench_run *r, struct bise_error *err) {
    struct thermal_history history = {0};
    const double start = bench_now();
    enum bise_status s = BISE_OK;
    for (size_t round = 0; s == BISE_OK; round++) {
        s = visit_all(r, round, &history, err);
        r->n_rounds = round;
        r->seconds = bench_now() - start;
        if (round == BENCH_MAX_ROUNDS || (r->repeats && round == (size_t)r->repeats))
            break;
        if (round && !r->repeats && (r->seconds > r->max_seconds || all_settled(r)))
            break;
    }
    if (isatty(STDERR_FILENO))
        say("\r\033[K");
    settle_limits(r);
    return s;
}
