/* Arrays of a case: tuples, items, how many, and how many of a kind. */
#include "src/constraint/schema_cases.h"

#include <stdlib.h>

#define MAX_PREFIX   2000 /* items with schemas of their own */
#define MAX_CONTAINS 50

struct array {
    struct schema *s;
    const struct schema_case *c;
    uint32_t n_prefix, min, max;
    const struct fact *contains; /* NULL: nothing */
    need *needs;                 /* room for an item's */
};

static const struct json_value *prefix_of(const struct json_value *v) {
    const struct json_value *prefix = json_get(v, "prefixItems"), *items = json_get(v, "items");
    return items && items->kind == JSON_ARRAY ? items : prefix;
}

/* The schema of item i of an array schema, NULL where it says nothing. */
static const struct json_value *item_schema(const struct json_value *v, uint32_t i) {
    const struct json_value *prefix = prefix_of(v), *items = json_get(v, "items");
    const struct json_value *item = json_first(prefix);
    if (prefix && i < prefix->len) {
        while (i-- > 0)
            item = json_next(prefix, item);
        return item;
    }
    return items && items->kind == JSON_ARRAY ? json_get(v, "additionalItems") : items;
}

/* The rule of item i, one that is (1), is not (-1) or may be (0) among those contained. */
static uint32_t item_rule(struct array *a, uint32_t i, int contained) {
    size_t n = 0;
    for (size_t k = 0; k < a->c->n; k++) {
        const struct fact *f = &a->c->facts[k];
        const struct json_value *item = f->kind == FACT_ARRAY ? item_schema(f->v, i) : NULL;
        if (item && item->kind != JSON_BOOL && item->kind != JSON_OBJECT)
            schema_fail(a->s, item, "expected a schema, found %s", json_describe(item));
        if (item)
            a->needs[n++] = need_of(a->s, item, false);
        if (f->kind == FACT_ITEMS)
            a->needs[n++] = f->need;
    }
    if (contained)
        a->needs[n++] = contained > 0 ? a->contains->need : a->contains->need ^ 1;
    return schema_goal(a->s, a->needs, n);
}

static void put_comma(struct schema *s) {
    schema_put_text(s, ",");
    schema_put_rule(s, s->space);
}

/* The rule for items from i on that all have the same schema, at least min and at most max. */
static uint32_t same_items(struct array *a, uint32_t i, uint32_t min, uint32_t max) {
    struct schema *s = a->s;
    const size_t mark = builder_mark(&s->b);
    if (!max)
        return schema_new_rule(s, mark);
    const uint32_t item = item_rule(a, i, 0);
    if (i) {
        put_comma(s);
        schema_put_rule(s, item);
        builder_repeat(&s->b, mark, min, max);
        return schema_new_rule(s, mark);
    }
    schema_put_rule(s, item);
    const size_t more = builder_mark(&s->b);
    put_comma(s);
    schema_put_rule(s, item);
    builder_repeat(&s->b, more, min ? min - 1 : 0, max == REPEAT_FOREVER ? max : max - 1);
    const uint32_t rule = schema_new_rule(s, mark);
    if (!min)
        builder_alternative(&s->b, rule, mark);
    return rule;
}

/* Items one by one from the last to the first: rules for what follows item i. */
static void put_tuple(struct array *a) {
    struct schema *s = a->s;
    const uint32_t n = a->max < a->n_prefix ? a->max : a->n_prefix;
    const uint32_t min = a->min > n ? a->min - n : 0;
    uint32_t rest = same_items(a, n, min, a->max == REPEAT_FOREVER ? a->max : a->max - n);
    for (uint32_t i = n; i-- > 0 && schema_ok(s);) {
        const size_t mark = builder_mark(&s->b);
        if (i)
            put_comma(s);
        schema_put_rule(s, item_rule(a, i, 0));
        schema_put_rule(s, rest);
        rest = schema_new_rule(s, mark);
        if (i >= a->min)
            builder_alternative(&s->b, rest, mark); /* the array may end before item i */
    }
    schema_put_rule(s, rest);
}

/* With contains: rules by item and by how many have been contained. After the last item that is
 * unlike the others (or that a limit counts), a rule leads back to itself. */
static void put_counted(struct array *a) {
    struct schema *s = a->s;
    const uint32_t need_min = a->contains->n.min, need_max = a->contains->n.max;
    const bool bounded = need_max != REPEAT_FOREVER, endless = a->max == REPEAT_FOREVER;
    uint32_t last = a->n_prefix > a->min ? a->n_prefix : a->min;
    const uint32_t n_counts = (bounded ? need_max : need_min) + 1;
    if (!endless)
        last = a->max;
    if (!last) /* the first item has no comma */
        last = 1;
    if (last > MAX_PREFIX || n_counts > MAX_CONTAINS || need_min > need_max) {
        if (need_min > need_max)
            schema_put_nothing(s);
        else
            schema_unsupported(s, a->contains->v,
                               "\"contains\" with so many items is not "
                               "supported");
        return;
    }
    uint32_t *rules = malloc((size_t)(last + 1) * n_counts * sizeof *rules);
    if (!rules) {
        schema_no_memory(s);
        return;
    }
    for (size_t i = 0; i < (size_t)(last + 1) * n_counts; i++)
        rules[i] = builder_rule(&s->b);
    for (uint32_t i = 0; i <= last && schema_ok(s); i++)
        for (uint32_t c = 0; c < n_counts; c++) {
            const uint32_t rule = rules[(size_t)i * n_counts + c];
            const uint32_t next = i < last ? i + 1 : last;
            const uint32_t more = c + 1 < n_counts ? c + 1 : c;
            const size_t mark = builder_mark(&s->b);
            if (i >= a->min && c >= need_min)
                builder_alternative(&s->b, rule, mark);
            if (i == last && !endless)
                continue;
            for (int contained = 1; contained >= 0; contained--) {
                if (contained && bounded && c + 1 == n_counts)
                    continue;
                if (i)
                    put_comma(s);
                /* Whatever is not counted may match as well, unless there is an upper limit. */
                schema_put_rule(s, item_rule(a, i, contained ? 1 : bounded ? -1 : 0));
                schema_put_rule(s, rules[(size_t)next * n_counts + (contained ? more : c)]);
                builder_alternative(&s->b, rule, mark);
            }
        }
    schema_put_rule(s, rules[0]);
    free(rules);
}

void schema_put_arrays(struct schema *s, const struct schema_case *c) {
    struct array a = {.s = s, .c = c, .max = REPEAT_FOREVER};
    const struct fact *unique = NULL;
    a.needs = malloc((c->n + 1) * sizeof *a.needs);
    if (!a.needs) {
        schema_no_memory(s);
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        const struct fact *f = &c->facts[i];
        const struct json_value *prefix = f->kind == FACT_ARRAY ? prefix_of(f->v) : NULL;
        if (prefix && prefix->kind != JSON_ARRAY)
            schema_fail(s, prefix, "expected an array of schemas, found %s", json_describe(prefix));
        else if (prefix && prefix->len > a.n_prefix)
            a.n_prefix = prefix->len > MAX_PREFIX ? MAX_PREFIX + 1 : (uint32_t)prefix->len;
        if (f->kind == FACT_N_ITEMS) {
            a.min = f->n.min > a.min ? f->n.min : a.min;
            a.max = f->n.max < a.max ? f->n.max : a.max;
        }
        if (f->kind == FACT_UNIQUE)
            unique = f;
        if (f->kind == FACT_CONTAINS && f->n.min + (uint64_t)(f->n.max != REPEAT_FOREVER) > 0) {
            if (a.contains)
                schema_unsupported(s, f->v, "two \"contains\" about one array are not supported");
            a.contains = f;
        }
    }
    if (a.n_prefix > MAX_PREFIX)
        schema_unsupported(s, NULL, "tuples of more than %d items are not supported", MAX_PREFIX);
    if (unique && a.max > 1) {
        schema_unsupported(s, unique->v, "\"uniqueItems\" is not supported");
    }
    schema_put_text(s, "[");
    schema_put_rule(s, s->space);
    if (a.min > a.max)
        schema_put_nothing(s);
    else if (a.contains)
        put_counted(&a);
    else
        put_tuple(&a);
    schema_put_rule(s, s->space);
    schema_put_text(s, "]");
    free(a.needs);
}
