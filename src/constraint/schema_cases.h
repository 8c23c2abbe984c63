/*
 * A goal as cases: ways to match it, each a set of types and of facts without any "or" left in it.
 * anyOf, oneOf, if, not and dependencies make the cases; $ref and allOf add to all of them. A value
 * matches the goal if and only if it is in one of the cases (while checking: only if).
 */
#ifndef BISE_SRC_CONSTRAINT_SCHEMA_CASES_H
#define BISE_SRC_CONSTRAINT_SCHEMA_CASES_H

#include "src/constraint/schema.h"

#define MAX_SCOPES 8 /* of unevaluatedProperties, around one value */

/* What holds for values of the fact's type; others are not concerned. */
enum fact_kind {
    FACT_OBJECT,       /* v: a schema whose keywords about properties hold */
    FACT_PRESENT,      /* the property v: a string, or by_key one of that key */
    FACT_ABSENT,       /* likewise */
    FACT_PROPERTY,     /* the property of v's key, if present, matches the need */
    FACT_ARRAY,        /* v: a schema whose keywords about items hold */
    FACT_ITEMS,        /* every item matches the need */
    FACT_CONTAINS,     /* n.min to n.max items match the need */
    FACT_UNIQUE,       /* no two items are equal */
    FACT_PATTERN,      /* v: of a string; negated: matches it not */
    FACT_FORMAT,       /* v */
    FACT_VALUES,       /* v: an enum's list, or a const: the value is one of these */
    FACT_NOT_VALUES,   /* none of these */
    FACT_BOUND,        /* v: a number; below: at most, strict: and not equal */
    FACT_MULTIPLE,     /* v: a number */
    FACT_LENGTH,       /* n.min to n.max characters */
    FACT_N_ITEMS,      /* n.min to n.max */
    FACT_N_PROPERTIES, /* n.min to n.max */
};

struct fact {
    enum fact_kind kind;
    const struct json_value *v;
    need need;
    bool negated, below, strict, list, by_key;
    unsigned scopes; /* FACT_OBJECT: the unevaluatedProperties whose value this is about */
    struct {
        uint32_t min, max; /* REPEAT_FOREVER */
    } n;
};

struct schema_case {
    unsigned types;
    bool is_goal; /* no facts: as the goal of this one need */
    need goal;
    struct fact *facts;
    size_t n, cap;
    const struct json_value *scopes[MAX_SCOPES]; /* schemas with unevaluatedProperties */
    unsigned n_scopes;
};

struct schema_cases {
    struct schema_case *list;
    size_t n, cap;
};

/* The cases of a goal; to be freed in any case. */
void schema_find_cases(struct schema *s, const need *needs, size_t n, struct schema_cases *out);
void schema_free_cases(struct schema_cases *cases);

/* Notes what of the schema v is passed over, refuses what is not supported. Whether it has keywords
 * about properties or items. */
void schema_look_at_keywords(struct schema *s, const struct json_value *v, bool *object,
                             bool *array);

/* What the case allows of a type, each in the file of its name (a number: where it has one of its
 * types). */
void schema_put_arrays(struct schema *s, const struct schema_case *c);
void schema_put_numbers(struct schema *s, const struct schema_case *c);
void schema_put_objects(struct schema *s, const struct schema_case *c);
void schema_put_strings(struct schema *s, const struct schema_case *c);

#endif
