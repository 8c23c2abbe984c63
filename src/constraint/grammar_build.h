/* Building a grammar's rules, whoever reads them from what. After a failure nothing more is done.
 */
#ifndef BISE_SRC_CONSTRAINT_GRAMMAR_BUILD_H
#define BISE_SRC_CONSTRAINT_GRAMMAR_BUILD_H

#include "src/constraint/automaton.h"
#include "src/constraint/grammar.h"

#define CLASS_RANGES   256
#define MAX_REPETITION 1000000

/* A set of characters: code points in ranges, or all others. */
struct char_class {
    bool negated;
    size_t n;
    struct char_range {
        uint32_t lo, hi;
    } ranges[CLASS_RANGES];
};

/* False if there is no room for more. */
bool class_add(struct char_class *c, uint32_t lo, uint32_t hi);

struct builder {
    struct grammar *g;
    struct element *work; /* elements of alternatives that are not finished */
    size_t n_work, cap_work;
    struct alternative {
        uint32_t rule, position;
    } * alternatives;
    size_t n_alternatives, cap_alternatives;
    uint32_t *set_slots; /* 1 + index of a set, by its hash; 0: free */
    size_t n_set_slots;
    enum bise_status status;
    struct bise_error *err;
};

/* array_grow; false, with the builder's status set, without memory. */
bool builder_grow(struct builder *b, void *array, size_t *cap, size_t need, size_t element);
/* A new rule without alternatives. */
uint32_t builder_rule(struct builder *b);
/* Where the next element of the alternative being made will lie. */
size_t builder_mark(const struct builder *b);
void builder_put(struct builder *b, enum element_kind kind, uint32_t value);
void builder_put_bytes(struct builder *b, const char *bytes, size_t n);
/* One character of the class, as bytes. */
void builder_put_class(struct builder *b, const struct char_class *c);
/* One whole token, or any other one. */
void builder_put_token(struct builder *b, int32_t id, const char *text, size_t n, bool negated);
/* What was put since mark is repeated. */
void builder_repeat(struct builder *b, size_t mark, uint32_t min, uint32_t max);
/* What was put since mark becomes an alternative of rule. */
void builder_alternative(struct builder *b, uint32_t rule, size_t mark);
/* Whether any text follows the rule, as far as it is made. Errs on "yes" without memory. */
bool builder_is_possible(struct builder *b, uint32_t rule);
/* Makes root the first rule, orders the alternatives, takes out what can never be finished, and
 * checks for left recursion. */
void builder_finish(struct builder *b, uint32_t root);
void builder_free(struct builder *b);

/* ---- lexemes ---- */

/* LEXEME_STRING: an automaton's texts as JSON writes them, up to and with the closing quote;
 * LEXEME_PLAIN: as they are, of ASCII. */
enum lexeme_form { LEXEME_STRING, LEXEME_PLAIN };

/* A table for the automaton; its index. budget: what it may cost. 0, with the budget at its end, if
 * that is not enough. */
uint32_t builder_table(struct builder *b, const struct automaton *a, enum lexeme_form form,
                       struct budget *budget);
/* Texts of min to max characters (REPEAT_FOREVER) that the table accepts: index of the lexeme.
 * *possible: whether there is any. As above where the two are too much to be held together. */
uint32_t builder_lexeme(struct builder *b, uint32_t table, uint32_t min, uint32_t max,
                        bool *possible, struct budget *budget);

#endif
