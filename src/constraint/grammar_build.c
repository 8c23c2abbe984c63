#include "src/constraint/grammar_build.h"

#include "src/base/array.h"
#include "src/base/error.h"
#include "src/base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ELEMENTS (1u << 22)

bool builder_grow(struct builder *b, void *array, size_t *cap, size_t need, size_t element) {
    if (b->status)
        return false;
    if (need > MAX_ELEMENTS)
        b->status =
            bise_fail(b->err, BISE_ERR_ARG, "grammar: expected fewer than four million elements");
    else if (!array_grow(array, cap, need, element))
        b->status = bise_fail(b->err, BISE_ERR_MEMORY, "no memory for the grammar");
    return !b->status;
}

uint32_t builder_rule(struct builder *b) {
    struct grammar *g = b->g;
    if (!builder_grow(b, &g->rules, &g->cap_rules, g->n_rules + 1, sizeof *g->rules))
        return 0;
    g->rules[g->n_rules] = (struct rule){.n = 0};
    return (uint32_t)g->n_rules++;
}

size_t builder_mark(const struct builder *b) {
    return b->n_work;
}

void builder_put(struct builder *b, enum element_kind kind, uint32_t value) {
    if (builder_grow(b, &b->work, &b->cap_work, b->n_work + 1, sizeof *b->work))
        b->work[b->n_work++] = (struct element){kind, value};
}

void builder_put_bytes(struct builder *b, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        builder_put(b, ELEMENT_BYTE, (uint8_t)bytes[i]);
}

void builder_put_token(struct builder *b, int32_t id, const char *text, size_t n, bool negated) {
    struct grammar *g = b->g;
    if (!builder_grow(b, &g->tokens, &g->cap_tokens, g->n_tokens + 1, sizeof *g->tokens) ||
        !builder_grow(b, &g->token_texts, &g->cap_token_texts, g->n_token_texts + n + 1, 1))
        return;
    g->tokens[g->n_tokens] =
        (struct token_reference){id, (uint32_t)g->n_token_texts, (uint32_t)n, negated};
    memcpy(g->token_texts + g->n_token_texts, text, n);
    g->n_token_texts += n;
    builder_put(b, ELEMENT_TOKEN, (uint32_t)g->n_tokens++);
}

static void append_element(struct builder *b, struct element e) {
    struct grammar *g = b->g;
    if (builder_grow(b, &g->elements, &g->cap_elements, g->n_elements + 1, sizeof *g->elements))
        g->elements[g->n_elements++] = e;
}

/* The alternative of rule that begins at position. */
static void add_alternative(struct builder *b, uint32_t rule, uint32_t position) {
    if (builder_grow(b, &b->alternatives, &b->cap_alternatives, b->n_alternatives + 1,
                     sizeof *b->alternatives))
        b->alternatives[b->n_alternatives++] = (struct alternative){rule, position};
}

void builder_alternative(struct builder *b, uint32_t rule, size_t mark) {
    const uint32_t position = (uint32_t)b->g->n_elements;
    for (size_t i = mark; i < b->n_work; i++)
        append_element(b, b->work[i]);
    append_element(b, (struct element){ELEMENT_END, 0});
    if (!b->status)
        b->n_work = mark;
    add_alternative(b, rule, position);
}

static void put_repeat(struct builder *b, struct repeat r) {
    struct grammar *g = b->g;
    if (!builder_grow(b, &g->repeats, &g->cap_repeats, g->n_repeats + 1, sizeof *g->repeats))
        return;
    g->repeats[g->n_repeats] = r;
    builder_put(b, ELEMENT_REPEAT, (uint32_t)g->n_repeats++);
}

void builder_repeat(struct builder *b, size_t mark, uint32_t min, uint32_t max) {
    if (b->status || b->n_work == mark || (min == 1 && max == 1)) /* nothing is nothing */
        return;
    if (max == 0) {
        b->n_work = mark;
        return;
    }
    uint32_t rule = b->work[mark].value;
    if (b->n_work - mark > 1 || b->work[mark].kind != ELEMENT_RULE) { /* make it one rule */
        rule = builder_rule(b);
        builder_alternative(b, rule, mark);
    }
    if (b->status)
        return;
    b->n_work = mark;
    if (min == 0 && max == 1) {
        const uint32_t perhaps = builder_rule(b);
        builder_put(b, ELEMENT_RULE, rule);
        builder_alternative(b, perhaps, mark);
        builder_alternative(b, perhaps, mark);
        builder_put(b, ELEMENT_RULE, perhaps);
        return;
    }
    put_repeat(b, (struct repeat){rule, min, max});
}

/* ---- characters to bytes ---- */

bool class_add(struct char_class *c, uint32_t lo, uint32_t hi) {
    if (c->n == CLASS_RANGES)
        return false;
    c->ranges[c->n++] = (struct char_range){lo, hi};
    return true;
}

static uint64_t hash_set(const struct byte_set *s) {
    uint64_t h = 0;
    for (int i = 0; i < 4; i++)
        h = (h ^ s->bits[i]) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    return h;
}

static bool rehash_sets(struct builder *b) {
    const size_t n = b->n_set_slots ? 2 * b->n_set_slots : 64;
    uint32_t *slots = b->status ? NULL : calloc(n, sizeof *slots);
    if (!slots) {
        if (!b->status)
            b->status = bise_fail(b->err, BISE_ERR_MEMORY, "no memory for the grammar");
        return false;
    }
    free(b->set_slots);
    b->set_slots = slots;
    b->n_set_slots = n;
    for (size_t i = 0; i < b->g->n_sets; i++) {
        size_t slot = hash_set(&b->g->sets[i]) & (n - 1);
        while (slots[slot])
            slot = (slot + 1) & (n - 1);
        slots[slot] = (uint32_t)i + 1;
    }
    return true;
}

static uint32_t put_set(struct builder *b, const struct byte_set *set) {
    struct grammar *g = b->g;
    if (2 * (g->n_sets + 1) > b->n_set_slots && !rehash_sets(b))
        return 0;
    size_t slot = hash_set(set) & (b->n_set_slots - 1);
    for (; b->set_slots[slot]; slot = (slot + 1) & (b->n_set_slots - 1))
        if (memcmp(&g->sets[b->set_slots[slot] - 1], set, sizeof *set) == 0)
            return b->set_slots[slot] - 1;
    if (!builder_grow(b, &g->sets, &g->cap_sets, g->n_sets + 1, sizeof *g->sets))
        return 0;
    g->sets[g->n_sets] = *set;
    b->set_slots[slot] = (uint32_t)g->n_sets + 1;
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

/* Root and the first rule exchange their numbers. */
static void exchange(struct builder *b, uint32_t root) {
    struct grammar *g = b->g;
    for (size_t i = 0; i < g->n_elements; i++) {
        struct element *e = &g->elements[i];
        if (e->kind == ELEMENT_RULE && (e->value == root || e->value == 0))
            e->value = e->value == root ? 0 : root;
    }
    for (size_t i = 0; i < g->n_repeats; i++)
        if (g->repeats[i].rule == root || g->repeats[i].rule == 0)
            g->repeats[i].rule = g->repeats[i].rule == root ? 0 : root;
    for (size_t i = 0; i < b->n_alternatives; i++) {
        uint32_t *rule = &b->alternatives[i].rule;
        if (*rule == root || *rule == 0)
            *rule = *rule == root ? 0 : root;
    }
}

/* Each rule's alternatives one after the other, in the order they came. */
static bool order(struct builder *b) {
    struct grammar *g = b->g;
    uint32_t first = 0;
    if (!builder_grow(b, &g->alternatives, &g->cap_alternatives, b->n_alternatives + 1,
                      sizeof *g->alternatives))
        return false;
    for (size_t r = 0; r < g->n_rules; r++)
        g->rules[r].n = 0;
    for (size_t i = 0; i < b->n_alternatives; i++)
        g->rules[b->alternatives[i].rule].n++;
    for (size_t r = 0; r < g->n_rules; r++) {
        g->rules[r].first = first;
        first += g->rules[r].n;
        g->rules[r].n = 0;
    }
    for (size_t i = 0; i < b->n_alternatives; i++) {
        struct rule *rule = &g->rules[b->alternatives[i].rule];
        g->alternatives[rule->first + rule->n++] = b->alternatives[i].position;
    }
    g->n_alternatives = b->n_alternatives;
    return true;
}

/* ---- what rules can come to ---- */

/* The rule that an element stands for: its own, or the repeated one. */
static bool element_rule(const struct grammar *g, const struct element *e, uint32_t *rule) {
    if (e->kind != ELEMENT_RULE && e->kind != ELEMENT_REPEAT)
        return false;
    *rule = e->kind == ELEMENT_RULE ? e->value : g->repeats[e->value].rule;
    return true;
}

static bool is_optional(const struct grammar *g, const struct element *e) {
    return e->kind == ELEMENT_REPEAT && g->repeats[e->value].min == 0;
}

static bool is_impossible(const struct grammar *g, const struct element *e) {
    const uint64_t *bits = e->kind == ELEMENT_SET ? g->sets[e->value].bits : NULL;
    return bits && !(bits[0] | bits[1] | bits[2] | bits[3]);
}

/* can [n_rules]: the rules that can match nothing (empty), or anything at all. An alternative waits
 * for the rules in it; the last that comes makes its own rule one that can. In linear time. */
static bool find_rules(struct builder *b, bool empty, uint8_t *can) {
    struct grammar *g = b->g;
    const size_t n_alt = b->n_alternatives;
    size_t n_uses = 0, n_queue = 0;
    uint32_t rule;
    for (size_t i = 0; i < n_alt; i++) /* some share their ends */
        for (const struct element *e = &g->elements[b->alternatives[i].position];
             e->kind != ELEMENT_END; e++)
            n_uses += element_rule(g, e, &rule);
    uint32_t *waits = calloc(n_alt + 2 * g->n_rules + 2 + 2 * n_uses, sizeof *waits);
    if (!waits) {
        b->status = bise_fail(b->err, BISE_ERR_MEMORY, "no memory for the grammar");
        return false;
    }
    uint32_t *head = waits + n_alt, *queue = head + g->n_rules, *next = queue + g->n_rules + 1;
    uint32_t *user = next + n_uses; /* lists of uses, by rule; head and next are 1 + index */
    memset(can, 0, g->n_rules);
    n_uses = 0;
    for (size_t i = 0; i < n_alt; i++) {
        bool never = false;
        for (const struct element *e = &g->elements[b->alternatives[i].position];
             e->kind != ELEMENT_END && !never; e++) {
            if (is_optional(g, e))
                continue;
            never = empty ? !element_rule(g, e, &rule) : is_impossible(g, e);
            if (never || !element_rule(g, e, &rule))
                continue;
            waits[i]++;
            user[n_uses] = (uint32_t)i;
            next[n_uses] = head[rule];
            head[rule] = (uint32_t)++n_uses;
        }
        if (never)
            waits[i] = UINT32_MAX / 2; /* more than are counted down */
        else if (!waits[i] && !can[b->alternatives[i].rule]) {
            can[b->alternatives[i].rule] = 1;
            queue[n_queue++] = b->alternatives[i].rule;
        }
    }
    while (n_queue)
        for (uint32_t u = head[queue[--n_queue]]; u; u = next[u - 1]) {
            const struct alternative *a = &b->alternatives[user[u - 1]];
            if (!--waits[user[u - 1]] && !can[a->rule]) {
                can[a->rule] = 1;
                queue[n_queue++] = a->rule;
            }
        }
    free(waits);
    return true;
}

/* ---- repetitions of what may be empty ---- */

/* To match nothing once more is to match it as often as before: such a repetition is one of what is
 * left of the rule when it may not match nothing. */
struct nonempty {
    const uint8_t *nullable; /* [n_rules] of the rules there were; those made since are not */
    size_t n_rules;
    uint32_t *made;  /* [n_rules] 1 + the rule for it; 0: none yet */
    uint32_t *queue; /* [n_rules] rules whose nonempty ones have no alternatives yet */
    size_t n_queue;
};

static bool is_nullable(const struct nonempty *n, uint32_t rule) {
    return rule < n->n_rules && n->nullable[rule];
}

static uint32_t nonempty_of(struct builder *b, struct nonempty *n, uint32_t rule) {
    if (!is_nullable(n, rule))
        return rule;
    if (!n->made[rule]) {
        n->made[rule] = builder_rule(b) + 1;
        n->queue[n->n_queue++] = rule;
    }
    return n->made[rule] - 1;
}

static bool may_be_empty(const struct grammar *g, const struct nonempty *n,
                         const struct element *e) {
    uint32_t inner;
    return element_rule(g, e, &inner) && (is_optional(g, e) || is_nullable(n, inner));
}

/* Alternative of rule: the element without matching nothing, then rest (0: nothing). */
static void put_solid(struct builder *b, struct nonempty *n, uint32_t rule, struct element e,
                      uint32_t rest) {
    const size_t mark = builder_mark(b);
    uint32_t inner = 0, max = 1;
    element_rule(b->g, &e, &inner);
    if (e.kind == ELEMENT_REPEAT)
        max = b->g->repeats[e.value].max;
    if (!max)
        return;
    const uint32_t solid = nonempty_of(b, n, inner);
    builder_put(b, ELEMENT_RULE, solid);
    if (max > 1)
        put_repeat(b, (struct repeat){solid, 0, max == REPEAT_FOREVER ? max : max - 1});
    if (rest)
        builder_put(b, ELEMENT_RULE, rest);
    builder_alternative(b, rule, mark);
}

/* Alternatives of rule: what begins at position, without matching nothing. Of the elements that may
 * be empty one is the first that is not; what comes after it are rules from the last one on. */
static void put_nonempty(struct builder *b, struct nonempty *n, uint32_t rule, uint32_t position) {
    uint32_t k = 0, rest = 0; /* rule 0 is root's: never a rest */
    while (may_be_empty(b->g, n, &b->g->elements[position + k]))
        k++;
    if (b->g->elements[position + k].kind != ELEMENT_END) {
        add_alternative(b, rule, position + k);
        rest = builder_rule(b);
        add_alternative(b, rest, position + k);
    }
    while (k-- > 0 && !b->status) {
        const struct element e = b->g->elements[position + k];
        put_solid(b, n, rule, e, rest);
        if (!k)
            return;
        const size_t mark = builder_mark(b);
        const uint32_t next = builder_rule(b);
        builder_put(b, e.kind, e.value);
        if (rest)
            builder_put(b, ELEMENT_RULE, rest);
        builder_alternative(b, next, mark);
        rest = next;
    }
}

static void solidify_repeats(struct builder *b, const uint8_t *nullable) {
    struct grammar *g = b->g;
    const size_t n_rules = g->n_rules;
    struct nonempty n = {
        .nullable = nullable, .n_rules = n_rules, .made = calloc(2 * n_rules, sizeof *n.made)};
    if (!n.made) {
        b->status = bise_fail(b->err, BISE_ERR_MEMORY, "no memory for the grammar");
        return;
    }
    n.queue = n.made + n_rules;
    for (size_t i = 0; i < g->n_repeats && !b->status; i++) {
        const uint32_t rule = g->repeats[i].rule;
        if (!is_nullable(&n, rule))
            continue;
        const uint32_t solid = nonempty_of(b, &n, rule);
        g->repeats[i].rule = solid;
        g->repeats[i].min = 0;
        while (n.n_queue && !b->status) {
            const uint32_t next = n.queue[--n.n_queue];
            const struct rule from = g->rules[next];
            for (uint32_t a = 0; a < from.n; a++)
                put_nonempty(b, &n, n.made[next] - 1, g->alternatives[from.first + a]);
        }
    }
    free(n.made);
}

/* ---- what can never be finished ---- */

static bool can_be_finished(const struct grammar *g, uint32_t position, const uint8_t *can) {
    uint32_t rule;
    for (const struct element *e = &g->elements[position]; e->kind != ELEMENT_END; e++)
        if (!is_optional(g, e) &&
            (is_impossible(g, e) || (element_rule(g, e, &rule) && !can[rule])))
            return false;
    return true;
}

/* Takes out alternatives that no text can follow to their end. */
static void prune(struct builder *b, const uint8_t *can) {
    struct grammar *g = b->g;
    size_t n = 0;
    for (size_t i = 0; i < b->n_alternatives; i++)
        if (can_be_finished(g, b->alternatives[i].position, can))
            b->alternatives[n++] = b->alternatives[i];
    b->n_alternatives = n;
    for (size_t i = 0; i < g->n_repeats; i++)
        if (!can[g->repeats[i].rule])
            g->repeats[i].max = 0;
}

/* ---- left recursion ---- */

/* A walk along what can stand first in a rule; coming back to a rule on the way is left recursion.
 * state: 0 new, 1 on the way, 2 done. stack holds the way: a rule, and how far it has been looked
 * through (alternative, element). */
struct step {
    uint32_t rule, alternative, element;
};

static bool may_pass(const struct grammar *g, const struct element *e, const uint8_t *nullable) {
    uint32_t rule;
    return element_rule(g, e, &rule) && (is_optional(g, e) || nullable[rule]);
}

static bool next_first(const struct grammar *g, struct step *s, const uint8_t *nullable,
                       uint32_t *rule) {
    for (; s->alternative < g->rules[s->rule].n; s->alternative++, s->element = 0) {
        const uint32_t at = g->alternatives[g->rules[s->rule].first + s->alternative];
        const struct element *e = &g->elements[at + s->element];
        if ((s->element == 0 || may_pass(g, e - 1, nullable)) && element_rule(g, e, rule)) {
            s->element++;
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

static void check_left_recursion(struct builder *b) {
    struct grammar *g = b->g;
    uint8_t *nullable = calloc(2 * g->n_rules, 1);
    struct step *stack = malloc(g->n_rules * sizeof *stack);
    if (!nullable || !stack)
        b->status = bise_fail(b->err, BISE_ERR_MEMORY, "no memory for the grammar");
    else if (find_rules(b, true, nullable) &&
             is_left_recursive(g, nullable, nullable + g->n_rules, stack))
        b->status = bise_fail(b->err, BISE_ERR_ARG,
                              "grammar: a rule begins with itself, perhaps after something that "
                              "may be empty: left recursion is not supported");
    free(nullable);
    free(stack);
}

bool builder_is_possible(struct builder *b, uint32_t rule) {
    uint8_t *can = calloc(b->g->n_rules + 1, 1);
    const bool possible = b->status || !can || !find_rules(b, false, can) || can[rule];
    free(can);
    return possible;
}

void builder_finish(struct builder *b, uint32_t root) {
    if (b->status)
        return;
    uint8_t *can = calloc(b->g->n_rules, 1);
    if (!can) {
        b->status = bise_fail(b->err, BISE_ERR_MEMORY, "no memory for the grammar");
        return;
    }
    exchange(b, root);
    if (find_rules(b, false, can)) {
        if (!can[0])
            b->status = bise_fail(b->err, BISE_ERR_ARG, "grammar: there is no text that it allows");
        prune(b, can);
    }
    if (!b->status && order(b) && find_rules(b, true, can))
        solidify_repeats(b, can);
    free(can);
    if (!b->status && order(b))
        check_left_recursion(b);
}

void builder_free(struct builder *b) {
    free(b->work);
    free(b->alternatives);
    free(b->set_slots);
}
