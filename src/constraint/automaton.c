#include "src/constraint/automaton.h"

#include "src/base/array.h"
#include "src/base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---- making ---- */

bool maker_begin(struct automaton_maker *m, struct budget *b) {
    *m = (struct automaton_maker){.a = calloc(1, sizeof *m->a), .budget = b};
    if (!m->a)
        b->no_memory = true;
    return m->a != NULL;
}

static bool grow(struct budget *b, void *array, size_t *cap, size_t need, size_t size) {
    const bool grown = array_grow(array, cap, need, size);
    b->no_memory |= !grown;
    return grown;
}

bool maker_state(struct automaton_maker *m, bool accepts) {
    struct automaton *a = m->a;
    size_t cap = m->cap_states;
    if (a->n_states >= AUTOMATON_MAX_STATES || !budget_take(m->budget, 4) ||
        !grow(m->budget, &a->first, &cap, (size_t)a->n_states + 2, sizeof *a->first) ||
        !grow(m->budget, &a->accepts, &m->cap_states, (size_t)a->n_states + 2, 1))
        return false;
    a->first[a->n_states] = (uint32_t)m->n_edges;
    a->accepts[a->n_states++] = accepts;
    a->first[a->n_states] = (uint32_t)m->n_edges;
    return true;
}

bool maker_edge(struct automaton_maker *m, uint32_t lo, uint32_t to) {
    struct automaton *a = m->a;
    const bool first = m->n_edges == a->first[a->n_states - 1];
    if (!first && a->edges[m->n_edges - 1].to == to)
        return true;
    if (m->n_edges >= AUTOMATON_MAX_EDGES || !budget_take(m->budget, 1) ||
        !grow(m->budget, &a->edges, &m->cap_edges, m->n_edges + 1, sizeof *a->edges))
        return false;
    a->edges[m->n_edges++] = (struct edge){lo, to};
    a->first[a->n_states] = (uint32_t)m->n_edges;
    return true;
}

void automaton_free(struct automaton *a) {
    if (!a)
        return;
    free(a->first);
    free(a->edges);
    free(a->accepts);
    free(a);
}

/* ---- a table of tuples of numbers, each once ---- */

struct tuples {
    uint32_t *words; /* [n][size], sizes before each: tuple i at starts[i] */
    size_t n_words, cap_words;
    uint32_t *starts; /* [n + 1] */
    size_t n, cap;
    uint32_t *slots; /* 1 + index, 0: free */
    size_t n_slots;
};

static uint64_t hash_words(const uint32_t *w, size_t n) {
    uint64_t h = 1469598103934665603u ^ n;
    for (size_t i = 0; i < n; i++)
        h = (h ^ w[i]) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    return h;
}

static bool rehash(struct tuples *t, struct budget *b) {
    const size_t n_slots = t->n_slots ? 2 * t->n_slots : 64;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (!slots) {
        b->no_memory = true;
        return false;
    }
    free(t->slots);
    t->slots = slots;
    t->n_slots = n_slots;
    for (size_t i = 0; i < t->n; i++) {
        const uint32_t *w = t->words + t->starts[i];
        size_t s = hash_words(w, t->starts[i + 1] - t->starts[i]) & (n_slots - 1);
        while (slots[s])
            s = (s + 1) & (n_slots - 1);
        slots[s] = (uint32_t)i + 1;
    }
    return true;
}

/* The index of the tuple, new if it equals t->n before. False without memory or budget. */
static bool tuple_index(struct tuples *t, const uint32_t *w, size_t n, uint32_t *index,
                        struct budget *b) {
    if (!budget_take(b, 1 + n / 4) || (2 * (t->n + 1) > t->n_slots && !rehash(t, b)))
        return false;
    size_t s = hash_words(w, n) & (t->n_slots - 1);
    for (; t->slots[s]; s = (s + 1) & (t->n_slots - 1)) {
        const uint32_t i = t->slots[s] - 1;
        if (t->starts[i + 1] - t->starts[i] == n &&
            memcmp(t->words + t->starts[i], w, n * sizeof *w) == 0) {
            *index = i;
            return true;
        }
    }
    if (!grow(b, &t->words, &t->cap_words, t->n_words + n + 1, sizeof *t->words) ||
        !grow(b, &t->starts, &t->cap, t->n + 2, sizeof *t->starts))
        return false;
    t->starts[t->n] = (uint32_t)t->n_words;
    memcpy(t->words + t->n_words, w, n * sizeof *w);
    t->n_words += n;
    t->starts[t->n + 1] = (uint32_t)t->n_words;
    t->slots[s] = (uint32_t)t->n + 1;
    *index = (uint32_t)t->n++;
    return true;
}

static void tuples_free(struct tuples *t) {
    free(t->words);
    free(t->starts);
    free(t->slots);
    *t = (struct tuples){.n = 0};
}

/* ---- fewer states ---- */

/* One round: classes are split by where their states' edges lead. */
static bool refine(const struct automaton *a, const uint32_t *class, uint32_t *finer, size_t *n,
                   struct budget *b) {
    struct tuples t = {.n = 0};
    uint32_t *key = NULL;
    size_t cap = 0;
    bool good = true;
    for (uint32_t s = 0; good && s < a->n_states; s++) {
        const uint32_t from = a->first[s], to = a->first[s + 1];
        size_t k = 0;
        good = grow(b, &key, &cap, 2 * (size_t)(to - from) + 1, sizeof *key);
        if (!good)
            break;
        key[k++] = class[s];
        for (uint32_t e = from; e < to; e++)
            if (e == from || class[a->edges[e].to] != key[k - 1]) {
                key[k++] = a->edges[e].lo;
                key[k++] = class[a->edges[e].to];
            }
        good = tuple_index(&t, key, k, &finer[s], b);
    }
    *n = t.n;
    tuples_free(&t);
    free(key);
    return good;
}

/* a with one state for each class. State 0's class is 0, as classes are numbered by their first. */
static struct automaton *merged(const struct automaton *a, const uint32_t *class, size_t n,
                                struct budget *b) {
    struct automaton_maker m;
    uint32_t next = 0;
    if (!maker_begin(&m, b))
        return NULL;
    bool good = true;
    for (uint32_t s = 0; good && s < a->n_states && next < n; s++) {
        if (class[s] != next)
            continue;
        next++;
        good = maker_state(&m, a->accepts[s]);
        for (uint32_t e = a->first[s]; good && e < a->first[s + 1]; e++)
            good = maker_edge(&m, a->edges[e].lo, class[a->edges[e].to]);
    }
    if (!good) {
        automaton_free(m.a);
        return NULL;
    }
    return m.a;
}

static struct automaton *minimized(struct automaton *a, struct budget *b) {
    uint32_t *class = malloc(2 * ((size_t)a->n_states + 1) * sizeof *class);
    uint32_t *finer = class ? class + a->n_states : NULL;
    size_t n = 1, before = 0;
    if (!class) {
        b->no_memory = true;
        automaton_free(a);
        return NULL;
    }
    for (uint32_t s = 0; s < a->n_states; s++)
        class[s] = a->accepts[s] != a->accepts[0];
    bool good = true;
    while (good && n != before) {
        before = n;
        good = refine(a, class, finer, &n, b);
        if (good)
            memcpy(class, finer, a->n_states * sizeof *class);
    }
    struct automaton *small = good && n < a->n_states ? merged(a, class, n, b) : NULL;
    free(class);
    if (good && n == a->n_states)
        return a;
    automaton_free(a);
    return small;
}

struct automaton *maker_end(struct automaton_maker *m, bool good) {
    if (good)
        return minimized(m->a, m->budget);
    automaton_free(m->a);
    return NULL;
}

/* ---- the simple ones ---- */

struct automaton *automaton_all(struct budget *b) {
    struct automaton_maker m;
    if (!maker_begin(&m, b))
        return NULL;
    return maker_end(&m, maker_state(&m, true) && maker_edge(&m, 0, 0));
}

struct automaton *automaton_lengths(uint32_t min, uint32_t max, struct budget *b) {
    struct automaton_maker m;
    const uint32_t last = max == UINT32_MAX ? min : max; /* the state after it is dead */
    if (!maker_begin(&m, b))
        return NULL;
    bool good = last < AUTOMATON_MAX_STATES;
    for (uint32_t s = 0; good && s <= last; s++)
        good = maker_state(&m, s >= min && s <= max) &&
               maker_edge(&m, 0, s < last || max != UINT32_MAX ? s + 1 : s);
    if (good && max != UINT32_MAX)
        good = maker_state(&m, false) && maker_edge(&m, 0, last + 1);
    if (good) /* no two are alike */
        return m.a;
    automaton_free(m.a);
    return NULL;
}

struct automaton *automaton_multiples(uint32_t m, struct budget *b) {
    struct automaton_maker k;
    if (!maker_begin(&k, b))
        return NULL;
    /* 0 begin, 1 dead, 2 zero alone, 3 + r: digits with remainder r */
    bool good = true;
    for (uint32_t s = 0; good && s < m + 3; s++) {
        good = maker_state(&k, s == 2 || s == 3) && maker_edge(&k, 0, 1);
        for (uint32_t d = 0; good && d < 10 && (s == 0 || s >= 3); d++) {
            const uint64_t r = s ? ((uint64_t)(s - 3) * 10 + d) % m : d % m;
            good = maker_edge(&k, '0' + d, s == 0 && d == 0 ? 2 : 3 + (uint32_t)r);
        }
        good = good && maker_edge(&k, '9' + 1, 1);
    }
    return maker_end(&k, good);
}

/* ---- strings ---- */

struct word {
    const char *text;
    size_t len;
};

static int compare_words(const void *a, const void *b) {
    const struct word *x = a, *y = b;
    const int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* A state of the tree of prefixes: words[from .. to) share their first at bytes. */
struct prefix {
    size_t from, to, at;
};

struct automaton *automaton_strings(const char *const *strings, const size_t *lens, size_t n,
                                    bool others, struct budget *b) {
    struct automaton_maker m;
    struct word *words = malloc((n + 1) * sizeof *words);
    struct prefix *queue = NULL;
    size_t cap = 0, n_queue = 0;
    bool good = words && maker_begin(&m, b);
    if (!good) {
        b->no_memory = true;
        free(words);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        words[i] = (struct word){strings[i], lens[i]};
    qsort(words, n, sizeof *words, compare_words);
    /* State i of the automaton is prefix i of the queue; 1 is beyond all words. */
    good = grow(b, &queue, &cap, 2, sizeof *queue);
    if (good) {
        queue[n_queue++] = (struct prefix){0, n, 0};
        queue[n_queue++] = (struct prefix){0, 0, 0};
    }
    for (size_t q = 0; good && q < n_queue; q++) {
        const struct prefix p = queue[q];
        size_t i = p.from;
        while (i < p.to && words[i].len == p.at)
            i++;
        good = maker_state(&m, (i > p.from) != others) && maker_edge(&m, 0, 1);
        while (good && i < p.to) {
            const char *here = words[i].text + p.at;
            const size_t len = utf8_char_len(here, words[i].len - p.at);
            const uint32_t code = utf8_code_point(here, len);
            size_t end = i;
            while (end < p.to && words[end].len >= p.at + len &&
                   memcmp(words[end].text + p.at, here, len) == 0)
                end++;
            good = grow(b, &queue, &cap, n_queue + 1, sizeof *queue) &&
                   maker_edge(&m, code, (uint32_t)n_queue) && maker_edge(&m, code + 1, 1);
            if (good)
                queue[n_queue++] = (struct prefix){i, end, p.at + len};
            i = end;
        }
    }
    free(queue);
    free(words);
    if (good) /* next to nothing could be merged */
        return m.a;
    automaton_free(m.a);
    return NULL;
}

/* ---- combinations ---- */

static bool holds(enum automaton_op op, bool x, bool y) {
    return op == AUTOMATON_OR ? x || y : x && y == (op == AUTOMATON_AND);
}

struct automaton *automaton_combine(const struct automaton *x, const struct automaton *y,
                                    enum automaton_op op, struct budget *b) {
    struct automaton_maker m;
    struct tuples pairs = {.n = 0};
    uint32_t index;
    if (!maker_begin(&m, b))
        return NULL;
    bool good = tuple_index(&pairs, (const uint32_t[]){0, 0}, 2, &index, b);
    for (size_t i = 0; good && i < pairs.n; i++) {
        const uint32_t sx = pairs.words[2 * i], sy = pairs.words[2 * i + 1];
        uint32_t ex = x->first[sx], ey = y->first[sy], lo = 0;
        good = maker_state(&m, holds(op, x->accepts[sx], y->accepts[sy]));
        while (good) {
            const uint32_t to[2] = {x->edges[ex].to, y->edges[ey].to};
            good = tuple_index(&pairs, to, 2, &index, b) && maker_edge(&m, lo, index);
            const uint32_t nx = ex + 1 < x->first[sx + 1] ? x->edges[ex + 1].lo : CHARACTER_MAX + 1;
            const uint32_t ny = ey + 1 < y->first[sy + 1] ? y->edges[ey + 1].lo : CHARACTER_MAX + 1;
            lo = nx < ny ? nx : ny;
            if (lo > CHARACTER_MAX)
                break;
            ex += nx == lo;
            ey += ny == lo;
        }
    }
    tuples_free(&pairs);
    return maker_end(&m, good);
}

/* ---- questions ---- */

bool automaton_live(const struct automaton *a, uint8_t *live, struct budget *b) {
    /* Backward along the edges: counted, then listed, by their end. */
    const size_t n = a->n_states, n_edges = a->first[n];
    uint32_t *into = calloc(2 * n + 2 + n_edges, sizeof *into);
    if (!into || !budget_take(b, n + n_edges)) {
        b->no_memory |= !into;
        free(into);
        return false;
    }
    uint32_t *from = into + n + 1, *queue = from + n_edges;
    size_t n_queue = 0;
    for (size_t e = 0; e < n_edges; e++)
        into[a->edges[e].to + 1]++;
    for (size_t s = 0; s < n; s++)
        into[s + 1] += into[s];
    for (size_t s = n; s-- > 0;)
        for (uint32_t e = a->first[s]; e < a->first[s + 1]; e++)
            from[--into[a->edges[e].to + 1]] = (uint32_t)s;
    /* into[s + 1] is now where the list of s begins, and into[s + 2] where it ends. */
    for (size_t s = 0; s < n; s++)
        if ((live[s] = a->accepts[s]))
            queue[n_queue++] = (uint32_t)s;
    while (n_queue) {
        const uint32_t s = queue[--n_queue];
        const size_t end = s + 1 < n ? into[s + 2] : n_edges;
        for (size_t i = into[s + 1]; i < end; i++)
            if (!live[from[i]]) {
                live[from[i]] = 1;
                queue[n_queue++] = from[i];
            }
    }
    free(into);
    return true;
}

bool automaton_is_empty(const struct automaton *a, struct budget *b) {
    uint8_t *live = malloc(a->n_states);
    b->no_memory |= !live;
    const bool empty = live && automaton_live(a, live, b) && !live[0];
    free(live);
    return empty;
}

bool automaton_accepts(const struct automaton *a, const char *text, size_t len) {
    uint32_t s = 0;
    for (size_t at = 0; at < len;) {
        const size_t n = utf8_char_len(text + at, len - at);
        if (!n)
            return false;
        const uint32_t code = utf8_code_point(text + at, n);
        uint32_t e = a->first[s];
        while (e + 1 < a->first[s + 1] && a->edges[e + 1].lo <= code)
            e++;
        s = a->edges[e].to;
        at += n;
    }
    return a->accepts[s];
}
