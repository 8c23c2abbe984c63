#include "src/constraint/schema_values.h"

#include "src/base/utf8.h"
#include "src/constraint/schema_strings.h"

#include <math.h>
#include <string.h>

#define MAX_DEPTH 20 /* schemas inside each other: each a frame */

static enum verdict both(enum verdict a, enum verdict b) {
    if (a == VERDICT_NO || b == VERDICT_NO)
        return VERDICT_NO;
    return a == VERDICT_YES ? b : VERDICT_UNKNOWN;
}

static enum verdict opposite(enum verdict a) {
    return a == VERDICT_UNKNOWN ? a : a == VERDICT_YES ? VERDICT_NO : VERDICT_YES;
}

static enum verdict verdict(bool yes) {
    return yes ? VERDICT_YES : VERDICT_NO;
}

/* ---- equality ---- */

bool schema_values_equal(const struct json_value *a, const struct json_value *b) {
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return a->boolean == b->boolean;
    case JSON_NUMBER:
        return a->is_integer && b->is_integer ? a->integer == b->integer : a->number == b->number;
    case JSON_STRING:
        return a->len == b->len && memcmp(a->string, b->string, a->len) == 0;
    default:
        break;
    }
    if (a->len != b->len)
        return false;
    const struct json_value *y = json_first(b);
    for (const struct json_value *x = json_first(a); x; x = json_next(a, x)) {
        const struct json_value *other =
            a->kind == JSON_OBJECT ? json_member(b, x->key, x->key_len) : y;
        if (!other || !schema_values_equal(x, other))
            return false;
        if (a->kind == JSON_ARRAY)
            y = json_next(b, y);
    }
    return true;
}

bool schema_has_value(const struct fact *f, const struct json_value *value) {
    if (!f->list)
        return schema_values_equal(f->v, value);
    for (const struct json_value *v = json_first(f->v); v; v = json_next(f->v, v))
        if (schema_values_equal(v, value))
            return true;
    return false;
}

/* ---- keywords ---- */

static enum verdict allows(struct schema *s, const struct json_value *v, const struct json_value *x,
                           int depth);

static size_t count_characters(const struct json_value *string) {
    size_t n = 0;
    for (size_t at = 0; at < string->len; n++)
        at += utf8_char_len(string->string + at, string->len - at);
    return n;
}

static enum verdict matches(struct schema *s, const struct json_value *pattern, const char *text,
                            size_t len) {
    const struct automaton *narrow = schema_pattern(s, pattern, REGEX_NARROW);
    const struct automaton *wide = narrow ? schema_pattern(s, pattern, REGEX_WIDE) : NULL;
    if (!wide)
        return VERDICT_UNKNOWN;
    if (automaton_accepts(narrow, text, len))
        return VERDICT_YES;
    return automaton_accepts(wide, text, len) ? VERDICT_UNKNOWN : VERDICT_NO;
}

static enum verdict has_format(struct schema *s, const struct json_value *format,
                               const struct json_value *x) {
    struct format f;
    if (!schema_format(s, format, &f))
        return VERDICT_YES;
    if (count_characters(x) > f.max)
        return VERDICT_NO;
    if (f.automaton && automaton_accepts(f.automaton, x->string, x->len))
        return VERDICT_YES;
    return f.automaton && f.exact ? VERDICT_NO : VERDICT_UNKNOWN;
}

static enum verdict is_within(const struct json_value *bound, bool below, bool strict,
                              const struct json_value *x) {
    if (x->number == bound->number && !(x->is_integer && bound->is_integer) &&
        strcmp(x->digits, bound->digits) != 0)
        return VERDICT_UNKNOWN; /* doubles do not tell them apart */
    const bool exact = x->is_integer && bound->is_integer;
    const int order = exact ? (x->integer > bound->integer) - (x->integer < bound->integer)
                            : (x->number > bound->number) - (x->number < bound->number);
    return verdict(order == 0 ? !strict : (order < 0) == below);
}

static enum verdict is_multiple(const struct json_value *of, const struct json_value *x) {
    if (fabs(x->number) > 0x1p53 || of->number != floor(of->number))
        return VERDICT_UNKNOWN;
    return verdict(fmod(x->number, of->number) == 0);
}

static enum verdict check_properties(struct schema *s, const struct json_value *v,
                                     const struct json_value *x, int depth) {
    const struct json_value *properties = json_get(v, "properties");
    const struct json_value *patterns = json_get(v, "patternProperties");
    const struct json_value *others = json_get(v, "additionalProperties");
    const struct json_value *names = json_get(v, "propertyNames");
    enum verdict good = json_get(v, "unevaluatedProperties") ? VERDICT_UNKNOWN : VERDICT_YES;
    for (const struct json_value *m = json_first(x); m && good; m = json_next(x, m)) {
        const struct json_value *p = json_member(properties, m->key, m->key_len);
        bool matched = p != NULL;
        if (p)
            good = both(good, allows(s, p, m, depth));
        for (const struct json_value *q = json_first(patterns); q; q = json_next(patterns, q)) {
            const struct json_value pattern = {
                .kind = JSON_STRING, .string = q->key, .len = q->key_len};
            const char *fault;
            size_t at;
            struct automaton *a = automaton_regex(pattern.string, pattern.len, REGEX_NARROW,
                                                  &s->doc->budget, &fault, &at);
            if (!a)
                return VERDICT_UNKNOWN;
            if (automaton_accepts(a, m->key, m->key_len)) {
                matched = true;
                good = both(good, allows(s, q, m, depth));
            }
            automaton_free(a);
        }
        if (!matched && others)
            good = both(good, allows(s, others, m, depth));
        if (names) {
            const struct json_value name = {
                .kind = JSON_STRING, .string = m->key, .len = m->key_len, .span = 1};
            good = both(good, allows(s, names, &name, depth));
        }
    }
    return good;
}

static enum verdict check_items(struct schema *s, const struct json_value *v,
                                const struct json_value *x, int depth) {
    const struct json_value *items = json_get(v, "items"), *prefix = json_get(v, "prefixItems");
    const struct json_value *rest = items;
    enum verdict good = VERDICT_YES;
    if (items && items->kind == JSON_ARRAY) {
        prefix = items;
        rest = json_get(v, "additionalItems");
    }
    const struct json_value *p = json_first(prefix);
    for (const struct json_value *m = json_first(x); m && good; m = json_next(x, m)) {
        if (p)
            good = both(good, allows(s, p, m, depth));
        else if (rest)
            good = both(good, allows(s, rest, m, depth));
        p = p ? json_next(prefix, p) : NULL;
    }
    return good;
}

/* How many items match, between the limits of what is known. */
static enum verdict check_contains(struct schema *s, const struct fact *f,
                                   const struct json_value *x, int depth) {
    uint32_t n = 0, perhaps = 0;
    for (const struct json_value *m = json_first(x); m; m = json_next(x, m)) {
        enum verdict one = allows(s, need_schema(s, f->need), m, depth);
        if (f->need & 1)
            one = opposite(one);
        n += one == VERDICT_YES;
        perhaps += one == VERDICT_UNKNOWN;
    }
    if (n >= f->n.min && n + perhaps <= f->n.max)
        return VERDICT_YES;
    return n + perhaps < f->n.min || n > f->n.max ? VERDICT_NO : VERDICT_UNKNOWN;
}

static bool is_unique(struct schema *s, const struct json_value *x) {
    if (!budget_take(&s->doc->budget, x->span * x->len / 4))
        schema_too_much(s, NULL);
    for (const struct json_value *a = json_first(x); a; a = json_next(x, a))
        for (const struct json_value *b = json_next(x, a); b; b = json_next(x, b))
            if (schema_values_equal(a, b))
                return false;
    return true;
}

static const struct json_value *named(const struct fact *f, const struct json_value *x) {
    return f->by_key ? json_member(x, f->v->key, f->v->key_len)
                     : json_member(x, f->v->string, f->v->len);
}

static enum verdict check_need(struct schema *s, need n, const struct json_value *x, int depth) {
    const enum verdict good = allows(s, need_schema(s, n), x, depth);
    return n & 1 ? opposite(good) : good;
}

/* Whether a fact holds for a value of its type. */
static enum verdict check_fact(struct schema *s, const struct fact *f, const struct json_value *x,
                               int depth) {
    const bool object = x->kind == JSON_OBJECT, array = x->kind == JSON_ARRAY;
    const bool string = x->kind == JSON_STRING, number = x->kind == JSON_NUMBER;
    const struct json_value *p;
    size_t n;
    enum verdict good = VERDICT_YES;
    switch (f->kind) {
    case FACT_OBJECT:
        return object ? both(check_properties(s, f->v, x, depth),
                             f->scopes ? VERDICT_UNKNOWN : VERDICT_YES)
                      : good;
    case FACT_PRESENT:
        return verdict(!object || named(f, x));
    case FACT_ABSENT:
        return verdict(!object || !named(f, x));
    case FACT_PROPERTY:
        p = object ? json_member(x, f->v->key, f->v->key_len) : NULL;
        return p ? check_need(s, f->need, p, depth) : good;
    case FACT_ARRAY:
        return array ? check_items(s, f->v, x, depth) : good;
    case FACT_ITEMS:
        for (p = json_first(x); p && array && good; p = json_next(x, p))
            good = both(good, check_need(s, f->need, p, depth));
        return good;
    case FACT_CONTAINS:
        return array ? check_contains(s, f, x, depth) : good;
    case FACT_UNIQUE:
        return verdict(!array || is_unique(s, x));
    case FACT_PATTERN:
        good = string ? matches(s, f->v, x->string, x->len) : good;
        return string && f->negated ? opposite(good) : good;
    case FACT_FORMAT:
        return string ? has_format(s, f->v, x) : good;
    case FACT_VALUES:
    case FACT_NOT_VALUES:
        if (!budget_take(&s->doc->budget, f->v->len / 4))
            schema_too_much(s, f->v);
        return verdict(schema_has_value(f, x) == (f->kind == FACT_VALUES));
    case FACT_BOUND:
        return number ? is_within(f->v, f->below, f->strict, x) : good;
    case FACT_MULTIPLE:
        return number ? is_multiple(f->v, x) : good;
    case FACT_LENGTH:
        n = string ? count_characters(x) : 0;
        return verdict(!string || (n >= f->n.min && n <= f->n.max));
    case FACT_N_ITEMS:
        return verdict(!array || (x->len >= f->n.min && x->len <= f->n.max));
    case FACT_N_PROPERTIES:
        return verdict(!object || (x->len >= f->n.min && x->len <= f->n.max));
    }
    return VERDICT_UNKNOWN;
}

/* from: a fact of the case that is known to hold, or NULL. */
static enum verdict case_allows(struct schema *s, const struct schema_case *c,
                                const struct json_value *x, const struct fact *from, int depth) {
    enum verdict good =
        c->is_goal ? check_need(s, c->goal, x, depth) : verdict(c->types & schema_type_of(x));
    for (size_t i = 0; i < c->n && good; i++)
        if (&c->facts[i] != from)
            good = both(good, check_fact(s, &c->facts[i], x, depth));
    return good;
}

/* By the schema's cases, so that what its keywords mean stands in one place. */
static enum verdict allows(struct schema *s, const struct json_value *v, const struct json_value *x,
                           int depth) {
    struct schema_cases cases;
    enum verdict good = VERDICT_NO;
    const need n = need_of(s, v, false);
    if (depth > MAX_DEPTH)
        return VERDICT_UNKNOWN;
    schema_find_cases(s, &n, 1, &cases);
    for (size_t i = 0; i < cases.n && good != VERDICT_YES; i++) {
        const enum verdict one = case_allows(s, &cases.list[i], x, NULL, depth + 1);
        good = one == VERDICT_NO ? good : one;
    }
    schema_free_cases(&cases);
    return schema_ok(s) ? good : VERDICT_UNKNOWN;
}

enum verdict schema_allows(struct schema *s, need n, const struct json_value *value) {
    return check_need(s, n, value, 0);
}

enum verdict schema_case_allows(struct schema *s, const struct schema_case *c,
                                const struct fact *from, const struct json_value *value) {
    return case_allows(s, c, value, from, 0);
}
