/*
 * bise bench: prefill and decode speed per instruction set and thread count, beside the limits of
 * the machine measured in the same run. Every repetition visits all rows in turn, so that a drift
 * of the machine meets them all alike; medians are shown.
 */
#include "bench/limits/bandwidth.h"
#include "bench/limits/peak.h"
#include "src/base/error.h"
#include "src/model/model.h"
#include "src/os/cpu.h"
#include "src/os/mem.h"
#include "tools/cmd/bench_batch.h"
#include "tools/cmd/bench_report.h"
#include "tools/common/isa.h"
#include "tools/common/model_path.h"
#include "tools/common/output.h"
#include "tools/common/runtime.h"
#include "tools/common/tools.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ROWS    64
#define BATCH_DEPTH 4096 /* of -b, beside 0 */
#define MAX_LIST    8
#define MAX_REPEATS 50

struct bench_options {
    const char *model, *isa, *prompts, *threads, *format, *memory, *batches;
    int64_t n_gen, repeats, depth, chunk;
};

struct bench_run {
    struct bench_options opt;
    struct bise_model *model;
    enum isa isas[ISA_COUNT];
    size_t n_isas;
    int64_t threads[MAX_LIST], prompts[MAX_LIST], batches[MAX_LIST];
    size_t n_threads, n_prompts, n_batches;
    struct bench_row rows[MAX_ROWS];
    size_t n_rows;
    double bandwidth[MAX_LIST][MAX_REPEATS];       /* bytes per second, per thread count */
    double peak[ISA_COUNT][MAX_LIST][MAX_REPEATS]; /* GMAC/s of the model's prefill */
    int32_t *ids;                                  /* longest prompt or depth */
    size_t n_ids;
};

/* "1,2,4" to numbers within min..max; says what is wrong. */
static bool parse_list(const char *name, const char *text, int64_t min, int64_t max, int64_t *out,
                       size_t *n) {
    *n = 0;
    for (const char *p = text;;) {
        char *end;
        const long long v = strtoll(p, &end, 10);
        if (end == p || (*end && *end != ',') || v < min || v > max || *n == MAX_LIST) {
            complain("%s: expected up to %d numbers from %lld to %lld with commas, found "
                     "\"%s\"",
                     name, MAX_LIST, (long long)min, (long long)max, text);
            return false;
        }
        out[(*n)++] = v;
        if (!*end)
            return true;
        p = end + 1;
    }
}

static bool parse_isas(struct bench_run *r) {
    struct cpu_features f;
    cpu_detect(&f);
    const char *text = r->opt.isa;
    if (strcmp(text, "best") == 0) {
        isa_note_scalar();
        r->isas[r->n_isas++] = cpu_best_isa(&f);
        return true;
    }
    if (strcmp(text, "all") == 0) {
        for (int i = 0; i < ISA_COUNT; i++)
            if (f.isa[i] && i != ISA_SCALAR)
                r->isas[r->n_isas++] = (enum isa)i;
        return true;
    }
    do { /* a list has an entry, if only an empty one */
        char name[32];
        const size_t len = strcspn(text, ",");
        snprintf(name, sizeof name, "%.*s", (int)(len < 31 ? len : 31), text);
        const enum isa isa = isa_from_name(isa_current(name));
        if (isa == ISA_COUNT || !f.isa[isa] || r->n_isas == ISA_COUNT) {
            complain("--isa: this CPU or build has no \"%s\"", name);
            return false;
        }
        r->isas[r->n_isas++] = isa;
        text += len + (text[len] == ',');
    } while (*text);
    return true;
}

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

/* Weights that one token reads (experts in the share that is used), and multiply-adds that most
 * tokens of a prompt take. */
static void model_costs(const struct bise_model *m, double *decode_bytes, double *prefill_macs) {
    *decode_bytes = 0;
    *prefill_macs = 0;
    for (size_t i = 0; i < m->n_tensors; i++) {
        const struct tensor *t = &m->tensors[i];
        double share = 1;
        if (strstr(t->name, ".experts."))
            share = (double)m->config.n_experts_used / m->config.n_experts;
        if (t != m->embed || m->config.tied_head)
            *decode_bytes += share * (double)t->length;
        if (!t->is_vector && t != m->embed && !only_last_token(m, t))
            *prefill_macs += share * (double)t->rows * t->cols;
    }
}

/* Bytes of keys and values that a token at position pos reads. */
static double cache_bytes(const struct bise_model *m, const struct bise_plan *plan, double pos) {
    const struct model_config *c = &m->config;
    const double seen = plan->window && pos > plan->window ? plan->window : pos;
    const double size = plan->kv == BISE_KV_I8 ? 1 : plan->kv == BISE_KV_F16 ? 2 : 4;
    const double scales = plan->kv == BISE_KV_I8 ? 4 : 0;
    return seen * c->n_layers * c->n_kv_heads * 2 * (c->head_dim * size + scales);
}

/* One visit of a row: prompt, then generation; adds a sample to each. */
static enum bise_status measure_row(struct bench_run *r, struct bench_row *row, size_t rep,
                                    double weight_bytes, struct bise_error *err) {
    struct bise_session *s = NULL;
    const size_t n_prompt = (size_t)row->n_prompt, depth = (size_t)r->opt.depth;
    const size_t n_gen = (size_t)r->opt.n_gen;
    const struct bise_engine_params params = {
        .n_ctx = (uint32_t)(depth + n_prompt + n_gen + 1),
        .chunk = (uint32_t)r->opt.chunk,
        .n_threads = row->threads,
        .isa = isa_name(row->isa),
        .window = -1,
    };
    enum bise_status status = bise_session_open(&s, r->model, &params, err);
    if (status == BISE_OK && depth)
        status = bise_prefill(s, r->ids, depth, NULL, NULL, err);
    double t0 = bench_now();
    if (status == BISE_OK)
        status = bise_prefill(s, r->ids, n_prompt, NULL, NULL, err);
    row->prefill[rep] = (double)n_prompt / (bench_now() - t0);
    double bytes = 0;
    t0 = bench_now();
    for (size_t i = 0; i < n_gen && status == BISE_OK; i++) {
        bytes += weight_bytes +
                 cache_bytes(r->model, bise_session_plan(s), (double)(depth + n_prompt + i + 1));
        status = bise_decode(s, r->ids[i % r->n_ids], err);
    }
    const double seconds = bench_now() - t0;
    row->decode[rep] = (double)n_gen / seconds;
    row->decode_gbs[rep] = bytes / seconds / 1e9;
    row->resident = (double)mem_resident();
    bise_session_close(&s);
    return status;
}

/* What prefill of this model is made of: the type of its largest matrices decides. */
static enum peak_op prefill_op(const struct bise_model *m) {
    switch (m->layers[0].w1[0]->type) {
    case TYPE_I4:
        return PEAK_DOT6;
    case TYPE_I8:
        return PEAK_DOT8;
    default:
        return PEAK_FMA;
    }
}

/* The machine's limits at this moment, for every thread count. The first time, what is mapped is
 * brought into memory before. */
static enum bise_status measure_limits(struct bench_run *r, size_t rep, struct bise_error *err) {
    for (size_t t = 0; t < r->n_threads; t++) {
        struct pool *pool = NULL;
        const enum bise_status status = pool_open(&pool, (int)r->threads[t], err);
        if (status != BISE_OK)
            return status;
        if (rep == 0)
            (void)bandwidth_read(pool, r->model->map, r->model->map_len);
        r->bandwidth[t][rep] =
            (double)r->model->map_len / bandwidth_read(pool, r->model->map, r->model->map_len);
        for (size_t i = 0; i < r->n_isas; i++)
            r->peak[r->isas[i]][t][rep] = peak_gmacs(pool, r->isas[i], prefill_op(r->model));
        pool_close(&pool);
    }
    return BISE_OK;
}

static void show_progress(const struct bench_run *r, size_t rep, const struct bench_row *row) {
    if (isatty(STDERR_FILENO))
        say("\rrepetition %zu of %lld: %s, threads %d, prompt %lld \033[K", rep + 1,
            (long long)r->opt.repeats, isa_name(row->isa), row->threads, (long long)row->n_prompt);
}

static enum bise_status measure_all(struct bench_run *r, double weight_bytes,
                                    struct bise_error *err) {
    for (size_t rep = 0; rep < (size_t)r->opt.repeats; rep++) {
        enum bise_status status = measure_limits(r, rep, err);
        for (size_t i = 0; i < r->n_rows && status == BISE_OK; i++) {
            show_progress(r, rep, &r->rows[i]);
            status = measure_row(r, &r->rows[i], rep, weight_bytes, err);
        }
        if (status != BISE_OK)
            return status;
    }
    if (isatty(STDERR_FILENO))
        say("\r\033[K");
    return BISE_OK;
}

static bool build_rows(struct bench_run *r) {
    for (size_t i = 0; i < r->n_isas; i++)
        for (size_t t = 0; t < r->n_threads; t++)
            for (size_t p = 0; p < r->n_prompts; p++) {
                if (r->n_rows == MAX_ROWS) {
                    complain("more than %d rows asked for", MAX_ROWS);
                    return false;
                }
                struct bench_row *row = &r->rows[r->n_rows++];
                row->isa = r->isas[i];
                row->threads = (int)r->threads[t];
                row->thread_index = t;
                row->n_prompt = r->prompts[p];
            }
    return true;
}

/* Ids spread over the vocabulary, the same in every run. */
static bool make_ids(struct bench_run *r) {
    const uint32_t vocab = bise_model_info(r->model)->vocab_size;
    r->n_ids = (size_t)r->opt.depth + (r->n_batches ? BATCH_DEPTH : 0) + 1;
    for (size_t p = 0; p < r->n_prompts; p++)
        if ((size_t)r->prompts[p] > r->n_ids)
            r->n_ids = (size_t)r->prompts[p];
    r->ids = malloc(r->n_ids * sizeof *r->ids);
    for (size_t i = 0; r->ids && i < r->n_ids; i++)
        r->ids[i] = (int32_t)((i * 7919 + 101) % vocab);
    return r->ids != NULL;
}

static bool parse_options(int argc, char **argv, struct bench_run *r, int *code) {
    struct bench_options *o = &r->opt;
    const struct option_def defs[] = {
        {"-m|--model", OPT_STRING, &o->model, "FILE", "the .bise file (default: the demo model)", 0,
         0},
        {"-p|--prompt", OPT_STRING, &o->prompts, "LIST", "prompt lengths (128,512)", 0, 0},
        {"-n|--gen", OPT_INT, &o->n_gen, "N", "tokens generated after each (32)", 1, 65536},
        {"-d|--depth", OPT_INT, &o->depth, "N", "tokens in the cache before the prompt (0)", 0,
         1 << 20},
        {"-b|--batch", OPT_STRING, &o->batches, "LIST",
         "instead: so many conversations at once, at depths 0 and 4096 (or -d)", 0, 0},
        {"-t|--threads", OPT_STRING, &o->threads, "LIST", "thread counts (the default one)", 0, 0},
        {"-r|--repeats", OPT_INT, &o->repeats, "N", "repetitions (5)", 1, MAX_REPEATS},
        {"--isa", OPT_STRING, &o->isa, "LIST", "instruction sets, best or all (best)", 0, 0},
        {"--mem", OPT_STRING, &o->memory, "HOW", "auto, huge or mmap", 0, 0},
        {"--chunk", OPT_INT, &o->chunk, "N", "tokens per pass of prefill", 1, 65536},
        {"--format|-o|--output", OPT_STRING, &o->format, "FORM", "md, csv or json (md)", 0, 0},
    };
    const char *argument = NULL;
    char default_threads[16];
    size_t n_positional;
    snprintf(default_threads, sizeof default_threads, "%d", cpu_default_threads());
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                       "bise bench [FILE] [-p 128,512] [-n 32] [-t 1,2] [--isa all] [--format md]",
                       &argument, 1, &n_positional, code))
        return false;
    *code = EXIT_USAGE;
    if (strcmp(o->format, "md") != 0 && strcmp(o->format, "csv") != 0 &&
        strcmp(o->format, "json") != 0) {
        complain("--format: expected md, csv or json, found \"%s\"", o->format);
        return false;
    }
    if ((o->model = model_given(o->model, argument, code)) == NULL)
        return false;
    *code = EXIT_USAGE;
    return parse_list("-p", o->prompts, 1, 1 << 20, r->prompts, &r->n_prompts) &&
           parse_list("-t", o->threads ? o->threads : default_threads, 1, 1024, r->threads,
                      &r->n_threads) &&
           (!o->batches || parse_list("-b", o->batches, 1, 1024, r->batches, &r->n_batches)) &&
           parse_isas(r) && build_rows(r);
}

static void print_results(struct bench_run *r, double load_seconds, double macs) {
    struct bench_report report = {
        .model = r->opt.model,
        .memory = bise_model_info(r->model)->memory,
        .load_seconds = load_seconds,
        .prefill_macs = macs,
        .rows = r->rows,
        .n_rows = r->n_rows,
        .n_gen = r->opt.n_gen,
        .depth = r->opt.depth,
        .repeats = (size_t)r->opt.repeats,
    };
    for (size_t i = 0; i < r->n_rows; i++) {
        struct bench_row *const row = &r->rows[i];
        double samples[MAX_REPEATS];
        memcpy(samples, r->bandwidth[row->thread_index], sizeof samples);
        row->limit_gbs = bench_median(samples, report.repeats) / 1e9;
        memcpy(samples, r->peak[row->isa][row->thread_index], sizeof samples);
        row->limit_gmacs = bench_median(samples, report.repeats);
    }
    if (strcmp(r->opt.format, "json") == 0)
        bench_print_json(&report);
    else if (strcmp(r->opt.format, "csv") == 0)
        bench_print_csv(&report);
    else
        bench_print_md(&report);
}

/* -b: for every instruction set and thread count. */
static enum bise_status measure_batches(const struct bench_run *r, struct bise_error *err) {
    struct bench_batch b = {.model = r->model,
                            .form = r->opt.format,
                            .depths = {0, BATCH_DEPTH},
                            .n_counts = r->n_batches,
                            .n_depths = 2,
                            .n_gen = (size_t)r->opt.n_gen,
                            .repeats = (size_t)r->opt.repeats,
                            .ids = r->ids,
                            .n_ids = r->n_ids};
    enum bise_status status = BISE_OK;
    memcpy(b.counts, r->batches, sizeof b.counts);
    if (r->opt.depth > 0) {
        b.depths[0] = r->opt.depth;
        b.n_depths = 1;
    }
    for (size_t i = 0; i < r->n_isas; i++)
        for (size_t t = 0; t < r->n_threads && status == BISE_OK; t++) {
            b.isa = isa_name(r->isas[i]);
            b.n_threads = (int)r->threads[t];
            status = bench_batch_run(&b, err);
        }
    return status;
}

int cmd_bench(int argc, char **argv) {
    struct bench_run *r = calloc(1, sizeof *r);
    struct bise_error err = {0};
    int code = EXIT_USAGE;
    if (!r)
        return report(BISE_ERR_MEMORY, NULL);
    r->opt = (struct bench_options){.isa = "best",
                                    .prompts = "128,512",
                                    .format = "md",
                                    .memory = "auto",
                                    .n_gen = 32,
                                    .repeats = 5};
    if (!parse_options(argc, argv, r, &code))
        goto done;
    struct bise_model_params params = {0};
    if (!runtime_parse_memory(r->opt.memory, &params.memory))
        goto done;
    const double start = bench_now();
    enum bise_status status = bise_model_open(&r->model, r->opt.model, &params, &err);
    const double load_seconds = bench_now() - start;
    if (status == BISE_OK && !make_ids(r))
        status = bise_fail(&err, BISE_ERR_MEMORY, "no memory for the prompt");
    double bytes = 0, macs = 0;
    if (status == BISE_OK && r->n_batches) {
        status = measure_batches(r, &err);
        code = status == BISE_OK ? EXIT_DONE : report(status, &err);
        goto done;
    }
    if (status == BISE_OK) {
        model_costs(r->model, &bytes, &macs);
        status = measure_all(r, bytes, &err);
    }
    if (status == BISE_OK)
        print_results(r, load_seconds, macs);
    code = status == BISE_OK ? EXIT_DONE : report(status, &err);
done:
    bise_model_close(&r->model);
    free(r->ids);
    free(r);
    return code;
}
