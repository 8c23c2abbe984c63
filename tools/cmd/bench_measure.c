/* The measuring core of bise bench: one visit of a row between the machine's limits, rounds over
 * all rows. */
#include "bench/limits/bandwidth.h"
#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/engine/kv.h"
#include "src/engine/session.h"
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

#define VISIT_S 0.02 /* what takes less is done again, so that a visit's speed is an average */

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
    return seen * c->n_layers * c->n_kv_heads * 2 *
           (double)kv_position_bytes(plan->kv, c->head_dim);
}

/* ---- a visit --------------------------------------------------------------------------------- */

enum bise_status bench_read(struct bise_engine *e, const int32_t *ids, size_t n,
                            enum bise_want want, struct bise_error *err) {
    const size_t chunk = bise_engine_plan(e)->chunk;
    enum bise_status s = BISE_OK;
    for (size_t at = 0, part; at < n && s == BISE_OK; at += part) {
        part = n - at < chunk ? n - at : chunk;
        struct bise_run run = {
            .ids = ids + at, .n = part, .want = at + part == n ? want : BISE_WANT_NONE};
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

/* How often work that takes so long (0: not known) is done in one visit. */
static size_t times_of(double seconds) {
    return seconds > 0 && seconds < VISIT_S ? (size_t)(VISIT_S / seconds) + 1 : 1;
}

/* Takes all sequences back to pos. CONTEXT: that is too far. */
static enum bise_status go_back(struct bise_engine *e, size_t n_seqs, size_t pos,
                                struct bise_error *err) {
    enum bise_status s = BISE_OK;
    for (size_t j = 0; j < n_seqs && s == BISE_OK; j++)
        if (pos)
            s = bise_seq_truncate(e, (uint32_t)j, pos, err);
        else
            bise_seq_reset(e, (uint32_t)j);
    return s;
}

/* Reads the prompt, between two looks at what the instructions could do. */
static enum bise_status visit_prefill(struct bench_run *r, struct bench_row *row,
                                      struct bise_engine *e, struct bench_visit *v,
                                      struct bise_error *err) {
    const struct bench_model *const m = &r->models[row->model];
    const size_t most = times_of(row->prefill_seconds);
    const double before = bench_limit_gmacs(e->pool, m->op, row, row->prefill_seconds);
    enum bise_status s = BISE_OK;
    double took = 0;
    size_t n = 0;
    while (s == BISE_OK && n < most && (n == 0 || go_back(e, 1, row->depth, err) == BISE_OK)) {
        const double start = bench_now();
        s = bench_read(e, m->ids + row->depth, row->n_prompt, BISE_WANT_LAST, err);
        took += bench_now() - start;
        n++;
    }
    row->prefill_seconds = took / (double)n;
    v->prefill = (double)row->n_prompt / row->prefill_seconds;
    if (s == BISE_OK)
        v->gmacs = 0.5 * (before + bench_limit_gmacs(e->pool, m->op, row, took));
    return s;
}

/* Writes, between two looks at how fast as much is read. */
static enum bise_status visit_decode(struct bench_run *r, struct bench_row *row,
                                     struct bise_engine *e, bool warm_up, struct bench_visit *v,
                                     struct bise_error *err) {
    const struct bise_model *const m = r->models[row->model].model;
    const size_t most = times_of(row->decode_seconds), at = row->depth + row->n_prompt;
    const double before = bench_limit_gbs(e->pool, m, row, row->decode_seconds);
    enum bise_status s = BISE_OK;
    double took = 0;
    size_t n = 0;
    while (s == BISE_OK && n < most && (n == 0 || go_back(e, row->n_seqs, at, err) == BISE_OK)) {
        double once = 0;
        s = decode(r, row, e, warm_up, &once, err);
        took += once;
        n++;
    }
    row->decode_seconds = took / (double)n;
    v->decode = (double)(row->n_gen * row->n_seqs) / row->decode_seconds;
    if (s == BISE_OK)
        v->gbs = 0.5 * (before + bench_limit_gbs(e->pool, m, row, took));
    return s;
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
    struct bise_engine *e = NULL;
    enum bise_status s = bise_engine_open(&e, m, &params, err);
    if (s == BISE_OK)
        s = bench_go_to_depth(r, row, e, err);
    if (s == BISE_OK && row->n_prompt)
        s = visit_prefill(r, row, e, v, err);
    for (size_t j = 1; j < row->n_seqs && at && s == BISE_OK; j++)
        s = bise_seq_copy(e, (uint32_t)j, 0, at, err);
    if (s == BISE_OK) {
        const struct bise_plan *const plan = bise_engine_plan(e);
        row->step_bytes =
            r->models[row->model].weight_bytes +
            (double)row->n_seqs * cache_bytes(m, plan, (double)at + 0.5 * (double)row->n_gen);
        row->cache = plan->cache;
        row->scratch = plan->scratch;
        row->kv = bise_kv_name(plan->kv);
    }
    if (s == BISE_OK && row->n_gen)
        s = visit_decode(r, row, e, warm_up, v, err);
    if (s == BISE_OK) {
        row->resident = (double)mem_resident();
        hash_results(row, e, m->config.vocab_size, warm_up);
    }
    bise_engine_close(&e);
    return s;
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
        if (round > 0)
            row->visits[round - 1] = v;
    }
    return s;
}

enum bise_status bench_measure(struct bench_run *r, struct bise_error *err) {
    struct thermal_history history = {0};
    enum bise_status s = BISE_OK;
    for (size_t round = 0; s == BISE_OK; round++) {
        const double begun = bench_now();
        s = visit_all(r, round, &history, err);
        r->n_rounds = round;
        r->seconds = bench_now() - r->begun;
        if (round == BENCH_MAX_ROUNDS || (r->repeats && round == (size_t)r->repeats))
            break;
        const double next_ends = r->seconds + bench_now() - begun; /* if it takes as long */
        if (round && !r->repeats && (next_ends > r->max_seconds || all_settled(r)))
            break;
    }
    if (isatty(STDERR_FILENO))
        say("\r\033[K");
    bench_settle_limits(r);
    bench_close_depths(r);
    return s;
}
