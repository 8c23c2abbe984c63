/*
 * JSON Schemas as people write them. Each line of a file is {name, schema, tests: [{valid, data}]}:
 * which schemas are taken, which of their valid instances are let through (keys put in the order of
 * `properties` first), and that no invalid one is; what is refused, counted; and the time of
 * compiling and of masks, over the tokens of the instances.
 *
 * usage: schemas              a sample of ../shared's, skipped where there is none
 *        schemas FILE.jsonl[.gz] TOKENIZER [--masks] [--walks N] [--failures] [--one NAME]
 *
 * --walks N: N texts for each schema, by random walks from token to token, one line of JSON each:
 * {"name", "schema", "text"}; bench/walks.sh gives them to other validators.
 */
#include "src/base/json.h"
#include "src/base/random.h"
#include "src/constraint/grammar.h"
#include "src/constraint/json_schema.h"
#include "src/model/model.h"
#include "src/text/tokenizer.h"
#include "tests/golden/models.h"

#include <ctype.h>
#include <time.h>

#define MAX_LINE   (1u << 22)
#define MAX_TEXT   (1u << 20)
#define MAX_BESIDE 64 /* schemas that speak about one value */
#define SAMPLE     20 /* every so many-th schema without arguments */

/* ---- instances, keys in the schema's order ---- */

struct text {
    char *bytes;
    size_t len;
};

static void put(struct text *t, const char *s, size_t n) {
    if (t->len + n >= MAX_TEXT)
        die("schemas", "a value beyond a megabyte");
    memcpy(t->bytes + t->len, s, n);
    t->len += n;
}

static void put_string(struct text *t, const char *s, size_t n) {
    const size_t room = MAX_TEXT - t->len, len = json_escape(t->bytes + t->len, room, s, n);
    if (len >= room)
        die("schemas", "a value beyond a megabyte");
    t->len += len;
}

/* The schemas that speak about one value. */
struct beside {
    const struct json_value *root, *schemas[MAX_BESIDE];
    size_t n;
};

static const struct json_value *follow(const struct json_value *root, const char *ref) {
    const struct json_value *v = root;
    if (*ref++ != '#')
        return NULL;
    while (v && *ref == '/') {
        char key[256];
        size_t n = 0;
        for (ref++; *ref && *ref != '/' && n < sizeof key - 1; ref++) {
            key[n] = *ref;
            if (*ref == '~' && (ref[1] == '0' || ref[1] == '1'))
                key[n] = *++ref == '0' ? '~' : '/';
            n++;
        }
        key[n] = 0;
        if (v->kind == JSON_OBJECT) {
            v = json_get(v, key);
        } else {
            const struct json_value *child = json_first(v);
            for (long i = atol(key); child && i > 0; i--)
                child = json_next(v, child);
            v = child;
        }
    }
    return v;
}

static void add(struct beside *b, const struct json_value *schema) {
    static const char *const lists[] = {"allOf", "anyOf", "oneOf"};
    static const char *const single[] = {"if", "then", "else"};
    if (!schema || schema->kind != JSON_OBJECT || b->n == MAX_BESIDE)
        return;
    for (size_t i = 0; i < b->n; i++)
        if (b->schemas[i] == schema)
            return;
    b->schemas[b->n++] = schema;
    const struct json_value *ref = json_get(schema, "$ref");
    if (ref && ref->kind == JSON_STRING)
        add(b, follow(b->root, ref->string));
    for (size_t i = 0; i < 3; i++) {
        const struct json_value *list = json_get(schema, lists[i]);
        for (const struct json_value *v = json_first(list); v; v = json_next(list, v))
            add(b, v);
        add(b, json_get(schema, single[i]));
    }
}

static void add_property(struct beside *to, const struct beside *from, const char *key) {
    *to = (struct beside){.root = from->root};
    for (size_t i = 0; i < from->n; i++) {
        const struct json_value *p = json_get(json_get(from->schemas[i], "properties"), key);
        const struct json_value *patterns = json_get(from->schemas[i], "patternProperties");
        add(to, p);
        for (const struct json_value *v = json_first(patterns); v; v = json_next(patterns, v))
            add(to, v);
        if (!p)
            add(to, json_get(from->schemas[i], "additionalProperties"));
    }
}

static void add_items(struct beside *to, const struct beside *from) {
    static const char *const keywords[] = {"items", "prefixItems", "additionalItems", "contains"};
    *to = (struct beside){.root = from->root};
    for (size_t i = 0; i < from->n; i++)
        for (size_t k = 0; k < 4; k++) {
            const struct json_value *items = json_get(from->schemas[i], keywords[k]);
            add(to, items);
            for (const struct json_value *v = json_first(items); v; v = json_next(items, v))
                if (items->kind == JSON_ARRAY)
                    add(to, v);
        }
}

static void put_value(struct text *t, const struct json_value *v, const struct beside *b);

static void put_member(struct text *t, const struct json_value *m, const struct beside *b,
                       bool first) {
    struct beside inner;
    if (!first)
        put(t, ", ", 2);
    put_string(t, m->key, m->key_len);
    put(t, ": ", 2);
    add_property(&inner, b, m->key);
    put_value(t, m, &inner);
}

static void put_object(struct text *t, const struct json_value *v, const struct beside *b) {
    uint8_t *done = calloc(v->span, 1);
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct json_value *properties = json_get(b->schemas[i], "properties");
        for (const struct json_value *p = json_first(properties); p; p = json_next(properties, p)) {
            const struct json_value *m = p->key ? json_get(v, p->key) : NULL;
            if (m && !done[m - v]) {
                put_member(t, m, b, !n++);
                done[m - v] = 1;
            }
        }
    }
    for (const struct json_value *m = json_first(v); m; m = json_next(v, m))
        if (!done[m - v])
            put_member(t, m, b, !n++);
    free(done);
}

static void put_value(struct text *t, const struct json_value *v, const struct beside *b) {
    struct beside inner;
    switch (v->kind) {
    case JSON_NULL:
        put(t, "null", 4);
        return;
    case JSON_BOOL:
        put(t, v->boolean ? "true" : "false", v->boolean ? 4 : 5);
        return;
    case JSON_NUMBER:
        put(t, v->digits, strlen(v->digits));
        return;
    case JSON_STRING:
        put_string(t, v->string, v->len);
        return;
    case JSON_ARRAY:
        put(t, "[", 1);
        add_items(&inner, b);
        for (const struct json_value *m = json_first(v); m; m = json_next(v, m)) {
            if (m != json_first(v))
                put(t, ", ", 2);
            put_value(t, m, &inner);
        }
        put(t, "]", 1);
        return;
    default:
        put(t, "{", 1);
        put_object(t, v, b);
        put(t, "}", 1);
    }
}

/* ---- times ---- */

struct times {
    uint32_t *ns;
    size_t n, cap;
};

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void add_time(struct times *t, uint64_t ns) {
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 4096;
        t->ns = realloc(t->ns, t->cap * sizeof *t->ns);
        if (!t->ns)
            die("schemas", "no memory");
    }
    t->ns[t->n++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int compare_ns(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *what, struct times *t) {
    double sum = 0;
    if (!t->n)
        return;
    qsort(t->ns, t->n, sizeof *t->ns, compare_ns);
    for (size_t i = 0; i < t->n; i++)
        sum += t->ns[i];
    printf(
        "%s, us: n %zu, mean %.1f, median %.1f, 90 %% %.1f, 99 %% %.1f, 99.9 %% %.1f, max %.1f\n",
        what, t->n, sum / (double)t->n / 1e3, t->ns[t->n / 2] / 1e3, t->ns[t->n * 9 / 10] / 1e3,
        t->ns[t->n * 99 / 100] / 1e3, t->ns[t->n * 999 / 1000] / 1e3, t->ns[t->n - 1] / 1e3);
}

/* ---- one schema ---- */

struct reason {
    char text[80];
    unsigned n;
};

struct run {
    struct bise_model model;
    struct bise_grammar *grammar;
    uint8_t *allowed;
    int32_t *ids;
    struct text text, schema;
    bool masks, failures;
    unsigned walks, n_walks, n_cut;
    struct times compile, mask;
    unsigned n, taken, passing, without, valid, valid_taken, invalid, invalid_taken, wrong_masks;
    struct reason reasons[400];
    size_t n_reasons;
};

/* What a refusal is about: the detail without its place, numbers as N. */
static void count_reason(struct run *r, const char *detail) {
    char text[80];
    size_t n = 0, i = 0;
    const char *at = strncmp(detail, "json schema: ", 13) == 0 ? strstr(detail + 13, ": ") : NULL;
    for (at = at ? at + 2 : detail; *at && n < sizeof text - 1; at++)
        if (!isdigit((unsigned char)*at) || !n || text[n - 1] != 'N')
            text[n++] = *at;
    text[n] = 0;
    while (i < r->n_reasons && strcmp(r->reasons[i].text, text) != 0)
        i++;
    if (i == r->n_reasons && i < sizeof r->reasons / sizeof *r->reasons)
        memcpy(r->reasons[r->n_reasons++].text, text, n + 1);
    if (i < r->n_reasons)
        r->reasons[i].n++;
}

static int compare_reasons(const void *a, const void *b) {
    const struct reason *x = a, *y = b;
    return (x->n < y->n) - (x->n > y->n);
}

/* Whether the text of r is let through, token by token; *at: bytes that were. */
static bool is_let_through(struct run *r, size_t *at) {
    struct bise_error err;
    size_t n;
    must(tokenizer_encode(r->model.tokenizer, r->text.bytes, r->text.len, false, r->ids, MAX_TEXT,
                          &n, &err),
         "encode", &err);
    bise_grammar_begin(r->grammar, false);
    *at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t len;
        bool allowed = true;
        if (r->masks) {
            const uint64_t start = cpu_ns();
            const enum bise_status s = bise_grammar_allowed(r->grammar, r->allowed, &err);
            add_time(&r->mask, cpu_ns() - start);
            allowed = !s && r->allowed[r->ids[i]];
        }
        const bool accepted = !bise_grammar_accept(r->grammar, r->ids[i], &err);
        r->wrong_masks += r->masks && accepted != allowed;
        if (!accepted)
            return false;
        tokenizer_piece(r->model.tokenizer, r->ids[i], &len);
        *at += len;
    }
    return bise_grammar_may_end(r->grammar);
}

static void walk(struct run *r, const char *name, struct random_state *random) {
    struct bise_error err;
    const size_t n_vocab = r->model.config.vocab_size;
    char quoted[8192];
    r->text.len = 0;
    bise_grammar_begin(r->grammar, false);
    for (int i = 0; i < 300; i++) {
        if (bise_grammar_allowed(r->grammar, r->allowed, &err)) {
            fprintf(stderr, "stuck: %s: %s after %.*s\n", name, err.detail, (int)r->text.len,
                    r->text.bytes);
            exit(1);
        }
        if (bise_grammar_may_end(r->grammar) && random_u64(random) % 4 == 0)
            break;
        /* What closes something is chosen often, and ever more often, so that texts end. */
        const bool closing = random_u64(random) % 100 < 20 + (unsigned)i;
        size_t n = 0, n_closing = 0;
        for (size_t id = 0; id < n_vocab; id++)
            if (r->allowed[id] && (int32_t)id != tokenizer_eos(r->model.tokenizer)) {
                size_t len;
                const char *piece = tokenizer_piece(r->model.tokenizer, (int32_t)id, &len);
                const bool closes = len == 1 && strchr("\"}]", piece[0]) && piece[0];
                if (closes && closing && !n_closing)
                    n = 0;
                n_closing += closes && closing;
                if (closes || !n_closing)
                    r->ids[n++] = (int32_t)id;
            }
        if (!n)
            break;
        const int32_t id = r->ids[random_u64(random) % n];
        size_t len;
        const char *piece = tokenizer_piece(r->model.tokenizer, id, &len);
        if (bise_grammar_accept(r->grammar, id, &err)) {
            fprintf(stderr, "%s: a mask allows \"%.*s\" after %.*s\n", name, (int)len, piece,
                    (int)r->text.len, r->text.bytes);
            die("schemas", err.detail);
        }
        put(&r->text, piece, len);
    }
    if (!bise_grammar_may_end(r->grammar) || r->text.len > 1000) {
        r->n_cut++;
        return;
    }
    r->n_walks++;
    json_escape(quoted, sizeof quoted, r->text.bytes, r->text.len);
    printf("{\"name\": \"%s\", \"schema\": %.*s, \"text\": %s}\n", name, (int)r->schema.len,
           r->schema.bytes, quoted);
}

static void test_schema(struct run *r, const struct json_value *line) {
    const struct json_value *schema = json_get(line, "schema"), *tests = json_get(line, "tests");
    const char *name = json_get(line, "name")->string;
    const struct beside none = {.root = schema};
    struct bise_error err = {.detail = ""};
    struct grammar g = {.n_rules = 0};
    bool good = true;
    r->schema.len = 0;
    put_value(&r->schema, schema, &none);
    r->n++;
    const uint64_t start = cpu_ns();
    enum bise_status status = json_schema_parse(&g, r->schema.bytes, r->schema.len, &err);
    add_time(&r->compile, cpu_ns() - start);
    grammar_free(&g);
    if (!status)
        status =
            bise_grammar_open_schema(&r->grammar, &r->model, r->schema.bytes, r->schema.len, &err);
    if (status) {
        if (r->failures)
            fprintf(stderr, "refused %s: %s\n", name, err.detail);
        count_reason(r, err.detail);
        return;
    }
    r->taken++;
    r->without += !tests || !tests->len;
    for (const struct json_value *t = json_first(tests); t; t = json_next(tests, t)) {
        struct beside b = {.root = schema};
        size_t at;
        const bool valid = json_get(t, "valid")->boolean;
        add(&b, schema);
        r->text.len = 0;
        put_value(&r->text, json_get(t, "data"), &b);
        const bool taken = is_let_through(r, &at);
        good &= taken || !valid;
        *(valid ? &r->valid : &r->invalid) += 1;
        *(valid ? &r->valid_taken : &r->invalid_taken) += taken;
        if (taken != valid && (r->failures || !valid))
            fprintf(stderr, "%s %s: %.*s<<HERE>>%.*s\n", valid ? "stopped" : "INVALID TAKEN", name,
                    (int)(at < 200 ? at : 200), r->text.bytes + (at < 200 ? 0 : at - 200),
                    (int)(r->text.len - at < 100 ? r->text.len - at : 100), r->text.bytes + at);
    }
    r->passing += good;
    struct random_state random;
    random_seed(&random, r->n);
    for (unsigned i = 0; i < r->walks; i++)
        walk(r, name, &random);
    bise_grammar_close(&r->grammar);
}

static void print_results(struct run *r) {
    printf("schemas %u: taken %u, passing %u (%.1f %%; %u of them without instances)\n", r->n,
           r->taken, r->passing, 100.0 * r->passing / r->n, r->without);
    printf("instances of those taken: valid %u, let through %u; invalid %u, let through %u\n",
           r->valid, r->valid_taken, r->invalid, r->invalid_taken);
    print_times("compiling", &r->compile);
    print_times("masks", &r->mask);
    qsort(r->reasons, r->n_reasons, sizeof *r->reasons, compare_reasons);
    for (size_t i = 0; i < r->n_reasons; i++)
        printf("%5u %s\n", r->reasons[i].n, r->reasons[i].text);
}

static void open_tokenizer(struct run *r, const char *path) {
    struct bise_error err;
    static char bytes[1u << 22];
    FILE *f = fopen(path, "rb");
    const size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f)
        fclose(f);
    must(tokenizer_open(&r->model.tokenizer, bytes, n, path, &err), path, &err);
    r->model.config.vocab_size = (uint32_t)tokenizer_size(r->model.tokenizer);
    r->model.config.n_eos = 1;
    r->model.config.eos_ids[0] = tokenizer_eos(r->model.tokenizer);
    r->allowed = malloc(r->model.config.vocab_size);
    r->ids = malloc(MAX_TEXT * sizeof *r->ids);
    r->text.bytes = malloc(MAX_TEXT);
    r->schema.bytes = malloc(MAX_TEXT);
    if (!r->allowed || !r->ids || !r->text.bytes || !r->schema.bytes)
        die("schemas", "no memory");
}

int main(int argc, char **argv) {
    static struct run r;
    static char line[MAX_LINE], command[600];
    const char *shared = getenv("SHARED"), *one = NULL;
    char file[300], tokenizer[300];
    snprintf(file, sizeof file, "%s/data/schemas/maskbench.jsonl.gz",
             shared ? shared : "../shared");
    snprintf(tokenizer, sizeof tokenizer, "%s/data/tokenizers/mistral-v3.model",
             shared ? shared : "../shared");
    if (argc > 2) {
        snprintf(file, sizeof file, "%s", argv[1]);
        snprintf(tokenizer, sizeof tokenizer, "%s", argv[2]);
    }
    for (int i = 3; i < argc; i++) {
        r.masks |= strcmp(argv[i], "--masks") == 0;
        r.failures |= strcmp(argv[i], "--failures") == 0;
        if (strcmp(argv[i], "--walks") == 0 && i + 1 < argc)
            r.walks = (unsigned)atoi(argv[++i]);
        else if (strcmp(argv[i], "--one") == 0 && i + 1 < argc)
            one = argv[++i];
    }
    FILE *there = fopen(file, "rb");
    if (!there) {
        printf("skipped schemas: no %s\n", file);
        return 0;
    }
    fclose(there);
    open_tokenizer(&r, tokenizer);
    r.masks |= argc <= 2;
    snprintf(command, sizeof command, "gzip -dcf '%s'", file);
    FILE *f = popen(command, "r");
    for (unsigned i = 0; f && fgets(line, sizeof line, f); i++) {
        struct json *json;
        struct bise_error err;
        if (argc <= 2 && i % SAMPLE)
            continue;
        must(json_parse(&json, line, strlen(line), "line", &err), "line", &err);
        if (!one || json_is(json_get(json_root(json), "name"), one))
            test_schema(&r, json_root(json));
        json_close(&json);
    }
    if (f)
        pclose(f);
    if (r.walks) {
        fprintf(stderr, "walks: %u, cut %u\n", r.n_walks, r.n_cut);
        return 0;
    }
    if (argc > 2)
        print_results(&r);
    char summary[200];
    snprintf(summary, sizeof summary, "%u of %u passing, %u invalid let through, %u wrong masks",
             r.passing, r.n, r.invalid_taken, r.wrong_masks);
    result(r.n > 0 && !r.invalid_taken && !r.wrong_masks && (one || r.passing * 100 >= r.n * 79),
           "schemas", summary);
    return n_failed != 0;
}
