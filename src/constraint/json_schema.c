#include "src/constraint/json_schema.h"

#include "src/base/utf8.h"
#include "src/constraint/schema_strings.h"
#include "src/constraint/schema_values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY_STRINGS  8     /* of an enum: from there on as one automaton */
#define MAX_COMPARED  3000  /* pairs of schemas compiled to see whether a value matches both */
#define COMPARE_GOALS 300   /* goals that one comparison may take */
#define PAIR_BUDGET   60000 /* work of one */

/* ---- values ---- */

/* Whether a value is in the case; one of which that is not known is refused. */
static bool is_allowed(struct schema *s, const struct schema_case *c, const struct fact *from,
                       const struct json_value *v) {
    const enum verdict good = schema_case_allows(s, c, from, v);
    if (good == VERDICT_UNKNOWN)
        schema_unsupported(s, from->v,
                           "whether this value matches what stands beside it is not "
                           "known");
    return good != VERDICT_NO;
}

/* The strings of an enum's list that are in the case, as one automaton; the rest one by one. */
static void put_values(struct schema *s, const struct schema_case *c, const struct fact *f,
                       uint32_t rule) {
    size_t n_strings = 0;
    const char **strings = malloc((f->v->len + 1) * sizeof *strings);
    size_t *lens = malloc((f->v->len + 1) * sizeof *lens);
    if (!strings || !lens) {
        schema_no_memory(s);
        goto done;
    }
    for (const struct json_value *v = f->list ? json_first(f->v) : f->v; v && schema_ok(s);
         v = f->list ? json_next(f->v, v) : NULL) {
        const size_t mark = builder_mark(&s->b);
        if (!is_allowed(s, c, f, v))
            continue;
        if (v->kind == JSON_STRING && f->list && f->v->len > MANY_STRINGS) {
            strings[n_strings] = v->string;
            lens[n_strings++] = v->len;
            continue;
        }
        schema_put_value(s, v);
        builder_alternative(&s->b, rule, mark);
    }
    if (n_strings && schema_ok(s)) {
        const size_t mark = builder_mark(&s->b);
        schema_put_text(s, "\"");
        schema_put_automaton(s, automaton_strings(strings, lens, n_strings, false, &s->doc->budget),
                             LEXEME_STRING, 0, REPEAT_FOREVER, NULL);
        builder_alternative(&s->b, rule, mark);
    }
done:
    free(strings);
    free(lens);
}

/* ---- cases ---- */

/* The types of a root that names none: those that its keywords are about. A value of another type
 * matches too, but nobody who writes "properties" waits for a number. */
static unsigned implied_types(const struct schema_case *c) {
    unsigned types = 0;
    for (size_t i = 0; i < c->n; i++)
        switch (c->facts[i].kind) {
        case FACT_VALUES: /* have their own */
            return c->types;
        case FACT_OBJECT:
        case FACT_PRESENT:
        case FACT_N_PROPERTIES:
            types |= TYPE_OBJECT;
            break;
        case FACT_ARRAY:
        case FACT_CONTAINS:
        case FACT_N_ITEMS:
            types |= TYPE_ARRAY;
            break;
        case FACT_PATTERN:
        case FACT_FORMAT:
        case FACT_LENGTH:
            types |= TYPE_STRING;
            break;
        case FACT_BOUND:
        case FACT_MULTIPLE:
            types |= TYPE_NUMBER;
            break;
        default:
            break;
        }
    return types ? types : c->types;
}

/* Objects and arrays among excluded values: no automaton excludes them, so that the types must, or
 * that they are empty. */
static unsigned without_excluded(struct schema *s, const struct schema_case *c) {
    unsigned types = c->types;
    for (size_t i = 0; i < c->n; i++) {
        const struct fact *f = &c->facts[i];
        if (f->kind != FACT_NOT_VALUES)
            continue;
        for (const struct json_value *v = f->list ? json_first(f->v) : f->v; v;
             v = f->list ? json_next(f->v, v) : NULL) {
            const unsigned type = schema_type_of(v);
            if (type & (TYPE_NULL | TYPE_BOOL))
                types &= ~type;
            else if (type & types & (TYPE_ARRAY | TYPE_OBJECT))
                schema_unsupported(s, v, "the opposite of an array or object is not supported");
        }
    }
    return types;
}

static void end_alternative(struct schema *s, uint32_t rule, size_t mark) {
    if (schema_ok(s))
        builder_alternative(&s->b, rule, mark);
}

static void put_case(struct schema *s, const struct schema_case *c, uint32_t rule) {
    static const struct {
        unsigned type;
        const char *text;
    } words[] = {{TYPE_NULL, "null"}, {TYPE_TRUE, "true"}, {TYPE_FALSE, "false"}};
    const size_t mark = builder_mark(&s->b);
    if (c->is_goal) {
        need goal = c->goal;
        schema_put_rule(s, schema_goal(s, &goal, 1));
        end_alternative(s, rule, mark);
        return;
    }
    for (size_t i = 0; i < c->n; i++)
        if (c->facts[i].kind == FACT_VALUES) {
            put_values(s, c, &c->facts[i], rule);
            return;
        }
    const unsigned types = without_excluded(s, c);
    for (size_t i = 0; i < 3; i++)
        if (types & words[i].type) {
            schema_put_text(s, words[i].text);
            end_alternative(s, rule, mark);
        }
    static const struct {
        unsigned types;
        void (*put)(struct schema *s, const struct schema_case *c);
    } kinds[] = {{TYPE_NUMBER, schema_put_numbers},
                 {TYPE_STRING, schema_put_strings},
                 {TYPE_ARRAY, schema_put_arrays},
                 {TYPE_OBJECT, schema_put_objects}};
    for (size_t i = 0; i < 4 && schema_ok(s); i++)
        if (types & kinds[i].types) {
            kinds[i].put(s, c);
            end_alternative(s, rule, mark);
        }
}

/* ---- goals ---- */

static void put_goal(struct schema *s, size_t index) {
    const struct goal g = s->goals[index];
    struct schema_cases cases;
    need *needs = malloc((g.n + 1) * sizeof *needs);
    if (!needs) {
        schema_no_memory(s);
        return;
    }
    if (g.n)
        memcpy(needs, s->needs + g.first, g.n * sizeof *needs);
    schema_find_cases(s, needs, g.n, &cases);
    for (size_t i = 0; i < cases.n && schema_ok(s); i++) {
        struct schema_case *c = &cases.list[i];
        if (index == 0 && !s->checking && c->types == TYPE_ANY)
            c->types = implied_types(c);
        put_case(s, c, g.rule);
    }
    schema_free_cases(&cases);
    free(needs);
}

/* Blanks between parts: at most one space, or a line end and what indents the next line. */
static void put_spaces(struct schema *s) {
    static const struct char_class blanks = {.n = 2, .ranges = {{' ', ' '}, {'\t', '\t'}}};
    const size_t mark = builder_mark(&s->b);
    s->space = builder_rule(&s->b);
    s->gap = builder_rule(&s->b);
    builder_alternative(&s->b, s->space, mark);
    builder_alternative(&s->b, s->gap, mark);
    schema_put_text(s, " ");
    builder_alternative(&s->b, s->space, mark);
    schema_put_text(s, " ");
    builder_alternative(&s->b, s->gap, mark);
    schema_put_text(s, "\n");
    const size_t indent = builder_mark(&s->b);
    builder_put_class(&s->b, &blanks);
    builder_repeat(&s->b, indent, 0, 20);
    builder_alternative(&s->b, s->space, mark);
}

/* All goals that come up; with a limit, what is beyond is not known. */
static void put_goals(struct schema *s, size_t limit) {
    for (; s->n_done < s->n_goals && schema_ok(s); s->n_done++) {
        if (s->n_done == limit) {
            s->uncertain = true;
            return;
        }
        put_goal(s, s->n_done);
    }
}

static void schema_close(struct schema *s) {
    builder_free(&s->b);
    for (size_t i = 0; i < s->n_memos; i++)
        free(s->memos[i].key);
    free(s->memos);
    free(s->goals);
    free(s->needs);
    free(s->slots);
}

/* ---- whether two schemas have a value in common ---- */

static const struct json_value *follow(struct schema *s, const struct json_value *v) {
    for (int i = 0; i < 20 && v && v->kind == JSON_OBJECT && json_get(v, "$ref"); i++)
        v = schema_resolve(s, v);
    return v;
}

/* The values a schema is limited to by enum or const; NULL: by neither. */
static const struct json_value *values_of(const struct json_value *v, bool *list) {
    const struct json_value *values = v && v->kind == JSON_OBJECT ? json_get(v, "enum") : NULL;
    *list = values != NULL;
    return values || !v || v->kind != JSON_OBJECT ? values : json_get(v, "const");
}

static bool have_common_value(const struct json_value *a, const struct json_value *b) {
    bool list_a, list_b;
    const struct json_value *x = values_of(a, &list_a), *y = values_of(b, &list_b);
    if (!x || !y || (list_b && y->kind != JSON_ARRAY))
        return true;
    const struct fact f = {.v = y, .list = list_b};
    if (!list_a)
        return schema_has_value(&f, x);
    for (const struct json_value *v = json_first(x); v; v = json_next(x, v))
        if (schema_has_value(&f, v))
            return true;
    return x->kind != JSON_ARRAY;
}

static bool requires(const struct json_value *v, const struct json_value *property) {
    const struct json_value *required = json_get(v, "required");
    for (const struct json_value *r = json_first(required); r; r = json_next(required, r))
        if (r->kind == JSON_STRING && r->len == property->key_len &&
            memcmp(r->string, property->key, r->len) == 0)
            return true;
    return false;
}

/* What tells branches of oneOf apart most often: types, values, a property that must be there and
 * whose values differ. Errs on "not disjoint". */
static bool are_plainly_disjoint(struct schema *s, const struct json_value *a,
                                 const struct json_value *b) {
    a = follow(s, a);
    b = follow(s, b);
    if (!schema_ok(s) || !a || !b || a->kind != JSON_OBJECT || b->kind != JSON_OBJECT)
        return false;
    const unsigned types = schema_types(s, a) & schema_types(s, b);
    if (!types || !have_common_value(a, b))
        return true;
    const struct json_value *properties = json_get(a, "properties");
    for (const struct json_value *p = json_first(properties); p && types == TYPE_OBJECT;
         p = json_next(properties, p)) {
        const struct json_value *q = json_member(json_get(b, "properties"), p->key, p->key_len);
        bool list;
        if (q && values_of(p, &list) && values_of(q, &list) && !have_common_value(p, q) &&
            (requires(a, p) || requires(b, p)))
            return true;
    }
    return false;
}

/* Compiles both together, and looks whether anything is left. */
static bool are_disjoint(struct document *d, need a, need b) {
    struct grammar g = {.n_rules = 0};
    struct schema s = {.b = {.g = &g}, .doc = d, .checking = true};
    need needs[2] = {a, b};
    bool disjoint = are_plainly_disjoint(&s, need_schema(&s, a), need_schema(&s, b));
    const int64_t left = d->budget.left;
    if (!disjoint && schema_ok(&s) && d->n_compared++ < MAX_COMPARED) {
        if (d->budget.left > PAIR_BUDGET)
            d->budget.left = PAIR_BUDGET;
        const int64_t given = d->budget.left;
        put_spaces(&s);
        const uint32_t root = schema_goal(&s, needs, 2);
        put_goals(&s, COMPARE_GOALS);
        disjoint = schema_ok(&s) && !s.uncertain && !builder_is_possible(&s.b, root);
        d->budget.left = left - (given - d->budget.left);
    }
    schema_close(&s);
    grammar_free(&g);
    return disjoint;
}

static uint64_t hash_pair(need a, need b) {
    const uint64_t h = ((uint64_t)a << 32 | b) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

/* Twice as many slots for pairs that have been compared; false without memory. */
static bool grow_pairs(struct document *d) {
    const size_t cap = d->cap_pairs ? 2 * d->cap_pairs : 256;
    struct pair *pairs = calloc(cap, sizeof *pairs);
    for (size_t i = 0; pairs && i < d->cap_pairs; i++) {
        size_t slot = hash_pair(d->pairs[i].a, d->pairs[i].b) & (cap - 1);
        while (d->pairs[i].known && pairs[slot].known)
            slot = (slot + 1) & (cap - 1);
        if (d->pairs[i].known)
            pairs[slot] = d->pairs[i];
    }
    if (!pairs)
        return false;
    free(d->pairs);
    d->pairs = pairs;
    d->cap_pairs = cap;
    return true;
}

static bool disjoint(struct document *d, need a, need b) {
    struct pair key = {a < b ? a : b, a < b ? b : a, true, false};
    if (2 * (d->n_pairs + 1) > d->cap_pairs && !grow_pairs(d))
        return false;
    size_t slot = hash_pair(key.a, key.b) & (d->cap_pairs - 1);
    for (; d->pairs[slot].known; slot = (slot + 1) & (d->cap_pairs - 1))
        if (d->pairs[slot].a == key.a && d->pairs[slot].b == key.b)
            return d->pairs[slot].disjoint;
    key.disjoint = are_disjoint(d, key.a, key.b); /* compares no others on the way */
    d->pairs[slot] = key;
    d->n_pairs++;
    return key.disjoint;
}

/* ---- documents ---- */

static bool document_open(struct document *d, const struct json_value *root) {
    *d = (struct document){.root = root, .budget = {.left = BUDGET_WORK}, .disjoint = disjoint};
    d->parents = calloc(root->span, sizeof *d->parents);
    for (int i = 0; i < 2; i++)
        d->patterns[i] = calloc(root->span, sizeof *d->patterns[i]);
    if (!d->parents || !d->patterns[0] || !d->patterns[1])
        return false;
    for (size_t i = 0; i < root->span; i++)
        for (const struct json_value *c = json_first(&root[i]); c; c = json_next(&root[i], c))
            d->parents[c - root] = (uint32_t)i;
    return true;
}

static void document_close(struct document *d) {
    for (int m = 0; m < 2; m++) {
        for (size_t i = 0; d->patterns[m] && i < d->root->span; i++)
            automaton_free(d->patterns[m][i]);
        free(d->patterns[m]);
    }
    for (size_t i = 0; i < SCHEMA_MAX_FORMATS; i++)
        automaton_free(d->formats[i]);
    free(d->parents);
    free(d->pairs);
}

/* What was passed over, in one line; control characters as question marks. */
static char *write_note(const struct document *d) {
    size_t cap = 8, len = 0;
    for (size_t i = 0; i < d->n_notes; i++)
        cap += strlen(d->notes[i].name) + sizeof "format , ";
    char *note = d->n_notes ? malloc(cap) : NULL;
    for (size_t i = 0; note && i < d->n_notes; i++) {
        len += (size_t)snprintf(note + len, cap - len, "%s%s", i ? ", " : "",
                                d->notes[i].format ? "format " : "");
        const char *name = d->notes[i].name;
        for (size_t left = strlen(name), n; left; name += n, left -= n) {
            n = utf8_char_len(name, left);
            const uint32_t code = utf8_code_point(name, n);
            if (code < 0x20 || (code >= 0x7f && code < 0xa0))
                note[len++] = '?';
            else
                for (size_t k = 0; k < n; k++)
                    note[len++] = name[k];
        }
        note[len] = 0;
    }
    if (note && d->more_notes)
        snprintf(note + len, cap - len, ", ...");
    return note;
}

enum bise_status json_schema_parse(struct grammar *g, const char *text, size_t len,
                                   struct bise_error *err) {
    struct json *json;
    struct document d = {.root = NULL};
    const enum bise_status status = json_parse(&json, text, len, "json schema", err);
    if (status) /* whatever the text is, it is the caller's argument */
        return status == BISE_ERR_FORMAT ? BISE_ERR_ARG : status;
    struct schema s = {.b = {.g = g, .err = err}, .doc = &d, .err = err};
    if (document_open(&d, json_root(json))) {
        need root = need_of(&s, d.root, false);
        put_spaces(&s);
        const uint32_t rule = schema_goal(&s, &root, 1);
        put_goals(&s, SIZE_MAX);
        const bool possible = !schema_ok(&s) || builder_is_possible(&s.b, rule);
        if (!possible && d.left_out)
            schema_no_opposite(&s, d.left_out);
        if (!possible)
            schema_fail(&s, NULL, "no value matches it");
        builder_finish(&s.b, rule);
        g->note = write_note(&d);
    } else {
        schema_no_memory(&s);
    }
    document_close(&d);
    schema_close(&s);
    json_close(&json);
    return s.b.status;
}
