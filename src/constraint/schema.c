#include "src/constraint/schema.h"

#include "src/base/array.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- faults and notes ---- */

/* The JSON pointer of a value, cut where it does not fit. */
static void describe_place(const struct document *d, const struct json_value *v, char *out,
                           size_t cap) {
    const struct json_value *way[JSON_MAX_DEPTH + 1];
    size_t n = 0, len = (size_t)snprintf(out, cap, "#");
    for (; v != d->root && n < JSON_MAX_DEPTH; v = d->root + d->parents[v - d->root])
        way[n++] = v;
    while (n-- > 0 && len < cap) {
        size_t i = 0;
        const struct json_value *parent = d->root + d->parents[way[n] - d->root];
        for (const struct json_value *c = json_first(parent); c && c != way[n];
             c = json_next(parent, c))
            i++;
        if (way[n]->key)
            len += (size_t)snprintf(out + len, cap - len, "/%s", way[n]->key);
        else
            len += (size_t)snprintf(out + len, cap - len, "/%zu", i);
    }
}

static void fail(struct schema *s, const struct json_value *at, const char *fmt, va_list args) {
    char place[160] = "#", what[256];
    if (!schema_ok(s))
        return;
    if (at)
        describe_place(s->doc, at, place, sizeof place);
    vsnprintf(what, sizeof what, fmt, args);
    s->b.status = bise_fail(s->err, BISE_ERR_ARG, "json schema: %s: %s", place, what);
}

void schema_fail(struct schema *s, const struct json_value *at, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fail(s, at, fmt, args);
    va_end(args);
}

void schema_unsupported(struct schema *s, const struct json_value *at, const char *fmt, ...) {
    va_list args;
    s->uncertain = true;
    if (s->checking)
        return;
    va_start(args, fmt);
    fail(s, at, fmt, args);
    va_end(args);
}

void schema_no_opposite(struct schema *s, const struct json_value *keyword) {
    schema_unsupported(s, keyword, "the opposite of \"%.60s\" is not supported",
                       keyword->key ? keyword->key : "this");
}

void schema_no_memory(struct schema *s) {
    if (schema_ok(s))
        s->b.status = bise_fail(s->err, BISE_ERR_MEMORY, "no memory for the json schema");
}

void schema_too_much(struct schema *s, const struct json_value *at) {
    s->uncertain = true;
    if (s->doc->budget.no_memory)
        schema_no_memory(s);
    else
        schema_fail(s, at,
                    "expected a simpler schema: what it says here takes too much to be "
                    "worked out");
}

bool schema_grow(struct schema *s, void *array, size_t *cap, size_t n, size_t size) {
    if (!schema_ok(s))
        return false;
    const bool grown = array_grow(array, cap, n, size);
    if (!grown)
        schema_no_memory(s);
    return grown;
}

void schema_note(struct schema *s, const char *name, bool format) {
    struct document *d = s->doc;
    for (size_t i = 0; i < d->n_notes; i++)
        if (strcmp(d->notes[i].name, name) == 0 && d->notes[i].format == format)
            return;
    if (d->n_notes < SCHEMA_MAX_NOTES) {
        d->notes[d->n_notes].name = name;
        d->notes[d->n_notes++].format = format;
    } else {
        d->more_notes = true;
    }
}

/* ---- reading ---- */

uint32_t schema_count(struct schema *s, const struct json_value *count) {
    if (count->kind == JSON_NUMBER && count->number >= 0 && count->number <= 1e15 &&
        count->number == (double)(int64_t)count->number)
        return count->number > SCHEMA_MAX_COUNT ? SCHEMA_MAX_COUNT + 1 : (uint32_t)count->number;
    schema_fail(s, count, "expected a whole number, found %s", json_describe(count));
    return 0;
}

static unsigned type_from_name(struct schema *s, const struct json_value *name) {
    static const struct {
        const char *name;
        unsigned types;
    } names[] = {{"null", TYPE_NULL},     {"boolean", TYPE_BOOL},  {"integer", TYPE_INTEGER},
                 {"number", TYPE_NUMBER}, {"string", TYPE_STRING}, {"array", TYPE_ARRAY},
                 {"object", TYPE_OBJECT}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (json_is(name, names[i].name))
            return names[i].types;
    schema_fail(s, name, "expected a type's name");
    return 0;
}

unsigned schema_types(struct schema *s, const struct json_value *v) {
    const struct json_value *type = json_get(v, "type");
    unsigned types = 0;
    if (!type)
        return TYPE_ANY;
    if (type->kind != JSON_ARRAY)
        types = type_from_name(s, type);
    for (const struct json_value *t = json_first(type); t && type->kind == JSON_ARRAY;
         t = json_next(type, t))
        types |= type_from_name(s, t);
    if (json_flag(v, "nullable", false)) /* as OpenAPI 3.0 has it */
        types |= TYPE_NULL;
    return types;
}

unsigned schema_type_of(const struct json_value *value) {
    switch (value->kind) {
    case JSON_NULL:
        return TYPE_NULL;
    case JSON_BOOL:
        return value->boolean ? TYPE_TRUE : TYPE_FALSE;
    case JSON_NUMBER: /* 2^53 and beyond, doubles are whole */
        return value->is_integer || fabs(value->number) >= 9007199254740992.0 ||
                       value->number == (double)(int64_t)value->number
                   ? TYPE_INTEGER
                   : TYPE_FRACTION;
    case JSON_STRING:
        return TYPE_STRING;
    case JSON_ARRAY:
        return TYPE_ARRAY;
    default:
        return TYPE_OBJECT;
    }
}

/* ---- references ---- */

static bool is_resource(const struct json_value *v) {
    const struct json_value *id = json_get(v, "$id");
    if (!id)
        id = json_get(v, "id");
    return id && id->kind == JSON_STRING && id->len && id->string[0] != '#';
}

static int hex_value(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* One token of a JSON pointer in a URI's fragment, from *ref up to the next / or the end; false
 * where it is too long. */
static bool pointer_token(const char **ref, char *key, size_t cap, size_t *len) {
    const char *p = *ref;
    size_t n = 0;
    while (*p && *p != '/') {
        char c = *p++;
        if (c == '%' && hex_value(p[0]) >= 0 && hex_value(p[1]) >= 0) {
            c = (char)(hex_value(p[0]) << 4 | hex_value(p[1]));
            p += 2;
        }
        if (c == '~' && (*p == '0' || *p == '1'))
            c = *p++ == '0' ? '~' : '/';
        if (n == cap)
            return false;
        key[n++] = c;
    }
    *ref = p;
    *len = n;
    return true;
}

static const struct json_value *follow_pointer(const struct json_value *v, const char *pointer) {
    char key[512];
    while (v && *pointer == '/') {
        size_t len;
        pointer++;
        if (!pointer_token(&pointer, key, sizeof key - 1, &len))
            return NULL;
        key[len] = 0;
        if (v->kind == JSON_ARRAY) {
            char *end;
            size_t i = strtoul(key, &end, 10);
            const struct json_value *c = json_first(v);
            for (; c && i > 0; i--)
                c = json_next(v, c);
            v = *end || !len ? NULL : c;
        } else {
            v = json_member(v, key, len);
        }
    }
    return *pointer ? NULL : v;
}

/* The schema whose $anchor (or, as of draft 4 to 7, $id "#name") that is. */
static const struct json_value *find_anchor(struct schema *s, const char *name) {
    const struct json_value *const root = s->doc->root;
    if (!budget_take(&s->doc->budget, root->span)) {
        schema_too_much(s, NULL);
        return NULL;
    }
    for (size_t i = 0; i < root->span; i++) {
        const struct json_value *v = &root[i];
        const struct json_value *id = json_get(v, "$id");
        if (json_is(json_get(v, "$anchor"), name) || json_is(json_get(v, "$dynamicAnchor"), name))
            return v;
        if (!id)
            id = json_get(v, "id");
        if (id && id->kind == JSON_STRING && id->len > 1 && id->string[0] == '#' &&
            strcmp(id->string + 1, name) == 0)
            return v;
    }
    return NULL;
}

const struct json_value *schema_resolve(struct schema *s, const struct json_value *v) {
    const struct document *d = s->doc;
    const struct json_value *ref = json_get(v, "$ref"), *found = NULL;
    if (ref->kind != JSON_STRING) {
        schema_fail(s, ref, "expected a reference, found %s", json_describe(ref));
        return NULL;
    }
    const char *fragment = strchr(ref->string, '#');
    const size_t n_base = fragment ? (size_t)(fragment - ref->string) : ref->len;
    const struct json_value *base = json_get(d->root, "$id");
    if (!base)
        base = json_get(d->root, "id");
    const bool here = !n_base || (base && base->kind == JSON_STRING && n_base <= base->len &&
                                  strncmp(base->string, ref->string, n_base) == 0 &&
                                  (base->len == n_base || base->string[n_base] == '#'));
    if (!here) {
        schema_fail(s, ref, "only references within the schema are supported");
        return NULL;
    }
    for (const struct json_value *p = v; n_base == 0 && p != d->root;
         p = d->root + d->parents[p - d->root])
        if (is_resource(p)) {
            schema_fail(s, ref, "a reference below an \"$id\" of its own is not supported");
            return NULL;
        }
    fragment = fragment ? fragment + 1 : "";
    found = !*fragment || *fragment == '/' ? follow_pointer(d->root, fragment)
                                           : find_anchor(s, fragment);
    if (!found)
        schema_fail(s, ref, "there is no %.100s", ref->string);
    return found;
}

/* ---- goals ---- */

static uint64_t hash_needs(const need *n, size_t count) {
    uint64_t h = count;
    for (size_t i = 0; i < count; i++)
        h = (h ^ n[i]) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    return h;
}

static bool rehash(struct schema *s) {
    const size_t n = s->n_slots ? 2 * s->n_slots : 256;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots) {
        schema_no_memory(s);
        return false;
    }
    free(s->slots);
    s->slots = slots;
    s->n_slots = n;
    for (size_t i = 0; i < s->n_goals; i++) {
        size_t slot = hash_needs(s->needs + s->goals[i].first, s->goals[i].n) & (n - 1);
        while (slots[slot])
            slot = (slot + 1) & (n - 1);
        slots[slot] = (uint32_t)i + 1;
    }
    return true;
}

static int compare_needs(const void *a, const void *b) {
    const need x = *(const need *)a, y = *(const need *)b;
    return (x > y) - (x < y);
}

/* A schema that is true, or only a reference, is what it says. */
static bool simplify(struct schema *s, need *n) {
    for (int i = 0; i < 100; i++) {
        const struct json_value *v = need_schema(s, *n);
        const bool negated = *n & 1;
        if (!negated &&
            ((v->kind == JSON_BOOL && v->boolean) || (v->kind == JSON_OBJECT && v->len == 0)))
            return false;
        if (v->kind != JSON_OBJECT || v->len != 1 || !json_get(v, "$ref"))
            return true;
        const struct json_value *to = schema_resolve(s, v);
        if (!to)
            return true;
        *n = need_of(s, to, negated);
    }
    schema_fail(s, need_schema(s, *n), "expected fewer references to references");
    return true;
}

uint32_t schema_goal(struct schema *s, need *needs, size_t n) {
    size_t kept = 0, unique = 0;
    for (size_t i = 0; i < n && schema_ok(s); i++) {
        need one = needs[i];
        if (simplify(s, &one))
            needs[kept++] = one;
    }
    if (!schema_ok(s))
        return 0;
    if (kept)
        qsort(needs, kept, sizeof *needs, compare_needs);
    for (size_t i = 0; i < kept; i++)
        if (!unique || needs[unique - 1] != needs[i])
            needs[unique++] = needs[i];
    if (!budget_take(&s->doc->budget, 4 + unique)) {
        schema_too_much(s, unique ? need_schema(s, needs[0]) : NULL);
        return 0;
    }
    if (2 * (s->n_goals + 1) > s->n_slots && !rehash(s))
        return 0;
    size_t slot = hash_needs(needs, unique) & (s->n_slots - 1);
    for (; s->slots[slot]; slot = (slot + 1) & (s->n_slots - 1)) {
        const struct goal *g = &s->goals[s->slots[slot] - 1];
        if (g->n == unique && memcmp(s->needs + g->first, needs, unique * sizeof *needs) == 0)
            return g->rule;
    }
    if (!schema_grow(s, &s->goals, &s->cap_goals, s->n_goals + 1, sizeof *s->goals) ||
        !schema_grow(s, &s->needs, &s->cap_needs, s->n_needs + unique + 1, sizeof *s->needs))
        return 0;
    if (unique)
        memcpy(s->needs + s->n_needs, needs, unique * sizeof *needs);
    s->goals[s->n_goals] =
        (struct goal){(uint32_t)s->n_needs, (uint32_t)unique, builder_rule(&s->b)};
    s->n_needs += unique;
    s->slots[slot] = (uint32_t)++s->n_goals;
    return s->goals[s->n_goals - 1].rule;
}

/* ---- elements ---- */

void schema_put_text(struct schema *s, const char *text) {
    builder_put_bytes(&s->b, text, strlen(text));
}

void schema_put_rule(struct schema *s, uint32_t rule) {
    builder_put(&s->b, ELEMENT_RULE, rule);
}

uint32_t schema_new_rule(struct schema *s, size_t mark) {
    const uint32_t rule = builder_rule(&s->b);
    builder_alternative(&s->b, rule, mark);
    return rule;
}

void schema_put_nothing(struct schema *s) {
    static const struct char_class none = {.n = 0};
    builder_put_class(&s->b, &none);
}

void schema_put_string(struct schema *s, const char *string, size_t len) {
    char small[256];
    const size_t n = json_escape(small, sizeof small, string, len);
    if (n < sizeof small) {
        builder_put_bytes(&s->b, small, n);
        return;
    }
    char *form = malloc(n + 1);
    if (!form) {
        schema_no_memory(s);
        return;
    }
    json_escape(form, n + 1, string, len);
    builder_put_bytes(&s->b, form, n);
    free(form);
}

void schema_put_value(struct schema *s, const struct json_value *v) {
    const bool object = v->kind == JSON_OBJECT;
    switch (v->kind) {
    case JSON_NULL:
        schema_put_text(s, "null");
        return;
    case JSON_BOOL:
        schema_put_text(s, v->boolean ? "true" : "false");
        return;
    case JSON_STRING:
        schema_put_string(s, v->string, v->len);
        return;
    case JSON_NUMBER:
        schema_put_text(s, v->digits);
        return;
    default:
        break;
    }
    schema_put_text(s, object ? "{" : "[");
    schema_put_rule(s, s->space);
    for (const struct json_value *m = json_first(v); m; m = json_next(v, m)) {
        if (m != json_first(v)) {
            schema_put_text(s, ",");
            schema_put_rule(s, s->space);
        }
        if (object) {
            schema_put_string(s, m->key, m->key_len);
            schema_put_text(s, ":");
            schema_put_rule(s, s->gap);
        }
        schema_put_value(s, m);
    }
    schema_put_rule(s, s->space);
    schema_put_text(s, object ? "}" : "]");
}

/* ---- lexemes ---- */

bool schema_put_known(struct schema *s, const char *key) {
    for (size_t i = s->n_memos; i-- > 0;)
        if (strcmp(s->memos[i].key, key) == 0) {
            if (s->memos[i].possible)
                builder_put(&s->b, ELEMENT_LEXEME, s->memos[i].lexeme);
            else
                schema_put_nothing(s);
            return true;
        }
    return false;
}

void schema_put_automaton(struct schema *s, struct automaton *a, enum lexeme_form form,
                          uint32_t min, uint32_t max, const char *key) {
    struct budget *budget = &s->doc->budget;
    bool possible = false;
    uint32_t lexeme = 0;
    if (!a) {
        schema_too_much(s, NULL);
        return;
    }
    const bool empty = automaton_is_empty(a, budget);
    if (!empty) {
        const uint32_t table = builder_table(&s->b, a, form, budget);
        lexeme = budget->left > 0 ? builder_lexeme(&s->b, table, min, max, &possible, budget) : 0;
    }
    automaton_free(a);
    if (budget->left <= 0 || budget->no_memory) {
        schema_too_much(s, NULL);
        return;
    }
    if (possible)
        builder_put(&s->b, ELEMENT_LEXEME, lexeme);
    else
        schema_put_nothing(s);
    if (!key || !schema_grow(s, &s->memos, &s->cap_memos, s->n_memos + 1, sizeof *s->memos))
        return;
    const size_t n = strlen(key) + 1;
    char *copy = malloc(n);
    if (!copy) {
        schema_no_memory(s);
        return;
    }
    memcpy(copy, key, n);
    struct lexeme_memo *const memo = &s->memos[s->n_memos++];
    memo->key = copy;
    memo->lexeme = lexeme;
    memo->possible = possible;
}
