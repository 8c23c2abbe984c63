/* Regular expressions' trees laid out as nondeterministic automata (Thompson), and those made
 * deterministic by sets of their states. */
#include "src/constraint/regex.h"

#include "src/base/array.h"

#include <stdlib.h>
#include <string.h>

/* A state leads to out[0] by the ranges of its node, or to both by nothing. */
struct state {
    enum { BY_CLASS, BY_NOTHING, AT_BEGIN, AT_END, MATCHED } by;
    uint32_t node, out[2];
};

struct layout {
    struct regex *r;
    struct state *states;
    size_t n_states, cap_states;
};

/* ---- laid out ---- */

/* Returns the state, UINT32_MAX after a failure. */
static uint32_t put_state(struct layout *l, int by, uint32_t node, uint32_t a, uint32_t b) {
    if (l->n_states >= REGEX_MAX_NODES || !budget_take(l->r->budget, 1) ||
        !regex_grow(l->r, &l->states, &l->cap_states, l->n_states + 1, sizeof *l->states)) {
        l->r->budget->left = 0;
        return UINT32_MAX;
    }
    l->states[l->n_states] = (struct state){.node = node, .out = {a, b}};
    l->states[l->n_states].by = by;
    return (uint32_t)l->n_states++;
}

static uint32_t lay_out(struct layout *l, uint32_t node, uint32_t to);

/* From back to front, so that each knows where it leads. */
static uint32_t lay_out_repeat(struct layout *l, uint32_t node, uint32_t to) {
    const struct regex_node n = l->r->nodes[node];
    if (n.max == REGEX_FOREVER) {
        const uint32_t loop = put_state(l, BY_NOTHING, 0, to, to);
        const uint32_t body = loop == UINT32_MAX ? loop : lay_out(l, n.first, loop);
        if (body == UINT32_MAX)
            return body;
        l->states[loop].out[0] = body;
        to = loop;
    } else {
        const uint32_t end = to;
        for (uint32_t i = n.min; i < n.max && to != UINT32_MAX; i++) {
            const uint32_t body = lay_out(l, n.first, to);
            to = body == UINT32_MAX ? body : put_state(l, BY_NOTHING, 0, body, end);
        }
    }
    for (uint32_t i = 0; i < n.min && to != UINT32_MAX; i++)
        to = lay_out(l, n.first, to);
    return to;
}

static uint32_t lay_out_sequence(struct layout *l, uint32_t node, uint32_t to) {
    uint32_t n = 0;
    for (uint32_t c = l->r->nodes[node].first; c; c = l->r->nodes[c].next)
        n++;
    uint32_t *children = malloc((n + 1) * sizeof *children);
    if (!children) {
        l->r->budget->no_memory = true;
        return UINT32_MAX;
    }
    n = 0;
    for (uint32_t c = l->r->nodes[node].first; c; c = l->r->nodes[c].next)
        children[n++] = c;
    while (n && to != UINT32_MAX)
        to = lay_out(l, children[--n], to);
    free(children);
    return to;
}

/* The state where node begins, if it leads on to `to`. */
static uint32_t lay_out(struct layout *l, uint32_t node, uint32_t to) {
    uint32_t begin = UINT32_MAX;
    switch (l->r->nodes[node].kind) {
    case REGEX_EMPTY:
        return to;
    case REGEX_CLASS:
        return put_state(l, BY_CLASS, node, to, to);
    case REGEX_BEGIN:
        return put_state(l, AT_BEGIN, 0, to, to);
    case REGEX_END:
        begin = put_state(l, AT_END, 0, to, to);
        if (l->r->mode == REGEX_WIDE && begin != UINT32_MAX) { /* Python's: before a last \n */
            const uint32_t newline = regex_range_node(l->r, '\n', '\n');
            const uint32_t last = newline ? put_state(l, BY_CLASS, newline, begin, begin) : 0;
            begin =
                last && last != UINT32_MAX ? put_state(l, BY_NOTHING, 0, begin, last) : UINT32_MAX;
        }
        return begin;
    case REGEX_SEQUENCE:
        return lay_out_sequence(l, node, to);
    case REGEX_REPEAT:
        return lay_out_repeat(l, node, to);
    default:
        for (uint32_t c = l->r->nodes[node].first; c; c = l->r->nodes[c].next) {
            const uint32_t one = lay_out(l, c, to);
            if (one == UINT32_MAX)
                return one;
            begin = begin == UINT32_MAX ? one : put_state(l, BY_NOTHING, 0, begin, one);
            if (begin == UINT32_MAX)
                return begin;
        }
        return begin;
    }
}

/* ---- made deterministic ---- */

/* A set of states, each once, in order of their numbers once closed. */
struct set {
    uint32_t *list;
    uint32_t *mark; /* [n_states] the set it was in last */
    uint32_t n, now;
    bool matched; /* whether MATCHED is in it: at the end of the text, or anywhere */
};

static int compare_states(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* list[0..n) and all that can be reached from there by nothing. Only what reads a character or the
 * end of the text stays in the list. */
static void close_set(const struct layout *l, struct set *s, bool at_begin, bool at_end) {
    uint32_t kept = 0, n = s->n;
    s->matched = false;
    s->now++;
    /* The list's end is the stack of what is still to be looked at. */
    uint32_t *const stack = s->list + l->n_states;
    uint32_t depth = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (s->mark[s->list[i]] == s->now)
            continue;
        s->mark[s->list[i]] = s->now;
        stack[depth++] = s->list[i];
    }
    while (depth) {
        const uint32_t at = stack[--depth];
        const struct state *q = &l->states[at];
        const bool on =
            q->by == BY_NOTHING || (q->by == AT_BEGIN && at_begin) || (q->by == AT_END && at_end);
        if (q->by == BY_CLASS || q->by == AT_END)
            s->list[kept++] = at;
        s->matched |= q->by == MATCHED;
        for (int k = 0; k < 2 && on; k++)
            if (s->mark[q->out[k]] != s->now) {
                s->mark[q->out[k]] = s->now;
                stack[depth++] = q->out[k];
            }
    }
    s->n = kept;
    qsort(s->list, kept, sizeof *s->list, compare_states);
}

struct step {
    uint32_t lo, hi, to;
};

static int compare_steps(const void *a, const void *b) {
    const struct step *x = a, *y = b;
    return (x->lo > y->lo) - (x->lo < y->lo);
}

static int compare_codes(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The subsets found so far, one after the other: a list of states each. */
struct subsets {
    uint32_t *words, *starts, *slots;
    size_t n, cap_words, cap_starts, n_slots;
    struct step *steps;
    uint32_t *cuts;
    size_t cap_steps, cap_cuts;
};

static size_t slot_of(const struct subsets *t, const uint32_t *list, uint32_t n, uint32_t *found) {
    uint64_t h = n + 1;
    for (uint32_t i = 0; i < n; i++)
        h = (h ^ list[i]) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    size_t s = h & (t->n_slots - 1);
    for (; t->slots[s]; s = (s + 1) & (t->n_slots - 1)) {
        const uint32_t i = t->slots[s] - 1;
        if (t->starts[i + 1] - t->starts[i] == n &&
            memcmp(t->words + t->starts[i], list, n * sizeof *list) == 0) {
            *found = i;
            break;
        }
    }
    return s;
}

static bool subset_index(struct layout *l, struct subsets *t, const uint32_t *list, uint32_t n,
                         uint32_t *index) {
    if (!budget_take(l->r->budget, 1 + n / 4))
        return false;
    const size_t s = slot_of(t, list, n, index);
    if (t->slots[s])
        return true;
    const size_t used = t->n ? t->starts[t->n] : 0;
    if (t->n >= AUTOMATON_MAX_STATES ||
        !regex_grow(l->r, &t->starts, &t->cap_starts, t->n + 2, sizeof *t->starts))
        return false;
    if (used + n > t->cap_words) { /* sets may hold far more states than there are */
        const bool grown = array_grow(&t->words, &t->cap_words, used + n, sizeof *t->words);
        l->r->budget->no_memory |= !grown;
        if (!grown || !budget_take(l->r->budget, n))
            return false;
    }
    t->starts[t->n] = (uint32_t)used;
    memcpy(t->words + used, list, n * sizeof *list);
    t->starts[t->n + 1] = (uint32_t)(used + n);
    t->slots[s] = (uint32_t)t->n + 1;
    *index = (uint32_t)t->n++;
    return true;
}

/* The edges of subset i, whose states may lead on. The subsets they lead to are numbered. */
static bool put_edges(struct layout *l, struct subsets *t, struct set *s, struct automaton_maker *m,
                      size_t subset) {
    size_t n_steps = 0, n_cuts = 0, done = 0;
    bool good = true;
    for (size_t k = t->starts[subset]; good && k < t->starts[subset + 1]; k++) {
        if (t->words[k] >= l->n_states)
            continue;
        const struct state *q = &l->states[t->words[k]];
        const struct regex_node *class = &l->r->nodes[q->node];
        for (uint32_t i = class->min; good && q->by == BY_CLASS && i < class->max; i++) {
            good = regex_grow(l->r, &t->steps, &t->cap_steps, n_steps + 1, sizeof *t->steps) &&
                   regex_grow(l->r, &t->cuts, &t->cap_cuts, n_cuts + 3, sizeof *t->cuts);
            if (!good)
                break;
            t->steps[n_steps++] = (struct step){l->r->ranges[i].lo, l->r->ranges[i].hi, q->out[0]};
            t->cuts[n_cuts++] = l->r->ranges[i].lo;
            t->cuts[n_cuts++] = l->r->ranges[i].hi + 1;
        }
    }
    if (!good || !regex_grow(l->r, &t->cuts, &t->cap_cuts, n_cuts + 1, sizeof *t->cuts))
        return false;
    t->cuts[n_cuts++] = 0;
    qsort(t->cuts, n_cuts, sizeof *t->cuts, compare_codes);
    if (n_steps)
        qsort(t->steps, n_steps, sizeof *t->steps, compare_steps);
    for (size_t c = 0; good && c < n_cuts; c++) {
        uint32_t index;
        if (t->cuts[c] > CHARACTER_MAX || (c && t->cuts[c] == t->cuts[c - 1]))
            continue;
        /* Steps that end before this cut are behind for good where they are the first. */
        while (done < n_steps && t->steps[done].hi < t->cuts[c])
            done++;
        s->n = 0;
        for (size_t i = done; i < n_steps && t->steps[i].lo <= t->cuts[c]; i++)
            if (t->steps[i].hi >= t->cuts[c] && s->n < l->n_states)
                s->list[s->n++] = t->steps[i].to;
        good = budget_take(l->r->budget, 1 + s->n / 2);
        close_set(l, s, false, false);
        if (s->matched) { /* found, and anything may follow */
            s->list[0] = (uint32_t)l->n_states;
            s->n = 1;
        }
        good = good && budget_take(l->r->budget, s->n / 2) &&
               subset_index(l, t, s->list, s->n, &index) && maker_edge(m, t->cuts[c], index);
    }
    return good;
}

static struct automaton *determined(struct layout *l, uint32_t start) {
    struct automaton_maker m;
    struct subsets t = {.n_slots = 2 * 32768};
    struct set s = {.list = malloc((3 * l->n_states + 4) * sizeof *s.list),
                    .mark = calloc(l->n_states + 1, sizeof *s.mark)};
    t.slots = calloc(t.n_slots, sizeof *t.slots);
    bool good = s.list && s.mark && t.slots && maker_begin(&m, l->r->budget);
    struct automaton *a = NULL;
    if (!good) {
        l->r->budget->no_memory = true;
        goto done;
    }
    uint32_t index;
    s.list[0] = start;
    s.n = 1;
    close_set(l, &s, true, false);
    if (s.matched)
        s.n = 0;
    /* No later subset equals the first, where ^ holds. */
    s.list[s.n++] = (uint32_t)l->n_states + !s.matched;
    good = subset_index(l, &t, s.list, s.n, &index);
    for (size_t i = 0; good && i < t.n; i++) {
        const size_t n = t.starts[i + 1] - t.starts[i];
        if (n && t.words[t.starts[i]] == l->n_states) { /* the set that has matched */
            good = maker_state(&m, true) && maker_edge(&m, 0, (uint32_t)i);
            continue;
        }
        s.n = (uint32_t)n;
        memcpy(s.list, t.words + t.starts[i], n * sizeof *s.list);
        if (i == 0) {
            s.list[0] = start;
            s.n = 1;
        }
        close_set(l, &s, i == 0, true);
        good = maker_state(&m, s.matched) && put_edges(l, &t, &s, &m, i);
    }
    a = maker_end(&m, good);
done:
    free(s.list);
    free(s.mark);
    free(t.words);
    free(t.starts);
    free(t.slots);
    free(t.steps);
    free(t.cuts);
    return a;
}

/* ---- whole patterns ---- */

/* Any characters, then the pattern, which may begin anywhere. */
static uint32_t lay_out_search(struct layout *l, uint32_t node) {
    const uint32_t matched = put_state(l, MATCHED, 0, 0, 0);
    const uint32_t any = regex_range_node(l->r, 0, CHARACTER_MAX);
    const uint32_t begin = matched != UINT32_MAX ? lay_out(l, node, matched) : matched;
    if (begin == UINT32_MAX || !any)
        return UINT32_MAX;
    const uint32_t loop = put_state(l, BY_CLASS, any, 0, 0);
    const uint32_t start = loop != UINT32_MAX ? put_state(l, BY_NOTHING, 0, begin, loop) : loop;
    if (start != UINT32_MAX)
        l->states[loop].out[0] = l->states[loop].out[1] = start;
    return start;
}

static struct automaton *compile(struct regex *r) {
    struct layout l = {.r = r};
    const uint32_t node = regex_read(r);
    const uint32_t start = node ? lay_out_search(&l, node) : UINT32_MAX;
    struct automaton *a = start == UINT32_MAX ? NULL : determined(&l, start);
    regex_free(r);
    free(l.states);
    return a;
}

/* The first character from i on that is neither escaped nor of a class; len if there is none. */
static size_t next_bare(const char *text, size_t i, size_t len) {
    for (bool in_class = false; i < len; i++) {
        if (text[i] == '\\')
            i++;
        else if (in_class)
            in_class = text[i] != ']';
        else if (text[i] == '[')
            in_class = true;
        else
            return i;
    }
    return len;
}

/* Where the group that is open at from is closed; len if nowhere. */
static size_t group_end(const char *text, size_t from, size_t len) {
    unsigned depth = 1;
    for (size_t i = from; (i = next_bare(text, i, len)) < len; i++) {
        depth += text[i] == '(';
        depth -= text[i] == ')';
        if (depth == 0)
            return i;
    }
    return len;
}

/* Whether | stands outside of all groups. */
static bool has_outer_choice(const char *text, size_t len) {
    for (size_t i = 0; (i = next_bare(text, i, len)) < len; i++) {
        if (text[i] == '|')
            return true;
        if (text[i] == '(')
            i = group_end(text, i + 1, len);
    }
    return false;
}

/* "^" before part of a pattern. */
static struct automaton *anchored(const char *part, size_t len, enum regex_mode mode,
                                  struct budget *b, const char **fault, size_t *at) {
    char *text = malloc(len + 2);
    if (!text) {
        b->no_memory = true;
        return NULL;
    }
    text[0] = '^';
    memcpy(text + 1, part, len);
    text[len + 1] = 0;
    struct regex r = {.text = text, .len = len + 1, .mode = mode, .budget = b};
    struct automaton *a = compile(&r);
    *fault = r.fault;
    *at = r.i;
    free(text);
    return a;
}

struct automaton *automaton_regex(const char *text, size_t len, enum regex_mode mode,
                                  struct budget *b, const char **fault, size_t *at) {
    struct automaton *a = NULL;
    size_t i = 1;
    *fault = NULL;
    if (len < 4 || memcmp(text, "^(?", 3) != 0 || !strchr("=!", text[3]) ||
        has_outer_choice(text, len)) {
        struct regex r = {.text = text, .len = len, .mode = mode, .budget = b};
        a = compile(&r);
        *fault = r.fault;
        *at = r.i;
        return a;
    }
    a = automaton_all(b);
    while (a && len - i > 3 && memcmp(text + i, "(?", 2) == 0 && strchr("=!", text[i + 2])) {
        const bool negative = text[i + 2] == '!';
        const size_t from = i + 3, end = group_end(text, from, len);
        const enum regex_mode inner =
            negative ? (mode == REGEX_WIDE ? REGEX_NARROW : REGEX_WIDE) : mode;
        /* Its own brackets, for a choice inside. */
        char *group = malloc(end - from + 5);
        struct automaton *look = NULL, *both = NULL;
        if (group) {
            memcpy(group, "(?:", 3);
            memcpy(group + 3, text + from, end - from);
            group[end - from + 3] = ')';
            look = anchored(group, end - from + 4, inner, b, fault, at);
        }
        b->no_memory |= !group;
        free(group);
        if (look)
            both = automaton_combine(a, look, negative ? AUTOMATON_AND_NOT : AUTOMATON_AND, b);
        automaton_free(a);
        automaton_free(look);
        a = both;
        *at = from;
        i = end < len ? end + 1 : len;
    }
    struct automaton *rest = a ? anchored(text + i, len - i, mode, b, fault, at) : NULL;
    struct automaton *both = rest ? automaton_combine(a, rest, AUTOMATON_AND, b) : NULL;
    automaton_free(a);
    automaton_free(rest);
    return both;
}
