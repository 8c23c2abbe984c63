#include "src/constraint/grammar_build.h"

#include "src/base/error.h"
#include "src/base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ELEMENTS (1u << 20)

bool builder_grow(struct builder *b, void **array, size_t *cap, size_t need, size_t element) {
    if (b->status)
        return false;
    if (need <= *cap)
        return true;
    void *p = NULL;
    if (need <= MAX_ELEMENTS)
        p = realloc(*array, (2 * need + 16) * element);
    if (!p) {
        b->status = bise_fail(b->err, need > MAX_ELEMENTS ? BISE_ERR_ARG : BISE_ERR_MEMORY,
                              need > MAX_ELEMENTS ? "grammar: expected fewer than a million "
                                                    "elements, repetitions written out"
                                                  : "no memory for the grammar");
        return false;
    }
    *array = p;
    *cap = 2 * need + 16;
    return true;
}

uint32_t builder_rule(struct builder *b) {
    struct grammar *g = b->g;
    void *array = g->rules;
    const bool grown = builder_grow(b, &array, &g->cap_rules, g->n_rules + 1, sizeof *g->rules);
    g->rules = array;
    if (!grown)
        return 0;
    g->rules[g->n_rules] = (struct rule){.n = 0};
    return (uint32_t)g->n_rules++;
}

size_t builder_mark(const struct builder *b) {
    return b->n_work;
}

void builder_put(struct builder *b, enum element_kind kind, uint32_t value) {
    void *array = b->work;
    const bool grown = builder_grow(b, &array, &b->cap_work, b->n_work + 1, sizeof *b->work);
    b->work = array;
    if (grown)
        b->work[b->n_work++] = (struct element){kind, value};
}

static void append_element(struct builder *b, struct element e) {
    struct grammar *g = b->g;
    void *array = g->elements;
    const bool grown =
        builder_grow(b, &array, &g->cap_elements, g->n_elements + 1, sizeof *g->elements);
    g->elements = array;
    if (grown)
        g->elements[g->n_elements++] = e;
}

void builder_alternative(struct builder *b, uint32_t rule, size_t mark) {
    const uint32_t position = (uint32_t)b->g->n_elements;
    for (size_t i = mark; i < b->n_work; i++)
        append_element(b, b->work[i]);
    append_element(b, (struct element){ELEMENT_END, 0});
    b->n_work = mark;
    void *array = b->alternatives;
    const bool grown = builder_grow(b, &array, &b->cap_alternatives, b->n_alternatives + 1,
                                    sizeof *b->alternatives);
    b->alternatives = array;
    if (grown)
        b->alternatives[b->n_alternatives++] = (struct alternative){rule, position};
}

/* rule gets the alternatives "item tail" and "". */
static void optional(struct builder *b, uint32_t rule, struct element item, bool has_tail,
                     uint32_t tail) {
    const size_t mark = builder_mark(b);
    builder_put(b, item.kind, item.value);
    if (has_tail)
        builder_put(b, ELEMENT_RULE, tail);
    builder_alternative(b, rule, mark);
    builder_alternative(b, rule, builder_mark(b));
}

void builder_repeat(struct builder *b, size_t mark, uint32_t min, uint32_t max) {
    if (b->status || b->n_work == mark) /* nothing, however often, is nothing */
        return;
    if (b->n_work - mark > 1) { /* make it one element */
        const uint32_t rule = builder_rule(b);
        builder_alternative(b, rule, mark);
        builder_put(b, ELEMENT_RULE, rule);
    }
    if (b->status)
        return;
    const struct element item = b->work[mark];
    b->n_work = mark;
    for (uint32_t i = 0; i < min && !b->status; i++)
        builder_put(b, item.kind, item.value);
    if (max == min)
        return;
    uint32_t rule = builder_rule(b);
    builder_put(b, ELEMENT_RULE, rule);
    if (max == REPEAT_FOREVER) {
        optional(b, rule, item, true, rule);
        return;
    }
    for (uint32_t i = min + 1; i < max && !b->status; i++) {
        const uint32_t tail = builder_rule(b);
        optional(b, rule, item, true, tail);
        rule = tail;
    }
    optional(b, rule, item, false, 0);
}

/* ---- characters to bytes ---- */

bool class_add(struct char_class *c, uint32_t lo, uint32_t hi) {
    if (c->n == CLASS_RANGES)
        return false;
    c->ranges[c->n++] = (struct char_range){lo, hi};
    return true;
}

static uint32_t put_set(struct builder *b, const struct byte_set *set) {
    struct grammar *g = b->g;
    for (size_t i = 0; i < g->n_sets; i++)
        if (memcmp(&g->sets[i], set, sizeof *set) == 0)
            return (uint32_t)i;
    void *array = g->sets;
    const bool grown = builder_grow(b, &array, &g->cap_sets, g->n_sets + 1, sizeof *g->sets);
    g->sets = array;
    if (!grown)
        return 0;
    g->sets[g->n_sets] = *set;
    return (uint32_t)g->n_sets++;
}

static void set_add(struct byte_set *set, unsigned lo, unsigned hi) {
    for (unsigned i = lo; i <= hi; i++)
        set->bits[i >> 6] |= (uint64_t)1 << (i & 63);
}

/* Characters lo..hi beyond ASCII as alternatives of rule, each a sequence of ranges of bytes: the
 * range is split until the last bytes of both ends run through all their values. */
static void put_wide(struct builder *b, uint32_t rule, uint32_t lo, uint32_t hi) {
    static const uint32_t borders[] = {0x7ff, 0xd7ff, 0xdfff, 0xffff};
    for (size_t i = 0; i < sizeof borders / sizeof borders[0]; i++)
        if (lo <= borders[i] && hi > borders[i]) { /* another length, or surrogates */
            put_wide(b, rule, lo, borders[i]);
            put_wide(b, rule, borders[i] + 1, hi);
            return;
        }
    if (lo >= 0xd800 && hi <= 0xdfff)
        return;
    for (unsigned shift = 6; shift <= 18; shift += 6) {
        const uint32_t low = (1u << shift) - 1;
        if ((lo & ~low) == (hi & ~low))
            continue;
        if (lo & low) {
            put_wide(b, rule, lo, lo | low);
            put_wide(b, rule, (lo | low) + 1, hi);
            return;
        }
        if ((hi & low) != low) {
            put_wide(b, rule, lo, (hi & ~low) - 1);
            put_wide(b, rule, hi & ~low, hi);
            return;
        }
    }
    char from[4], to[4];
    const size_t len = utf8_put(lo, from), mark = builder_mark(b);
    utf8_put(hi, to);
    for (size_t i = 0; i < len; i++) {
        struct byte_set set = {{0}};
        set_add(&set, (uint8_t)from[i], (uint8_t)to[i]);
        builder_put(b, ELEMENT_SET, put_set(b, &set));
    }
    builder_alternative(b, rule, mark);
}

static int compare_ranges(const void *a, const void *b) {
    const struct char_range *ra = a, *rb = b;
    return (ra->lo > rb->lo) - (ra->lo < rb->lo);
}

/* The class as ascending ranges that neither touch nor overlap, negation carried out. ranges
 * [CLASS_RANGES + 1]; returns how many. */
static size_t plain_ranges(const struct char_class *c, struct char_range *ranges) {
    struct char_range sorted[CLASS_RANGES];
    size_t n = 0, m = 0;
    memcpy(sorted, c->ranges, c->n * sizeof *sorted);
    qsort(sorted, c->n, sizeof *sorted, compare_ranges);
    for (size_t i = 0; i < c->n; i++) {
        if (n && sorted[i].lo <= sorted[n - 1].hi + 1)
            sorted[n - 1].hi = sorted[i].hi > sorted[n - 1].hi ? sorted[i].hi : sorted[n - 1].hi;
        else
            sorted[n++] = sorted[i];
    }
    if (!c->negated) {
        memcpy(ranges, sorted, n * sizeof *ranges);
        return n;
    }
    uint32_t lo = 0;
    for (size_t i = 0; i < n; i++) {
        if (sorted[i].lo > lo)
            ranges[m++] = (struct char_range){lo, sorted[i].lo - 1};
        lo = sorted[i].hi + 1;
    }
    if (lo <= 0x10ffff)
        ranges[m++] = (struct char_range){lo, 0x10ffff};
    return m;
}

void builder_put_class(struct builder *b, const struct char_class *c) {
    struct char_range ranges[CLASS_RANGES + 1];
    const size_t n = plain_ranges(c, ranges);
    struct byte_set ascii = {{0}};
    bool wide = false;
    for (size_t i = 0; i < n; i++) {
        if (ranges[i].lo < 0x80)
            set_add(&ascii, ranges[i].lo, ranges[i].hi < 0x80 ? ranges[i].hi : 0x7f);
        wide |= ranges[i].hi >= 0x80;
    }
    if (!wide) {
        builder_put(b, ELEMENT_SET, put_set(b, &ascii));
        return;
    }
    const uint32_t rule = builder_rule(b);
    const size_t mark = builder_mark(b);
    builder_put(b, ELEMENT_SET, put_set(b, &ascii));
    builder_alternative(b, rule, mark);
    for (size_t i = 0; i < n; i++)
        if (ranges[i].hi >= 0x80)
            put_wide(b, rule, ranges[i].lo < 0x80 ? 0x80 : ranges[i].lo, ranges[i].hi);
    builder_put(b, ELEMENT_RULE, rule);
}

/* ---- the end ---- */

static int compare_alternatives(const void *a, const void *b) {
    const struct alternative *x = a, *y = b;
    if (x->rule != y->rule)
        return x->rule < y->rule ? -1 : 1;
    return (x->position > y->position) - (x->position < y->position);
}

/* Rules may refer to any other; root and the first rule exchange their numbers. */
static void order(struct builder *b, uint32_t root) {
    struct grammar *g = b->g;
    for (size_t i = 0; i < g->n_elements; i++) {
        struct element *e = &g->elements[i];
        if (e->kind == ELEMENT_RULE && (e->value == root || e->value == 0))
            e->value = e->value == root ? 0 : root;
    }
    for (size_t i = 0; i < b->n_alternatives; i++) {
        uint32_t *rule = &b->alternatives[i].rule;
        if (*rule == root || *rule == 0)
            *rule = *rule == root ? 0 : root;
    }
    qsort(b->alternatives, b->n_alternatives, sizeof *b->alternatives, compare_alternatives);
    for (size_t i = 0; i < b->n_alternatives; i++) {
        struct rule *rule = &g->rules[b->alternatives[i].rule];
        if (!rule->n++)
            rule->first = (uint32_t)i;
        g->alternatives[i] = b->alternatives[i].position;
    }
    g->n_alternatives = b->n_alternatives;
}

/* Whether an alternative can match nothing, as far as is known. */
static bool is_empty(const struct grammar *g, uint32_t position, const uint8_t *nullable) {
    const struct element *e = &g->elements[position];
    for (; e->kind == ELEMENT_RULE; e++)
        if (!nullable[e->value])
            return false;
    return e->kind == ELEMENT_END;
}

/* nullable [n_rules]: what can match nothing. */
static void find_nullable(const struct grammar *g, uint8_t *nullable) {
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t r = 0; r < g->n_rules; r++)
            for (uint32_t i = 0; i < g->rules[r].n && !nullable[r]; i++)
                if (is_empty(g, g->alternatives[g->rules[r].first + i], nullable))
                    changed = (nullable[r] = 1);
    }
}

/* A walk along what can stand first in a rule; coming back to a rule on the way is left recursion.
 * state: 0 new, 1 on the way, 2 done. stack holds the way: a rule, and how far it has been looked
 * through (alternative, element). */
struct step {
    uint32_t rule, alternative, element;
};

static bool next_first(const struct grammar *g, struct step *s, const uint8_t *nullable,
                       uint32_t *rule) {
    for (; s->alternative < g->rules[s->rule].n; s->alternative++, s->element = 0) {
        const uint32_t at = g->alternatives[g->rules[s->rule].first + s->alternative];
        const struct element *e = &g->elements[at + s->element];
        if (e->kind == ELEMENT_RULE && (s->element == 0 || nullable[e[-1].value])) {
            s->element++;
            *rule = e->value;
            return true;
        }
    }
    return false;
}

static bool is_left_recursive(const struct grammar *g, const uint8_t *nullable, uint8_t *state,
                              struct step *stack) {
    for (uint32_t r = 0; r < g->n_rules; r++) {
        size_t depth = 0;
        if (!state[r])
            stack[depth++] = (struct step){.rule = r};
        while (depth) {
            struct step *top = &stack[depth - 1];
            uint32_t next;
            state[top->rule] = 1;
            if (!next_first(g, top, nullable, &next)) {
                state[top->rule] = 2;
                depth--;
            } else if (state[next] == 1) {
                return true;
            } else if (!state[next]) {
                stack[depth++] = (struct step){.rule = next};
            }
        }
    }
    return false;
}

void builder_finish(struct builder *b, uint32_t root) {
    struct grammar *g = b->g;
    if (b->status)
        return;
    g->alternatives = malloc(b->n_alternatives * sizeof *g->alternatives);
    uint8_t *nullable = calloc(2 * g->n_rules, 1);
    struct step *stack = malloc(g->n_rules * sizeof *stack);
    if (!g->alternatives || !nullable || !stack) {
        b->status = bise_fail(b->err, BISE_ERR_MEMORY, "no memory for the grammar");
        goto done;
    }
    order(b, root);
    find_nullable(g, nullable);
    if (is_left_recursive(g, nullable, nullable + g->n_rules, stack))
        b->status = bise_fail(b->err, BISE_ERR_ARG,
                              "grammar: a rule begins with itself, perhaps after something that "
                              "may be empty, as in (a?)*: left recursion is not supported");
done:
    free(nullable);
    free(stack);
}

void builder_free(struct builder *b) {
    free(b->work);
    free(b->alternatives);
}
