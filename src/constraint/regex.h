/* Regular expressions as trees: what regex_read.c reads and regex.c makes an automaton of. */
#ifndef BISE_SRC_CONSTRAINT_REGEX_H
#define BISE_SRC_CONSTRAINT_REGEX_H

#include "src/constraint/automaton.h"

#define REGEX_MAX_NODES 60000u /* of the tree, and of the automaton with repetitions laid out */
#define REGEX_FOREVER   UINT32_MAX

enum regex_kind {
    REGEX_EMPTY,
    REGEX_CLASS,
    REGEX_SEQUENCE,
    REGEX_CHOICE,
    REGEX_REPEAT,
    REGEX_BEGIN,
    REGEX_END
};

struct regex_node {
    enum regex_kind kind;
    uint32_t first, next; /* first child, next of the same parent; 0: none */
    uint32_t min, max;    /* REPEAT; CLASS: ranges[min .. max) */
};

struct regex_range {
    uint32_t lo, hi;
};

struct regex {
    const char *text;
    size_t i, len;
    unsigned nesting;
    enum regex_mode mode;
    struct regex_node *nodes; /* the first is no node */
    size_t n_nodes, cap_nodes;
    struct regex_range *ranges;
    size_t n_ranges, cap_ranges;
    struct budget *budget;
    const char *fault;
};

/* The tree of the whole text; 0, with a fault or the budget at its end, if there is none. */
uint32_t regex_read(struct regex *r);
/* A node for characters from lo to hi; 0 after a failure. */
uint32_t regex_range_node(struct regex *r, uint32_t lo, uint32_t hi);
void regex_free(struct regex *r);

/* realloc of a growing array; false, with the budget at its end, if it may not grow. */
bool regex_grow(struct regex *r, void *array, size_t *cap, size_t need, size_t size);

#endif
