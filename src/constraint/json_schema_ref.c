/* References within a schema, and whether two schemas can share a value. */
#include "src/constraint/json_schema_impl.h"

#include <stdlib.h>
#include <string.h>

#define MAX_STEPS 32 /* from reference to reference, and into objects */

/* The next part of a JSON pointer, behind its slash, unescaped into out [len]. */
static size_t next_part(const char **at, const char *end, char *out) {
    size_t n = 0;
    for (++*at; *at < end && **at != '/'; ++*at) {
        char c = **at;
        if (c == '~' && *at + 1 < end && ((*at)[1] == '0' || (*at)[1] == '1'))
            c = *++*at == '0' ? '~' : '/';
        out[n++] = c;
    }
    return n;
}

static const struct json_value *child_of(const struct json_value *v, const char *name, size_t n) {
    size_t i = 0;
    for (const struct json_value *m = json_first(v); m; m = json_next(v, m), i++) {
        if (v->kind == JSON_OBJECT && m->key_len == n && memcmp(m->key, name, n) == 0)
            return m;
        if (v->kind == JSON_ARRAY && n && n < 9 && strspn(name, "0123456789") >= n &&
            (size_t)atol(name) == i)
            return m;
    }
    return NULL;
}

static const struct json_value *follow(struct schema *s, const struct json_value *ref) {
    const struct json_value *at = s->root;
    if (ref->kind != JSON_STRING || ref->string[0] != '#' || strchr(ref->string, '%') ||
        (ref->len > 1 && ref->string[1] != '/')) {
        schema_fail(s, ref, "only references within the schema, as #/$defs/name, are supported");
        return NULL;
    }
    char *part = malloc(ref->len + 1);
    if (!part) {
        if (schema_ok(s))
            s->b.status = bise_fail(s->err, BISE_ERR_MEMORY, "no memory for the json schema");
        return NULL;
    }
    const char *p = ref->string + 1, *const end = ref->string + ref->len;
    while (p < end && at) {
        const size_t n = next_part(&p, end, part);
        part[n] = 0;
        at = child_of(at, part, n);
    }
    free(part);
    if (!at)
        schema_fail(s, ref, "there is no %.100s", ref->string);
    return at;
}

const struct json_value *schema_resolve(struct schema *s, const struct json_value *v) {
    for (int i = 0; i < MAX_STEPS && v; i++) {
        const struct json_value *ref = json_get(v, "$ref");
        if (!ref)
            return v;
        v = follow(s, ref);
    }
    if (v)
        schema_fail(s, v, "expected fewer references to references");
    return NULL;
}

/* ---- disjoint schemas ---- */

/* The values a schema lists; *n 0 where it does not. */
static const struct json_value *listed(const struct json_value *v, size_t *n) {
    const struct json_value *constant = json_get(v, "const"), *values = json_get(v, "enum");
    *n = constant ? 1 : values && values->kind == JSON_ARRAY ? values->len : 0;
    return constant ? constant : json_first(values);
}

/* Texts alone are compared: other kinds of values may be equal in more than one form. */
static bool may_be_equal(const struct json_value *a, const struct json_value *b) {
    if (a->kind == JSON_STRING && b->kind == JSON_STRING)
        return a->len == b->len && memcmp(a->string, b->string, a->len) == 0;
    return a->kind == b->kind;
}

static bool lists_disjoint(const struct json_value *a, const struct json_value *b) {
    size_t n_a, n_b;
    const struct json_value *x = listed(a, &n_a), *first = listed(b, &n_b);
    for (size_t i = 0; i < n_a; i++, x += x->span) {
        const struct json_value *y = first;
        for (size_t j = 0; j < n_b; j++, y += y->span)
            if (may_be_equal(x, y))
                return false;
    }
    return n_a && n_b;
}

static unsigned types_of(struct schema *s, const struct json_value *v) {
    static const unsigned of_kind[] = {[JSON_NULL] = SCHEMA_NULL,
                                       [JSON_BOOL] = SCHEMA_BOOL,
                                       [JSON_NUMBER] = SCHEMA_INTEGER | SCHEMA_FRACTION,
                                       [JSON_STRING] = SCHEMA_STRING,
                                       [JSON_ARRAY] = SCHEMA_ARRAY,
                                       [JSON_OBJECT] = SCHEMA_OBJECT};
    size_t n;
    unsigned types = 0;
    const struct json_value *x = listed(v, &n);
    for (size_t i = 0; i < n; i++, x += x->span)
        types |= of_kind[x->kind];
    if (n)
        return types;
    return json_get(v, "type") ? schema_types(s, v) : SCHEMA_ANY;
}

static bool disjoint(struct schema *s, const struct json_value *a, const struct json_value *b,
                     int steps) {
    if (steps == 0 || !(a = schema_resolve(s, a)) || !(b = schema_resolve(s, b)) || a == b)
        return false;
    if (a->kind != JSON_OBJECT || b->kind != JSON_OBJECT)
        return false;
    if (!(types_of(s, a) & types_of(s, b)) || lists_disjoint(a, b))
        return true;
    const struct json_value *of_a = json_get(a, "properties"), *of_b = json_get(b, "properties");
    if (types_of(s, a) != SCHEMA_OBJECT || types_of(s, b) != SCHEMA_OBJECT)
        return false;
    for (const struct json_value *p = json_first(of_a); p; p = json_next(of_a, p)) {
        const struct json_value *q = json_get(of_b, p->key);
        if (q && q->key_len == p->key_len && schema_requires(a, p) && schema_requires(b, p) &&
            disjoint(s, p, q, steps - 1))
            return true; /* a member that both must have tells them apart */
    }
    return false;
}

bool schema_disjoint(struct schema *s, const struct json_value *a, const struct json_value *b) {
    return disjoint(s, a, b, 4);
}
