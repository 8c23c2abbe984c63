/*
 * bise bench: prefill and decode speed per instruction set, thread count, depth and number of
 * sequences, beside the limits of the machine measured in the same run. Every round visits all rows
 * in turn, so that a drift of the machine meets them all alike; medians are shown.
 */
#include "tools/cmd/bench.h"

#include "bench/limits/bandwidth.h"
#include "src/base/error.h"
#include "src/os/clock.h"
#include "src/os/cpu.h"
#include "src/os/file.h"
#include "tools/common/interrupt.h"
#include "tools/common/isa.h"
#include "tools/common/model_path.h"
#include "tools/common/output.h"
#include "tools/common/runtime.h"
#include "tools/common/wrap.h"
#include "tools/common/write_file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_TOKENS  (1 << 20)
#define MAX_GEN     65536
#define SCALAR_MACS 5e8 /* of a token: a model beyond that is slow without vectors */
#define NARROW_MACS 4e9 /* and beyond that with those of 128 bits that have no dot product */

/* Prompt and tokens written of a slow row, at most. */
struct brief {
    size_t prompt, gen;
};
static const struct brief scalar_brief = {2, 1}, narrow_brief = {32, 4};

enum form { FORM_MD, FORM_TABLE, FORM_CSV, FORM_JSON, N_FORMS };
static const char *const form_names[N_FORMS] = {"md", "table", "csv", "json"};

struct bench_options {
    struct option_list models;
    const char *isa, *prompts, *threads, *format, *output, *memory, *batches, *depths, *kv, *suite,
        *baseline, *slot;
    int64_t n_gen, repeats, chunk;
    double max_seconds;
    bool kernels;
};

struct bench_axes {
    enum isa isas[ISA_COUNT];
    size_t n_isas;
    struct bench_list threads, prompts, depths, batches;
};

/* "1,2,4" to numbers within min..max; says what is wrong. */
static bool parse_list(const char *name, const char *text, int64_t min, int64_t max,
                       struct bench_list *out) {
    out->n = 0;
    for (const char *p = text;;) {
        char *end;
        const long long v = strtoll(p, &end, 10);
        if (end == p || (*end && *end != ',') || v < min || v > max || out->n == BENCH_MAX_LIST) {
            complain("%s: expected up to %d numbers from %lld to %lld with commas, found "
                     "\"%s\"",
                     name, BENCH_MAX_LIST, (long long)min, (long long)max, text);
            return false;
        }
        out->x[out->n++] = v;
        if (!*end)
            return true;
        p = end + 1;
    }
}

static bool parse_isas(const char *text, struct bench_axes *a) {
    struct cpu_features f;
    cpu_detect(&f);
    if (strcmp(text, "best") == 0) {
        isa_note_scalar();
        a->isas[a->n_isas++] = cpu_best_isa(&f);
        return true;
    }
    if (strcmp(text, "all") == 0) {
        for (int i = 0; i < ISA_COUNT; i++)
            if (f.isa[i])
                a->isas[a->n_isas++] = (enum isa)i;
        return true;
    }
    do { /* a list has an entry, if only an empty one */
        char name[32];
        const size_t len = strcspn(text, ",");
        snprintf(name, sizeof name, "%.*s", (int)(len < 31 ? len : 31), text);
        const enum isa isa = isa_from_name(isa_current(name));
        if (isa == ISA_COUNT || !f.isa[isa]) {
            complain("--isa: this CPU or build has no \"%s\"", name);
            return false;
        }
        for (size_t i = 0; i < a->n_isas; i++)
            if (a->isas[i] == isa) {
                complain("--isa: expected each instruction set once, found \"%s\" again", name);
                return false;
            }
        a->isas[a->n_isas++] = isa;
        text += len + (text[len] == ',');
    } while (*text);
    return true;
}

static bool parse_baseline(const char *name, const struct bench_axes *a, enum isa *out) {
    *out = ISA_COUNT;
    if (!name)
        return true;
    for (size_t i = 0; i < a->n_isas; i++)
        if (strcmp(isa_name(a->isas[i]), isa_current(name)) == 0)
            *out = a->isas[i];
    if (*out == ISA_COUNT)
        complain("--baseline: expected one of the instruction sets of --isa, found \"%s\"", name);
    return *out != ISA_COUNT;
}

/* --format; else what the file's ending says, or "-o md", as it was in bise 0.1; else md. */
static bool parse_form(struct bench_options *o, enum form *form) {
    *form = FORM_MD;
    const char *ending = o->output ? strrchr(o->output, '.') : NULL;
    if (o->output && !*o->output) {
        complain("-o: expected the name of a file, found none");
        return false;
    }
    for (int i = 0; i < N_FORMS; i++) {
        if (o->output && !o->format && strcmp(o->output, form_names[i]) == 0) {
            o->format = o->output;
            o->output = NULL;
        }
        if (ending && strcmp(ending + 1, form_names[i]) == 0)
            *form = (enum form)i;
    }
    if (!o->format)
        return true;
    for (int i = 0; i < N_FORMS; i++)
        if (strcmp(o->format, form_names[i]) == 0) {
            *form = (enum form)i;
            return true;
        }
    complain("--format: expected md, table, csv or json, found \"%s\"", o->format);
    return false;
}

static bool parse_kv(const char *name, enum bise_kv *kv) {
    *kv = BISE_KV_AUTO;
    for (int i = 0; name && i < BISE_KV_COUNT; i++)
        if (strcmp(name, bise_kv_name((enum bise_kv)i)) == 0) {
            *kv = (enum bise_kv)i;
            return true;
        }
    if (name)
        complain("--kv: expected auto, i8, f16, f32 or i4, found \"%s\"", name);
    return !name;
}

/* What a suite asks for, where the command line does not. */
static bool parse_suite(struct bench_options *o) {
    const bool full = o->suite && strcmp(o->suite, "full") == 0;
    if (o->suite && !full && strcmp(o->suite, "quick") != 0) {
        complain("--suite: expected quick or full, found \"%s\"", o->suite);
        return false;
    }
    if (o->suite && !o->isa)
        o->isa = "all";
    if (o->suite && !o->prompts)
        o->prompts = full ? "128,512" : "128";
    if (full && !o->depths)
        o->depths = "0,1024,4096";
    if (full && !o->batches)
        o->batches = "1,4,8";
    o->kernels = o->kernels || full || o->slot;
    if (o->max_seconds == 0)
        o->max_seconds = full ? 900 : o->suite ? 120 : 60;
    if (!o->isa)
        o->isa = "best";
    if (!o->depths)
        o->depths = "0";
    if (!o->prompts)
        o->prompts = o->batches ? "0" : "128,512";
    if (!o->batches)
        o->batches = "1";
    return true;
}

static bool parse_options(int argc, char **argv, struct bench_options *o, struct bench_axes *a,
                          struct bench_run *r, enum form *form, const char **argument, int *code) {
    const struct option_def defs[] = {
        {"-m|--model", OPT_LIST(&o->models), "FILE", "a .bise file (the demo model); again: more"},
        {"-p|--prompt", OPT_STRING(&o->prompts), "LIST", "prompt lengths (128,512; with -b: 0)"},
        {"-n|--gen", OPT_INT(&o->n_gen, 0, MAX_GEN), "N", "tokens generated after each (32)"},
        {"-d|--depth", OPT_STRING(&o->depths), "LIST", "tokens in the cache before the prompt (0)"},
        {"-b|--batch", OPT_STRING(&o->batches), "LIST", "conversations side by side (1)"},
        {"-t|--threads", OPT_STRING(&o->threads), "LIST", "thread counts (the default one)"},
        {"-r|--repeats", OPT_INT(&o->repeats, 1, BENCH_MAX_ROUNDS), "N",
         "rounds (until +- 2 % is known)"},
        {"--max-seconds", OPT_FLOAT(&o->max_seconds, 1, 1e6), "S", "no round ends after that (60)"},
        {"--suite", OPT_STRING(&o->suite), "NAME",
         "quick or full: a comparison of 2 or 15 minutes"},
        {"--kernels", OPT_FLAG(&o->kernels), "every kernel on every instruction set, too"},
        {"--slot", OPT_STRING(&o->slot), "PART", "--kernels: those with that in their names"},
        {"--isa", OPT_STRING(&o->isa), "LIST", "instruction sets, best or all (best)"},
        {"--baseline", OPT_STRING(&o->baseline), "ISA", "speeds are shown against (the first)"},
        {"--kv", OPT_STRING(&o->kv), "TYPE", "type of the cache: i8, f16, f32 or i4"},
        {"--mem", OPT_STRING(&o->memory), "HOW", "auto, huge or mmap"},
        {"--chunk", OPT_INT(&o->chunk, 1, 65536), "N", "tokens per pass of prefill"},
        {"--format", OPT_STRING(&o->format), "FORM", "md, table, csv or json (md)"},
        {"-o|--output", OPT_STRING(&o->output), "FILE", "write it there, in its ending's form"},
    };
    char default_threads[16];
    snprintf(default_threads, sizeof default_threads, "%d", cpu_default_threads());
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                       "bise bench [MODEL] [-p 128,512] [-n 32] [-t 1,2] [--isa all] [-o FILE]",
                       argument, 1, code))
        return false;
    *code = EXIT_USAGE;
    if (!parse_suite(o) || !parse_form(o, form) || !parse_kv(o->kv, &r->kv))
        return false;
    r->suite = o->suite;
    r->wide = o->output || o->format ? 0 : wrap_columns(STDOUT_FILENO);
    r->memory = o->memory;
    r->slot = o->slot;
    r->repeats = o->repeats;
    r->max_seconds = o->max_seconds;
    r->chunk = o->chunk;
    return parse_list("-p", o->prompts, 0, MAX_TOKENS, &a->prompts) &&
           parse_list("-d", o->depths, 0, MAX_TOKENS, &a->depths) &&
           parse_list("-b", o->batches, 1, 1024, &a->batches) &&
           parse_list("-t", o->threads ? o->threads : default_threads, 1, 1024, &a->threads) &&
           parse_isas(o->isa, a) && parse_baseline(o->baseline, a, &r->baseline);
}

/* ---- models and rows ------------------------------------------------------------------------- */

static bool open_model(struct bench_run *r, const char *given, const char *argument,
                       const struct bise_model_params *params, int *code) {
    struct bise_error err = {0};
    const char *const path = model_given(given, argument, code);
    if (!path)
        return false;
    struct bench_model *const m = &r->models[r->n_models];
    if ((m->path = strdup(path)) == NULL) {
        *code = report(BISE_ERR_MEMORY, NULL);
        return false;
    }
    r->n_models++;
    const double start = seconds_now();
    const enum bise_status status = bise_model_open(&m->model, m->path, params, &err);
    m->load_seconds = seconds_now() - start;
    if (status != BISE_OK)
        *code = report(status, &err);
    else
        bench_model_facts(m);
    return status == BISE_OK;
}

static bool open_models(struct bench_run *r, const struct bench_options *o, const char *argument,
                        int *code) {
    struct bise_model_params params = {0};
    *code = EXIT_USAGE;
    if (!runtime_parse_memory(o->memory, &params.memory))
        return false;
    if (o->models.n > BENCH_MAX_MODELS) {
        complain("-m: expected at most %d models, found %zu", BENCH_MAX_MODELS, o->models.n);
        return false;
    }
    bool ok = true;
    if (o->models.n == 0)
        ok = open_model(r, NULL, argument, &params, code);
    for (size_t i = 0; i < o->models.n && ok; i++)
        ok = open_model(r, o->models.items[i], argument, &params, code);
    return ok;
}

/* NULL: the row takes what was asked for. What is measured alone never is too slow. */
static const struct brief *brief_of(const struct bench_run *r, const struct bench_row *row,
                                    const struct bench_axes *a) {
    const double macs = r->models[row->model].macs;
    if (row->isa == ISA_SCALAR && a->n_isas > 1 && macs > SCALAR_MACS)
        return &scalar_brief;
    if ((row->isa == ISA_SSE41 || row->isa == ISA_NEON) && row->isa != a->isas[a->n_isas - 1] &&
        macs > NARROW_MACS)
        return &narrow_brief;
    return NULL;
}

/* Row i of all combinations; the last axis goes round fastest. false: a suite leaves it out, as it
 * differs from the first row in more than one axis, or at all where that is slow. */
static bool build_row(const struct bench_run *r, const struct bench_options *o,
                      const struct bench_axes *a, size_t i, struct bench_row *row) {
    size_t k = i;
    row->n_seqs = (size_t)a->batches.x[k % a->batches.n];
    k /= a->batches.n;
    row->asked = k % (a->prompts.n * a->depths.n);
    row->n_prompt = (size_t)a->prompts.x[k % a->prompts.n];
    k /= a->prompts.n;
    row->depth = (size_t)a->depths.x[k % a->depths.n];
    k /= a->depths.n;
    row->threads = (int)a->threads.x[k % a->threads.n];
    k /= a->threads.n;
    row->isa = a->isas[k % a->n_isas];
    row->model = k / a->n_isas;
    row->n_gen = (size_t)o->n_gen;
    const struct brief *const brief = brief_of(r, row, a);
    const int others =
        (row->n_seqs != (size_t)a->batches.x[0]) + (row->n_prompt != (size_t)a->prompts.x[0]) +
        (row->depth != (size_t)a->depths.x[0]) + (row->threads != (int)a->threads.x[0]);
    if (brief) {
        row->n_prompt = row->n_prompt < brief->prompt ? row->n_prompt : brief->prompt;
        row->n_gen = row->n_gen < brief->gen ? row->n_gen : brief->gen;
        row->shortened = true;
    }
    return !o->suite || others <= (brief ? 0 : 1);
}

/* false: more than there is room for, or nothing to measure; said on stderr. */
static bool build_rows(struct bench_run *r, const struct bench_options *o,
                       const struct bench_axes *a) {
    const size_t n_all =
        r->n_models * a->n_isas * a->threads.n * a->depths.n * a->prompts.n * a->batches.n;
    bool empty = false;
    if (n_all > BENCH_MAX_ROWS) {
        complain("%zu rows are asked for, %d is the most", n_all, BENCH_MAX_ROWS);
        return false;
    }
    for (size_t i = 0; i < n_all; i++) {
        struct bench_row *const row = &r->rows[r->n_rows];
        *row = (struct bench_row){0};
        if (!build_row(r, o, a, i, row))
            continue;
        empty = empty || (row->n_prompt == 0 && row->n_gen == 0);
        r->n_rows++;
    }
    if (!empty)
        return true;
    r->n_rows = 0;
    if (!o->kernels)
        complain("-p 0 and -n 0 leave nothing to measure");
    return o->kernels;
}

/* Ids spread over a model's vocabulary, which depend on no other model or row, and room for what
 * rows write. */
static bool take_memory(struct bench_run *r) {
    size_t n_ids = 1;
    bool ok = true;
    for (size_t i = 0; i < r->n_rows && ok; i++) {
        struct bench_row *const row = &r->rows[i];
        const size_t n = row->depth + row->n_prompt + 31 * row->n_seqs;
        n_ids = n > n_ids ? n : n_ids;
        row->tokens = calloc(row->n_gen * row->n_seqs + 1, sizeof *row->tokens);
        ok = row->tokens != NULL;
    }
    for (size_t k = 0; k < r->n_models && ok; k++) {
        struct bench_model *const m = &r->models[k];
        m->ids = malloc(n_ids * sizeof *m->ids);
        ok = m->ids != NULL;
        for (size_t i = 0; i < n_ids && ok; i++)
            m->ids[i] = (int32_t)((i * 7919 + 101) % bise_model_info(m->model)->vocab_size);
    }
    return ok;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int show(const struct bench_run *r, enum form form, const char *path) {
    struct buffer b = {0};
    struct bise_error err = {0};
    enum bise_status s = BISE_OK;
    if (form == FORM_JSON)
        bench_print_json(&b, r);
    else if (form == FORM_CSV)
        bench_print_csv(&b, r);
    else
        bench_print_table(&b, r, form == FORM_MD);
    if (path)
        s = write_file(path, &b, &err);
    else if (b.failed)
        s = bise_fail(&err, BISE_ERR_MEMORY, "no memory for the result");
    else
        fwrite(b.bytes, 1, b.len, stdout);
    buffer_free(&b);
    return s == BISE_OK ? EXIT_DONE : report(s, &err);
}

int cmd_bench(int argc, char **argv) {
    struct bench_options o = {.memory = "auto", .n_gen = 32};
    struct bench_axes axes = {0};
    struct bench_run *const r = calloc(1, sizeof *r);
    struct bise_error err = {0};
    const char *argument = NULL;
    enum form form;
    int code = EXIT_USAGE;
    if (!r)
        return report(BISE_ERR_MEMORY, NULL);
    if (!parse_options(argc, argv, &o, &axes, r, &form, &argument, &code) ||
        !open_models(r, &o, argument, &code))
        goto done;
    code = EXIT_USAGE;
    if (!build_rows(r, &o, &axes))
        goto done;
    if (o.output && (code = write_place(o.output)) != EXIT_DONE)
        goto done;
    enum bise_status s = BISE_OK;
    if (!take_memory(r) || (o.kernels && !(r->kernels = calloc(1, sizeof *r->kernels))))
        s = bise_fail(&err, BISE_ERR_MEMORY, "no memory for the prompts");
    interrupt_catch();
    r->begun = bench_now();
    if (s == BISE_OK && r->kernels)
        s = bench_measure_kernels(r->kernels, o.slot, &err);
    if (s == BISE_OK && r->n_rows)
        s = bench_measure(r, &err);
    if (s == BISE_ERR_INTERRUPTED)
        code = refuse(EXIT_INTERRUPTED, "interrupted after %zu %s; there is no result",
                      r->n_rounds  ? r->n_rounds - 1
                      : r->kernels ? r->kernels->n
                                   : 0,
                      r->kernels && !r->n_rounds ? "rows of kernels" : "rounds");
    else
        code = s == BISE_OK ? show(r, form, o.output) : report(s, &err);
done:
    for (size_t i = 0; i < r->n_models; i++) {
        bise_model_close(&r->models[i].model);
        free(r->models[i].path);
        free(r->models[i].ids);
    }
    for (size_t i = 0; i < r->n_rows; i++)
        free(r->rows[i].tokens);
    free(r->kernels);
    free(r);
    return code;
}
