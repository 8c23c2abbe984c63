/*
 * What the parts of the schema compiler share: the document, faults and notes, references, and
 * goals.
 *
 * A goal is a set of schemas of the document that one value must match, some of them negated: what
 * $ref, allOf and siblings demand together. Each goal has one rule in the grammar, made when the
 * goal is first asked for; since goals are sets of the document's schemas, recursion ends. Goals
 * are worked off from a queue, never by recursion.
 *
 * After a failure nothing more is done.
 */
#ifndef BISE_SRC_CONSTRAINT_SCHEMA_H
#define BISE_SRC_CONSTRAINT_SCHEMA_H

#include "src/base/json.h"
#include "src/constraint/grammar_build.h"

#define SCHEMA_MAX_NOTES   24
#define SCHEMA_MAX_FORMATS 32
#define SCHEMA_MAX_COUNT   1000000 /* of items, characters, properties */

enum schema_type {
    TYPE_NULL = 1,
    TYPE_FALSE = 2,
    TYPE_TRUE = 4,
    TYPE_INTEGER = 8,
    TYPE_FRACTION = 16, /* a number that is no integer */
    TYPE_STRING = 32,
    TYPE_ARRAY = 64,
    TYPE_OBJECT = 128,
    TYPE_BOOL = TYPE_FALSE | TYPE_TRUE,
    TYPE_NUMBER = TYPE_INTEGER | TYPE_FRACTION,
    TYPE_ANY = 255
};

/* A schema of the document, by its index among the values; odd: negated. */
typedef uint32_t need;

/* The JSON text; one for all compilations of it, those that only look whether there is a value
 * included. */
struct document {
    const struct json_value *root;
    uint32_t *parents;              /* [root->span] index of the value each lies in */
    struct automaton **patterns[2]; /* [mode][root->span] of patterns, NULL: not yet */
    struct automaton *formats[SCHEMA_MAX_FORMATS]; /* by their place in the list, likewise */
    struct budget budget;
    struct {
        const char *name;
        bool format;
    } notes[SCHEMA_MAX_NOTES]; /* keywords and formats passed over, each once */
    size_t n_notes;
    bool more_notes;
    struct pair {
        need a, b;
        bool known, disjoint;
    } * pairs; /* [cap_pairs] pairs of schemas that have been compared, by hash */
    size_t n_pairs, cap_pairs;
    /* Whether certainly no value matches both; set by whoever knows how to compile. */
    bool (*disjoint)(struct document *d, need a, need b);
    unsigned n_compared;
    /* The first keyword whose opposite was left out of a choice: that may have been all. */
    const struct json_value *left_out;
};

struct schema {
    struct builder b;
    struct document *doc;
    /* Only whether there is a value matters: what is not known exactly is taken to be possible. */
    bool checking, uncertain;
    struct goal {
        uint32_t first, n, rule; /* in needs */
    } * goals;
    size_t n_goals, cap_goals, n_done; /* goals [n_done ..) have no alternatives yet */
    need *needs;
    size_t n_needs, cap_needs;
    uint32_t *slots; /* 1 + goal by hash; 0: free */
    size_t n_slots;
    struct lexeme_memo {
        char *key;
        uint32_t lexeme;
        bool possible;
    } * memos; /* lexemes by what they are for */
    size_t n_memos, cap_memos;
    uint32_t space, gap; /* rules: blanks between parts; one space, perhaps */
    struct bise_error *err;
};

static inline bool schema_ok(const struct schema *s) {
    return s->b.status == BISE_OK;
}

/* A fault of the value `at` (NULL: of the whole), whose place in the schema is said. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void schema_fail(struct schema *s, const struct json_value *at, const char *fmt, ...);
/* What is not supported: a fault, but while checking only something that is not known. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void schema_unsupported(struct schema *s, const struct json_value *at, const char *fmt, ...);
/* That a keyword does not hold cannot be said. */
void schema_no_opposite(struct schema *s, const struct json_value *keyword);
void schema_no_memory(struct schema *s);
/* The budget is at its end. */
void schema_too_much(struct schema *s, const struct json_value *at);
/* realloc of a growing array; false, with a fault, without memory. */
bool schema_grow(struct schema *s, void *array, size_t *cap, size_t n, size_t size);

/* A keyword that says nothing about values, or a format that nobody knows, was passed over. */
void schema_note(struct schema *s, const char *name, bool format);

static inline need need_of(const struct schema *s, const struct json_value *v, bool negated) {
    return (need)(2 * (size_t)(v - s->doc->root) + negated);
}
static inline const struct json_value *need_schema(const struct schema *s, need n) {
    return s->doc->root + n / 2;
}

/* The schema that a $ref (of schema v) leads to; NULL after a failure. */
const struct json_value *schema_resolve(struct schema *s, const struct json_value *v);

/* The rule of the goal; its alternatives come later. needs [n] is put in order. */
uint32_t schema_goal(struct schema *s, need *needs, size_t n);

/* A count's keyword, 0..SCHEMA_MAX_COUNT. */
uint32_t schema_count(struct schema *s, const struct json_value *count);
/* Types by the keyword "type"; TYPE_ANY without it. */
unsigned schema_types(struct schema *s, const struct json_value *v);
unsigned schema_type_of(const struct json_value *value);

/* ---- elements at the end of the alternative being made ---- */

void schema_put_text(struct schema *s, const char *text);
void schema_put_rule(struct schema *s, uint32_t rule);
/* A string as JSON writes it, with its quotes. */
void schema_put_string(struct schema *s, const char *string, size_t len);
/* Any JSON value. */
void schema_put_value(struct schema *s, const struct json_value *v);
/* What nothing matches. */
void schema_put_nothing(struct schema *s);
/* What was put since mark becomes a new rule's only alternative. */
uint32_t schema_new_rule(struct schema *s, size_t mark);
/* A lexeme of the automaton, which is freed; key (copied) names what it is for, NULL: only this. */
void schema_put_automaton(struct schema *s, struct automaton *a, enum lexeme_form form,
                          uint32_t min, uint32_t max, const char *key);
/* The lexeme put before under that key; false if there is none. */
bool schema_put_known(struct schema *s, const char *key);

#endif
