/*
 * bise study gqa: what grouped queries save (GQA, arXiv 2305.13245): the same shape with as many KV
 * heads as heads, a quarter, an eighth, and one.
 *
 * - memory: bytes of cache for a token, at 8k and 32k; the longest context, and the most
 *   conversations of 4096 tokens, that so much memory (16 GiB) holds beside the weights
 * - speed: reading, writing at depths, conversations side by side. The tokens before a depth are
 *   not read: the cache is taken as it opens, full of zeros, which takes the same time
 *
 * The models are random, written one at a time into a file without a name.
 */
#include "tools/cmd/study.h"
#include "tools/cmd/synth.h"

#include "src/engine/session.h"
#include "src/model/shape.h"
#include "src/os/clock.h"
#include "src/os/cpu.h"
#include "tools/common/buffer.h"
#include "tools/common/interrupt.h"
#include "tools/common/output.h"

#include <stdlib.h>
#include <string.h>

#define BUDGET    16   /* GiB */
#define PART      4096 /* tokens of one conversation */
#define READ      256  /* tokens */
#define MAX_KINDS 4

static const uint64_t depths[] = {0, 4096, 16384};
static const uint32_t sequences[] = {1, 2, 4, 8, 16};
#define N_DEPTHS    (sizeof depths / sizeof *depths)
#define N_SEQUENCES (sizeof sequences / sizeof *sequences)

struct kind {
    uint32_t n_kv_heads;
    uint64_t token_bytes; /* of cache */
    uint64_t beside;      /* weights and scratch */
    uint64_t longest, conversations;
    double read, write[N_DEPTHS], together[N_SEQUENCES]; /* tokens per second */
};

struct gqa_study {
    struct study *s;
    struct synth *synth;
    struct kind kinds[MAX_KINDS];
    size_t n;
    uint64_t budget; /* bytes */
};

/* Puts all sequences at a depth, as if so many tokens had been read. */
static void sink_to(struct bise_engine *e, uint64_t depth) {
    for (size_t i = 0; i < e->plan.n_seqs; i++) {
        bise_seq_reset(e, (uint32_t)i);
        e->seqs[i].pos = e->seqs[i].filled = depth;
        e->seqs[i].ids_from = depth;
    }
}

/* Tokens per second of all sequences of e, each writing n behind `depth`. */
static enum bise_status time_writing(struct bise_engine *e, uint64_t depth, size_t n, double *rate,
                                     struct bise_error *err) {
    static const int32_t id = 1;
    const size_t n_seqs = e->plan.n_seqs;
    struct bise_run runs[16];
    enum bise_status s = BISE_OK;
    double begun = 0;
    sink_to(e, depth);
    for (size_t i = 0; i <= n && !s; i++) { /* the first warms up */
        if (i == 1)
            begun = seconds_now();
        for (size_t r = 0; r < n_seqs; r++)
            runs[r] =
                (struct bise_run){.seq = (uint32_t)r, .ids = &id, .n = 1, .want = BISE_WANT_LAST};
        s = bise_step(e, runs, n_seqs, interrupt_word(), err);
        for (size_t r = 0; r < n_seqs && !s; r++)
            s = runs[r].status;
    }
    *rate = (double)(n * n_seqs) / (seconds_now() - begun);
    return s;
}

static enum bise_status time_reading(struct bise_engine *e, double *rate, struct bise_error *err) {
    int32_t ids[READ];
    struct bise_run run = {.ids = ids, .n = READ, .want = BISE_WANT_LAST};
    enum bise_status s = BISE_OK;
    double begun = 0;
    for (size_t i = 0; i < READ; i++)
        ids[i] = (int32_t)(i * 7 % 50);
    for (int round = 0; round < 2 && !s; round++) {
        sink_to(e, 0);
        begun = seconds_now();
        s = bise_step(e, &run, 1, interrupt_word(), err);
    }
    *rate = READ / (seconds_now() - begun);
    return s ? s : run.status;
}

static enum bise_status time_kind(const struct gqa_study *g, const struct bise_model *model,
                                  struct kind *k, struct bise_error *err) {
    struct bise_engine_params params = g->s->params;
    struct bise_engine *e = NULL;
    const size_t n = g->s->steps ? (size_t)g->s->steps : 16;
    struct progress progress;
    char what[32];
    enum bise_status s = BISE_OK;
    snprintf(what, sizeof what, "%u KV heads", k->n_kv_heads);
    progress_begin(&progress, what);
    progress.no_rate = true;
    params.window = 0;
    params.chunk = READ;
    params.n_ctx = (uint32_t)(depths[N_DEPTHS - 1] + n + 1);
    s = bise_engine_open(&e, model, &params, err);
    if (!s)
        s = time_reading(e, &k->read, err);
    for (size_t i = 0; i < N_DEPTHS && !s; i++) {
        progress_show(&progress, i + 1, 1 + N_DEPTHS + N_SEQUENCES);
        s = time_writing(e, depths[i], n, &k->write[i], err);
    }
    bise_engine_close(&e);
    for (size_t i = 0; i < N_SEQUENCES && !s; i++) {
        progress_show(&progress, 1 + N_DEPTHS + i, 1 + N_DEPTHS + N_SEQUENCES);
        params.n_seqs = sequences[i];
        params.n_ctx = PART;
        s = bise_engine_open(&e, model, &params, err);
        if (!s)
            s = time_writing(e, PART - n - 1, n, &k->together[i], err);
        bise_engine_close(&e);
    }
    progress_end(&progress);
    return s;
}

/* What it takes, as planned; contexts beyond this machine's memory are planned all the same. */
static void plan_kind(const struct gqa_study *g, const struct bise_model *model, struct kind *k) {
    struct bise_engine_params params = g->s->params;
    struct bise_plan plan = {0};
    params.window = 0;
    params.n_ctx = PART;
    params.n_seqs = 1;
    (void)bise_plan(model, &params, &plan, NULL);
    k->token_bytes = plan.cache / plan.ring;
    k->beside = plan.weights + plan.scratch;
    const uint64_t left = g->budget > k->beside ? g->budget - k->beside : 0;
    k->longest = left / k->token_bytes;
    k->conversations = left / (k->token_bytes * PART);
}

static enum bise_status study_kind(struct gqa_study *g, uint32_t n_kv_heads,
                                   struct bise_error *err) {
    struct kind *const k = &g->kinds[g->n];
    const char *const folder = getenv("TMPDIR");
    struct bise_model *model = NULL;
    char path[4096];
    snprintf(path, sizeof path, "%s/bise-study", folder && *folder ? folder : "/tmp");
    g->synth->config.n_kv_heads = k->n_kv_heads = n_kv_heads;
    progress_begin(&g->synth->progress, "writing a model");
    enum bise_status s = synth_open_bise(g->synth, path, &model, err);
    progress_end(&g->synth->progress);
    if (!s)
        plan_kind(g, model, k);
    if (!s)
        s = time_kind(g, model, k, err);
    bise_model_close(&model);
    g->n += s == BISE_OK;
    return s;
}

/* ---- what is shown -------------------------------------------------------------------------- */

static enum bise_kv kv_of(const struct gqa_study *g) {
    return g->s->params.kv ? g->s->params.kv : BISE_KV_I8;
}

static void print_tables(const struct gqa_study *g) {
    const struct model_config *const c = &g->synth->config;
    const struct kind *const all = g->kinds;
    const double gib = (double)((uint64_t)1 << 30);
    print("%u layers, dim %u, %u heads of %u, %s weights, cache in %s, %d threads\n\n", c->n_layers,
          c->dim, c->n_heads, c->head_dim, tensor_type_name(g->synth->type), bise_kv_name(kv_of(g)),
          g->synth->n_threads);
    print("%12s %9s %7s %11s %11s %11s %10s\n", "KV heads", "bytes a", "less", "GiB at 8k",
          "GiB at 32k", "longest in", "of 4096");
    print("%12s %9s %7s %11s %11s %7llu GiB %10s\n", "", "token", "", "", "",
          (unsigned long long)(g->budget >> 30), "tokens");
    for (size_t i = 0; i < g->n; i++)
        print("%12u %9llu %6.2fx %11.3f %11.3f %11llu %10llu\n", all[i].n_kv_heads,
              (unsigned long long)all[i].token_bytes,
              (double)all[0].token_bytes / (double)all[i].token_bytes,
              (double)all[i].token_bytes * 8192 / gib, (double)all[i].token_bytes * 32768 / gib,
              (unsigned long long)all[i].longest, (unsigned long long)all[i].conversations);
    print("\n%12s %9s", "tokens/s", "reading");
    for (size_t i = 0; i < N_DEPTHS; i++)
        print("   at %6llu", (unsigned long long)depths[i]);
    print("\n");
    for (size_t i = 0; i < g->n; i++) {
        print("%12u %9.1f", all[i].n_kv_heads, all[i].read);
        for (size_t d = 0; d < N_DEPTHS; d++)
            print(" %11.2f", all[i].write[d]);
        print("\n");
    }
    print("\ntokens/s of all together, each at %d\n%12s", PART, "");
    for (size_t q = 0; q < N_SEQUENCES; q++)
        print("  %3u at once", sequences[q]);
    print("\n");
    for (size_t i = 0; i < g->n; i++) {
        print("%12u", all[i].n_kv_heads);
        for (size_t q = 0; q < N_SEQUENCES; q++)
            print(" %12.2f", all[i].together[q]);
        print("\n");
    }
}

static void print_json(const struct gqa_study *g) {
    const struct model_config *const c = &g->synth->config;
    struct buffer b = {0};
    study_begin_json(&b, "gqa", NULL);
    buffer_print(
        &b,
        ",\"threads\":%d,\"kv\":\"%s\",\"layers\":%u,\"dim\":%u,\"heads\":%u,\"head_dim\":%u,"
        "\"weights\":\"%s\",\"budget_bytes\":%llu,\"kinds\":[",
        g->synth->n_threads, bise_kv_name(kv_of(g)), c->n_layers, c->dim, c->n_heads, c->head_dim,
        tensor_type_name(g->synth->type), (unsigned long long)g->budget);
    for (size_t i = 0; i < g->n; i++) {
        const struct kind *const k = &g->kinds[i];
        buffer_print(&b,
                     "%s{\"kv_heads\":%u,\"token_bytes\":%llu,\"weights_and_scratch_bytes\":%llu,"
                     "\"longest_context\":%llu,\"conversations\":%llu,\"read\":%.6g,\"write\":[",
                     i ? "," : "", k->n_kv_heads, (unsigned long long)k->token_bytes,
                     (unsigned long long)k->beside, (unsigned long long)k->longest,
                     (unsigned long long)k->conversations, k->read);
        for (size_t d = 0; d < N_DEPTHS; d++)
            buffer_print(&b, "%s{\"depth\":%llu,\"tokens_per_second\":%.6g}", d ? "," : "",
                         (unsigned long long)depths[d], k->write[d]);
        buffer_text(&b, "],\"together\":[");
        for (size_t q = 0; q < N_SEQUENCES; q++)
            buffer_print(&b, "%s{\"sequences\":%u,\"depth\":%d,\"tokens_per_second\":%.6g}",
                         q ? "," : "", sequences[q], PART, k->together[q]);
        buffer_text(&b, "]}");
    }
    buffer_text(&b, "]");
    study_end_json(&b);
}

int study_gqa(struct study *s) {
    struct synth *const synth = calloc(1, sizeof *synth);
    struct gqa_study g = {.s = s, .synth = synth};
    g.budget = (uint64_t)(s->budget ? s->budget : BUDGET) << 30;
    struct bise_error err = {0};
    if (!synth)
        return report(BISE_ERR_MEMORY, NULL);
    synth->seed = 1;
    synth->type = TYPE_I4;
    synth->n_threads = s->params.n_threads ? s->params.n_threads : cpu_default_threads();
    synth_init_table(synth);
    enum bise_status status =
        synth_parse_shape(&synth->config, s->shape ? s->shape : "mistral-7b,layers=4", &err);
    const uint32_t heads = synth->config.n_heads, parts[MAX_KINDS] = {1, 4, 8, heads};
    uint32_t last = 0;
    for (size_t i = 0; i < MAX_KINDS && !status; i++)
        if (heads % parts[i] == 0 && heads / parts[i] != last) {
            last = heads / parts[i];
            status = study_kind(&g, last, &err);
        }
    const int code = status ? report(status, &err) : EXIT_DONE;
    if (!code && s->json)
        print_json(&g);
    else if (!code)
        print_tables(&g);
    free(synth);
    return code;
}
