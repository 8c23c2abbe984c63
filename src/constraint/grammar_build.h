/* Building a grammar's rules, whoever reads them from what. After a failure nothing more is done.
 */
#ifndef BISE_SRC_CONSTRAINT_GRAMMAR_BUILD_H
#define BISE_SRC_CONSTRAINT_GRAMMAR_BUILD_H

#include "src/constraint/grammar.h"

#define REPEAT_FOREVER UINT32_MAX
#define CLASS_RANGES   256

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
    enum bise_status status;
    struct bise_error *err;
};

/* realloc of a growing array; false, with the builder's status set, without memory. */
bool builder_grow(struct builder *b, void **array, size_t *cap, size_t need, size_t element);
/* A new rule without alternatives. */
uint32_t builder_rule(struct builder *b);
/* Where the next element of the alternative being made will lie. */
size_t builder_mark(const struct builder *b);
void builder_put(struct builder *b, enum element_kind kind, uint32_t value);
/* One character of the class, as bytes. */
void builder_put_class(struct builder *b, const struct char_class *c);
/* What was put since mark is repeated. */
void builder_repeat(struct builder *b, size_t mark, uint32_t min, uint32_t max);
/* What was put since mark becomes an alternative of rule. */
void builder_alternative(struct builder *b, uint32_t rule, size_t mark);
/* Makes root the first rule, orders the alternatives, and checks for left recursion. */
void builder_finish(struct builder *b, uint32_t root);
void builder_free(struct builder *b);

#endif
