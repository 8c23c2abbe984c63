/* bise run --jsonl: a completion for every line of a file, each a JSON object with a prompt and
 * with options of its own. What is wrong with a line is said in its place, and the rest goes on. */
#include "src/base/error.h"
#include "src/base/json.h"
#include "tools/cmd/run.h"
#include "tools/common/interrupt.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"
#include "tools/common/read_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct line {
    struct line *next; /* in the file's order */
    size_t number;     /* from 1 */
    struct json *json;
    struct sampling_options sampling;
    struct stop stop;
    struct run_job job;
    int32_t *ids;
    struct run_result result;
    struct text_out out;
    struct id_list text;     /* the prompt, and what was written */
    enum bise_status status; /* not OK: err says what is wrong with it */
    struct bise_error err;
    bool is_done;
};

/* What answers one line at a time. */
struct slot {
    struct line *line; /* NULL: free */
    struct generator generator;
    struct constraint constraint;
    struct speculation speculation;
};

struct lines {
    struct run *run;
    FILE *file;
    char *text;
    size_t cap, number;
    struct line *first, **end; /* read and not yet printed, in the file's order */
    size_t n_waiting;
    struct slot *slots; /* [n_slots]: one for each sequence */
    size_t n_slots;
    double *plain; /* [n_slots + 1]: what a step of so many writers takes without drafts, or 0 */
    size_t n_steps;
    bool at_end, any_faulty, failed; /* failed: standard output cannot be written */
    int unread;                      /* errno of what ended reading before the file's end; or 0 */
};

#define PLAIN_STEPS 16 /* one of so many is made without drafts, to measure those with them by */
#define MAX_WAITING 64 /* lines for each slot that may wait for one before them */

static enum bise_status fault(const struct json_value *v, const char *expected,
                              struct bise_error *err) {
    return bise_fail(err, BISE_ERR_ARG, "%s: expected %s, found %s", v->key, expected,
                     json_describe(v));
}

/* A whole number in *out. */
static enum bise_status read_integer(const struct json_value *v, int64_t min, int64_t *out,
                                     struct bise_error *err) {
    if (v->kind != JSON_NUMBER || !v->is_integer || v->integer < min ||
        v->integer > 9007199254740992)
        return bise_fail(err, BISE_ERR_ARG, "%s: expected a whole number from %lld on", v->key,
                         (long long)min);
    *out = v->integer;
    return BISE_OK;
}

static enum bise_status read_stop(struct line *l, const struct json_value *v,
                                  struct bise_error *err) {
    const struct json_value *text = v->kind == JSON_ARRAY ? json_first(v) : v;
    l->stop.n = 0; /* in place of the command line's */
    for (; text; text = v->kind == JSON_ARRAY ? json_next(v, text) : NULL)
        if (text->kind != JSON_STRING || strlen(text->string) != text->len ||
            !stop_add(&l->stop, text->string))
            return bise_fail(err, BISE_ERR_ARG,
                             "stop: expected at most %d strings of 1 to %d bytes", STOP_MAX_TEXTS,
                             STOP_MAX_BYTES);
    return BISE_OK;
}

/* A member that stands for an option of sampling; *known says whether it does. */
static enum bise_status read_sampling(struct line *l, const struct json_value *v, bool *known,
                                      struct bise_error *err) {
    struct sampling_options *o = &l->sampling;
    const struct {
        const char *name;
        double *number;
        int64_t *integer;
    } members[] = {{"temp", &o->temp, NULL},
                   {"top_p", &o->top_p, NULL},
                   {"min_p", &o->min_p, NULL},
                   {"typical_p", &o->typical_p, NULL},
                   {"repeat_penalty", &o->repeat_penalty, NULL},
                   {"frequency_penalty", &o->frequency_penalty, NULL},
                   {"presence_penalty", &o->presence_penalty, NULL},
                   {"top_k", NULL, &o->top_k},
                   {"repeat_last_n", NULL, &o->repeat_last},
                   {"seed", NULL, &o->seed}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (strcmp(v->key, members[i].name) != 0)
            continue;
        *known = true;
        if (members[i].integer)
            return read_integer(v, 0, members[i].integer, err);
        if (v->kind != JSON_NUMBER)
            return fault(v, "a number", err);
        *members[i].number = v->number;
    }
    return BISE_OK;
}

static enum bise_status read_ids(struct line *l, const struct json_value *v, uint32_t vocab,
                                 struct bise_error *err) {
    if (v->kind != JSON_ARRAY)
        return fault(v, "an array of ids", err);
    l->ids = malloc((v->len + 1) * sizeof *l->ids);
    if (!l->ids)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for %zu ids", v->len);
    for (const struct json_value *id = json_first(v); id; id = json_next(v, id)) {
        if (id->kind != JSON_NUMBER || !id->is_integer || id->integer < 0 || id->integer >= vocab)
            return bise_fail(err, BISE_ERR_ARG, "ids: expected whole numbers from 0 to %u",
                             vocab - 1);
        l->ids[l->job.n++] = (int32_t)id->integer;
    }
    return BISE_OK;
}

static enum bise_status read_prompt(struct run *r, struct line *l, const struct json_value *v,
                                    struct bise_error *err) {
    if (v->kind != JSON_STRING)
        return fault(v, "a string", err);
    const enum bise_status status = runtime_ids(&r->runtime, v->string, v->len, true,
                                                r->options.special, &l->ids, &l->job.n, err);
    l->job.n = v->len ? l->job.n : 0;
    return status;
}

static enum bise_status read_member(struct run *r, struct line *l, const struct json_value *v,
                                    struct bise_error *err) {
    bool known = false;
    if (strcmp(v->key, "prompt") == 0 && !l->ids)
        return read_prompt(r, l, v, err);
    if (strcmp(v->key, "ids") == 0 && !l->ids)
        return read_ids(l, v, r->runtime.info->vocab_size, err);
    if (strcmp(v->key, "n_predict") == 0)
        return read_integer(v, -1, &l->job.n_predict, err);
    if (strcmp(v->key, "stop") == 0)
        return read_stop(l, v, err);
    const enum bise_status status = read_sampling(l, v, &known, err);
    if (!status && !known)
        return bise_fail(err, BISE_ERR_ARG, "%.60s is not an option of a line, or comes twice",
                         v->key);
    return status;
}

/* Everything the line says, and a sampler for it. */
static enum bise_status read_line(struct run *r, struct line *l, const char *text, size_t len,
                                  struct bise_error *err) {
    struct bise_logit_bias bias[OPTION_LIST_MAX];
    struct bise_sampler_params params;
    enum bise_status status = json_parse(&l->json, text, len, "line", err);
    if (status)
        return status;
    const struct json_value *root = json_root(l->json);
    if (root->kind != JSON_OBJECT)
        return bise_fail(err, BISE_ERR_ARG, "expected an object, found %s", json_describe(root));
    for (const struct json_value *m = json_first(root); m && !status; m = json_next(root, m))
        status = read_member(r, l, m, err);
    if (status)
        return status;
    if (!l->job.n)
        return bise_fail(err, BISE_ERR_ARG, "expected a prompt or ids, and not empty");
    if (!sampling_params(&l->sampling, bias, &params))
        return bise_fail(err, BISE_ERR_ARG, "--logit-bias: not understood");
    l->job.ids = l->ids;
    l->job.seed = l->sampling.seed;
    l->job.stop = &l->stop;
    return bise_sampler_open(&l->job.sampler, r->runtime.info->vocab_size, &params, err);
}

static void put_fault(const struct line *l, enum bise_status status, const struct bise_error *err) {
    char text[6 * sizeof err->detail + 3]; /* an escape has at most 6 bytes for each */
    const char *detail = err->detail[0] ? err->detail : bise_strerror(status);
    json_escape(text, sizeof text, detail, strlen(detail));
    print("{\"line\": %zu, \"error\": %s}\n", l->number, text);
}

static void line_free(struct line *l) {
    json_close(&l->json);
    bise_sampler_close(&l->job.sampler);
    run_result_free(&l->result);
    free(l->text.ids);
    free(l->ids);
    free(l);
}

/* ---- reading, answering, printing ----------------------------------------------------------- */

/* The next line that is not empty, behind those that wait; NULL at the end, and where there is a
 * fault, which is kept. */
static struct line *next_line(struct lines *all) {
    size_t len = 0;
    bool any;
    do {
        any =
            !interrupted() && read_text_line(all->file, &all->text, &all->cap, &len, &all->unread);
        all->number += any;
    } while (any && strspn(all->text, " \t\r\n") == len);
    struct line *const l = any ? calloc(1, sizeof *l) : NULL;
    all->at_end = l == NULL;
    if (any && !l)
        all->unread = ENOMEM;
    if (!l)
        return NULL;
    l->number = all->number;
    l->sampling = all->run->options.sampling;
    l->job.n_predict = all->run->options.n_predict;
    l->result.run = all->run;
    (void)sampling_stops(&all->run->options.sampling, &l->stop); /* checked before */
    l->status = read_line(all->run, l, all->text, len, &l->err);
    *all->end = l;
    all->end = &l->next;
    all->n_waiting++;
    return l;
}

static void finish_line(struct lines *all, struct slot *slot) {
    struct line *const l = slot->line;
    l->result.finish = slot->generator.finish;
    all->run->runtime.n_answer += l->status ? 0 : generator_written(&slot->generator);
    l->is_done = true;
    slot->line = NULL;
}

/* The slot's generator answers the line from now on. */
static void begin_line(struct lines *all, struct slot *slot, struct line *l) {
    const struct runtime *const e = &all->run->runtime;
    const uint32_t seq = (uint32_t)(slot - all->slots);
    slot->line = l;
    if (!l->status && !e->plan.window && l->job.n > e->plan.n_ctx)
        l->status = bise_fail(&l->err, BISE_ERR_CONTEXT,
                              "%zu tokens, but the context of %u has room for %u: %zu too many",
                              l->job.n, e->plan.n_ctx, e->plan.n_ctx, l->job.n - e->plan.n_ctx);
    if (!l->status && !id_list_put(&l->text, l->job.ids, l->job.n))
        l->status = bise_fail(&l->err, BISE_ERR_MEMORY, "no memory for the prompt");
    if (l->status) {
        finish_line(all, slot);
        return;
    }
    l->out = (struct text_out){.stop = &l->stop, .hold = &l->result.text};
    slot->generator =
        run_generator(all->run, &l->job, &slot->constraint, &slot->speculation, &l->text, &l->out);
    slot->generator.engine = e->engine;
    slot->generator.seq = seq;
    slot->generator.model = e->model;
    slot->generator.on_id = run_result_id;
    slot->generator.arg = &l->result;
    bise_seq_reset(e->engine, seq);
    l->status = generator_begin(&slot->generator, 0, &l->err);
    if (slot->generator.finish != FINISH_NONE)
        finish_line(all, slot);
}

/* What came of a slot's run, in a step that took so long; cost: what its drafts are judged by. */
static void take_run(struct lines *all, struct slot *slot, const struct bise_run *run,
                     enum bise_status status, double seconds, double cost,
                     const struct bise_error *err) {
    struct runtime *const e = &all->run->runtime;
    struct generator *const g = &slot->generator;
    struct line *const l = slot->line;
    const bool reads = generator_reads(g);
    const size_t held = g->held;
    l->err = *err;
    l->status = generator_take(g, run, status, cost, &l->err);
    *(reads ? &l->result.prompt_seconds : &l->result.answer_seconds) += seconds;
    *(reads ? &e->n_prompt : &e->n_decoded) += g->held - held;
    l->result.n_decoded += reads ? 0 : g->held - held;
    if (g->finish == FINISH_CONTEXT || g->finish == FINISH_INTERRUPTED)
        generator_end(g, g->finish);
    if (g->finish != FINISH_NONE)
        finish_line(all, slot);
}

/* What a run's drafts have cost, as a step in which it is alone would show it: what they made the
 * step longer, its share of that, once for each of the writers who waited for it. 0: not known. */
static double draft_cost(struct lines *all, size_t writers, size_t drafted, size_t drafted_in_all,
                         double seconds) {
    double *const plain = &all->plain[writers];
    if (drafted_in_all == 0 && *plain > 0 && seconds > 2 * *plain) /* something else was at work */
        seconds = 2 * *plain;
    if (drafted_in_all == 0)
        *plain += (seconds - *plain) * (*plain > 0 ? 0.25 : 1);
    if (drafted_in_all == 0 || *plain == 0 || seconds < *plain)
        return *plain;
    return *plain + (double)writers * (seconds - *plain) * (double)drafted / (double)drafted_in_all;
}

/* One step of all that are answered: those that write, and of what is read as much as is planned.
 * False: it was stopped. */
static bool step(struct lines *all) {
    struct runtime *const e = &all->run->runtime;
    struct bise_run *const runs = all->run->runs;
    struct slot *slots[MAX_SEQUENCES];
    struct bise_error err = {0};
    size_t n = 0, n_writers = 0, drafted = 0, room = e->plan.columns;
    for (size_t i = 0; i < all->n_slots; i++)
        n_writers += all->slots[i].line && !generator_reads(&all->slots[i].generator);
    const bool plainly = all->n_steps++ % PLAIN_STEPS == 0;
    size_t waiting = n_writers; /* each of them gets a column, whatever others draft */
    for (int writers = 1; writers >= 0; writers--)
        for (size_t i = 0; i < all->n_slots; i++) {
            struct slot *const slot = &all->slots[i];
            if (!slot->line || generator_reads(&slot->generator) == writers)
                continue;
            waiting -= writers && waiting;
            const size_t free_columns = room > waiting ? room - waiting : 0;
            const size_t most = free_columns < e->plan.chunk ? free_columns : e->plan.chunk;
            if (most == 0)
                continue;
            slot->generator.no_draft = slot->generator.no_draft || plainly;
            (void)generator_next(&slot->generator, most, &runs[n]);
            room -= runs[n].n;
            drafted += runs[n].n - slot->generator.n_own;
            slots[n++] = slot;
        }
    const bool reads = n > n_writers;
    const double start = seconds_now();
    const enum bise_status status = bise_step(e->engine, runs, n, interrupt_word(), &err);
    const double seconds = seconds_now() - start;
    *(reads ? &e->prompt_seconds : &e->answer_seconds) += seconds;
    for (size_t i = 0; i < n; i++) {
        const size_t own = runs[i].n - slots[i]->generator.n_own;
        const double cost = reads ? 0 : draft_cost(all, n, own, drafted, seconds);
        take_run(all, slots[i], &runs[i], status, seconds, cost, &err);
    }
    return status == BISE_OK;
}

/* Prints what is done and has nothing before it that is not. */
static void print_done(struct lines *all) {
    while (all->first && all->first->is_done && !all->failed) {
        struct line *const l = all->first;
        char head[40];
        snprintf(head, sizeof head, "\"line\": %zu, ", l->number);
        const bool was_read = l->result.n_ids > 0 || l->result.finish != FINISH_INTERRUPTED;
        if (l->status)
            put_fault(l, l->status, &l->err);
        else if (was_read)
            all->failed = !run_result_print(&l->result, &l->job, head);
        all->any_faulty = all->any_faulty || l->status;
        all->failed = fflush(stdout) != 0 || all->failed;
        all->first = l->next;
        all->end = all->first ? all->end : &all->first;
        all->n_waiting--;
        line_free(l);
    }
}

static void answer_lines(struct lines *all) {
    bool goes_on = true;
    while (goes_on && !all->failed) {
        size_t n_busy = 0;
        for (size_t i = 0; i < all->n_slots; i++) {
            struct slot *const slot = &all->slots[i];
            while (!slot->line && !all->at_end && all->n_waiting < MAX_WAITING * all->n_slots) {
                struct line *const l = next_line(all);
                if (l)
                    begin_line(all, slot, l);
            }
            n_busy += slot->line != NULL;
        }
        goes_on = n_busy > 0 && step(all) && !interrupted();
        print_done(all);
    }
    for (size_t i = 0; i < all->n_slots; i++)
        if (all->slots[i].line) {
            generator_end(&all->slots[i].generator, FINISH_INTERRUPTED);
            finish_line(all, &all->slots[i]);
        }
    print_done(all);
}

/* Slots, each with the grammar that all lines share. */
static int open_slots(struct lines *all) {
    struct run *const r = all->run;
    int code = EXIT_DONE;
    all->n_slots = r->runtime.plan.n_seqs;
    all->slots = calloc(all->n_slots, sizeof *all->slots);
    all->plain = calloc(all->n_slots + 1, sizeof *all->plain);
    r->runs = calloc(all->n_slots, sizeof *r->runs);
    if (!all->slots || !all->plain || !r->runs)
        return report(BISE_ERR_MEMORY, NULL);
    for (size_t i = 0; i < all->n_slots && !code; i++) {
        struct slot *const slot = &all->slots[i];
        code = constraint_open(&slot->constraint, &r->runtime, &r->options.sampling.constraint);
        if (!code)
            code = speculation_open(&slot->speculation, &r->runtime,
                                    (size_t)r->options.sampling.lookup);
    }
    return code;
}

static void close_lines(struct lines *all) {
    for (size_t i = 0; all->slots && i < all->n_slots; i++) {
        constraint_close(&all->slots[i].constraint);
        speculation_add(&all->run->speculation, &all->slots[i].speculation);
        speculation_close(&all->slots[i].speculation);
    }
    free(all->plain);
    while (all->first) {
        struct line *const l = all->first;
        all->first = l->next;
        line_free(l);
    }
    free(all->slots);
    free(all->run->runs);
    free(all->text);
    if (all->file != stdin)
        fclose(all->file);
}

int run_lines(struct run *r) {
    const char *path = r->options.lines;
    struct lines all = {.run = r, .file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r")};
    all.end = &all.first;
    if (!all.file)
        return refuse(EXIT_INPUT, "%s: %s", path, strerror(errno));
    const int code = open_slots(&all);
    if (!code)
        answer_lines(&all);
    if (all.unread)
        complain("%s: reading failed: %s", path, strerror(all.unread));
    close_lines(&all);
    if (code)
        return code;
    if (interrupted())
        return EXIT_INTERRUPTED;
    if (all.unread)
        return all.unread == ENOMEM ? EXIT_MEMORY : EXIT_INPUT;
    return all.failed ? output_exit_code() : all.any_faulty ? EXIT_FAILED : EXIT_DONE;
}
