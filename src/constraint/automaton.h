/*
 * Regular languages over characters (code points) as deterministic automata: what patterns,
 * formats, lists of strings and names mean, and what their intersections and complements are.
 *
 * A state's edges divide all characters into ranges: edge e leads from its lo up to the character
 * before the next edge's lo. State 0 is where a text begins. Automata are const once made.
 */
#ifndef BISE_SRC_CONSTRAINT_AUTOMATON_H
#define BISE_SRC_CONSTRAINT_AUTOMATON_H

#include "src/bise.h"

#define CHARACTER_MAX        0x10ffffu
#define AUTOMATON_MAX_STATES 20000u
#define AUTOMATON_MAX_EDGES  (1u << 20)

struct edge {
    uint32_t lo, to;
};

struct automaton {
    uint32_t n_states;
    uint32_t *first; /* [n_states + 1] in edges */
    struct edge *edges;
    uint8_t *accepts; /* [n_states] */
};

/* How much may still be computed: what takes work takes it from here, and fails at zero. One text's
 * automata share one budget, so that a hostile one is refused in time. */
struct budget {
    int64_t left;
    bool no_memory;
};

#define BUDGET_WORK 6000000

static inline bool budget_take(struct budget *b, size_t work) {
    b->left -= (int64_t)work;
    return b->left > 0 && !b->no_memory;
}

/* Each of these returns NULL when the budget or memory is at an end; what they return is for
 * automaton_free, which takes NULL as well. */
struct automaton *automaton_all(struct budget *b);
/* Exactly these strings (UTF-8), or all others. */
struct automaton *automaton_strings(const char *const *strings, const size_t *lens, size_t n,
                                    bool others, struct budget *b);
enum automaton_op { AUTOMATON_AND, AUTOMATON_OR, AUTOMATON_AND_NOT };
struct automaton *automaton_combine(const struct automaton *x, const struct automaton *y,
                                    enum automaton_op op, struct budget *b);
/* All of min to max characters (UINT32_MAX: without limit). */
struct automaton *automaton_lengths(uint32_t min, uint32_t max, struct budget *b);
/* The numbers in decimal, without sign and leading zeros, that m (1..100000) divides. */
struct automaton *automaton_multiples(uint32_t m, struct budget *b);
void automaton_free(struct automaton *a);

/* live [n_states]: from where a text can be accepted. */
bool automaton_live(const struct automaton *a, uint8_t *live, struct budget *b);
/* Errs on "not empty" without memory. */
bool automaton_is_empty(const struct automaton *a, struct budget *b);
bool automaton_accepts(const struct automaton *a, const char *text, size_t len);

/*
 * ECMA-262's regular expressions (with flag u), found anywhere in a text unless anchored. Not
 * supported: back references, \b, look-behind, look-ahead but for right behind a leading ^.
 * Validators differ in what \w, \d, \s, . and $ mean beyond ASCII: REGEX_NARROW accepts what all of
 * them accept, REGEX_WIDE what any does. *fault (NULL if it is the budget) says what is wrong,
 * *at where.
 */
enum regex_mode { REGEX_NARROW, REGEX_WIDE };
struct automaton *automaton_regex(const char *text, size_t len, enum regex_mode mode,
                                  struct budget *b, const char **fault, size_t *at);

/* ---- making one, state by state: for this room only ---- */

struct automaton_maker {
    struct automaton *a;
    size_t n_edges, cap_edges, cap_states;
    struct budget *budget;
};

bool maker_begin(struct automaton_maker *m, struct budget *b);
/* The next state; its edges follow, in order, the first from character 0. */
bool maker_state(struct automaton_maker *m, bool accepts);
/* Equal to the edge before: nothing is added. */
bool maker_edge(struct automaton_maker *m, uint32_t lo, uint32_t to);
/* The automaton with as few states as possible; NULL if something failed before. */
struct automaton *maker_end(struct automaton_maker *m, bool good);

#endif
