#include "tools/serve/server.h"

#include "src/os/cpu.h"
#include "tools/common/sampling.h"
#include "tools/serve/judge.h"
#include "tools/serve/prepare.h"
#include "tools/serve/schedule.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_LANES    4
#define WINDOWED_CONTEXT 32768 /* tokens of a conversation, where a window lets it go on */

/* ---- memory ---- */

void server_keep_memory_flat(void) {
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 1 << 16);
    mallopt(M_TRIM_THRESHOLD, 1 << 17);
#endif
}

void server_give_memory_back(void) {
#ifdef M_ARENA_MAX
    malloc_trim(0);
#endif
}

/* ---- calls ---- */

bool server_admit(struct server *s, size_t n) {
    const size_t most = s->n_lanes + (size_t)s->options->queue;
    size_t now = atomic_load(&s->under_way);
    do {
        if (now + n > most)
            return false;
    } while (!atomic_compare_exchange_weak(&s->under_way, &now, now + n));
    return true;
}

void server_leave(struct server *s, size_t n) {
    atomic_fetch_sub(&s->under_way, n);
}

void server_wake(struct server *s) {
    const uint64_t one = 1;
    ssize_t n;
    do
        n = write(s->wake, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

void server_release(struct server *s, struct call *c) {
    for (uint32_t i = 0; i < c->n_choices; i++)
        author_close(&c->choices[i].author, &s->grammars);
    if (c->queued)
        server_leave(s, c->n_choices);
    server_wake(s);
    call_drop(c);
}

void server_refuse(struct server *s, struct call *c, const struct fault *f) {
    call_fail(c, f);
    server_wake(s);
    call_drop(c);
}

/* ---- the model, the engine and the threads ---- */

static int choose_format(struct server *s, enum chat_format *format) {
    const char *asked = s->options->format;
    *format = chat_format_from_name(asked ? asked : s->info->chat_format);
    if (*format != CHAT_FORMAT_COUNT && *format != CHAT_UNKNOWN)
        return EXIT_DONE;
    if (asked)
        return refuse(
            EXIT_USAGE,
            "--chat-format: expected v1, v3, chatml, zephyr, llama2 or none, found \"%s\"", asked);
    *format = CHAT_UNKNOWN;
    complain("warning: the model does not say its chat format; without --chat-format only "
             "/v1/completions answers");
    return EXIT_DONE;
}

static bool on_progress(void *user, size_t done, size_t total) {
    const struct server *s = user;
    (void)done;
    (void)total;
    return atomic_load(&s->stopping) > 0;
}

/* As many sequences as were asked for or, where nothing was, at most four that fit. */
static enum bise_status plan_lanes(struct server *s, const struct bise_model *model,
                                   struct bise_engine_params *params, struct bise_error *err) {
    const uint32_t asked = (uint32_t)s->options->n_lanes;
    enum bise_status status;
    params->n_seqs = asked ? asked : DEFAULT_LANES;
    while ((status = bise_plan(model, params, &s->plan, err)) == BISE_ERR_MEMORY && !asked &&
           params->n_seqs > 1)
        params->n_seqs--;
    s->n_lanes = params->n_seqs;
    return status;
}

static void name_model(struct server *s) {
    const char *slash = strrchr(s->path, '/'), *base = slash ? slash + 1 : s->path;
    const size_t len = strlen(base);
    const bool has_ending = len > 5 && strcmp(base + len - 5, ".bise") == 0;
    if (s->options->name)
        snprintf(s->name, sizeof s->name, "%s", s->options->name);
    else if (s->info->name[0])
        snprintf(s->name, sizeof s->name, "%s", s->info->name);
    else
        snprintf(s->name, sizeof s->name, "%.*s", (int)(len - (has_ending ? 5 : 0)), base);
    s->answer_facts = (struct answer_facts){.model = s->name, .hold_back = s->options->moderate};
}

static enum bise_status open_engine(struct server *s, struct bise_engine_params *params,
                                    enum bise_memory memory, struct bise_error *err) {
    const struct bise_model_params mapped = {.memory = BISE_MEMORY_MMAP};
    const struct bise_model_params load = {.memory = memory,
                                           .n_threads = params->n_threads,
                                           .progress = on_progress,
                                           .progress_user = s};
    struct bise_model *seen = NULL;
    enum bise_status status = bise_model_open(&seen, s->path, &mapped, err);
    if (!status) /* by the header alone, before gigabytes are read */
        status = plan_lanes(s, seen, params, err);
    bise_model_close(&seen);
    if (!status)
        status = bise_model_open(&s->model, s->path, &load, err);
    if (!status)
        status = bise_engine_open(&s->engine, s->model, params, err);
    if (status)
        return status;
    s->info = bise_model_info(s->model);
    s->plan = *bise_engine_plan(s->engine);
    s->isa = bise_engine_isa(s->engine);
    return BISE_OK;
}

int server_open(struct server *s) {
    const struct runtime_options *o = &s->options->runtime;
    struct bise_engine_params params;
    struct bise_error err = {0};
    enum bise_memory memory;
    enum chat_format format;
    if (!runtime_session_params(o, &params) || !runtime_parse_memory(o->memory, &memory))
        return EXIT_USAGE;
    cpu_prefer_fast((int)o->threads);
    enum bise_status status = open_engine(s, &params, memory, &err);
    if (status)
        return report(status, &err);
    int code = choose_format(s, &format);
    if (code)
        return code;
    name_model(s);
    const size_t limit = !s->plan.window ? s->plan.n_ctx
                         : o->n_ctx      ? (size_t)o->n_ctx
                                         : WINDOWED_CONTEXT;
    status = prompter_open(&s->prompter, s->model, format, limit, &err);
    if (status)
        return report(status, &err);
    s->request_facts.vocab_size = s->info->vocab_size;
    grammars_open(&s->grammars, s->model);
    if (s->options->moderate && (code = judge_open(s)) != EXIT_DONE)
        return code;
    if (prepare_open(s) && schedule_open(s))
        return EXIT_DONE;
    return refuse(EXIT_MEMORY, "no memory for its threads");
}

void server_close(struct server *s) {
    /* They give work to one another: none is freed before all have ended. */
    prepare_stop(s);
    judge_stop(s);
    schedule_stop(s);
    prepare_close(s);
    judge_close(s);
    schedule_close(s);
    if (s->grammars.model)
        grammars_close(&s->grammars);
    bise_engine_close(&s->engine);
    bise_model_close(&s->model);
}

void server_props(const struct server *s, struct buffer *out) {
    static const char *const full_names[] = {"stop", "drop", "sink"};
    const struct sampling_options d = SAMPLING_DEFAULTS;
    const struct bise_plan *p = &s->plan;
    buffer_text(out, "{\"version\":\"" BISE_VERSION "\",\"model\":");
    buffer_json(out, s->name, strlen(s->name));
    buffer_print(out,
                 ",\"weights\":\"%s\",\"parameters\":%llu,\"vocabulary\":%u,\"context\":%zu,"
                 "\"window\":%u,\"kv\":\"%s\",\"isa\":\"%s\",\"threads\":%d,\"sequences\":%u,"
                 "\"chunk\":%u,\"queue\":%lld,\"memory_bytes\":%llu",
                 s->info->weight_type, (unsigned long long)s->info->n_params, s->info->vocab_size,
                 s->prompter.limit, p->window, bise_kv_name(p->kv), s->isa, p->n_threads,
                 s->n_lanes, p->chunk, (long long)s->options->queue, (unsigned long long)p->total);
    buffer_print(out,
                 ",\"chat_format\":\"%s\",\"tools\":%s,\"moderated\":%s,\"overflow\":\"%s\","
                 "\"keys\":%s",
                 chat_format_name(s->prompter.format),
                 s->prompter.format == CHAT_V3 && chat_tools_known(&s->prompter.tools) ? "true"
                                                                                       : "false",
                 s->judge ? "true" : "false", full_names[s->request_facts.full],
                 s->access.n_keys ? "true" : "false");
    buffer_print(out,
                 ",\"defaults\":{\"temperature\":%g,\"top_p\":%g,\"min_p\":%g,\"top_k\":%lld,"
                 "\"repeat_penalty\":%g,\"repeat_last_n\":%lld}}",
                 d.temp, d.top_p, d.min_p, (long long)d.top_k, d.repeat_penalty,
                 (long long)d.repeat_last);
}
