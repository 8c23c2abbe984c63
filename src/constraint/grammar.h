/*
 * Grammars in GBNF, llama.cpp's notation, that say which text an answer may be.
 *
 *   root  ::= item ("," ws item)*           rules; root is where a text begins
 *   item  ::= "yes" | "no" | [a-z0-9]+      literals, classes ([^...] the others, . any character)
 *   ws    ::= [ \t\n]{0,20}                 * + ? {n} {n,} {n,m} after a literal, class, name or ()
 *   # comments; escapes \n \r \t \\ \" \[ \] \xHH \uHHHH \UHHHHHHHH
 *
 * Characters become bytes when the grammar is read, so that a token may end anywhere inside of one.
 * A state of matching is a set of stacks of positions; stacks are shared (each (position, rest) is
 * one node), a call at a rule's end leaves nothing on them, and all of it lies in memory taken at
 * open. Left recursion, also through rules that may be empty, is refused.
 */
#ifndef BISE_SRC_CONSTRAINT_GRAMMAR_H
#define BISE_SRC_CONSTRAINT_GRAMMAR_H

#include "src/bise.h"

enum element_kind {
    ELEMENT_END,  /* of an alternative */
    ELEMENT_BYTE, /* value: the byte */
    ELEMENT_SET,  /* value: index in sets */
    ELEMENT_RULE  /* value: index in rules */
};

struct element {
    enum element_kind kind;
    uint32_t value;
};

struct byte_set {
    uint64_t bits[4];
};

/* alternatives[first .. first + n) are positions in elements, where each begins. */
struct rule {
    uint32_t first, n;
};

struct grammar {
    struct element *elements;
    size_t n_elements, cap_elements;
    struct byte_set *sets;
    size_t n_sets, cap_sets;
    struct rule *rules; /* the first is root */
    size_t n_rules, cap_rules;
    uint32_t *alternatives;
    size_t n_alternatives;
};

/* Reads GBNF (len bytes) into a zeroed g. Errors: ARG (the line and what is wrong), MEMORY; g is
 * then left for grammar_free. */
enum bise_status grammar_parse(struct grammar *g, const char *text, size_t len,
                               struct bise_error *err);
void grammar_free(struct grammar *g);

static inline bool byte_set_has(const struct byte_set *s, uint8_t byte) {
    return s->bits[byte >> 6] >> (byte & 63) & 1;
}

/* ---- matching ---- */

struct matcher;

/* The grammar must outlive it. Begins at root. Errors: MEMORY, which a text that may
 * begin in some ten thousand ways takes as well. */
enum bise_status matcher_open(struct matcher **out, const struct grammar *g,
                              struct bise_error *err);
void matcher_close(struct matcher **out);
/* Begins anew; with space, one space may come before the text. */
void matcher_begin(struct matcher *m, bool space);
/* Goes on by bytes. False if they cannot follow (the state is then the one before), or if stacks
 * take more memory than there is. */
bool matcher_accept(struct matcher *m, const char *bytes, size_t n);
/* Whether the text may end here. */
bool matcher_may_end(const struct matcher *m);

/* The state as numbers, in out [cap]; returns how many, 0 if there are more than cap. Equal numbers
 * are equal states. */
size_t matcher_state(const struct matcher *m, uint32_t *out, size_t cap);

/* Trying, for texts in the order of their bytes: a depth is a number of bytes beyond the state. */
/* Goes one byte further from depth; false if it cannot follow. Depths above are forgotten. */
bool matcher_try(struct matcher *m, size_t depth, uint8_t byte);
/* Forgets what was tried. */
void matcher_rewind(struct matcher *m);
/* Whether, since the last rewind, something was refused only because there was no room for it. */
bool matcher_is_full(const struct matcher *m);

#define MATCHER_MAX_DEPTH 1024

#endif
