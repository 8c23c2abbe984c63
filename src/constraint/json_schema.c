#include "src/constraint/json_schema.h"

#include "src/constraint/json_schema_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- faults ---- */

/* The JSON pointer of a value, cut where it does not fit. */
static void describe_place(const struct json_value *root, const struct json_value *v, char *out,
                           size_t cap) {
    size_t len = (size_t)snprintf(out, cap, "#");
    const struct json_value *at = root;
    while (at != v) {
        const struct json_value *child = json_first(at);
        for (size_t i = 0; child; i++) {
            if (v < child + child->span) {
                if (child->key && len < cap)
                    len += (size_t)snprintf(out + len, cap - len, "/%s", child->key);
                else if (len < cap)
                    len += (size_t)snprintf(out + len, cap - len, "/%zu", i);
                break;
            }
            child = json_next(at, child);
        }
        if (!child)
            return;
        at = child;
    }
}

void schema_fail(struct schema *s, const struct json_value *at, const char *fmt, ...) {
    char place[160] = "#", what[256];
    va_list args;
    if (!schema_ok(s))
        return;
    if (at)
        describe_place(s->root, at, place, sizeof place);
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    s->b.status = bise_fail(s->err, BISE_ERR_ARG, "json schema: %s: %s", place, what);
}

uint32_t schema_count(struct schema *s, const struct json_value *v, const char *keyword,
                      uint32_t fallback) {
    const struct json_value *count = json_get(v, keyword);
    if (!count)
        return fallback;
    if (count->kind == JSON_NUMBER && count->is_integer && count->integer >= 0 &&
        count->integer <= SCHEMA_MAX_COUNT)
        return (uint32_t)count->integer;
    schema_fail(s, count, "expected a whole number from 0 to %d", SCHEMA_MAX_COUNT);
    return fallback;
}

/* ---- keywords ---- */

enum group {
    NOTE,    /* means nothing to a grammar */
    CHOICE,  /* stands alone, beside notes */
    VALUES,  /* beside notes and type */
    OF_TYPE, /* says something about values of some types only */
    TYPE
};

static const struct keyword {
    const char *name;
    enum group group;
    unsigned types; /* OF_TYPE */
} keywords[] = {
    {"$schema", NOTE, 0},
    {"$id", NOTE, 0},
    {"$comment", NOTE, 0},
    {"$defs", NOTE, 0},
    {"definitions", NOTE, 0},
    {"title", NOTE, 0},
    {"description", NOTE, 0},
    {"default", NOTE, 0},
    {"examples", NOTE, 0},
    {"deprecated", NOTE, 0},
    {"readOnly", NOTE, 0},
    {"writeOnly", NOTE, 0},
    {"$ref", CHOICE, 0},
    {"anyOf", CHOICE, 0},
    {"oneOf", CHOICE, 0},
    {"allOf", CHOICE, 0},
    {"enum", VALUES, 0},
    {"const", VALUES, 0},
    {"type", TYPE, 0},
    {"properties", OF_TYPE, SCHEMA_OBJECT},
    {"required", OF_TYPE, SCHEMA_OBJECT},
    {"additionalProperties", OF_TYPE, SCHEMA_OBJECT},
    {"items", OF_TYPE, SCHEMA_ARRAY},
    {"prefixItems", OF_TYPE, SCHEMA_ARRAY},
    {"minItems", OF_TYPE, SCHEMA_ARRAY},
    {"maxItems", OF_TYPE, SCHEMA_ARRAY},
    {"minLength", OF_TYPE, SCHEMA_STRING},
    {"maxLength", OF_TYPE, SCHEMA_STRING},
    {"pattern", OF_TYPE, SCHEMA_STRING},
    {"format", OF_TYPE, SCHEMA_STRING},
    {"minimum", OF_TYPE, SCHEMA_INTEGER | SCHEMA_FRACTION},
    {"maximum", OF_TYPE, SCHEMA_INTEGER | SCHEMA_FRACTION},
    {"exclusiveMinimum", OF_TYPE, SCHEMA_INTEGER | SCHEMA_FRACTION},
    {"exclusiveMaximum", OF_TYPE, SCHEMA_INTEGER | SCHEMA_FRACTION},
};

static const struct keyword *find_keyword(const struct json_value *member) {
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (strcmp(keywords[i].name, member->key) == 0 && strlen(member->key) == member->key_len)
            return &keywords[i];
    return NULL;
}

/* Refuses what is unknown, and what may not stand together. Returns the keyword that decides alone,
 * NULL where types do. */
static const struct json_value *check_keywords(struct schema *s, const struct json_value *v) {
    const struct json_value *alone = NULL;
    for (const struct json_value *m = json_first(v); m; m = json_next(v, m)) {
        const struct keyword *k = find_keyword(m);
        if (!k || (strcmp(m->key, "$id") == 0 && v != s->root))
            schema_fail(s, v, "\"%.60s\" is not supported", m->key);
        else if (json_get(v, m->key) != m)
            schema_fail(s, v, "\"%.60s\" comes twice", m->key);
        else if (k->group == CHOICE || k->group == VALUES)
            alone = m;
        if (!schema_ok(s))
            return NULL;
    }
    for (const struct json_value *m = json_first(v); alone && m; m = json_next(v, m)) {
        const enum group group = find_keyword(m)->group;
        if (m != alone && group != NOTE &&
            !(group == TYPE && find_keyword(alone)->group == VALUES)) {
            schema_fail(s, v, "\"%s\" beside \"%s\" is not supported", m->key, alone->key);
            return NULL;
        }
    }
    return alone;
}

static unsigned type_from_name(struct schema *s, const struct json_value *name) {
    static const struct {
        const char *name;
        unsigned types;
    } names[] = {{"null", SCHEMA_NULL},       {"boolean", SCHEMA_BOOL},
                 {"integer", SCHEMA_INTEGER}, {"number", SCHEMA_INTEGER | SCHEMA_FRACTION},
                 {"string", SCHEMA_STRING},   {"array", SCHEMA_ARRAY},
                 {"object", SCHEMA_OBJECT}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (json_is(name, names[i].name))
            return names[i].types;
    schema_fail(s, name, "expected a type's name");
    return 0;
}

unsigned schema_types(struct schema *s, const struct json_value *v) {
    const struct json_value *type = json_get(v, "type");
    unsigned types = 0;
    if (type && type->kind != JSON_ARRAY)
        return type_from_name(s, type);
    for (const struct json_value *t = json_first(type); t; t = json_next(type, t))
        types |= type_from_name(s, t);
    if (type) {
        if (!types)
            schema_fail(s, type, "expected at least one type");
        return types;
    }
    for (const struct json_value *m = json_first(v); m; m = json_next(v, m))
        types |= find_keyword(m) ? find_keyword(m)->types : 0;
    return types ? types : SCHEMA_ANY;
}

/* ---- rules ---- */

uint32_t schema_rule(struct schema *s, const struct json_value *v) {
    const size_t index = (size_t)(v - s->root);
    if (!schema_ok(s))
        return 0;
    if (!s->rules[index]) {
        s->rules[index] = builder_rule(&s->b) + 1;
        s->queue[s->n_queued++] = (uint32_t)index;
    }
    return s->rules[index] - 1;
}

uint32_t schema_new_rule(struct schema *s, size_t mark) {
    const uint32_t rule = builder_rule(&s->b);
    builder_alternative(&s->b, rule, mark);
    return rule;
}

static void put_branches(struct schema *s, const struct json_value *list, uint32_t rule) {
    if (list->kind != JSON_ARRAY || !list->len) {
        schema_fail(s, list, "expected an array of schemas, found %s", json_describe(list));
        return;
    }
    for (const struct json_value *v = json_first(list); v; v = json_next(list, v)) {
        const size_t mark = builder_mark(&s->b);
        schema_put_rule(s, schema_rule(s, v));
        builder_alternative(&s->b, rule, mark);
    }
}

/* One of them and no other: as anyOf where no value can match two. */
static void check_one_of(struct schema *s, const struct json_value *list) {
    size_t i = 0;
    if (list->len > 100)
        schema_fail(s, list, "expected at most 100 branches of oneOf");
    for (const struct json_value *a = json_first(list); a && schema_ok(s);
         a = json_next(list, a), i++) {
        size_t j = i + 1;
        for (const struct json_value *b = json_next(list, a); b; b = json_next(list, b), j++)
            if (!schema_disjoint(s, a, b))
                schema_fail(s, list,
                            "a value may match branches %zu and %zu of oneOf, which is not "
                            "supported; anyOf is",
                            i, j);
    }
}

static bool value_has_type(const struct json_value *v, unsigned types) {
    static const unsigned of_kind[] = {
        [JSON_NULL] = SCHEMA_NULL,     [JSON_BOOL] = SCHEMA_BOOL,   [JSON_NUMBER] = SCHEMA_FRACTION,
        [JSON_STRING] = SCHEMA_STRING, [JSON_ARRAY] = SCHEMA_ARRAY, [JSON_OBJECT] = SCHEMA_OBJECT};
    if (v->kind == JSON_NUMBER && v->is_integer)
        return types & SCHEMA_INTEGER;
    return types & of_kind[v->kind];
}

static void put_values(struct schema *s, const struct json_value *keyword, unsigned types,
                       uint32_t rule) {
    const bool list = strcmp(keyword->key, "enum") == 0;
    bool any = false;
    if (list && keyword->kind != JSON_ARRAY) {
        schema_fail(s, keyword, "expected an array of values, found %s", json_describe(keyword));
        return;
    }
    for (const struct json_value *v = list ? json_first(keyword) : keyword; v;
         v = list ? json_next(keyword, v) : NULL) {
        const size_t mark = builder_mark(&s->b);
        if (!value_has_type(v, types))
            continue;
        schema_put_value(s, v);
        builder_alternative(&s->b, rule, mark);
        any = true;
    }
    if (!any)
        schema_fail(s, keyword, "expected a value of the schema's type");
}

static void put_types(struct schema *s, const struct json_value *v, unsigned types, uint32_t rule) {
    for (unsigned type = 1; type < SCHEMA_ANY && schema_ok(s); type <<= 1) {
        const size_t mark = builder_mark(&s->b);
        if (!(types & type) || (type == SCHEMA_INTEGER && types & SCHEMA_FRACTION))
            continue; /* a number may be an integer */
        if (type == SCHEMA_NULL)
            schema_put_text(s, "null");
        else if (type == SCHEMA_BOOL) {
            schema_put_text(s, "true");
            builder_alternative(&s->b, rule, mark);
            schema_put_text(s, "false");
        } else if (type == SCHEMA_STRING)
            schema_put_text_schema(s, v);
        else if (type == SCHEMA_ARRAY)
            schema_put_array(s, v);
        else if (type == SCHEMA_OBJECT)
            schema_put_object(s, v);
        else
            schema_put_number(s, v, type == SCHEMA_INTEGER);
        builder_alternative(&s->b, rule, mark);
    }
}

static void put_any(struct schema *s, uint32_t rule) {
    const size_t mark = builder_mark(&s->b);
    schema_put_rule(s, s->any[SCHEMA_ANY_DEPTH]);
    builder_alternative(&s->b, rule, mark);
}

/* The alternatives of the rule of one schema. */
static void compile(struct schema *s, const struct json_value *v, uint32_t rule) {
    if (v->kind == JSON_BOOL && v->boolean) {
        put_any(s, rule);
        return;
    }
    if (v->kind != JSON_OBJECT) {
        schema_fail(s, v,
                    v->kind == JSON_BOOL ? "false, which allows no value, is not supported"
                                         : "expected a schema: an object or true");
        return;
    }
    const struct json_value *alone = check_keywords(s, v);
    if (!schema_ok(s))
        return;
    if (alone && find_keyword(alone)->group == VALUES) {
        put_values(s, alone, json_get(v, "type") ? schema_types(s, v) : SCHEMA_ANY, rule);
    } else if (alone && strcmp(alone->key, "$ref") == 0) {
        const struct json_value *target = schema_resolve(s, v);
        const size_t mark = builder_mark(&s->b);
        if (target)
            schema_put_rule(s, schema_rule(s, target));
        builder_alternative(&s->b, rule, mark);
    } else if (alone) {
        if (strcmp(alone->key, "allOf") == 0 && alone->len != 1)
            schema_fail(s, alone, "allOf of several schemas is not supported");
        put_branches(s, alone, rule);
        if (strcmp(alone->key, "oneOf") == 0)
            check_one_of(s, alone);
    } else if (schema_types(s, v) == SCHEMA_ANY && !json_get(v, "type")) {
        put_any(s, rule);
    } else {
        put_types(s, v, schema_types(s, v), rule);
    }
}

/* ---- the whole ---- */

static void put_blank_rules(struct schema *s) {
    struct builder *b = &s->b;
    const struct char_class blank = {.n = 1, .ranges = {{' ', ' '}}};
    s->gap = builder_rule(b);
    builder_alternative(b, s->gap, builder_mark(b));
    size_t mark = builder_mark(b);
    schema_put_text(s, " ");
    builder_alternative(b, s->gap, mark);
    s->space = builder_rule(b);
    schema_put_rule(s, s->gap);
    builder_alternative(b, s->space, mark);
    schema_put_text(s, "\n");
    const size_t blanks = builder_mark(b);
    builder_put_class(b, &blank);
    builder_repeat(b, blanks, 0, 20);
    builder_alternative(b, s->space, mark);
}

static void put_character_rule(struct schema *s) {
    struct builder *b = &s->b;
    const struct char_class raw = {
        .negated = true, .n = 3, .ranges = {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}}};
    struct char_class letter = {.n = 0}, hex = {.n = 0}, not_d = {.n = 0};
    for (const char *c = "\"\\/bfnrt"; *c; c++)
        (void)class_add(&letter, (uint8_t)*c, (uint8_t)*c);
    for (const char *r = "09afAF"; *r; r += 2)
        (void)class_add(&hex, (uint8_t)r[0], (uint8_t)r[1]);
    for (const char *r = "09acefACEF"; *r; r += 2) /* \ud800 to \udfff are halves of characters */
        (void)class_add(&not_d, (uint8_t)r[0], (uint8_t)r[1]);
    const size_t mark = builder_mark(b);
    s->character = builder_rule(b);
    builder_put_class(b, &raw);
    builder_alternative(b, s->character, mark);
    schema_put_text(s, "\\");
    builder_put_class(b, &letter);
    builder_alternative(b, s->character, mark);
    schema_put_text(s, "\\u");
    builder_put_class(b, &not_d);
    for (int i = 0; i < 3; i++)
        builder_put_class(b, &hex);
    builder_alternative(b, s->character, mark);
}

/* Values of any kind, from the flat ones up. An empty object serves as the schema of each type. */
static void put_any_rules(struct schema *s) {
    static const struct json_value nothing = {.kind = JSON_OBJECT, .span = 1};
    for (size_t depth = 0; depth <= SCHEMA_ANY_DEPTH && schema_ok(s); depth++) {
        s->any[depth] = builder_rule(&s->b);
        put_types(s, &nothing, SCHEMA_ANY & ~(SCHEMA_ARRAY | SCHEMA_OBJECT), s->any[depth]);
        for (int object = 0; object < 2 && depth; object++) {
            const size_t mark = builder_mark(&s->b);
            schema_put_text(s, object ? "{" : "[");
            schema_put_rule(s, s->space);
            const size_t inner = builder_mark(&s->b);
            for (int again = 0; again < 2; again++) {
                const size_t item = builder_mark(&s->b);
                if (again) {
                    schema_put_text(s, ",");
                    schema_put_rule(s, s->space);
                }
                if (object) {
                    schema_put_text_schema(s, &nothing);
                    schema_put_text(s, ":");
                    schema_put_rule(s, s->gap);
                }
                schema_put_rule(s, s->any[depth - 1]);
                if (again)
                    builder_repeat(&s->b, item, 0, REPEAT_FOREVER);
            }
            schema_put_rule(s, s->space);
            builder_repeat(&s->b, inner, 0, 1);
            schema_put_text(s, object ? "}" : "]");
            builder_alternative(&s->b, s->any[depth], mark);
        }
    }
}

static enum bise_status build(struct schema *s) {
    put_blank_rules(s);
    put_character_rule(s);
    put_any_rules(s);
    const uint32_t root = schema_rule(s, s->root);
    for (; s->n_done < s->n_queued && schema_ok(s); s->n_done++) {
        const struct json_value *v = s->root + s->queue[s->n_done];
        compile(s, v, s->rules[s->queue[s->n_done]] - 1);
    }
    builder_finish(&s->b, root);
    return s->b.status;
}

enum bise_status json_schema_parse(struct grammar *g, const char *text, size_t len,
                                   struct bise_error *err) {
    struct schema s = {.b = {.g = g, .err = err}, .err = err};
    struct json *json;
    enum bise_status status = json_parse(&json, text, len, "json schema", err);
    if (status == BISE_ERR_FORMAT) { /* to the caller it is an argument, not a file */
        status = BISE_ERR_ARG;
        if (err)
            err->status = status;
    }
    if (status)
        return status;
    s.root = json_root(json);
    s.rules = calloc(s.root->span, sizeof *s.rules);
    s.queue = malloc(s.root->span * sizeof *s.queue);
    if (s.rules && s.queue)
        status = build(&s);
    else
        status = bise_fail(err, BISE_ERR_MEMORY, "no memory for the json schema");
    builder_free(&s.b);
    free(s.rules);
    free(s.queue);
    json_close(&json);
    return status;
}
