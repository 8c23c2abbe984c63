#include "src/constraint/schema_keywords.h"

#include <string.h>

enum group {
    SILENT,  /* says nothing about values, as everyone knows */
    NOTED,   /* nor do these */
    APPLIED, /* by schema_cases.c, one by one */
    OBJECT,
    ARRAY,
    REFUSED
};

static const struct keyword {
    const char *name;
    enum group group;
} keywords[] = {
    {"$schema", SILENT},
    {"$comment", SILENT},
    {"$defs", SILENT},
    {"definitions", SILENT},
    {"$anchor", SILENT},
    {"title", SILENT},
    {"description", SILENT},
    {"default", SILENT},
    {"deprecated", SILENT},
    {"$ref", APPLIED},
    {"anyOf", APPLIED},
    {"oneOf", APPLIED},
    {"allOf", APPLIED},
    {"not", APPLIED},
    {"if", APPLIED},
    {"then", APPLIED},
    {"else", APPLIED},
    {"dependencies", APPLIED},
    {"dependentRequired", APPLIED},
    {"dependentSchemas", APPLIED},
    {"enum", APPLIED},
    {"const", APPLIED},
    {"type", APPLIED},
    {"nullable", APPLIED},
    {"required", APPLIED},
    {"minProperties", APPLIED},
    {"maxProperties", APPLIED},
    {"minItems", APPLIED},
    {"maxItems", APPLIED},
    {"contains", APPLIED},
    {"minContains", APPLIED},
    {"maxContains", APPLIED},
    {"uniqueItems", APPLIED},
    {"minLength", APPLIED},
    {"maxLength", APPLIED},
    {"pattern", APPLIED},
    {"format", APPLIED},
    {"minimum", APPLIED},
    {"maximum", APPLIED},
    {"exclusiveMinimum", APPLIED},
    {"exclusiveMaximum", APPLIED},
    {"multipleOf", APPLIED},
    {"properties", OBJECT},
    {"additionalProperties", OBJECT},
    {"patternProperties", OBJECT},
    {"propertyNames", OBJECT},
    {"unevaluatedProperties", OBJECT},
    {"items", ARRAY},
    {"prefixItems", ARRAY},
    {"additionalItems", ARRAY},
    {"unevaluatedItems", REFUSED},
    {"$dynamicRef", REFUSED},
    {"$recursiveRef", REFUSED},
};

#define N_KEYWORDS (sizeof keywords / sizeof keywords[0])

/* Its index; N_KEYWORDS of an unknown one. */
static size_t find_keyword(const struct json_value *member) {
    size_t i = 0;
    while (i < N_KEYWORDS && strcmp(keywords[i].name, member->key) != 0)
        i++;
    return i;
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
        const enum group group = i < N_KEYWORDS ? keywords[i].group : NOTED;
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
