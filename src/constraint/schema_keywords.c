/* The keywords there are. */
#include "src/constraint/schema_cases.h"

#include <string.h>

enum group {
    SILENT,  /* says nothing about values, as everyone knows */
    NOTED,   /* nor do these */
    APPLIED, /* by schema_cases.c, one by one */
    OBJECT,
    ARRAY,
    REFUSED
};

#define IN_ROW 9

static const struct {
    enum group group;
    const char *names[IN_ROW];
} keywords[] = {
    {SILENT,
     {"$schema", "$comment", "$defs", "definitions", "$anchor", "title", "description", "default",
      "deprecated"}},
    {APPLIED, {"$ref", "anyOf", "oneOf", "allOf", "not", "if", "then", "else"}},
    {APPLIED, {"enum", "const", "type", "nullable"}},
    {APPLIED, {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}},
    {APPLIED, {"minLength", "maxLength", "pattern", "format"}},
    {APPLIED, {"minItems", "maxItems", "contains", "minContains", "maxContains", "uniqueItems"}},
    {APPLIED, {"required", "minProperties", "maxProperties"}},
    {APPLIED, {"dependencies", "dependentRequired", "dependentSchemas"}},
    {OBJECT,
     {"properties", "additionalProperties", "patternProperties", "propertyNames",
      "unevaluatedProperties"}},
    {ARRAY, {"items", "prefixItems", "additionalItems"}},
    {REFUSED, {"unevaluatedItems", "$dynamicRef", "$recursiveRef"}},
};

#define N_KEYWORDS (IN_ROW * (sizeof keywords / sizeof keywords[0]))

/* Its place, row by row; N_KEYWORDS of an unknown one. */
static size_t find_keyword(const struct json_value *member) {
    for (size_t i = 0; i < N_KEYWORDS; i++) {
        const char *const name = keywords[i / IN_ROW].names[i % IN_ROW];
        if (name && strcmp(name, member->key) == 0)
            return i;
    }
    return N_KEYWORDS;
}

/* Keywords whose values are objects. */
static void check_kind(struct schema *s, const struct json_value *m) {
    static const char *const names[] = {"properties", "patternProperties", "dependencies",
                                        "dependentRequired", "dependentSchemas"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (m->kind != JSON_OBJECT && strcmp(m->key, names[i]) == 0)
            schema_fail(s, m, "expected an object, found %s", json_describe(m));
    if (m->kind != JSON_BOOL && strcmp(m->key, "uniqueItems") == 0)
        schema_fail(s, m, "expected true or false, found %s", json_describe(m));
}

void schema_look_at_keywords(struct schema *s, const struct json_value *v, bool *object,
                             bool *array) {
    bool seen[N_KEYWORDS] = {false};
    *object = *array = false;
    if (!budget_take(&s->doc->budget, 4 * v->len)) /* keywords are looked for one by one */
        schema_too_much(s, v);
    for (const struct json_value *m = json_first(v); m && schema_ok(s); m = json_next(v, m)) {
        const size_t i = find_keyword(m);
        const enum group group = i < N_KEYWORDS ? keywords[i / IN_ROW].group : NOTED;
        *object |= group == OBJECT;
        *array |= group == ARRAY;
        if ((group == NOTED && !(v == s->doc->root && strcmp(m->key, "$id") == 0)) ||
            strcmp(m->key, "nullable") == 0)
            schema_note(s, m->key, false);
        if (i == N_KEYWORDS)
            continue;
        if (seen[i])
            schema_fail(s, v, "\"%s\" comes twice", m->key);
        seen[i] = true;
        check_kind(s, m);
        const bool harmless = m->kind == JSON_BOOL && m->boolean;
        if (group == REFUSED && !(harmless && strcmp(m->key, "unevaluatedItems") == 0))
            schema_unsupported(s, v, "\"%s\" is not supported", m->key);
    }
}
