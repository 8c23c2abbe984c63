#include "src/base/error.h"
#include "src/constraint/grammar.h"
#include "src/os/mem.h"

#include <stdlib.h>
#include <string.h>

#define MAX_NODES (1u << 16)
#define MAX_TOPS  (1u << 17)
#define N_SLOTS   (2 * MAX_NODES)

/* A position in the elements and what comes after the alternative it stands in. Equal nodes exist
 * once. Node 0 is the bottom: nothing comes after; on top of a stack it says that the text may end.
 */
struct node {
    uint32_t position, rest;
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
    uint32_t *tops;             /* [MAX_TOPS] nodes at a byte or set, or 0; level by level */
    struct node *work;          /* [MAX_NODES] what is still to be expanded */
    uint32_t n_nodes, n_tops, n_work, generation;
    bool space;  /* one may still come before the text */
    bool failed; /* no room for more stacks */
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
    matcher_begin(m, false);
    if (!m->failed)
        return BISE_OK;
    matcher_close(out);
    return bise_fail(err, BISE_ERR_MEMORY,
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

/* ---- nodes ---- */

static uint32_t first_slot(struct node node) {
    const uint64_t h = ((uint64_t)node.position << 32 | node.rest) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32) & (N_SLOTS - 1);
}

/* The one node of that content. 0, failed set, without room. */
static uint32_t node_of(struct matcher *m, struct node node) {
    uint32_t slot = first_slot(node);
    for (; m->slots[slot]; slot = (slot + 1) & (N_SLOTS - 1)) {
        const struct node *n = &m->nodes[m->slots[slot]];
        if (n->position == node.position && n->rest == node.rest)
            return m->slots[slot];
    }
    if (m->n_nodes == MAX_NODES) {
        m->failed = true;
        return 0;
    }
    m->nodes[m->n_nodes] = node;
    m->marks[m->n_nodes] = 0;
    m->slots[slot] = m->n_nodes;
    return m->n_nodes++;
}

/* Takes the newest nodes back, newest first, so that no chain of slots is broken. */
static void drop_nodes(struct matcher *m, uint32_t n_nodes) {
    while (m->n_nodes > n_nodes) {
        uint32_t slot = first_slot(m->nodes[--m->n_nodes]);
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
        add_work(m, (struct node){m->g->alternatives[rule->first + i], rest});
}

/* Expands what is to do until every stack has a byte or set on top; tops go to m->tops. A node seen
 * before in this generation is not looked at again, so ambiguous grammars cost no more. */
static void expand(struct matcher *m, bool *may_end) {
    while (m->n_work && !m->failed) {
        struct node at = m->work[--m->n_work];
        while (m->g->elements[at.position].kind == ELEMENT_END && at.rest)
            at = m->nodes[at.rest];
        const struct element *e = &m->g->elements[at.position];
        if (e->kind == ELEMENT_END) {
            if (!*may_end)
                add_top(m, 0);
            *may_end = true;
            continue;
        }
        const uint32_t node = node_of(m, at);
        if (!node || m->marks[node] == m->generation)
            continue;
        m->marks[node] = m->generation;
        if (e->kind != ELEMENT_RULE)
            add_top(m, node);
        else if (e[1].kind == ELEMENT_END) /* a last call: nothing to come back to */
            add_rule(m, e->value, at.rest);
        else
            add_rule(m, e->value, node_of(m, (struct node){at.position + 1, at.rest}));
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
    memset(m->slots, 0, N_SLOTS * sizeof *m->slots);
    m->n_nodes = 1;
    m->n_tops = 0;
    m->failed = false;
    m->space = space;
    next_generation(m);
    add_rule(m, 0, 0);
    expand(m, &may_end);
    m->levels[0] = (struct level){0, m->n_tops, m->n_nodes};
}

static bool fits(const struct element *e, const struct byte_set *sets, uint8_t byte) {
    return e->kind == ELEMENT_BYTE ? e->value == byte : byte_set_has(&sets[e->value], byte);
}

bool matcher_try(struct matcher *m, size_t depth, uint8_t byte) {
    const struct level from = m->levels[depth];
    bool may_end = false;
    if (depth == MATCHER_MAX_DEPTH)
        return false;
    drop_nodes(m, from.n_nodes);
    m->n_tops = from.end;
    next_generation(m);
    for (uint32_t i = from.first; i < from.end; i++) {
        const struct node *n = &m->nodes[m->tops[i]];
        if (m->tops[i] && fits(&m->g->elements[n->position], m->g->sets, byte))
            add_work(m, (struct node){n->position + 1, n->rest});
    }
    expand(m, &may_end);
    if (depth == 0 && m->space && byte == ' ')
        for (uint32_t i = from.first; i < from.end; i++)
            if (m->tops[i] ? m->marks[m->tops[i]] != m->generation : !may_end)
                add_top(m, m->tops[i]);
    m->levels[depth + 1] = (struct level){from.end, m->n_tops, m->n_nodes};
    return m->n_tops > from.end && !m->failed;
}

void matcher_rewind(struct matcher *m) {
    drop_nodes(m, m->levels[0].n_nodes);
    m->n_tops = m->levels[0].end;
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
        node_of(m, m->spare[i]);
    memset(m->marks, 0, n_spare * sizeof *m->marks);
    m->n_tops = to.end - to.first;
    m->levels[0] = (struct level){0, m->n_tops, m->n_nodes};
}

bool matcher_accept(struct matcher *m, const char *bytes, size_t n) {
    matcher_rewind(m);
    if (n > MATCHER_MAX_DEPTH)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!matcher_try(m, i, (uint8_t)bytes[i]))
            return false;
    if (n) {
        commit(m, n);
        m->space = false;
    }
    return true;
}

bool matcher_may_end(const struct matcher *m) {
    for (uint32_t i = 0; i < m->levels[0].end; i++)
        if (!m->tops[i])
            return true;
    return false;
}

size_t matcher_state(const struct matcher *m, uint32_t *out, size_t cap) {
    const size_t n_nodes = m->levels[0].n_nodes, n_tops = m->levels[0].end;
    size_t n = 0;
    if (2 * n_nodes + n_tops > cap)
        return 0;
    out[n++] = (uint32_t)n_nodes; /* in place of node 0 */
    out[n++] = m->space;
    for (size_t i = 1; i < n_nodes; i++) {
        out[n++] = m->nodes[i].position;
        out[n++] = m->nodes[i].rest;
    }
    for (size_t i = 0; i < n_tops; i++)
        out[n++] = m->tops[i];
    return n;
}
