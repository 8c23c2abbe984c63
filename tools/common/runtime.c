#include "tools/common/runtime.h"

#include "src/base/error.h"
#include "src/os/cpu.h"
#include "src/os/mem.h"
#include "tools/common/isa.h"
#include "tools/common/mapping.h"
#include "tools/common/model_path.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"

#include <stdlib.h>
#include <string.h>

void runtime_option_defs(struct runtime_options *o, struct option_def *defs) {
    const struct option_def mine[RUNTIME_OPTIONS] = {
        {"-m|--model", OPT_STRING(&o->model), "FILE", "the .bise file (default: the demo model)"},
        {"-t|--threads", OPT_INT(&o->threads, 1, 1024), "N",
         "threads (default: the fast cores allowed)"},
        {"-c|--ctx-size", OPT_INT(&o->n_ctx, 1, 1 << 30), "N",
         "context in tokens (default: up to 8192)"},
        {"--isa", OPT_STRING(&o->isa), "NAME", "instruction set: scalar, avx2, ... (BISE_ISA)"},
        {"--kv", OPT_STRING(&o->kv), "TYPE", "type of the cache: i8, f16, f32 or i4"},
        {"--window", OPT_INT(&o->window, 0, 1 << 30), "N",
         "sliding window, 0 for none (default: the model's)"},
        {"--chunk", OPT_INT(&o->chunk, 1, 1 << 20), "N",
         "tokens per pass while reading (default: 256)"},
        {"--mem", OPT_STRING(&o->memory), "HOW", "hold the weights by: auto, huge or mmap"},
        {"-v|--verbose", OPT_FLAG(&o->verbose), "tell of memory and pages at the start"},
    };
    memcpy(defs, mine, sizeof mine);
}

bool runtime_argument(struct runtime_options *o, const char *argument, int *code) {
    if (o->model && argument)
        *code = refuse(EXIT_USAGE, "expected one model, found -m %s and %s", o->model, argument);
    else if (argument)
        o->model = argument;
    return !argument || o->model == argument;
}

/* Index of value among names [n]; -1, said on stderr, if it is none of them. NULL gives 0. */
static int pick(const char *flag, const char *value, const char *const *names, int n) {
    if (!value)
        return 0;
    for (int i = 0; i < n; i++)
        if (strcmp(value, names[i]) == 0)
            return i;
    char list[80] = "";
    for (size_t i = 0, at = 0; i < (size_t)n && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s",
                               !i                  ? ""
                               : i + 1 < (size_t)n ? ", "
                                                   : " or ",
                               names[i]);
    complain("%s: expected %s, found \"%s\"", flag, list, value);
    return -1;
}

bool runtime_parse_memory(const char *value, enum bise_memory *memory) {
    static const char *const names[] = {"auto", "huge", "mmap"};
    const int i = pick("--mem", value, names, 3);
    *memory = i < 0 ? BISE_MEMORY_AUTO : (enum bise_memory)i;
    return i >= 0;
}

static void warn_of_threads(int threads) {
    const int cpus = cpu_count();
    if (threads > cpus)
        complain("warning: -t %d is more than the %d CPU%s this process may use; "
                 "that is slower",
                 threads, cpus, cpus == 1 ? "" : "s");
}

bool runtime_session_params(const struct runtime_options *o, struct bise_engine_params *params) {
    const char *kv_names[BISE_KV_COUNT];
    const char *env = getenv("BISE_ISA");
    for (int i = 0; i < BISE_KV_COUNT; i++)
        kv_names[i] = bise_kv_name((enum bise_kv)i);
    const int kv = pick("--kv", o->kv, kv_names, BISE_KV_COUNT);
    const char *const asked = o->isa ? o->isa : env && env[0] ? env : NULL;
    const char *const isa = asked ? isa_current(asked) : NULL;
    if (!isa)
        isa_note_scalar();
    *params = (struct bise_engine_params){
        .n_ctx = (uint32_t)o->n_ctx,
        .chunk = (uint32_t)o->chunk,
        .n_threads = (int)o->threads,
        .isa = isa,
        .kv = kv < 0 ? BISE_KV_AUTO : (enum bise_kv)kv,
        .window = o->window,
        .start_pos = o->start_pos,
        .n_sinks = o->n_sinks,
        .n_seqs = (uint32_t)o->n_seqs,
        .spare = o->spare,
    };
    return kv >= 0 && (!isa || isa_check(isa) == EXIT_DONE);
}

static void warn_of_context(const struct runtime *e, const struct runtime_options *o) {
    if (!e->plan.window && e->info->max_context && o->n_ctx > e->info->max_context)
        complain("warning: -c %lld is more than the %u tokens the model was trained on; what comes "
                 "later may make no sense",
                 (long long)o->n_ctx, e->info->max_context);
}

int runtime_choose(struct runtime *e, const struct runtime_options *o,
                   struct bise_engine_params *params, enum bise_memory *memory) {
    int code;
    *e = (struct runtime){0};
    if (!runtime_session_params(o, params) || !runtime_parse_memory(o->memory, memory))
        return EXIT_USAGE;
    e->path = model_path(o->model, &code);
    return code;
}

enum bise_status runtime_peek(struct runtime *e, const struct bise_engine_params *params,
                              struct bise_error *err) {
    const struct bise_model_params mapped = {.memory = BISE_MEMORY_MMAP};
    const enum bise_status status = bise_model_open(&e->model, e->path, &mapped, err);
    if (status)
        return status;
    e->info = bise_model_info(e->model);
    return bise_plan(e->model, params, &e->plan, err);
}

int runtime_look(struct runtime *e, const struct runtime_options *o) {
    struct bise_engine_params params;
    struct bise_error err = {0};
    enum bise_memory memory;
    const int code = runtime_choose(e, o, &params, &memory);
    if (code)
        return code;
    const enum bise_status status = runtime_peek(e, &params, &err);
    return status ? report(status, &err) : EXIT_DONE;
}

int runtime_open(struct runtime *e, const struct runtime_options *o) {
    struct bise_engine_params params;
    enum bise_memory memory;
    const int code = runtime_choose(e, o, &params, &memory);
    if (code)
        return code;
    struct progress loading;
    const struct bise_model_params model_params = {.memory = memory,
                                                   .n_threads = (int)o->threads,
                                                   .progress = progress_callback,
                                                   .progress_user = &loading};
    warn_of_threads((int)o->threads);
    cpu_prefer_fast((int)o->threads);
    struct bise_error err = {0};
    const double start = seconds_now();
    enum bise_status status = BISE_OK;
    if (memory != BISE_MEMORY_MMAP) /* whether it will fit, before weights are copied */
        status = runtime_peek(e, &params, &err);
    bise_model_close(&e->model);
    if (status)
        return report(status, &err);
    progress_begin(&loading, "loading");
    status = bise_model_open(&e->model, e->path, &model_params, &err);
    progress_end(&loading);
    mapping_watch(e->model, e->path);
    if (!status && params.n_seqs > 1)
        status = bise_engine_open(&e->engine, e->model, &params, &err);
    else if (!status)
        status = bise_session_open(&e->session, e->model, &params, &err);
    if (status)
        return report(status, &err);
    if (e->session) {
        e->engine = bise_session_engine(e->session);
        bise_session_stop_on(e->session, interrupt_word());
    }
    e->info = bise_model_info(e->model);
    e->plan = *bise_engine_plan(e->engine);
    e->verbose = o->verbose;
    e->load_seconds = seconds_now() - start;
    struct thermal now;
    thermal_read(&now, "/sys");
    thermal_note(&e->thermal, &now, false);
    warn_of_context(e, o);
    model_path_used(e->path);
    return EXIT_DONE;
}

void runtime_note_clock(struct runtime *e) {
    struct thermal now;
    const double seconds = seconds_now();
    if (seconds - e->thermal_noted < 1)
        return;
    thermal_read(&now, "/sys");
    thermal_note(&e->thermal, &now, true);
    e->thermal_noted = seconds;
}

void runtime_close(struct runtime *e) {
    if (e->session)
        e->engine = NULL;
    bise_session_close(&e->session);
    bise_engine_close(&e->engine);
    mapping_forget(e->model);
    bise_model_close(&e->model);
}

enum bise_status runtime_ids(const struct runtime *e, const char *text, size_t len, bool add_bos,
                             bool special, int32_t **ids, size_t *n, struct bise_error *err) {
    const size_t cap = 4 * len + 9; /* bise_tokenize, and BOS */
    size_t n_text = 0;
    const int32_t bos = add_bos ? e->info->text_bos : -1;
    *ids = malloc(cap * sizeof **ids);
    if (!*ids)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory to tokenize %zu bytes", len);
    int32_t *at = *ids + (bos >= 0);
    const enum bise_status status =
        special ? bise_tokenize_special(e->model, text, len, at, cap - 1, &n_text, err)
                : bise_tokenize(e->model, text, len, at, cap - 1, &n_text, err);
    const bool there = special && bos >= 0 && n_text > 0 && at[0] == bos;
    if (there)
        memmove(*ids, at, n_text * sizeof *at);
    else if (bos >= 0)
        **ids = bos;
    *n = n_text + (bos >= 0 && !there);
    return status;
}

int runtime_tokenize(const struct runtime *e, const char *text, size_t len, bool add_bos,
                     int32_t **ids, size_t *n) {
    struct bise_error err = {0};
    const enum bise_status status = runtime_ids(e, text, len, add_bos, false, ids, n, &err);
    return status ? report(status, &err) : EXIT_DONE;
}

struct reading {
    double start;
    bool shown;
};

#define WORTH_SHOWING 64 /* tokens that a large model takes some time to read */

/* A line on the terminal, once the reading has taken a second. */
static bool on_progress(void *user, size_t done, size_t total) {
    struct reading *p = user;
    const double seconds = seconds_now() - p->start;
    if (progress_is_seen() && seconds > 1 && done < total) {
        say("\rreading %zu of %zu tokens, %.1f tokens/s ", done, total, (double)done / seconds);
        p->shown = true;
    }
    return interrupted();
}

enum bise_status runtime_prefill(struct runtime *e, const int32_t *ids, size_t n,
                                 struct bise_error *err) {
    struct reading p = {.start = seconds_now(), .shown = n >= WORTH_SHOWING && progress_is_seen()};
    if (p.shown)
        say("\rreading %zu tokens ", n);
    const uint64_t from = bise_position(e->session);
    const enum bise_status status = bise_prefill(e->session, ids, n, on_progress, &p, err);
    if (p.shown)
        say("\r\033[K");
    e->n_prompt += (size_t)(bise_position(e->session) - from);
    e->prompt_seconds += seconds_now() - p.start;
    return status;
}

static double mebibytes(uint64_t bytes) {
    return (double)bytes / (1 << 20);
}

void runtime_print_plan(const struct runtime *e, FILE *to) {
    const struct bise_plan *p = &e->plan;
    const double millions = (double)e->info->n_params / 1e6;
    const bool named = e->info->name[0];
    print_to(to, "%s%s%s%s: ", e->info->name, named ? " (" : "", e->path, named ? ")" : "");
    print_to(to, "%s, %.4g %c parameters; %s, %d thread%s; ", e->info->weight_type,
             millions < 1000 ? millions : millions / 1000, millions < 1000 ? 'M' : 'G',
             bise_engine_isa(e->engine), p->n_threads, p->n_threads == 1 ? "" : "s");
    if (p->n_sinks)
        print_to(to, "the first %u tokens and a sliding window of %u\n", p->n_sinks, p->window);
    else if (p->window)
        print_to(to, "sliding window of %u tokens\n", p->window);
    else
        print_to(to, "context of %u tokens\n", p->n_ctx);
    if (e->verbose)
        print_to(to, "memory: weights %.1f MiB (%s), %s cache %.1f MiB, scratch %.1f MiB\n",
                 mebibytes(p->weights), e->info->memory, bise_kv_name(p->kv), mebibytes(p->cache),
                 mebibytes(p->scratch));
}

static double rate(size_t n, double seconds) {
    return seconds > 0 ? (double)n / seconds : 0;
}

/* Clock and temperature where the system tells them, as at the end of an answer; ends the line. */
static void print_thermal(const struct runtime *e, FILE *to) {
    struct thermal t;
    thermal_read(&t, "/sys");
    if (t.has_clock)
        print_to(to, "; %llu of %llu MHz", (unsigned long long)t.mhz,
                 (unsigned long long)t.max_mhz);
    print_to(to, "%s%s", thermal_is_throttled(&t, &e->thermal) ? ", throttled" : "",
             t.low_voltage ? ", power supply too weak" : "");
    if (t.has_temperature)
        print_to(to, "; %.0f C", t.celsius);
    print_to(to, "\n");
}

void runtime_print_stats(const struct runtime *e, FILE *to) {
    const struct bise_plan *p = &e->plan;
    print_to(to, "load %.2f s; prefill %zu tokens, %.2f s, %.1f tokens/s; ", e->load_seconds,
             e->n_prompt, e->prompt_seconds, rate(e->n_prompt, e->prompt_seconds));
    print_to(to, "decode %zu tokens, %.2f s, %.1f tokens/s\n", e->n_answer, e->answer_seconds,
             rate(e->n_decoded, e->answer_seconds));
    print_to(to, "resident %.1f MiB; %s, %d thread%s; weights: %s", mebibytes(mem_resident()),
             bise_engine_isa(e->engine), p->n_threads, p->n_threads == 1 ? "" : "s",
             e->info->memory);
    print_thermal(e, to);
}
