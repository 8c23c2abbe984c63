/* Objects and arrays of a schema, and values written out. */
#include "src/constraint/json_schema_impl.h"

#include "src/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts ---- */

void schema_put_bytes(struct schema *s, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        builder_put(&s->b, ELEMENT_BYTE, (uint8_t)bytes[i]);
}

void schema_put_text(struct schema *s, const char *text) {
    schema_put_bytes(s, text, strlen(text));
}

void schema_put_rule(struct schema *s, uint32_t rule) {
    builder_put(&s->b, ELEMENT_RULE, rule);
}

void schema_put_string(struct schema *s, const char *string, size_t len) {
    const size_t n = json_escape(NULL, 0, string, len);
    char *form = malloc(n + 1);
    if (!form) {
        if (schema_ok(s))
            s->b.status = bise_fail(s->err, BISE_ERR_MEMORY, "no memory for the json schema");
        return;
    }
    json_escape(form, n + 1, string, len);
    schema_put_bytes(s, form, n);
    free(form);
}

void schema_put_value(struct schema *s, const struct json_value *v) {
    char number[40];
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
        if (v->is_integer)
            snprintf(number, sizeof number, "%lld", (long long)v->integer);
        else
            snprintf(number, sizeof number, "%.17g", v->number);
        for (char *c = number; *c; c++) /* the locale's point may be a comma */
            *c = *c == ',' ? '.' : *c;
        schema_put_text(s, number);
        return;
    default:
        break;
    }
    schema_put_text(s, object ? "{" : "[");
    for (const struct json_value *m = json_first(v); m; m = json_next(v, m)) {
        if (m != json_first(v))
            schema_put_text(s, ",");
        if (object) {
            schema_put_string(s, m->key, m->key_len);
            schema_put_text(s, ":");
        }
        schema_put_value(s, m);
    }
    schema_put_text(s, object ? "}" : "]");
}

/* ---- keys that are not declared ---- */

/* A step into the names: those whose first at bytes are a prefix. Characters that JSON escapes end
 * a name's part in it: such a name is never written without escapes. */
struct name_set {
    const struct json_value *const *names; /* [n] ordered by their bytes */
    size_t n, at;
};

static int compare_names(const void *a, const void *b) {
    const struct json_value *x = *(const struct json_value *const *)a;
    const struct json_value *y = *(const struct json_value *const *)b;
    const int order = memcmp(x->key, y->key, x->key_len < y->key_len ? x->key_len : y->key_len);
    return order ? order : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

/* Alternatives of rule: what may follow the prefix and its closing quote, without becoming a name.
 * rest: any characters and the quote. */
static void put_other(struct schema *s, const struct json_value *properties, struct name_set set,
                      uint32_t rest, uint32_t rule, unsigned depth) {
    struct builder *b = &s->b;
    struct char_class others = {
        .negated = true, .n = 3, .ranges = {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}}};
    const size_t mark = builder_mark(b);
    size_t i = 0;
    bool is_name = false;
    if (depth > 100) {
        schema_fail(s, properties, "expected names that share fewer than 100 characters");
        return;
    }
    for (; i < set.n && set.names[i]->key_len == set.at; i++)
        is_name = true;
    while (i < set.n && schema_ok(s)) {
        const char *here = set.names[i]->key + set.at;
        const size_t len = utf8_char_len(here, set.names[i]->key_len - set.at);
        const uint32_t code = utf8_code_point(here, len);
        size_t end = i;
        while (end < set.n && set.names[end]->key_len >= set.at + len &&
               memcmp(set.names[end]->key + set.at, here, len) == 0)
            end++;
        if (code > 0x1f && code != '"' && code != '\\') {
            const uint32_t inner = builder_rule(b);
            if (!class_add(&others, code, code))
                schema_fail(s, properties, "expected names with fewer different characters");
            put_other(s, properties, (struct name_set){set.names + i, end - i, set.at + len}, rest,
                      inner, depth + 1);
            schema_put_bytes(s, here, len);
            schema_put_rule(s, inner);
            builder_alternative(b, rule, mark);
        }
        i = end;
    }
    builder_put_class(b, &others);
    schema_put_rule(s, rest);
    builder_alternative(b, rule, mark);
    if (!is_name) {
        schema_put_text(s, "\"");
        builder_alternative(b, rule, mark);
    }
}

void schema_put_other_key(struct schema *s, const struct json_value *properties) {
    static const struct char_class plain = {
        .negated = true, .n = 3, .ranges = {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}}};
    const size_t n = properties ? properties->len : 0, mark = builder_mark(&s->b);
    const struct json_value **names = malloc((n + 1) * sizeof *names);
    size_t at = 0;
    if (!names) {
        if (schema_ok(s))
            s->b.status = bise_fail(s->err, BISE_ERR_MEMORY, "no memory for the json schema");
        return;
    }
    for (const struct json_value *p = json_first(properties); p; p = json_next(properties, p))
        names[at++] = p;
    qsort(names, n, sizeof *names, compare_names);
    builder_put_class(&s->b, &plain);
    builder_repeat(&s->b, mark, 0, REPEAT_FOREVER);
    schema_put_text(s, "\"");
    const uint32_t rest = schema_new_rule(s, mark), rule = builder_rule(&s->b);
    put_other(s, properties, (struct name_set){names, n, 0}, rest, rule, 0);
    schema_put_text(s, "\"");
    schema_put_rule(s, rule);
    free(names);
}

/* ---- objects ---- */

bool schema_requires(const struct json_value *v, const struct json_value *property) {
    const struct json_value *required = json_get(v, "required");
    for (const struct json_value *r = json_first(required); r; r = json_next(required, r))
        if (r->kind == JSON_STRING && r->len == property->key_len &&
            memcmp(r->string, property->key, r->len) == 0)
            return true;
    return false;
}

static void check_object(struct schema *s, const struct json_value *properties,
                         const struct json_value *required) {
    if (properties && properties->kind != JSON_OBJECT)
        schema_fail(s, properties, "expected an object, found %s", json_describe(properties));
    if (required && required->kind != JSON_ARRAY)
        schema_fail(s, required, "expected an array, found %s", json_describe(required));
    if ((properties && properties->len > SCHEMA_MAX_COUNT / 10) ||
        (required && required->len > SCHEMA_MAX_COUNT / 10))
        schema_fail(s, properties, "expected at most %d properties", SCHEMA_MAX_COUNT / 10);
    for (const struct json_value *r = json_first(required); r && schema_ok(s);
         r = json_next(required, r))
        if (r->kind != JSON_STRING || strlen(r->string) != r->len ||
            !json_get(properties, r->string))
            schema_fail(s, required, "expected names of properties, found %.60s",
                        r->kind == JSON_STRING ? r->string : json_describe(r));
    for (const struct json_value *p = json_first(properties); p && schema_ok(s);
         p = json_next(properties, p))
        if (strlen(p->key) == p->key_len && json_get(properties, p->key) != p)
            schema_fail(s, properties, "\"%.60s\" comes twice", p->key);
}

/* Two rules for what may follow in an object: after other members, and as the first. */
struct tail {
    uint32_t more, first;
};

static void put_comma(struct schema *s) {
    schema_put_text(s, ",");
    schema_put_rule(s, s->space);
}

/* Rules for members that are not declared, or for nothing. */
static struct tail put_others(struct schema *s, const struct json_value *v,
                              const struct json_value *properties) {
    const struct json_value *more = json_get(v, "additionalProperties");
    const bool allowed = more ? more->kind != JSON_BOOL || more->boolean : !properties;
    const size_t mark = builder_mark(&s->b);
    struct tail t = {0};
    if (!allowed) {
        t.more = t.first = schema_new_rule(s, mark);
        return t;
    }
    schema_put_other_key(s, properties);
    schema_put_text(s, ":");
    schema_put_rule(s, s->gap);
    if (!more || more->kind == JSON_BOOL)
        schema_put_rule(s, s->any[SCHEMA_ANY_DEPTH - 1]);
    else
        schema_put_rule(s, schema_rule(s, more));
    const uint32_t member = schema_new_rule(s, mark);
    put_comma(s);
    schema_put_rule(s, member);
    builder_repeat(&s->b, mark, 0, REPEAT_FOREVER);
    t.more = schema_new_rule(s, mark);
    schema_put_rule(s, member);
    schema_put_rule(s, t.more);
    t.first = schema_new_rule(s, mark);
    builder_alternative(&s->b, t.first, mark);
    return t;
}

/* The rules with one property in front of them. */
static struct tail put_property(struct schema *s, const struct json_value *p, bool required,
                                struct tail after) {
    const size_t mark = builder_mark(&s->b);
    schema_put_string(s, p->key, p->key_len);
    schema_put_text(s, ":");
    schema_put_rule(s, s->gap);
    schema_put_rule(s, schema_rule(s, p));
    schema_put_rule(s, after.more);
    const uint32_t member = schema_new_rule(s, mark);
    put_comma(s);
    schema_put_rule(s, member);
    struct tail t = {.more = schema_new_rule(s, mark)};
    schema_put_rule(s, member);
    t.first = schema_new_rule(s, mark);
    if (!required) {
        schema_put_rule(s, after.more);
        builder_alternative(&s->b, t.more, mark);
        schema_put_rule(s, after.first);
        builder_alternative(&s->b, t.first, mark);
    }
    return t;
}

void schema_put_object(struct schema *s, const struct json_value *v) {
    const struct json_value *properties = json_get(v, "properties");
    check_object(s, properties, json_get(v, "required"));
    if (!schema_ok(s))
        return;
    const size_t n = properties ? properties->len : 0;
    const struct json_value **list = malloc((n + 1) * sizeof *list);
    size_t at = 0;
    if (!list) {
        s->b.status = bise_fail(s->err, BISE_ERR_MEMORY, "no memory for the json schema");
        return;
    }
    for (const struct json_value *p = json_first(properties); p; p = json_next(properties, p))
        list[at++] = p;
    struct tail t = put_others(s, v, properties);
    while (at-- > 0 && schema_ok(s))
        t = put_property(s, list[at], schema_requires(v, list[at]), t);
    free(list);
    schema_put_text(s, "{");
    schema_put_rule(s, s->space);
    schema_put_rule(s, t.first);
    schema_put_rule(s, s->space);
    schema_put_text(s, "}");
}

/* ---- arrays ---- */

static void put_tuple(struct schema *s, const struct json_value *prefix, uint32_t min,
                      uint32_t max) {
    const size_t n = prefix->len;
    if (prefix->kind != JSON_ARRAY || !n) {
        schema_fail(s, prefix, "expected an array of schemas, found %s", json_describe(prefix));
        return;
    }
    if (min > n || max < n) {
        schema_fail(s, prefix, "expected minItems and maxItems that allow its %zu items", n);
        return;
    }
    for (const struct json_value *v = json_first(prefix); v; v = json_next(prefix, v)) {
        if (v != json_first(prefix))
            put_comma(s);
        schema_put_rule(s, schema_rule(s, v));
    }
}

void schema_put_array(struct schema *s, const struct json_value *v) {
    const struct json_value *items = json_get(v, "items"), *prefix = json_get(v, "prefixItems");
    const uint32_t min = schema_count(s, v, "minItems", 0);
    const uint32_t max = schema_count(s, v, "maxItems", REPEAT_FOREVER);
    const bool none = items && items->kind == JSON_BOOL && !items->boolean && !prefix;
    if (max < min || (none && min))
        schema_fail(s, v, "expected minItems of at most %u", none ? 0 : max);
    if (!schema_ok(s))
        return;
    schema_put_text(s, "[");
    schema_put_rule(s, s->space);
    const size_t mark = builder_mark(&s->b);
    if (prefix) {
        put_tuple(s, prefix, min, max);
    } else if (max && !none) {
        const uint32_t item = items ? schema_rule(s, items) : s->any[SCHEMA_ANY_DEPTH - 1];
        schema_put_rule(s, item);
        const size_t more = builder_mark(&s->b);
        put_comma(s);
        schema_put_rule(s, item);
        builder_repeat(&s->b, more, min ? min - 1 : 0,
                       max == REPEAT_FOREVER ? REPEAT_FOREVER : max - 1);
        builder_repeat(&s->b, mark, min ? 1 : 0, 1);
    }
    schema_put_rule(s, s->space);
    schema_put_text(s, "]");
}
