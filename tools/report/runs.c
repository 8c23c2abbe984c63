#include "tools/report/runs.h"

#include "src/os/file.h"

#include <stdlib.h>
#include <string.h>

#define MOST 1e18 /* of any number: what is beyond that is no measurement */

void run_text(char *out, size_t cap, const struct json_value *of, const char *key) {
    const struct json_value *v = json_get(of, key);
    size_t n = v && v->kind == JSON_STRING ? strlen(v->string) : 0;
    if (n >= cap)
        for (n = cap - 1; n > 0 && ((unsigned char)v->string[n] & 0xC0) == 0x80;)
            n--; /* not in the middle of a character */
    if (n)
        memcpy(out, v->string, n);
    out[n] = 0;
}

/* A number that is none, negative or beyond all measure is 0. */
static double as_number(const struct json_value *v) {
    return v && v->kind == JSON_NUMBER && v->number >= 0 && v->number <= MOST ? v->number : 0;
}

double run_number(const struct json_value *of, const char *key) {
    return as_number(json_get(of, key));
}

double run_signed(const struct json_value *v) {
    return v && v->kind == JSON_NUMBER && v->number >= -MOST && v->number <= MOST ? v->number : 0;
}

static bool get_bool(const struct json_value *of, const char *key) {
    const struct json_value *v = json_get(of, key);
    return v && v->kind == JSON_BOOL && v->boolean;
}

static size_t get_samples(const struct json_value *of, const char *key, double *out) {
    const struct json_value *a = json_get(of, key);
    size_t n = 0;
    if (!a || a->kind != JSON_ARRAY)
        return 0;
    for (const struct json_value *v = json_first(a); v && n < RUN_MAX_ROUNDS; v = json_next(a, v))
        out[n++] = as_number(v);
    return n;
}

/* Those of version 1 were one for all rounds. */
static void get_throttled(struct run_row *row, const struct json_value *v) {
    const struct json_value *a = json_get(v, "throttled");
    row->throttled = get_bool(v, "throttled");
    for (const struct json_value *x = json_first(a); x && row->n_hot < RUN_MAX_ROUNDS;
         x = json_next(a, x)) {
        row->hot[row->n_hot] = x->kind == JSON_BOOL && x->boolean;
        row->throttled = row->throttled || row->hot[row->n_hot];
        row->n_hot++;
    }
}

/* A value and its error. */
static void get_pair(double out[2], const struct json_value *of, const char *key) {
    const struct json_value *a = json_get(of, key), *first = json_first(a);
    out[0] = as_number(first);
    out[1] = first ? as_number(json_next(a, first)) : 0;
}

static void get_quality(struct run_quality *q, const struct json_value *v) {
    q->is_known = v && v->kind == JSON_OBJECT;
    run_text(q->text, sizeof q->text, v, "text");
    get_pair(q->before, v, "perplexity_before");
    get_pair(q->after, v, "perplexity");
    get_pair(q->kl, v, "kl");
    q->same_top = run_number(v, "same_top_percent");
}

static void get_kernel(struct run_kernel *k, const struct json_value *v) {
    run_text(k->kernel, sizeof k->kernel, v, "kernel");
    run_text(k->shape, sizeof k->shape, v, "shape");
    run_text(k->isa, sizeof k->isa, v, "isa");
    run_text(k->of, sizeof k->of, v, "of");
    k->seconds = run_number(v, "seconds");
    k->gbs = run_number(v, "gbs");
    k->gmacs = run_number(v, "gmacs");
    k->share = run_number(v, "share");
    k->over_scalar = run_number(v, "over_scalar");
}

/* value twice where there is none. */
static void get_interval(double *low, double *high, const struct json_value *of, const char *key,
                         double value) {
    const struct json_value *const a = json_get(of, key);
    *low = *high = value;
    if (a && a->kind == JSON_ARRAY && a->len == 2) {
        const struct json_value *const first = json_first(a);
        *low = as_number(first);
        *high = as_number(json_next(a, first));
    }
}

static void get_speed(struct run_speed *s, const struct json_value *row, const char *key,
                      const char *unit, const char *limit) {
    const struct json_value *v = json_get(row, key);
    s->rate = run_number(v, "tokens_per_second");
    get_interval(&s->low, &s->high, v, "interval", s->rate);
    s->amount = run_number(v, unit);
    s->limit = run_number(v, limit);
    s->share = run_number(v, "share");
    get_interval(&s->share_low, &s->share_high, v, "share_interval", s->share);
    s->noisy = get_bool(v, "noisy");
}

static void get_row(struct run_row *row, const struct json_value *v) {
    row->model = (size_t)run_number(v, "model");
    run_text(row->isa, sizeof row->isa, v, "isa");
    row->threads = run_number(v, "threads");
    row->sequences = run_number(v, "sequences");
    row->depth = run_number(v, "depth");
    row->prompt = run_number(v, "prompt");
    row->gen = run_number(v, "gen");
    get_speed(&row->prefill, v, "prefill", "gmacs", "limit_gmacs");
    get_speed(&row->decode, v, "decode", "gbs", "limit_gbs");
    row->n_clock = get_samples(v, "clock_mhz", row->clock);
    row->n_celsius = get_samples(v, "celsius", row->celsius);
    get_throttled(row, v);
    row->shortened = get_bool(v, "shortened");
    row->repeatable = get_bool(v, "repeatable");
    row->cache = run_number(v, "cache_bytes");
    row->scratch = run_number(v, "scratch_bytes");
    row->resident = run_number(v, "resident_bytes");
    run_text(row->tokens, sizeof row->tokens, v, "tokens");
    run_text(row->logits, sizeof row->logits, v, "logits");
}

static void get_facts(struct run_facts *r, const struct json_value *root) {
    const struct json_value *machine = json_get(root, "machine");
    const struct json_value *build = json_get(root, "build");
    run_text(r->cpu, sizeof r->cpu, machine, "cpu");
    run_text(r->architecture, sizeof r->architecture, machine, "architecture");
    run_text(r->kernel, sizeof r->kernel, machine, "kernel");
    run_text(r->governor, sizeof r->governor, machine, "governor");
    run_text(r->pages, sizeof r->pages, machine, "huge_pages");
    r->cores = run_number(machine, "cores");
    r->threads = run_number(machine, "threads_allowed");
    r->memory = run_number(machine, "memory_bytes");
    r->is_virtual = get_bool(machine, "virtual");
    run_text(r->version, sizeof r->version, build, "version");
    run_text(r->commit, sizeof r->commit, build, "commit");
    run_text(r->compiler, sizeof r->compiler, build, "compiler");
}

/* An array of min to max objects. */
static const struct json_value *get_list(const struct json_value *root, const char *key, size_t min,
                                         size_t max, const char *path, struct bise_error *err) {
    const struct json_value *a = json_get(root, key);
    bool ok = a && a->kind == JSON_ARRAY && a->len >= min && a->len <= max;
    for (const struct json_value *v = ok ? json_first(a) : NULL; v && ok; v = json_next(a, v))
        ok = v->kind == JSON_OBJECT;
    if (!ok)
        bise_fail(err, BISE_ERR_FORMAT, "%s: \"%s\": expected %zu to %zu objects, found %s", path,
                  key, min, max, json_describe(a));
    return ok ? a : NULL;
}

static enum bise_status fill(struct run *r, const struct json_value *root, const char *path,
                             struct bise_error *err) {
    const struct json_value *models, *rows, *kernels = json_get(root, "kernels");
    const double version = run_number(root, "version");
    if (!json_is(json_get(root, "format"), "bise-bench") ||
        (version != 1 && version != 2 && version != 3))
        return bise_fail(
            err, BISE_ERR_FORMAT,
            "%s: expected a file of bise bench --format json (version 1 to 3) or of bise study "
            "--json",
            path);
    if ((models = get_list(root, "models", 1, RUN_MAX_MODELS, path, err)) == NULL ||
        (rows = get_list(root, "rows", 0, RUN_MAX_ROWS, path, err)) == NULL)
        return BISE_ERR_FORMAT;
    if (kernels && kernels->kind != JSON_NULL &&
        !(kernels = get_list(root, "kernels", 1, RUN_MAX_KERNELS, path, err)))
        return BISE_ERR_FORMAT;
    get_facts(&r->facts, root);
    run_text(r->baseline, sizeof r->baseline, json_get(root, "settings"), "baseline");
    r->rounds = run_number(root, "rounds");
    for (const struct json_value *v = json_first(models); v; v = json_next(models, v)) {
        struct run_model *const m = &r->models[r->n_models++];
        run_text(m->name, sizeof m->name, v, "name");
        run_text(m->type, sizeof m->type, v, "type");
        run_text(m->hash, sizeof m->hash, v, "hash");
        m->weights = run_number(v, "weight_bytes");
        m->decode_bytes = run_number(v, "decode_bytes");
        m->macs = run_number(v, "prefill_macs");
        m->bits = run_number(v, "bits_per_weight");
        get_quality(&m->quality, json_get(v, "evaluation"));
    }
    for (const struct json_value *v = json_first(kernels); v; v = json_next(kernels, v))
        get_kernel(&r->kernels[r->n_kernels++], v);
    for (const struct json_value *v = json_first(rows); v; v = json_next(rows, v)) {
        struct run_row *const row = &r->rows[r->n_rows++];
        get_row(row, v);
        if (run_number(v, "model") >= (double)r->n_models)
            return bise_fail(err, BISE_ERR_FORMAT, "%s: row %zu is of a model that is not listed",
                             path, r->n_rows - 1);
    }
    return BISE_OK;
}

static enum bise_status too_many(const char *path, struct bise_error *err) {
    return bise_fail(err, BISE_ERR_FORMAT, "%s: more than %d files in one report", path, RUNS_MAX);
}

static enum bise_status add_run(struct runs *all, const char *text, size_t len,
                                const struct json_value *root, const char *path,
                                struct bise_error *err) {
    if (all->n == RUNS_MAX)
        return too_many(path, err);
    struct run *const r = calloc(1, sizeof *r);
    if (r == NULL || (r->text = malloc(len + 1)) == NULL) {
        free(r);
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu bytes", path, len);
    }
    memcpy(r->text, text, len);
    r->len = len;
    all->run[all->n++] = r;
    return fill(r, root, path, err);
}

/* Takes j, where it returns OK. */
static enum bise_status add_study(struct runs *all, const char *text, size_t len, struct json *j,
                                  const char *path, struct bise_error *err) {
    if (all->n_studies == RUNS_MAX)
        return too_many(path, err);
    if (run_number(json_root(j), "version") != 1)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: expected a file of bise study --json, version 1", path);
    struct study_file *const s = &all->study[all->n_studies];
    if ((s->text = malloc(len + 1)) == NULL)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu bytes", path, len);
    memcpy(s->text, text, len);
    s->len = len;
    s->json = j;
    get_facts(&s->facts, json_root(j));
    all->n_studies++;
    return BISE_OK;
}

static enum bise_status add(struct runs *all, const char *text, size_t len, const char *path,
                            struct bise_error *err) {
    struct json *j = NULL;
    enum bise_status s = BISE_OK;
    if (len > RUN_MAX_BYTES)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: %zu bytes are no file of bise bench or study",
                         path, len);
    s = json_parse(&j, text, len, path, err);
    if (s == BISE_OK && json_is(json_get(json_root(j), "format"), "bise-study")) {
        s = add_study(all, text, len, j, path, err);
        j = s == BISE_OK ? NULL : j;
    } else if (s == BISE_OK) {
        s = add_run(all, text, len, json_root(j), path, err);
    }
    json_close(&j);
    return s;
}

enum bise_status runs_read_text(struct runs *all, const char *text, size_t len, const char *name,
                                struct bise_error *err) {
    const char *at = strstr(text, RUN_OPEN);
    enum bise_status s = at ? BISE_OK : add(all, text, len, name, err);
    while (at && s == BISE_OK) {
        const char *const from = at + strlen(RUN_OPEN), *const to = strstr(from, RUN_CLOSE);
        if (to == NULL)
            s = bise_fail(err, BISE_ERR_FORMAT, "%s: the page ends inside a run", name);
        else
            s = add(all, from, (size_t)(to - from), name, err);
        at = to ? strstr(to, RUN_OPEN) : NULL;
    }
    return s;
}

enum bise_status runs_read(struct runs *all, const char *path, struct bise_error *err) {
    uint8_t *data = NULL;
    size_t len = 0;
    enum bise_status s = file_read_whole(path, 2 * RUNS_MAX * RUN_MAX_BYTES, &data, &len, err);
    if (s == BISE_OK)
        s = runs_read_text(all, (const char *)data, len, path, err);
    free(data);
    return s;
}

void runs_free(struct runs *r) {
    for (size_t i = 0; i < r->n; i++) {
        free(r->run[i]->text);
        free(r->run[i]);
    }
    for (size_t i = 0; i < r->n_studies; i++) {
        free(r->study[i].text);
        json_close(&r->study[i].json);
    }
    r->n = r->n_studies = 0;
}
