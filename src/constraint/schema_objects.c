/* Objects of a case: declared properties in the schema's order, then others. */
#include "src/constraint/schema_cases.h"

#include "src/constraint/schema_strings.h"
#include "src/constraint/schema_values.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PROPERTIES 10000
#define MAX_PATTERNS   24
#define MAX_CLASSES    48    /* of keys that are not declared, by the patterns they match */
#define MAX_RULES      60000 /* properties times what is counted */

/* A property that the schema names. */
struct property {
    const char *name;
    size_t len;
    bool required, absent;
    uint32_t declared; /* 1 + the fact that was looked at last and declares it */
    uint32_t first, n; /* in needs, once ordered */
};

struct pattern {
    const struct json_value *v; /* the member of patternProperties */
    size_t fact;
    struct automaton *narrow, *wide;
};

struct object {
    struct schema *s;
    const struct schema_case *c;
    struct property *properties;
    size_t n, cap;
    uint32_t *slots; /* 1 + property by the hash of its name; 0: free */
    size_t n_slots;
    struct {
        uint32_t property;
        need need;
    } * needs; /* of properties, as they come */
    size_t n_needs, cap_needs;
    need *ordered; /* the same by property */
    struct pattern patterns[MAX_PATTERNS];
    size_t n_patterns;
    uint32_t min, max; /* properties */
    need *room;        /* for a goal: [facts and patterns] */
};

/* ---- names ---- */

static uint64_t hash_name(const char *name, size_t len) {
    uint64_t h = len;
    for (size_t i = 0; i < len; i++) {
        h = (h ^ (uint8_t)name[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return h;
}

static bool rehash(struct object *o) {
    const size_t n = o->n_slots ? 2 * o->n_slots : 32;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots) {
        schema_no_memory(o->s);
        return false;
    }
    free(o->slots);
    o->slots = slots;
    o->n_slots = n;
    for (size_t i = 0; i < o->n; i++) {
        size_t s = hash_name(o->properties[i].name, o->properties[i].len) & (n - 1);
        while (slots[s])
            s = (s + 1) & (n - 1);
        slots[s] = (uint32_t)i + 1;
    }
    return true;
}

/* The property of that name, new if need be; NULL after a failure. */
static struct property *intern(struct object *o, const char *name, size_t len) {
    if (2 * (o->n + 1) > o->n_slots && !rehash(o))
        return NULL;
    size_t s = hash_name(name, len) & (o->n_slots - 1);
    for (; o->slots[s]; s = (s + 1) & (o->n_slots - 1)) {
        struct property *p = &o->properties[o->slots[s] - 1];
        if (p->len == len && memcmp(p->name, name, len) == 0)
            return p;
    }
    if (o->n == MAX_PROPERTIES)
        schema_unsupported(o->s, NULL, "more than %d properties are not supported", MAX_PROPERTIES);
    if (o->n == MAX_PROPERTIES ||
        !schema_grow(o->s, &o->properties, &o->cap, o->n + 1, sizeof *o->properties))
        return NULL;
    o->properties[o->n] = (struct property){.name = name, .len = len};
    o->slots[s] = (uint32_t)++o->n;
    return &o->properties[o->n - 1];
}

static struct property *intern_fact(struct object *o, const struct fact *f) {
    return f->by_key ? intern(o, f->v->key, f->v->key_len) : intern(o, f->v->string, f->v->len);
}

/* All names of the case, in the order they come. */
static void find_names(struct object *o) {
    for (size_t i = 0; i < o->c->n && schema_ok(o->s); i++) {
        const struct fact *f = &o->c->facts[i];
        struct property *p = NULL;
        if (f->kind == FACT_OBJECT) {
            const struct json_value *properties = json_get(f->v, "properties");
            if (properties && properties->kind != JSON_OBJECT)
                schema_fail(o->s, properties, "expected an object, found %s",
                            json_describe(properties));
            for (const struct json_value *m = json_first(properties); m;
                 m = json_next(properties, m))
                if (!intern(o, m->key, m->key_len))
                    return;
        } else if (f->kind == FACT_PRESENT || f->kind == FACT_ABSENT || f->kind == FACT_PROPERTY) {
            p = f->kind == FACT_PROPERTY ? intern(o, f->v->key, f->v->key_len) : intern_fact(o, f);
            if (!p)
                return;
            p->required |= f->kind == FACT_PRESENT;
            p->absent |= f->kind == FACT_ABSENT;
        } else if (f->kind == FACT_N_PROPERTIES) {
            o->min = f->n.min > o->min ? f->n.min : o->min;
            o->max = f->n.max < o->max ? f->n.max : o->max;
        }
    }
}

/* ---- patterns ---- */

static void find_patterns(struct object *o) {
    struct schema *s = o->s;
    for (size_t i = 0; i < o->c->n && schema_ok(s); i++) {
        const struct json_value *list = o->c->facts[i].kind == FACT_OBJECT
                                            ? json_get(o->c->facts[i].v, "patternProperties")
                                            : NULL;
        for (const struct json_value *m = json_first(list); m && schema_ok(s);
             m = json_next(list, m)) {
            const char *fault = NULL;
            size_t at;
            if (o->n_patterns == MAX_PATTERNS) {
                schema_unsupported(s, list, "more than %d patterns of properties are not supported",
                                   MAX_PATTERNS);
                return;
            }
            struct pattern *p = &o->patterns[o->n_patterns++];
            *p = (struct pattern){.v = m, .fact = i};
            p->narrow =
                automaton_regex(m->key, m->key_len, REGEX_NARROW, &s->doc->budget, &fault, &at);
            if (p->narrow)
                p->wide =
                    automaton_regex(m->key, m->key_len, REGEX_WIDE, &s->doc->budget, &fault, &at);
            if (!p->wide && fault) {
                schema_unsupported(s, m, "pattern, byte %zu: %s", at, fault);
                o->n_patterns--; /* while checking: as if it were not there */
                automaton_free(p->narrow);
            } else if (!p->wide) {
                schema_too_much(s, m);
            }
        }
    }
}

/* ---- what properties must match ---- */

static void add_need(struct object *o, const struct property *p, const struct json_value *v,
                     bool negated) {
    if (v->kind != JSON_BOOL && v->kind != JSON_OBJECT) {
        schema_fail(o->s, v, "expected a schema, found %s", json_describe(v));
        return;
    }
    if (!schema_grow(o->s, &o->needs, &o->cap_needs, o->n_needs + 1, sizeof *o->needs))
        return;
    o->needs[o->n_needs].property = (uint32_t)(p - o->properties);
    o->needs[o->n_needs++].need = need_of(o->s, v, negated);
}

/* What the fact's schema says about each property. Facts are asked in order, so that declared,
 * patterned and other properties are told apart by who was asked last. */
static void find_needs_of(struct object *o, size_t fact, uint32_t *evaluated) {
    struct schema *s = o->s;
    const struct json_value *v = o->c->facts[fact].v;
    const struct json_value *properties = json_get(v, "properties");
    const struct json_value *others = json_get(v, "additionalProperties");
    const struct json_value *names = json_get(v, "propertyNames");
    const unsigned scopes = o->c->facts[fact].scopes;
    if (!budget_take(&s->doc->budget, o->n * (1 + 4 * o->n_patterns))) {
        schema_too_much(s, v);
        return;
    }
    for (const struct json_value *m = json_first(properties); m; m = json_next(properties, m)) {
        struct property *p = intern(o, m->key, m->key_len);
        if (!p)
            return;
        add_need(o, p, m, false);
        p->declared = (uint32_t)fact + 1;
    }
    for (size_t i = 0; i < o->n && schema_ok(s); i++) {
        struct property *p = &o->properties[i];
        bool known = p->declared == fact + 1;
        for (size_t k = 0; k < o->n_patterns; k++)
            if (o->patterns[k].fact == fact) {
                const bool narrow = automaton_accepts(o->patterns[k].narrow, p->name, p->len);
                if (narrow != automaton_accepts(o->patterns[k].wide, p->name, p->len)) {
                    if (s->checking)
                        continue;
                    p->absent = true; /* validators do not agree */
                }
                if (narrow)
                    add_need(o, p, o->patterns[k].v, false);
                known |= narrow;
            }
        if (!known && others)
            add_need(o, p, others, false);
        if (known || others)
            evaluated[i] |= scopes;
        if (names) {
            const struct json_value name = {
                .kind = JSON_STRING, .string = p->name, .len = p->len, .span = 1};
            const enum verdict good = schema_allows(s, need_of(s, names, false), &name);
            if (good == VERDICT_UNKNOWN)
                schema_unsupported(s, names,
                                   "whether a property may be named \"%.60s\" is not "
                                   "known",
                                   p->name);
            p->absent |= good == VERDICT_NO;
        }
    }
}

/* unevaluatedProperties of the case's scopes: for properties that nothing in a scope speaks about.
 */
static void find_needs(struct object *o) {
    uint32_t *evaluated = calloc(o->n + 1, sizeof *evaluated);
    if (!evaluated) {
        schema_no_memory(o->s);
        return;
    }
    for (size_t i = 0; i < o->c->n && schema_ok(o->s); i++) {
        const struct fact *f = &o->c->facts[i];
        if (f->kind == FACT_OBJECT)
            find_needs_of(o, i, evaluated);
        else if (f->kind == FACT_PROPERTY) {
            struct property *p = intern(o, f->v->key, f->v->key_len);
            if (p)
                add_need(o, p, need_schema(o->s, f->need), f->need & 1);
        }
    }
    for (unsigned k = 0; k < o->c->n_scopes && schema_ok(o->s); k++)
        for (size_t i = 0; i < o->n; i++)
            if (!(evaluated[i] >> k & 1))
                add_need(o, &o->properties[i], json_get(o->c->scopes[k], "unevaluatedProperties"),
                         false);
    free(evaluated);
}

static void order_needs(struct object *o) {
    uint32_t first = 0;
    o->ordered = malloc((o->n_needs + 1) * sizeof *o->ordered);
    if (!o->ordered) {
        schema_no_memory(o->s);
        return;
    }
    for (size_t i = 0; i < o->n_needs; i++)
        o->properties[o->needs[i].property].n++;
    for (size_t i = 0; i < o->n; i++) {
        struct property *p = &o->properties[i];
        p->first = first;
        first += p->n;
        p->n = 0;
    }
    for (size_t i = 0; i < o->n_needs; i++) {
        struct property *p = &o->properties[o->needs[i].property];
        const struct json_value *v = need_schema(o->s, o->needs[i].need);
        o->ordered[p->first + p->n++] = o->needs[i].need;
        p->absent |= v->kind == JSON_BOOL && v->boolean == (o->needs[i].need & 1);
    }
}

/* ---- keys that are not declared ---- */

/* *a (NULL: all) is restricted to b, which is freed; NULL after a failure. */
static void restrict_to(struct schema *s, struct automaton **a, struct automaton *b) {
    struct automaton *both =
        *a && b ? automaton_combine(*a, b, AUTOMATON_AND, &s->doc->budget) : NULL;
    if (!both && (*a || !b))
        schema_too_much(s, NULL);
    if (!*a && b) {
        *a = b;
        return;
    }
    automaton_free(*a);
    automaton_free(b);
    *a = both;
}

static struct automaton *names_of_need(struct schema *s, need n, int depth);

/* The strings of a case; NULL: none, or a failure. */
static struct automaton *names_of_case(struct schema *s, const struct schema_case *c, int depth) {
    struct budget *budget = &s->doc->budget;
    uint32_t min, max;
    if (c->is_goal)
        return names_of_need(s, c->goal, depth + 1);
    if (!(c->types & TYPE_STRING))
        return NULL;
    struct automaton *a = schema_string_language(s, c, &min, &max);
    if (!a && schema_ok(s))
        a = automaton_all(budget);
    if (schema_ok(s) && (min || max != REPEAT_FOREVER))
        restrict_to(s, &a, automaton_lengths(min, max, budget));
    for (size_t i = 0; i < c->n && schema_ok(s); i++)
        if (c->facts[i].kind == FACT_VALUES)
            restrict_to(s, &a, schema_strings_of(s, &c->facts[i], false));
    return a;
}

static struct automaton *names_of_need(struct schema *s, need n, int depth) {
    struct schema_cases cases;
    struct automaton *all = NULL;
    if (depth > 8) {
        schema_unsupported(s, need_schema(s, n), "\"propertyNames\" of this kind is not supported");
        return NULL;
    }
    schema_find_cases(s, &n, 1, &cases);
    for (size_t i = 0; i < cases.n && schema_ok(s); i++) {
        struct automaton *one = names_of_case(s, &cases.list[i], depth);
        struct automaton *more =
            one && all ? automaton_combine(all, one, AUTOMATON_OR, &s->doc->budget) : NULL;
        if (one && all) {
            automaton_free(all);
            automaton_free(one);
            all = more;
            if (!more)
                schema_too_much(s, need_schema(s, n));
        } else if (one) {
            all = one;
        }
    }
    schema_free_cases(&cases);
    return all;
}

/* Keys that are none of the names, of what propertyNames allows; to be freed. NULL: none, or a
 * failure. */
static struct automaton *other_keys(struct object *o) {
    struct schema *s = o->s;
    const char **names = malloc((o->n + 1) * sizeof *names);
    size_t *lens = malloc((o->n + 1) * sizeof *lens);
    struct automaton *a = NULL;
    if (names && lens) {
        for (size_t i = 0; i < o->n; i++) {
            names[i] = o->properties[i].name;
            lens[i] = o->properties[i].len;
        }
        a = automaton_strings(names, lens, o->n, true, &s->doc->budget);
        if (!a)
            schema_too_much(s, NULL);
    } else {
        schema_no_memory(s);
    }
    free(names);
    free(lens);
    for (size_t i = 0; i < o->c->n && a && schema_ok(s); i++) {
        const struct json_value *v =
            o->c->facts[i].kind == FACT_OBJECT ? json_get(o->c->facts[i].v, "propertyNames") : NULL;
        struct automaton *allowed = v ? names_of_need(s, need_of(s, v, false), 0) : NULL;
        if (v && !allowed) {
            automaton_free(a);
            return NULL;
        }
        if (v)
            restrict_to(s, &a, allowed);
    }
    return a;
}

/* The rule of the values of keys that match these patterns; false where there can be none. */
static bool other_value(struct object *o, uint32_t matched, uint32_t *rule) {
    struct schema *s = o->s;
    size_t n = 0;
    uint32_t evaluated = 0;
    for (size_t i = 0; i < o->c->n; i++) {
        const struct fact *f = &o->c->facts[i];
        bool known = false;
        if (f->kind != FACT_OBJECT)
            continue;
        for (size_t k = 0; k < o->n_patterns; k++)
            if (o->patterns[k].fact == i && matched >> k & 1) {
                o->room[n++] = need_of(s, o->patterns[k].v, false);
                known = true;
            }
        const struct json_value *others = json_get(f->v, "additionalProperties");
        if (!known && others && others->kind != JSON_BOOL && others->kind != JSON_OBJECT)
            schema_fail(s, others, "expected a schema, found %s", json_describe(others));
        if (!known && others)
            o->room[n++] = need_of(s, others, false);
        if (known || others)
            evaluated |= f->scopes;
    }
    for (unsigned k = 0; k < o->c->n_scopes; k++)
        if (!(evaluated >> k & 1))
            o->room[n++] = need_of(s, json_get(o->c->scopes[k], "unevaluatedProperties"), false);
    for (size_t i = 0; i < n; i++) {
        const struct json_value *v = need_schema(s, o->room[i]);
        if (v->kind == JSON_BOOL && !v->boolean)
            return false;
    }
    *rule = schema_goal(s, o->room, n);
    return true;
}

/* A key and its value become an alternative of members. a is freed. */
static void put_class(struct object *o, struct automaton *a, uint32_t matched, uint32_t members) {
    struct schema *s = o->s;
    const size_t mark = builder_mark(&s->b);
    uint32_t rule;
    if (!other_value(o, matched, &rule)) {
        automaton_free(a);
        return;
    }
    schema_put_text(s, "\"");
    schema_put_automaton(s, a, LEXEME_STRING, 0, REPEAT_FOREVER, NULL);
    schema_put_text(s, ":");
    schema_put_rule(s, s->gap);
    schema_put_rule(s, rule);
    builder_alternative(&s->b, members, mark);
}

/* Keys by the patterns they match: each class of keys is divided by pattern after pattern. */
static void put_classes(struct object *o, struct automaton *all, uint32_t members) {
    struct schema *s = o->s;
    struct budget *budget = &s->doc->budget;
    struct {
        struct automaton *a;
        uint32_t matched;
    } classes[MAX_CLASSES];
    size_t n = 1;
    classes[0].a = all;
    classes[0].matched = 0;
    for (size_t k = 0; k < o->n_patterns && schema_ok(s); k++)
        for (size_t i = n; i-- > 0 && schema_ok(s);) {
            const struct automaton *from = classes[i].a;
            struct automaton *in =
                automaton_combine(from, o->patterns[k].narrow, AUTOMATON_AND, budget);
            struct automaton *out =
                in ? automaton_combine(from, o->patterns[k].wide, AUTOMATON_AND_NOT, budget) : NULL;
            if (!out)
                schema_too_much(s, o->patterns[k].v);
            if (!out || automaton_is_empty(in, budget)) {
                automaton_free(in);
                in = NULL;
            }
            if (in && n == MAX_CLASSES) {
                schema_unsupported(s, o->patterns[k].v,
                                   "patterns of properties that overlap so "
                                   "often are not supported");
                automaton_free(in);
                in = NULL;
            }
            if (!out)
                continue;
            automaton_free(classes[i].a);
            classes[i].a = out;
            if (in) {
                classes[n].a = in;
                classes[n++].matched = classes[i].matched | 1u << k;
            }
        }
    for (size_t i = 0; i < n; i++) {
        if (schema_ok(s))
            put_class(o, classes[i].a, classes[i].matched, members);
        else
            automaton_free(classes[i].a);
    }
}

/* Whether keys that are not declared can come at all: where nobody asks about patterns, that is
 * known beforehand. */
static bool may_have_others(struct object *o) {
    uint32_t rule;
    return o->n_patterns || other_value(o, 0, &rule);
}

/* ---- objects ---- */

static void put_comma(struct schema *s) {
    schema_put_text(s, ",");
    schema_put_rule(s, s->space);
}

/* What follows the declared properties where c were there: others, min to max of them. A key may
 * come twice, so that no more than one of them is counted on. */
static uint32_t put_rest(struct object *o, bool others, uint32_t members, uint32_t c) {
    struct schema *s = o->s;
    const size_t mark = builder_mark(&s->b);
    const uint32_t missing = c < o->min ? o->min - c : 0;
    const uint32_t left = o->max == REPEAT_FOREVER ? o->max : o->max - c;
    if (missing && (!others || !left)) {
        schema_put_nothing(s);
        return schema_new_rule(s, mark);
    }
    if (missing > 1) {
        s->uncertain = true;
        if (!s->checking) {
            schema_put_nothing(s);
            return schema_new_rule(s, mark);
        }
    }
    if (!others || !left)
        return schema_new_rule(s, mark);
    if (c) {
        put_comma(s);
        schema_put_rule(s, members);
        builder_repeat(&s->b, mark, missing ? 1 : 0, left);
        return schema_new_rule(s, mark);
    }
    schema_put_rule(s, members);
    const size_t more = builder_mark(&s->b);
    put_comma(s);
    schema_put_rule(s, members);
    builder_repeat(&s->b, more, 0, left == REPEAT_FOREVER ? left : left - 1);
    const uint32_t rule = schema_new_rule(s, mark);
    if (!missing)
        builder_alternative(&s->b, rule, mark);
    return rule;
}

/* Rules by property and by how many are there already, as far as that is to be known. */
static void put_members(struct object *o, bool others, uint32_t members) {
    struct schema *s = o->s;
    size_t n = 0;
    for (size_t i = 0; i < o->n; i++)
        n += !o->properties[i].absent;
    if (!others && o->max >= n)
        o->max = REPEAT_FOREVER; /* no object has more */
    if (others && o->min > n + 1)
        schema_unsupported(s, NULL,
                           "\"minProperties\" of more than one property that is not "
                           "declared is not supported");
    uint32_t counts = o->min > 1 ? o->min : 1;
    if (o->max != REPEAT_FOREVER)
        counts = o->max;
    if (counts > n)
        counts = n ? (uint32_t)n : 1;
    if ((n + 1) * ((size_t)counts + 1) > MAX_RULES) {
        schema_unsupported(s, NULL,
                           "\"minProperties\" and \"maxProperties\" of so many "
                           "properties are not supported");
        return;
    }
    uint32_t *rules = malloc(2 * ((size_t)counts + 1) * sizeof *rules);
    if (!rules) {
        schema_no_memory(s);
        return;
    }
    /* Counts beyond what matters are one: all that is known is that a comma is due. */
    uint32_t *now = rules, *after = rules + counts + 1;
    for (uint32_t c = 0; c <= counts; c++)
        after[c] = put_rest(o, others, members, c);
    for (size_t i = o->n; i-- > 0 && schema_ok(s);) {
        const struct property *p = &o->properties[i];
        if (p->absent && !p->required)
            continue;
        const uint32_t value = p->absent ? 0 : schema_goal(s, o->ordered + p->first, p->n);
        size_t mark = builder_mark(&s->b);
        schema_put_string(s, p->name, p->len);
        schema_put_text(s, ":");
        schema_put_rule(s, s->gap);
        if (p->absent)
            schema_put_nothing(s);
        else
            schema_put_rule(s, value);
        const uint32_t member = schema_new_rule(s, mark);
        for (uint32_t c = 0; c <= counts; c++) {
            const bool full = o->max != REPEAT_FOREVER && c >= o->max;
            now[c] = builder_rule(&s->b);
            mark = builder_mark(&s->b);
            if (!full) {
                if (c)
                    put_comma(s);
                schema_put_rule(s, member);
                schema_put_rule(s, after[c < counts ? c + 1 : c]);
                builder_alternative(&s->b, now[c], mark);
            }
            if (!p->required) {
                schema_put_rule(s, after[c]);
                builder_alternative(&s->b, now[c], mark);
            }
        }
        uint32_t *const swapped = now;
        now = after;
        after = swapped;
    }
    if (schema_ok(s))
        schema_put_rule(s, after[0]);
    free(rules);
}

static void put_object(struct object *o) {
    struct schema *s = o->s;
    uint32_t members = 0;
    find_names(o);
    find_patterns(o);
    if (schema_ok(s))
        find_needs(o);
    if (schema_ok(s))
        order_needs(o);
    if (!schema_ok(s))
        return;
    const bool others = o->max > 0 && may_have_others(o);
    if (others) {
        struct automaton *keys = other_keys(o);
        members = builder_rule(&s->b);
        if (keys)
            put_classes(o, keys, members);
    }
    if (!schema_ok(s))
        return;
    schema_put_text(s, "{");
    schema_put_rule(s, s->space);
    put_members(o, others, members);
    schema_put_rule(s, s->space);
    schema_put_text(s, "}");
}

void schema_put_objects(struct schema *s, const struct schema_case *c) {
    struct object *o = calloc(1, sizeof *o);
    if (o)
        o->room = malloc((2 * c->n + MAX_PATTERNS + MAX_SCOPES + 1) * sizeof *o->room);
    if (o && o->room) {
        o->s = s;
        o->c = c;
        o->max = REPEAT_FOREVER;
        put_object(o);
    } else {
        schema_no_memory(s);
    }
    if (!o)
        return;
    for (size_t i = 0; i < o->n_patterns; i++) {
        automaton_free(o->patterns[i].narrow);
        automaton_free(o->patterns[i].wide);
    }
    free(o->properties);
    free(o->slots);
    free(o->needs);
    free(o->ordered);
    free(o->room);
    free(o);
}
