#include "src/constraint/schema_cases.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CASES   512
#define MAX_GOALS   20000 /* cases that are goals of their own */
#define MAX_CHOICES 24    /* one inside of the other: each a frame of find_from */
#define MAX_ONE_OF  120

/* What is still to be looked at for one case. */
struct pending {
    enum { SCHEMA, OPPOSITE, ANY_OF, ONE_OF, CONDITION, DEPENDENT, NONE_OR_TWO } what;
    const struct json_value *v; /* of SCHEMA the schema; else the keyword's value */
    bool negated;
    uint32_t from; /* 1 + index in the trail of the schema it stands in */
    unsigned scopes;
};

struct visit {
    const struct json_value *v;
    bool negated;
    uint32_t from;
    unsigned scopes;
};

/* A case being made. */
struct branch {
    struct schema_case c;
    struct pending *pending; /* a stack */
    size_t n_pending, cap_pending;
    struct visit *trail;
    size_t n_trail, cap_trail;
    bool dead;
};

/* ---- branches ---- */

static void push(struct schema *s, struct branch *b, struct pending p) {
    if (schema_grow(s, &b->pending, &b->cap_pending, b->n_pending + 1, sizeof *b->pending))
        b->pending[b->n_pending++] = p;
}

static void push_schema(struct schema *s, struct branch *b, const struct json_value *v,
                        bool negated, const struct pending *p) {
    push(s, b, (struct pending){SCHEMA, v, negated, p->from, negated ? 0 : p->scopes});
}

static struct fact *add_fact(struct schema *s, struct branch *b, enum fact_kind kind,
                             const struct json_value *v) {
    static struct fact nowhere; /* after a failure; never read */
    struct schema_case *c = &b->c;
    if (!schema_grow(s, &c->facts, &c->cap, c->n + 1, sizeof *c->facts))
        return &nowhere;
    c->facts[c->n] = (struct fact){.kind = kind, .v = v, .n = {0, REPEAT_FOREVER}};
    return &c->facts[c->n++];
}

static void free_branch(struct branch *b) {
    free(b->c.facts);
    free(b->pending);
    free(b->trail);
}

static bool copy_array(struct schema *s, void *to, size_t *cap, const void *from, size_t n,
                       size_t size) {
    void **p = to;
    *p = NULL;
    *cap = 0;
    if (n && !schema_grow(s, to, cap, n, size))
        return false;
    if (n)
        memcpy(*p, from, n * size);
    return true;
}

static bool copy_branch(struct schema *s, struct branch *to, const struct branch *from) {
    *to = *from;
    to->c.facts = NULL;
    to->pending = NULL;
    to->trail = NULL;
    if (!budget_take(&s->doc->budget, 2 + from->c.n + from->n_pending + from->n_trail)) {
        schema_too_much(s, NULL);
        return false;
    }
    return copy_array(s, &to->c.facts, &to->c.cap, from->c.facts, from->c.n,
                      sizeof *from->c.facts) &&
           copy_array(s, &to->pending, &to->cap_pending, from->pending, from->n_pending,
                      sizeof *from->pending) &&
           copy_array(s, &to->trail, &to->cap_trail, from->trail, from->n_trail,
                      sizeof *from->trail);
}

/* Whether a schema has been applied already; on the way to itself it has no meaning. */
static bool was_visited(struct schema *s, const struct branch *b, const struct pending *p) {
    for (uint32_t t = p->from; t; t = b->trail[t - 1].from)
        if (b->trail[t - 1].v == p->v) {
            schema_fail(s, p->v, "this schema is defined by itself");
            return true;
        }
    for (size_t i = 0; i < b->n_trail; i++)
        if (b->trail[i].v == p->v && b->trail[i].negated == p->negated &&
            (p->scopes & ~b->trail[i].scopes) == 0)
            return true;
    return false;
}

/* ---- schemas that hold ---- */

static void put_number_facts(struct schema *s, struct branch *b, const struct json_value *v) {
    static const struct {
        const char *name;
        bool below, strict;
    } bounds[] = {{"minimum", false, false},
                  {"maximum", true, false},
                  {"exclusiveMinimum", false, true},
                  {"exclusiveMaximum", true, true}};
    for (size_t i = 0; i < 4; i++) {
        const struct json_value *n = json_get(v, bounds[i].name);
        if (!n || (i >= 2 && n->kind == JSON_BOOL)) /* draft 4's: beside minimum */
            continue;
        if (n->kind != JSON_NUMBER) {
            schema_fail(s, n, "expected a number, found %s", json_describe(n));
            return;
        }
        struct fact *f = add_fact(s, b, FACT_BOUND, n);
        f->below = bounds[i].below;
        f->strict = bounds[i].strict || (i < 2 && json_flag(v, bounds[i + 2].name, false));
    }
    const struct json_value *m = json_get(v, "multipleOf");
    if (m && (m->kind != JSON_NUMBER || m->number <= 0))
        schema_fail(s, m, "expected a positive number");
    if (m)
        add_fact(s, b, FACT_MULTIPLE, m);
}

static void put_count_facts(struct schema *s, struct branch *b, const struct json_value *v) {
    static const struct {
        const char *least, *most;
        enum fact_kind kind;
    } counts[] = {{"minLength", "maxLength", FACT_LENGTH},
                  {"minItems", "maxItems", FACT_N_ITEMS},
                  {"minProperties", "maxProperties", FACT_N_PROPERTIES}};
    for (size_t i = 0; i < 3; i++) {
        const struct json_value *least = json_get(v, counts[i].least);
        const struct json_value *most = json_get(v, counts[i].most);
        if (!least && !most)
            continue;
        const uint32_t min = least ? schema_count(s, least) : 0;
        const uint32_t max = most ? schema_count(s, most) : REPEAT_FOREVER;
        if (min > SCHEMA_MAX_COUNT)
            schema_unsupported(s, least, "more than %d is not supported", SCHEMA_MAX_COUNT);
        struct fact *f = add_fact(s, b, counts[i].kind, NULL);
        f->n.min = min;
        f->n.max = max > SCHEMA_MAX_COUNT ? REPEAT_FOREVER : max;
        if (most && max > SCHEMA_MAX_COUNT && max != REPEAT_FOREVER)
            f->n.max = SCHEMA_MAX_COUNT; /* fewer than allowed */
    }
}

static void put_array_facts(struct schema *s, struct branch *b, const struct json_value *v,
                            bool items) {
    const struct json_value *contains = json_get(v, "contains");
    if (items)
        add_fact(s, b, FACT_ARRAY, v);
    if (json_flag(v, "uniqueItems", false))
        add_fact(s, b, FACT_UNIQUE, json_get(v, "uniqueItems"));
    if (!contains)
        return;
    const struct json_value *min = json_get(v, "minContains"), *max = json_get(v, "maxContains");
    struct fact *f = add_fact(s, b, FACT_CONTAINS, contains);
    f->need = need_of(s, contains, false);
    f->n.min = min ? schema_count(s, min) : 1;
    if (max)
        f->n.max = schema_count(s, max);
}

static void put_values_facts(struct schema *s, struct branch *b, const struct json_value *v,
                             bool negated) {
    static const char *const names[] = {"enum", "const"};
    for (int i = 0; i < 2; i++) {
        const struct json_value *values = json_get(v, names[i]);
        if (values && i == 0 && values->kind != JSON_ARRAY)
            schema_fail(s, values, "expected an array of values, found %s", json_describe(values));
        if (values)
            add_fact(s, b, negated ? FACT_NOT_VALUES : FACT_VALUES, values)->list = i == 0;
    }
}

static void put_required(struct schema *s, struct branch *b, const struct json_value *list) {
    if (list->kind == JSON_BOOL) /* draft 3's, which later drafts do not know */
        return;
    if (list->kind != JSON_ARRAY)
        schema_fail(s, list, "expected an array, found %s", json_describe(list));
    for (const struct json_value *r = json_first(list); r; r = json_next(list, r)) {
        if (r->kind != JSON_STRING)
            schema_fail(s, r, "expected a property's name, found %s", json_describe(r));
        add_fact(s, b, FACT_PRESENT, r);
    }
}

static bool check_list(struct schema *s, const struct json_value *list) {
    if (list->kind == JSON_ARRAY && list->len)
        return true;
    schema_fail(s, list, "expected an array of schemas, found %s", json_describe(list));
    return false;
}

/* What an applicator says, to be looked at in the order of the standard's vocabulary: a stack, so
 * from the last to the first. */
static void push_applicators(struct schema *s, struct branch *b, const struct json_value *v,
                             struct pending p) {
    static const char *const dependents[] = {"dependencies", "dependentSchemas",
                                             "dependentRequired"};
    const struct json_value *m, *ref = json_get(v, "$ref");
    for (size_t i = 0; i < 3; i++)
        for (m = json_first(json_get(v, dependents[i])); m;
             m = json_next(json_get(v, dependents[i]), m))
            push(s, b, (struct pending){DEPENDENT, m, false, p.from, p.scopes});
    if ((m = json_get(v, "if")) && (json_get(v, "then") || json_get(v, "else")))
        push(s, b, (struct pending){CONDITION, v, false, p.from, p.scopes});
    if ((m = json_get(v, "not")))
        push_schema(s, b, m, true, &p);
    if ((m = json_get(v, "oneOf")) && check_list(s, m))
        push(s, b, (struct pending){s->checking ? ANY_OF : ONE_OF, m, false, p.from, p.scopes});
    if ((m = json_get(v, "anyOf")) && check_list(s, m))
        push(s, b, (struct pending){ANY_OF, m, false, p.from, p.scopes});
    if ((m = json_get(v, "allOf")) && check_list(s, m)) {
        const size_t from = b->n_pending;
        for (const struct json_value *one = json_first(m); one; one = json_next(m, one))
            push_schema(s, b, one, false, &p);
        for (size_t i = from, j = b->n_pending; i + 1 < j; i++) { /* the first on top */
            const struct pending swapped = b->pending[i];
            b->pending[i] = b->pending[--j];
            b->pending[j] = swapped;
        }
    }
    if (ref) {
        m = schema_resolve(s, v);
        if (m)
            push_schema(s, b, m, false, &p);
    }
}

static void apply(struct schema *s, struct branch *b, const struct json_value *v,
                  struct pending p) {
    bool object, array;
    schema_look_at_keywords(s, v, &object, &array);
    b->c.types &= schema_types(s, v);
    if (json_get(v, "unevaluatedProperties")) {
        if (b->c.n_scopes == MAX_SCOPES) {
            schema_unsupported(s, v,
                               "more \"unevaluatedProperties\" about one value are not "
                               "supported");
            return;
        }
        b->c.scopes[b->c.n_scopes] = v;
        p.scopes |= 1u << b->c.n_scopes++;
        b->trail[b->n_trail - 1].scopes = p.scopes;
    }
    if (object)
        add_fact(s, b, FACT_OBJECT, v)->scopes = p.scopes;
    if (json_get(v, "required"))
        put_required(s, b, json_get(v, "required"));
    put_array_facts(s, b, v, array);
    put_values_facts(s, b, v, false);
    put_number_facts(s, b, v);
    put_count_facts(s, b, v);
    const struct json_value *pattern = json_get(v, "pattern"), *format = json_get(v, "format");
    if (pattern && pattern->kind != JSON_STRING)
        schema_fail(s, pattern, "expected a regular expression, found %s", json_describe(pattern));
    if (pattern)
        add_fact(s, b, FACT_PATTERN, pattern);
    if (format && format->kind == JSON_STRING)
        add_fact(s, b, FACT_FORMAT, format);
    push_applicators(s, b, v, p);
}

/* ---- choices ---- */

static void find_from(struct schema *s, struct branch *b, struct schema_cases *out, int depth);

/* A copy of b as another way to go, for end_option or drop_option; NULL where there is none. On the
 * heap: choices inside each other take no stack for them. */
static struct branch *begin_option(struct schema *s, const struct branch *b) {
    struct branch *option = b->dead ? NULL : malloc(sizeof *option);
    if (!option) {
        if (!b->dead)
            schema_no_memory(s);
        return NULL;
    }
    if (copy_branch(s, option, b))
        return option;
    free_branch(option);
    free(option);
    return NULL;
}

static void drop_option(struct branch *option) {
    free_branch(option);
    free(option);
}

static void end_option(struct schema *s, struct branch *option, struct schema_cases *out,
                       int depth) {
    find_from(s, option, out, depth + 1);
    drop_option(option);
}

static void choose_any(struct schema *s, const struct branch *b, const struct pending *p,
                       struct schema_cases *out, int depth) {
    struct branch *option;
    for (const struct json_value *v = json_first(p->v); v && schema_ok(s); v = json_next(p->v, v)) {
        if (!(option = begin_option(s, b)))
            return;
        push_schema(s, option, v, p->negated, p);
        end_option(s, option, out, depth);
    }
}

/* One and no other: the others are negated where a value may match both. */
static void choose_one(struct schema *s, const struct branch *b, const struct pending *p,
                       struct schema_cases *out, int depth) {
    struct branch *option;
    if (p->v->len > MAX_ONE_OF) {
        schema_unsupported(s, p->v, "more than %d branches of oneOf are not supported", MAX_ONE_OF);
        return;
    }
    for (const struct json_value *v = json_first(p->v); v && schema_ok(s); v = json_next(p->v, v)) {
        if (!(option = begin_option(s, b)))
            return;
        for (const struct json_value *w = json_first(p->v); w; w = json_next(p->v, w))
            if (w != v && !s->doc->disjoint(s->doc, need_of(s, v, false), need_of(s, w, false)))
                push_schema(s, option, w, true, p);
        push_schema(s, option, v, false, p);
        end_option(s, option, out, depth);
    }
}

static void choose_condition(struct schema *s, const struct branch *b, const struct pending *p,
                             struct schema_cases *out, int depth) {
    const struct json_value *const condition = json_get(p->v, "if");
    struct branch *option;
    for (int holds = 1; holds >= 0 && schema_ok(s); holds--) {
        const struct json_value *then = json_get(p->v, holds ? "then" : "else");
        if (!(option = begin_option(s, b)))
            return;
        if (then)
            push_schema(s, option, then, p->negated, p);
        if (then || !p->negated) {
            push_schema(s, option, condition, !holds, p);
            end_option(s, option, out, depth);
        } else {
            drop_option(option);
        }
    }
}

/* A property that something depends on (p->v, a member): it is absent, or what depends holds. */
static void choose_dependent(struct schema *s, const struct branch *b, const struct pending *p,
                             struct schema_cases *out, int depth) {
    struct branch *option;
    for (int present = 0; present < 2 && schema_ok(s); present++) {
        if (!(option = begin_option(s, b)))
            return;
        add_fact(s, option, present ? FACT_PRESENT : FACT_ABSENT, p->v)->by_key = true;
        if (present) {
            option->c.types &= TYPE_OBJECT;
            if (p->v->kind == JSON_ARRAY)
                put_required(s, option, p->v);
            else if (p->v->kind == JSON_STRING)
                add_fact(s, option, FACT_PRESENT, p->v);
            else
                push_schema(s, option, p->v, false, p);
        }
        end_option(s, option, out, depth);
    }
}

/* oneOf negated: none of them, or two. */
static void choose_none_or_two(struct schema *s, const struct branch *b, const struct pending *p,
                               struct schema_cases *out, int depth) {
    struct branch *option;
    if ((option = begin_option(s, b))) {
        for (const struct json_value *v = json_first(p->v); v; v = json_next(p->v, v))
            push_schema(s, option, v, true, p);
        end_option(s, option, out, depth);
    }
    for (const struct json_value *v = json_first(p->v); v; v = json_next(p->v, v))
        for (const struct json_value *w = json_next(p->v, v); w; w = json_next(p->v, w)) {
            if (!schema_ok(s) ||
                s->doc->disjoint(s->doc, need_of(s, v, false), need_of(s, w, false)))
                continue;
            if (!(option = begin_option(s, b)))
                return;
            push_schema(s, option, v, false, p);
            push_schema(s, option, w, false, p);
            end_option(s, option, out, depth);
        }
}

/* ---- schemas that do not hold ---- */

struct refusal {
    struct schema *s;
    const struct branch *b;
    struct pending p;
    struct schema_cases *out;
    int depth;
    unsigned n;                      /* ways not to hold that were found */
    const struct json_value *missed; /* a keyword whose opposite cannot be said */
};

/* A way not to hold, for values of these types. */
static struct branch *begin_refusal(struct refusal *r, unsigned types) {
    r->n++;
    struct branch *option = schema_ok(r->s) ? begin_option(r->s, r->b) : NULL;
    if (option)
        option->c.types &= types;
    return option;
}

static void refuse_fact(struct refusal *r, unsigned types, struct fact f) {
    struct branch *option;
    if (!(option = begin_refusal(r, types)))
        return;
    *add_fact(r->s, option, f.kind, f.v) = f;
    end_option(r->s, option, r->out, r->depth);
}

static void refuse_count(struct refusal *r, unsigned types, enum fact_kind kind,
                         const struct json_value *least, const struct json_value *most) {
    struct fact f = {.kind = kind, .n = {0, REPEAT_FOREVER}};
    const uint32_t min = least ? schema_count(r->s, least) : 0;
    if (min) {
        f.n.max = min - 1;
        refuse_fact(r, types, f);
    } else if (least) {
        r->n++;
    }
    if (most) {
        f.n.min = schema_count(r->s, most) + 1;
        f.n.max = REPEAT_FOREVER;
        if (f.n.min <= SCHEMA_MAX_COUNT)
            refuse_fact(r, types, f);
        else
            r->missed = most;
    }
}

static void refuse_numbers(struct refusal *r, const struct json_value *v) {
    struct branch all = {.c = {.types = TYPE_NUMBER}};
    put_number_facts(r->s, &all, v);
    for (size_t i = 0; i < all.c.n; i++) {
        struct fact f = all.c.facts[i];
        f.below = !f.below;
        f.strict = !f.strict;
        if (f.kind == FACT_BOUND)
            refuse_fact(r, TYPE_NUMBER, f);
        else
            r->missed = f.v;
    }
    free_branch(&all);
}

static void refuse_objects(struct refusal *r, const struct json_value *v) {
    static const char *const beyond[] = {
        "additionalProperties", "patternProperties", "propertyNames",   "unevaluatedProperties",
        "dependencies",         "dependentRequired", "dependentSchemas"};
    const struct json_value *required = json_get(v, "required");
    const struct json_value *properties = json_get(v, "properties");
    for (const struct json_value *n = json_first(required); n; n = json_next(required, n))
        refuse_fact(r, TYPE_OBJECT, (struct fact){.kind = FACT_ABSENT, .v = n});
    for (const struct json_value *p = json_first(properties); p; p = json_next(properties, p)) {
        struct branch *option;
        if ((p->kind == JSON_BOOL && p->boolean) || (p->kind == JSON_OBJECT && !p->len) ||
            !(option = begin_refusal(r, TYPE_OBJECT)))
            continue;
        add_fact(r->s, option, FACT_PRESENT, p)->by_key = true;
        add_fact(r->s, option, FACT_PROPERTY, p)->need = need_of(r->s, p, true);
        end_option(r->s, option, r->out, r->depth);
    }
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        const struct json_value *k = json_get(v, beyond[i]);
        if (k && !(k->kind == JSON_BOOL && k->boolean) && !(k->kind == JSON_OBJECT && !k->len))
            r->missed = k;
    }
    refuse_count(r, TYPE_OBJECT, FACT_N_PROPERTIES, json_get(v, "minProperties"),
                 json_get(v, "maxProperties"));
}

static void refuse_arrays(struct refusal *r, const struct json_value *v) {
    const struct json_value *items = json_get(v, "items"), *contains = json_get(v, "contains");
    if (json_get(v, "prefixItems") || (items && items->kind == JSON_ARRAY) ||
        json_get(v, "maxContains") || json_get(v, "minContains"))
        r->missed = v;
    else {
        struct fact f = {.n = {1, REPEAT_FOREVER}};
        if (items && !(items->kind == JSON_BOOL && items->boolean)) {
            f.kind = FACT_CONTAINS;
            f.v = items;
            f.need = need_of(r->s, items, true);
            refuse_fact(r, TYPE_ARRAY, f);
        }
        if (contains) {
            f.kind = FACT_ITEMS;
            f.v = contains;
            f.need = need_of(r->s, contains, true);
            refuse_fact(r, TYPE_ARRAY, f);
        }
    }
    if (json_flag(v, "uniqueItems", false))
        r->missed = json_get(v, "uniqueItems");
    refuse_count(r, TYPE_ARRAY, FACT_N_ITEMS, json_get(v, "minItems"), json_get(v, "maxItems"));
}

static void refuse_strings(struct refusal *r, const struct json_value *v) {
    const struct json_value *pattern = json_get(v, "pattern"), *format = json_get(v, "format");
    if (pattern)
        refuse_fact(r, TYPE_STRING,
                    (struct fact){.kind = FACT_PATTERN, .v = pattern, .negated = true});
    if (format)
        r->missed = format;
    refuse_count(r, TYPE_STRING, FACT_LENGTH, json_get(v, "minLength"), json_get(v, "maxLength"));
}

static void refuse_applicators(struct refusal *r, const struct json_value *v) {
    struct schema *s = r->s;
    const struct json_value *m;
    struct branch *option;
    if ((m = json_get(v, "$ref")) && (option = begin_refusal(r, TYPE_ANY))) {
        m = schema_resolve(s, v);
        if (m)
            push_schema(s, option, m, true, &r->p);
        end_option(s, option, r->out, r->depth);
    }
    if ((m = json_get(v, "not")) && (option = begin_refusal(r, TYPE_ANY))) {
        push_schema(s, option, m, false, &r->p);
        end_option(s, option, r->out, r->depth);
    }
    if ((m = json_get(v, "anyOf")) && (option = begin_refusal(r, TYPE_ANY))) {
        for (const struct json_value *one = json_first(m); one; one = json_next(m, one))
            push_schema(s, option, one, true, &r->p);
        end_option(s, option, r->out, r->depth);
    }
    if ((m = json_get(v, "allOf")) && (option = begin_refusal(r, TYPE_ANY))) {
        push(s, option, (struct pending){ANY_OF, m, true, r->p.from, 0});
        end_option(s, option, r->out, r->depth);
    }
    if ((m = json_get(v, "oneOf"))) {
        if (s->checking) /* too wide rather than too narrow */
            r->missed = m;
        else if ((option = begin_refusal(r, TYPE_ANY))) {
            push(s, option, (struct pending){NONE_OR_TWO, m, false, r->p.from, 0});
            end_option(s, option, r->out, r->depth);
        }
    }
    if (json_get(v, "if") && (json_get(v, "then") || json_get(v, "else")) &&
        (option = begin_refusal(r, TYPE_ANY))) {
        push(s, option, (struct pending){CONDITION, v, true, r->p.from, 0});
        end_option(s, option, r->out, r->depth);
    }
}

/* A schema does not hold where one of its keywords does not. What cannot be said is left out where
 * something else can be. */
static void choose_refusal(struct schema *s, const struct branch *b, const struct pending *p,
                           struct schema_cases *out, int depth) {
    struct refusal r = {.s = s, .b = b, .p = *p, .out = out, .depth = depth};
    const struct json_value *v = p->v;
    bool object, array;
    schema_look_at_keywords(s, v, &object, &array);
    if (json_get(v, "type")) {
        struct branch *option;
        if ((option = begin_refusal(&r, ~schema_types(s, v) & TYPE_ANY)))
            end_option(s, option, out, depth);
    }
    struct branch values = {.c = {.n = 0}};
    put_values_facts(s, &values, v, true);
    for (size_t i = 0; i < values.c.n; i++)
        refuse_fact(&r, TYPE_ANY, values.c.facts[i]);
    free_branch(&values);
    refuse_numbers(&r, v);
    refuse_strings(&r, v);
    refuse_arrays(&r, v);
    refuse_objects(&r, v);
    refuse_applicators(&r, v);
    if (r.missed && s->checking) { /* as if it could always be violated */
        struct branch *option;
        s->uncertain = true;
        if ((option = begin_option(s, b)))
            end_option(s, option, out, depth);
    } else if (r.missed && !r.n) {
        schema_no_opposite(s, r.missed);
    } else if (r.missed && !s->doc->left_out) {
        s->doc->left_out = r.missed;
    }
}

/* ---- one after the other ---- */

static void add_case(struct schema *s, struct branch *b, struct schema_cases *out) {
    if (!b->c.types || !schema_ok(s))
        return;
    if (out->n >= (b->c.is_goal ? MAX_GOALS : MAX_CASES)) {
        schema_unsupported(s, b->n_trail ? b->trail[0].v : NULL,
                           "more than %d combinations of anyOf, oneOf and the like are not "
                           "supported",
                           MAX_CASES);
        return;
    }
    if (!schema_grow(s, &out->list, &out->cap, out->n + 1, sizeof *out->list))
        return;
    out->list[out->n++] = b->c;
    b->c.facts = NULL;
    b->c.n = b->c.cap = 0;
}

/* Alternatives with nothing beside them are goals of their own. */
static bool is_alone(const struct branch *b) {
    return b->c.types == TYPE_ANY && !b->c.n && !b->n_pending && !b->c.n_scopes;
}

static void add_goals(struct schema *s, const struct json_value *list, struct schema_cases *out) {
    for (const struct json_value *v = json_first(list); v && schema_ok(s); v = json_next(list, v)) {
        struct branch one = {.c = {.types = TYPE_ANY, .is_goal = true}};
        one.c.goal = need_of(s, v, false);
        add_case(s, &one, out);
    }
}

static void apply_pending(struct schema *s, struct branch *b, struct pending p) {
    if (p.v->kind == JSON_BOOL) {
        b->dead = p.v->boolean == p.negated;
        return;
    }
    if (p.v->kind != JSON_OBJECT) {
        schema_fail(s, p.v, "expected a schema, found %s", json_describe(p.v));
        return;
    }
    if (was_visited(s, b, &p) ||
        !schema_grow(s, &b->trail, &b->cap_trail, b->n_trail + 1, sizeof *b->trail))
        return;
    b->trail[b->n_trail++] = (struct visit){p.v, p.negated, p.from, p.scopes};
    p.from = (uint32_t)b->n_trail;
    if (!p.negated) {
        apply(s, b, p.v, p);
    } else {
        p.what = OPPOSITE; /* taken up as a choice by find_from */
        p.scopes = 0;
        push(s, b, p);
    }
}

static void find_from(struct schema *s, struct branch *b, struct schema_cases *out, int depth) {
    if (depth > MAX_CHOICES) {
        schema_unsupported(s, NULL, "more than %d choices about one value are not supported",
                           MAX_CHOICES);
        return;
    }
    while (b->n_pending && !b->dead && b->c.types && schema_ok(s)) {
        const struct pending p = b->pending[--b->n_pending];
        if (!budget_take(&s->doc->budget, 4)) {
            schema_too_much(s, p.v);
            return;
        }
        switch (p.what) {
        case SCHEMA:
            apply_pending(s, b, p);
            break;
        case OPPOSITE:
            choose_refusal(s, b, &p, out, depth);
            return;
        case ANY_OF:
            if (!p.negated && is_alone(b))
                add_goals(s, p.v, out);
            else
                choose_any(s, b, &p, out, depth);
            return;
        case ONE_OF:
            choose_one(s, b, &p, out, depth);
            return;
        case CONDITION:
            choose_condition(s, b, &p, out, depth);
            return;
        case DEPENDENT:
            choose_dependent(s, b, &p, out, depth);
            return;
        case NONE_OR_TWO:
            choose_none_or_two(s, b, &p, out, depth);
            return;
        }
    }
    if (!b->dead)
        add_case(s, b, out);
}

void schema_find_cases(struct schema *s, const need *needs, size_t n, struct schema_cases *out) {
    struct branch b = {.c = {.types = TYPE_ANY}};
    *out = (struct schema_cases){.n = 0};
    for (size_t i = n; i-- > 0;)
        push(s, &b, (struct pending){SCHEMA, need_schema(s, needs[i]), needs[i] & 1, 0, 0});
    find_from(s, &b, out, 0);
    free_branch(&b);
}

void schema_free_cases(struct schema_cases *cases) {
    for (size_t i = 0; i < cases->n; i++)
        free(cases->list[i].facts);
    free(cases->list);
    *cases = (struct schema_cases){.n = 0};
}
