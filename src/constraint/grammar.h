/*
 * Grammars: which texts there may be, as rules over bytes, and matching them byte by byte.
 *
 * GBNF, llama.cpp's notation, is one way to write them:
 *
 *   root  ::= item ("," ws item)*           rules; root is where a text begins
 *   item  ::= "yes" | "no" | [a-z0-9]+      literals, classes ([^...] the others, . any character)
 *   ws    ::= [ \t\n]{0,20}                 * + ? {n} {n,} {n,m} after a literal, class, name or ()
 *   think ::= <think> !</think>*            one token, by its text or <[id]>; ! any other token
 *   # comments; escapes \n \r \t \\ \" \[ \] \xHH \uHHHH \UHHHHHHHH
 *
 * JSON Schema (json_schema.h) is another. Characters become bytes when a grammar is read, so that a
 * token may end anywhere inside of one. Left recursion, also through rules that may be empty, is
 * refused.
 */
#ifndef BISE_SRC_CONSTRAINT_GRAMMAR_H
#define BISE_SRC_CONSTRAINT_GRAMMAR_H

#include "src/bise.h"

#define REPEAT_FOREVER UINT32_MAX

enum element_kind {
    ELEMENT_END,    /* of an alternative */
    ELEMENT_BYTE,   /* value: the byte */
    ELEMENT_SET,    /* value: index in sets */
    ELEMENT_RULE,   /* value: index in rules */
    ELEMENT_REPEAT, /* value: index in repeats */
    ELEMENT_LEXEME, /* value: index in lexemes */
    ELEMENT_TOKEN   /* value: index in tokens */
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

/* A rule min to max times, counted while matching: a million times takes no more room than two. The
 * rule never matches nothing. */
struct repeat {
    uint32_t rule, min, max; /* max REPEAT_FOREVER: without end */
};

/* A deterministic automaton over bytes, for texts without structure. State 0: cannot follow, 1: the
 * beginning. */
enum { TABLE_ACCEPTS = 1, TABLE_GOES_ON = 2 };

struct table {
    uint32_t n_states, n_classes;
    uint32_t n_between; /* states 1..n_between lie between two characters */
    uint8_t class_of[256];
    uint32_t *next;         /* [n_states][n_classes] */
    uint8_t *accepts;       /* [n_states] TABLE_ACCEPTS, TABLE_GOES_ON */
    uint32_t *least, *most; /* [n_states] characters from there to the end; most: REPEAT_FOREVER */
    uint32_t longest;       /* of least */
};

/* A text that a table accepts, of min to max characters. */
struct lexeme {
    uint32_t table, min, max;
    /* NULL, or [max + 2][n_states] the smallest number of characters, at least the row's, in which
     * the text can end: where the limits and the table could be at odds. */
    uint32_t *lengths;
};

/* One whole token, or any but that. */
struct token_reference {
    int32_t id;     /* -1: the one whose text is: */
    uint32_t at, n; /* in token_texts */
    bool negated;
};

struct grammar {
    struct element *elements;
    size_t n_elements, cap_elements;
    struct byte_set *sets;
    size_t n_sets, cap_sets;
    struct rule *rules; /* the first is root */
    size_t n_rules, cap_rules;
    uint32_t *alternatives;
    size_t n_alternatives, cap_alternatives;
    struct repeat *repeats;
    size_t n_repeats, cap_repeats;
    struct table *tables;
    size_t n_tables, cap_tables;
    struct lexeme *lexemes;
    size_t n_lexemes, cap_lexemes;
    struct token_reference *tokens;
    size_t n_tokens, cap_tokens;
    char *token_texts;
    size_t n_token_texts, cap_token_texts;
    char *note; /* NULL, or what was passed over */
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

/*
 * A state is a set of stacks of positions. Stacks are shared (each (position, rest, counts) is one
 * node), a call at a rule's end leaves nothing on them, and all of it lies in memory taken at open.
 */
struct matcher;

/* The grammar must outlive it. Begins at root. Errors: MEMORY; ARG: a text may begin in some ten
 * thousand ways. */
enum bise_status matcher_open(struct matcher **out, const struct grammar *g,
                              struct bise_error *err);
void matcher_close(struct matcher **out);
/* Begins anew; with space, one space may come before the text. */
void matcher_begin(struct matcher *m, bool space);
/* Goes on by bytes. False if they cannot follow (the state is then the one before), or if stacks
 * take more memory than there is. */
bool matcher_accept(struct matcher *m, const char *bytes, size_t n);
/* The same by the token id, whose bytes these are (none: one without text), which references to
 * tokens may name. */
bool matcher_accept_token(struct matcher *m, int32_t id, const char *bytes, size_t n);
/* Whether the text may end here. */
bool matcher_may_end(const struct matcher *m);

/* The state as numbers, in out [cap]; returns how many, 0 if there are more than cap. Equal numbers
 * allow the same texts of up to reach bytes. */
size_t matcher_state(const struct matcher *m, uint32_t reach, uint32_t *out, size_t cap);

bool matcher_may_space(const struct matcher *m);

/* What a state waits for. */
struct top {
    enum element_kind kind; /* BYTE, SET, LEXEME, TOKEN; END: the text may end */
    uint32_t value;         /* as of the element */
    uint32_t state, count;  /* LEXEME */
};
size_t matcher_n_tops(const struct matcher *m);
struct top matcher_top(const struct matcher *m, size_t i);

/* Trying, for texts in the order of their bytes: a depth is a number of bytes beyond the state. */
/* What depth 0 is: all tops, those that are bytes and sets, or what comes after the lexeme that is
 * one of them. False where that is nothing. */
void matcher_try_all(struct matcher *m);
bool matcher_try_others(struct matcher *m);
bool matcher_try_after(struct matcher *m, size_t top);
/* Goes one byte further from depth; false if it cannot follow. Depths above are forgotten. */
bool matcher_try(struct matcher *m, size_t depth, uint8_t byte);
/* The bytes that may follow at depth, perhaps among others. */
void matcher_first_bytes(const struct matcher *m, size_t depth, struct byte_set *out);
/* Forgets what was tried. */
void matcher_rewind(struct matcher *m);
/* Whether, since the last rewind, something was refused only because there was no room for it, or
 * because so many ways to go on were looked at that others would wait for it. */
bool matcher_is_full(const struct matcher *m);
bool matcher_is_tired(const struct matcher *m); /* the latter */
/* Counts other work, as if n stacks had been looked at; false: that is too much. */
bool matcher_spend(struct matcher *m, size_t n);

#define MATCHER_MAX_DEPTH 1024

/* ---- steps of a lexeme ---- */

static inline uint32_t table_next(const struct table *t, uint32_t state, uint8_t byte) {
    return t->next[state * t->n_classes + t->class_of[byte]];
}

/* Whether a text with count characters before state can still be ended within the limits. */
static inline bool lexeme_can_end(const struct lexeme *l, const struct table *t, uint32_t state,
                                  uint32_t count) {
    if (l->lengths) {
        const uint32_t need = l->min > count ? l->min - count : 0;
        return count <= l->max && l->lengths[(size_t)need * t->n_states + state] <= l->max - count;
    }
    if (l->max != REPEAT_FOREVER && (count > l->max || t->least[state] > l->max - count))
        return false;
    return t->most[state] == REPEAT_FOREVER || count >= l->min || t->most[state] >= l->min - count;
}

/* One byte on: the state, 0 if the text could not be ended after it; *count goes along. */
static inline uint32_t lexeme_next(const struct lexeme *l, const struct table *t, uint32_t state,
                                   uint8_t byte, uint32_t *count) {
    const uint32_t next = table_next(t, state, byte);
    if (!next || (!l->min && l->max == REPEAT_FOREVER))
        return next;
    *count += next <= t->n_between;
    return lexeme_can_end(l, t, next, *count) ? next : 0;
}

static inline bool lexeme_may_end(const struct lexeme *l, const struct table *t, uint32_t state,
                                  uint32_t count) {
    return t->accepts[state] & TABLE_ACCEPTS && count >= l->min && count <= l->max;
}

#endif
