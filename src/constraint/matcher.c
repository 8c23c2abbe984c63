#include "src/base/error.h"
#include "src/constraint/grammar.h"
#include "src/os/mem.h"

#include <stdlib.h>
#include <string.h>

#define MAX_NODES      (1u << 16)
#define MAX_TOPS       (1u << 17)
#define MAX_WORK       16000000 /* stacks looked at between two rewinds */
#define N_SLOTS        (2 * MAX_NODES)
#define COUNT_AS_IT_IS 0x80000000u /* in a state's numbers: of a count that is not reduced */

/* A position in the elements and what comes after the alternative it stands in; in a repetition how
 * often it has been, in a lexeme its state and characters. Equal nodes exist once. Node 0 is the
 * bottom: nothing comes after; on top of a stack it says that the text may end. */
struct node {
    uint32_t position, rest, state, count;
};

/* A depth of trying: its tops of stacks, and how many nodes there were. */
struct level {
    uint32_t first, end; /* in tops */
    uint32_t n_nodes;
};

struct matcher {
    const struct grammar *g;
    struct node *nodes, *spare; /* [MAX_NODES] */
    uint32_t *slots;            /* [N_SLOTS] hash table of nodes, 0: free */
    uint32_t *marks;            /* [MAX_NODES] the generation that saw a node last */
    uint32_t *tops;             /* [MAX_TOPS] nodes that wait for a byte, or 0; level by level */
    struct node *work;          /* [MAX_NODES] what is still to be expanded */
    uint32_t n_nodes, n_tops, n_work, generation;
    struct level state; /* the tops of the text so far; levels[0] may be part of them */
    bool space;         /* one may still come before the text */
    uint64_t work_left; /* until the next rewind */
    bool failed;        /* no room for more stacks, or too much work */
    struct level levels[MATCHER_MAX_DEPTH + 1];
};

enum bise_status matcher_open(struct matcher **out, const struct grammar *g,
                              struct bise_error *err) {
    struct matcher *m = calloc(1, sizeof *m);
    *out = m;
    if (m) {
        m->g = g;
        m->nodes = mem_alloc(MAX_NODES * sizeof *m->nodes);
        m->spare = mem_alloc(MAX_NODES * sizeof *m->spare);
        m->slots = mem_alloc(N_SLOTS * sizeof *m->slots);
        m->marks = mem_alloc(MAX_NODES * sizeof *m->marks);
        m->tops = mem_alloc(MAX_TOPS * sizeof *m->tops);
        m->work = mem_alloc(MAX_NODES * sizeof *m->work);
    }
    if (!m || !m->nodes || !m->spare || !m->slots || !m->marks || !m->tops || !m->work) {
        matcher_close(out);
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for matching a grammar");
    }
    m->n_nodes = 1;
    matcher_begin(m, false);
    if (!m->failed)
        return BISE_OK;
    matcher_close(out);
    return bise_fail(err, BISE_ERR_ARG,
                     "grammar: a text may begin in more ways than there is room for");
}

void matcher_close(struct matcher **out) {
    struct matcher *m = *out;
    if (!m)
        return;
    mem_free(m->nodes, MAX_NODES * sizeof *m->nodes);
    mem_free(m->spare, MAX_NODES * sizeof *m->spare);
    mem_free(m->slots, N_SLOTS * sizeof *m->slots);
    mem_free(m->marks, MAX_NODES * sizeof *m->marks);
    mem_free(m->tops, MAX_TOPS * sizeof *m->tops);
    mem_free(m->work, MAX_NODES * sizeof *m->work);
    free(m);
    *out = NULL;
}

bool matcher_spend(struct matcher *m, size_t n) {
    m->failed |= m->work_left < n;
    m->work_left -= m->work_left < n ? m->work_left : n;
    return !m->failed;
}

bool matcher_is_tired(const struct matcher *m) {
    return m->failed && !m->work_left;
}

/* ---- nodes ---- */

static uint32_t first_slot(const struct node *n) {
    uint64_t h = ((uint64_t)n->position << 32 | n->rest) * 0x9e3779b97f4a7c15u;
    h = (h ^ ((uint64_t)n->state << 32 | n->count)) * 0xff51afd7ed558ccdu;
    return (uint32_t)(h >> 32) & (N_SLOTS - 1);
}

static bool is_same(const struct node *a, const struct node *b) {
    return a->position == b->position && a->rest == b->rest && a->state == b->state &&
           a->count == b->count;
}

/* The one node of that content. 0, failed set, without room. */
static uint32_t node_of(struct matcher *m, const struct node *node) {
    uint32_t slot = first_slot(node);
    for (; m->slots[slot]; slot = (slot + 1) & (N_SLOTS - 1))
        if (is_same(&m->nodes[m->slots[slot]], node))
            return m->slots[slot];
    if (m->n_nodes == MAX_NODES) {
        m->failed = true;
        return 0;
    }
    m->nodes[m->n_nodes] = *node;
    m->marks[m->n_nodes] = 0;
    m->slots[slot] = m->n_nodes;
    return m->n_nodes++;
}

/* Takes the newest nodes back, newest first, so that no chain of slots is broken. */
static void drop_nodes(struct matcher *m, uint32_t n_nodes) {
    while (m->n_nodes > n_nodes) {
        uint32_t slot = first_slot(&m->nodes[--m->n_nodes]);
        while (m->slots[slot] != m->n_nodes)
            slot = (slot + 1) & (N_SLOTS - 1);
        m->slots[slot] = 0;
    }
}

/* ---- expansion ---- */

static void add_top(struct matcher *m, uint32_t node) {
    if (m->n_tops == MAX_TOPS)
        m->failed = true;
    else
        m->tops[m->n_tops++] = node;
}

static void add_work(struct matcher *m, struct node node) {
    if (m->n_work == MAX_NODES)
        m->failed = true;
    else
        m->work[m->n_work++] = node;
}

/* All alternatives of a rule, with rest after them. */
static void add_rule(struct matcher *m, uint32_t index, uint32_t rest) {
    const struct rule *rule = &m->g->rules[index];
    for (uint32_t i = rule->n; i-- > 0;)
        add_work(m, (struct node){.position = m->g->alternatives[rule->first + i], .rest = rest});
}

/* A repetition: once more, or what comes after it. */
static void add_repeat(struct matcher *m, const struct node *at) {
    const struct repeat *r = &m->g->repeats[m->g->elements[at->position].value];
    if (at->count >= r->min)
        add_work(m, (struct node){.position = at->position + 1, .rest = at->rest});
    if (at->count >= r->max)
        return;
    struct node again = *at;
    again.count += r->max != REPEAT_FOREVER || at->count < r->min;
    const uint32_t rest = node_of(m, &again);
    if (rest)
        add_rule(m, r->rule, rest);
}

/* Expands what is to do until every stack waits for a byte; tops go to m->tops. A node seen before
 * in this generation is not looked at again, so ambiguous grammars cost no more. */
static void expand(struct matcher *m, bool *may_end) {
    const struct element *elements = m->g->elements;
    while (m->n_work && matcher_spend(m, 1)) {
        struct node at = m->work[--m->n_work];
        while (elements[at.position].kind == ELEMENT_END && at.rest)
            at = m->nodes[at.rest];
        const struct element *e = &elements[at.position];
        if (e->kind == ELEMENT_END) {
            if (!*may_end)
                add_top(m, 0);
            *may_end = true;
            continue;
        }
        if (e->kind == ELEMENT_LEXEME && !at.state)
            at.state = 1;
        const uint32_t node = node_of(m, &at);
        if (!node || m->marks[node] == m->generation)
            continue;
        m->marks[node] = m->generation;
        if (e->kind == ELEMENT_REPEAT) {
            add_repeat(m, &at);
        } else if (e->kind != ELEMENT_RULE) {
            add_top(m, node);
        } else if (e[1].kind == ELEMENT_END) { /* a last call: nothing to come back to */
            add_rule(m, e->value, at.rest);
        } else {
            const uint32_t rest =
                node_of(m, &(struct node){.position = at.position + 1, .rest = at.rest});
            if (rest)
                add_rule(m, e->value, rest);
        }
    }
    m->n_work = 0;
}

/* A generation is a number that no mark has yet. */
static void next_generation(struct matcher *m) {
    if (++m->generation == 0) {
        memset(m->marks, 0, MAX_NODES * sizeof *m->marks);
        m->generation = 1;
    }
}

void matcher_begin(struct matcher *m, bool space) {
    bool may_end = false;
    drop_nodes(m, 1);
    m->n_tops = 0;
    m->work_left = MAX_WORK;
    m->failed = false;
    m->space = space;
    next_generation(m);
    add_rule(m, 0, 0);
    expand(m, &may_end);
    m->state = m->levels[0] = (struct level){0, m->n_tops, m->n_nodes};
}

/* What follows a top by a byte is put to work. */
static void step(struct matcher *m, uint32_t top, uint8_t byte) {
    const struct node *n = &m->nodes[top];
    const struct element *e = &m->g->elements[n->position];
    const struct node after = {.position = n->position + 1, .rest = n->rest};
    switch (e->kind) {
    case ELEMENT_BYTE:
        if (e->value == byte)
            add_work(m, after);
        return;
    case ELEMENT_SET:
        if (byte_set_has(&m->g->sets[e->value], byte))
            add_work(m, after);
        return;
    case ELEMENT_LEXEME: {
        const struct lexeme *l = &m->g->lexemes[e->value];
        const struct table *t = &m->g->tables[l->table];
        struct node next = *n;
        next.state = lexeme_next(l, t, n->state, byte, &next.count);
        if (!next.state)
            return;
        if (lexeme_may_end(l, t, next.state, next.count))
            add_work(m, after);
        if (t->accepts[next.state] & TABLE_GOES_ON)
            add_work(m, next);
        return;
    }
    default: /* a token is taken as a whole */
        return;
    }
}

bool matcher_try(struct matcher *m, size_t depth, uint8_t byte) {
    const struct level from = m->levels[depth];
    bool may_end = false;
    if (depth == MATCHER_MAX_DEPTH || !matcher_spend(m, from.end - from.first))
        return false;
    drop_nodes(m, from.n_nodes);
    m->n_tops = from.end;
    next_generation(m);
    for (uint32_t i = from.first; i < from.end; i++)
        if (m->tops[i])
            step(m, m->tops[i], byte);
    expand(m, &may_end);
    if (depth == 0 && m->space && byte == ' ')
        for (uint32_t i = from.first; i < from.end; i++)
            if (m->tops[i] ? m->marks[m->tops[i]] != m->generation : !may_end)
                add_top(m, m->tops[i]);
    m->levels[depth + 1] = (struct level){from.end, m->n_tops, m->n_nodes};
    return m->n_tops > from.end && !m->failed;
}

void matcher_try_all(struct matcher *m) {
    drop_nodes(m, m->state.n_nodes);
    m->n_tops = m->state.end;
    m->levels[0] = m->state;
}

bool matcher_try_others(struct matcher *m) {
    matcher_try_all(m);
    for (uint32_t i = m->state.first; i < m->state.end; i++) {
        const enum element_kind kind = m->g->elements[m->nodes[m->tops[i]].position].kind;
        if (m->tops[i] && (kind == ELEMENT_BYTE || kind == ELEMENT_SET))
            add_top(m, m->tops[i]);
    }
    m->levels[0] = (struct level){m->state.end, m->n_tops, m->n_nodes};
    return m->n_tops > m->state.end;
}

bool matcher_try_after(struct matcher *m, size_t top) {
    const struct node n = m->nodes[m->tops[m->state.first + top]];
    bool may_end = false;
    matcher_try_all(m);
    next_generation(m);
    add_work(m, (struct node){.position = n.position + 1, .rest = n.rest});
    expand(m, &may_end);
    m->levels[0] = (struct level){m->state.end, m->n_tops, m->n_nodes};
    return m->n_tops > m->state.end && !m->failed;
}

void matcher_first_bytes(const struct matcher *m, size_t depth, struct byte_set *out) {
    const struct level at = m->levels[depth];
    *out = (struct byte_set){{0}};
    for (uint32_t i = at.first; i < at.end; i++) {
        const struct node *n = &m->nodes[m->tops[i]];
        const struct element *e = &m->g->elements[n->position];
        if (!m->tops[i])
            continue;
        if (e->kind == ELEMENT_BYTE)
            out->bits[e->value >> 6] |= (uint64_t)1 << (e->value & 63);
        else if (e->kind == ELEMENT_SET)
            for (int k = 0; k < 4; k++)
                out->bits[k] |= m->g->sets[e->value].bits[k];
        else if (e->kind == ELEMENT_LEXEME)
            *out = (struct byte_set){{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    }
    if (depth == 0 && m->space)
        out->bits[0] |= (uint64_t)1 << ' ';
}

void matcher_rewind(struct matcher *m) {
    matcher_try_all(m);
    m->work_left = MAX_WORK;
    m->failed = false;
}

bool matcher_is_full(const struct matcher *m) {
    return m->failed;
}

/* ---- going on ---- */

/* Makes the level at depth the state: its stacks alone are kept, renumbered from the bottom, so
 * that equal states look the same. work serves as the way down a stack, marks as the new numbers.
 */
static void commit(struct matcher *m, size_t depth) {
    const struct level to = m->levels[depth];
    uint32_t n_spare = 1;
    memset(m->marks, 0, m->n_nodes * sizeof *m->marks);
    for (uint32_t i = to.first; i < to.end; i++) {
        uint32_t n_down = 0;
        for (uint32_t n = m->tops[i]; n && !m->marks[n]; n = m->nodes[n].rest)
            m->work[n_down++].position = n;
        while (n_down) {
            const uint32_t old = m->work[--n_down].position;
            m->marks[old] = n_spare;
            m->spare[n_spare] = m->nodes[old];
            m->spare[n_spare++].rest = m->marks[m->nodes[old].rest];
        }
        m->tops[i - to.first] = m->marks[m->tops[i]];
    }
    drop_nodes(m, 1);
    for (uint32_t i = 1; i < n_spare; i++)
        node_of(m, &m->spare[i]);
    memset(m->marks, 0, n_spare * sizeof *m->marks);
    m->n_tops = to.end - to.first;
    m->state = m->levels[0] = (struct level){0, m->n_tops, m->n_nodes};
    m->space = false;
}

bool matcher_accept(struct matcher *m, const char *bytes, size_t n) {
    matcher_rewind(m);
    if (n > MATCHER_MAX_DEPTH)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!matcher_try(m, i, (uint8_t)bytes[i]))
            return false;
    if (n)
        commit(m, n);
    return true;
}

/* What follows the tops that name the token is put to work; whether there are any. */
static bool add_after_token(struct matcher *m, int32_t id) {
    for (uint32_t i = m->state.first; i < m->state.end; i++) {
        const struct node n = m->nodes[m->tops[i]];
        const struct element *e = &m->g->elements[n.position];
        if (m->tops[i] && e->kind == ELEMENT_TOKEN &&
            (m->g->tokens[e->value].id == id) != m->g->tokens[e->value].negated)
            add_work(m, (struct node){.position = n.position + 1, .rest = n.rest});
    }
    return m->n_work > 0;
}

bool matcher_accept_token(struct matcher *m, int32_t id, const char *bytes, size_t n) {
    if (!m->g->n_tokens)
        return n && matcher_accept(m, bytes, n);
    size_t depth = 0;
    matcher_rewind(m);
    while (depth < n && depth < MATCHER_MAX_DEPTH && matcher_try(m, depth, (uint8_t)bytes[depth]))
        depth++;
    const bool by_bytes = n && depth == n;
    if (m->failed)
        return false;
    if (!by_bytes)
        matcher_rewind(m);
    if (!add_after_token(m, id)) {
        if (by_bytes)
            commit(m, n);
        return by_bytes;
    }
    /* Both: what the bytes led to stays, and is not found again. */
    bool may_end = false;
    struct level to = {m->n_tops, m->n_tops, m->n_nodes};
    if (by_bytes) {
        to.first = m->levels[n].first;
        for (uint32_t i = to.first; i < m->n_tops; i++)
            may_end |= !m->tops[i];
    } else {
        next_generation(m);
    }
    expand(m, &may_end);
    if (m->failed || m->n_tops == to.first)
        return false;
    m->levels[1] = (struct level){to.first, m->n_tops, m->n_nodes};
    commit(m, 1);
    return true;
}

bool matcher_may_end(const struct matcher *m) {
    for (uint32_t i = 0; i < m->state.end; i++)
        if (!m->tops[i])
            return true;
    return false;
}

bool matcher_may_space(const struct matcher *m) {
    return m->space;
}

size_t matcher_n_tops(const struct matcher *m) {
    return m->state.end;
}

struct top matcher_top(const struct matcher *m, size_t i) {
    const struct node *n = &m->nodes[m->tops[i]];
    const struct element *e = &m->g->elements[n->position];
    if (!m->tops[i])
        return (struct top){.kind = ELEMENT_END};
    return (struct top){e->kind, e->value, n->state, n->count};
}

/* A count as far as it matters within reach: how much is missing, how much is left. */
static uint32_t count_within(uint32_t count, uint32_t min, uint32_t max, uint32_t slack,
                             uint32_t reach) {
    const uint32_t far = reach + slack + 1;
    const uint32_t missing = min > count ? min - count : 0;
    const uint32_t left = max == REPEAT_FOREVER ? far : max - count;
    return (missing < far ? missing : far) << 16 | (left < far ? left : far);
}

size_t matcher_state(const struct matcher *m, uint32_t reach, uint32_t *out, size_t cap) {
    const struct grammar *g = m->g;
    const size_t n_nodes = m->state.n_nodes, n_tops = m->state.end;
    size_t n = 0;
    if (4 * n_nodes + n_tops > cap)
        return 0;
    out[n++] = (uint32_t)n_nodes; /* in place of node 0 */
    out[n++] = m->space;
    for (size_t i = 1; i < n_nodes; i++) {
        const struct node *at = &m->nodes[i];
        const struct element *e = &g->elements[at->position];
        uint32_t count = at->count | COUNT_AS_IT_IS;
        if (e->kind == ELEMENT_REPEAT) {
            const struct repeat *r = &g->repeats[e->value];
            if (reach < 4096)
                count = count_within(at->count, r->min, r->max, 0, reach);
        } else if (e->kind == ELEMENT_LEXEME) {
            const struct lexeme *l = &g->lexemes[e->value];
            const struct table *t = &g->tables[l->table];
            if (!l->lengths && at->count >= l->min && t->longest + reach < 4096)
                count = count_within(at->count, l->min, l->max, t->longest, reach);
        }
        out[n++] = at->position;
        out[n++] = at->rest;
        out[n++] = at->state;
        out[n++] = count;
    }
    for (size_t i = 0; i < n_tops; i++)
        out[n++] = m->tops[i];
    return n;
}
