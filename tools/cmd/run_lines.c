/* bise run --jsonl: a completion for every line of a file, each a JSON object with a prompt and
 * with options of its own. What is wrong with a line is said in its place, and the rest goes on. */
#include "src/base/error.h"
#include "src/base/json.h"
#include "tools/cmd/run.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct line {
    size_t number; /* from 1 */
    struct json *json;
    struct sampling_options sampling;
    struct stop stop;
    struct run_job job;
    int32_t *ids;
};

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
    const struct bise_model_info *info = r->runtime.info;
    if (v->kind != JSON_STRING)
        return fault(v, "a string", err);
    const size_t cap = 3 * v->len + 4; /* as runtime_tokenize */
    size_t n = 0, at = 0;
    l->ids = malloc(cap * sizeof *l->ids);
    if (!l->ids)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a prompt of %zu bytes", v->len);
    if (info->bos_id >= 0)
        l->ids[at++] = info->bos_id;
    const enum bise_status status =
        bise_tokenize(r->runtime.model, v->string, v->len, l->ids + at, cap - at, &n, err);
    l->job.n = v->len ? at + n : 0;
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

/* One line's completion or fault. False where the rest must not go on; *faulty: this line was. */
static bool do_line(struct run *r, struct line *l, const char *text, size_t len, bool *faulty) {
    struct run_result result = {.run = r};
    struct bise_error err = {0};
    enum finish finish = FINISH_ERROR;
    enum bise_status error = BISE_OK;
    char first[40];
    bool goes_on = true;
    enum bise_status status = read_line(r, l, text, len, &err);
    if (!status) {
        bise_reset(r->runtime.session);
        status = run_complete(r, &l->job, &result, &finish, &error, &err);
    }
    if (!status && finish == FINISH_ERROR)
        status = error;
    *faulty = status != BISE_OK;
    snprintf(first, sizeof first, "\"line\": %zu, ", l->number);
    if (status == BISE_ERR_INTERRUPTED)
        goes_on = false;
    else if (status)
        put_fault(l, status, &err);
    else
        goes_on = run_result_print(&result, &l->job, first) && finish != FINISH_INTERRUPTED;
    run_result_free(&result);
    return goes_on && fflush(stdout) == 0;
}

static void line_free(struct line *l) {
    json_close(&l->json);
    bise_sampler_close(&l->job.sampler);
    free(l->ids);
}

int run_lines(struct run *r) {
    const char *path = r->options.lines;
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    char *text = NULL;
    size_t cap = 0, number = 0;
    ssize_t len = 0;
    bool goes_on = true, any_faulty = false;
    if (!f) {
        return refuse(EXIT_INPUT, "%s: %s", path, strerror(errno));
    }
    while (goes_on && !interrupted() && (len = getline(&text, &cap, f)) >= 0) {
        number++;
        struct line l = {.number = number,
                         .sampling = r->options.sampling,
                         .job = {.n_predict = r->options.n_predict}};
        bool faulty = false;
        if (strspn(text, " \t\r\n") == (size_t)len)
            continue;
        (void)sampling_stops(&r->options.sampling, &l.stop); /* checked before */
        goes_on = do_line(r, &l, text, (size_t)len, &faulty);
        any_faulty |= faulty;
        line_free(&l);
    }
    const bool failed = ferror(f) && !interrupted();
    if (failed)
        complain("%s: reading failed: %s", path, strerror(errno));
    free(text);
    if (f != stdin)
        fclose(f);
    if (interrupted())
        return EXIT_INTERRUPTED;
    if (failed)
        return EXIT_INPUT;
    return !goes_on ? output_exit_code() : any_faulty ? EXIT_FAILED : EXIT_DONE;
}
