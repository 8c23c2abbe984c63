/* What the parts of the schema compiler share. After a failure nothing more is done. */
#ifndef BISE_SRC_CONSTRAINT_JSON_SCHEMA_IMPL_H
#define BISE_SRC_CONSTRAINT_JSON_SCHEMA_IMPL_H

#include "src/base/json.h"
#include "src/constraint/grammar_build.h"

#define SCHEMA_MAX_COUNT  10000 /* of items, characters, properties */
#define SCHEMA_ANY_DEPTH  8     /* levels of a value about which nothing is said */
#define SCHEMA_MAX_DIGITS 15    /* of a number before its point */

struct schema {
    struct builder b;
    const struct json_value *root;
    uint32_t *rules; /* [root->span] 1 + the rule of the schema at that value; 0: none yet */
    uint32_t *queue; /* [root->span] values whose rules have no alternatives yet */
    size_t n_queued, n_done;
    uint32_t space, gap;                /* blanks between parts; one space, perhaps */
    uint32_t character;                 /* one character of a string, any */
    uint32_t any[SCHEMA_ANY_DEPTH + 1]; /* values of at most so many levels */
    struct bise_error *err;
};

/* A fault of the value `at` (NULL: of the whole), whose place in the schema is said. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void schema_fail(struct schema *s, const struct json_value *at, const char *fmt, ...);

static inline bool schema_ok(const struct schema *s) {
    return s->b.status == BISE_OK;
}

/* The rule of a schema; its alternatives come later. */
uint32_t schema_rule(struct schema *s, const struct json_value *v);

/* The following put elements at the end of the alternative being made. */
void schema_put_bytes(struct schema *s, const char *bytes, size_t n);
void schema_put_text(struct schema *s, const char *text);
/* A string as JSON writes it, with its quotes. */
void schema_put_string(struct schema *s, const char *string, size_t len);
/* Any JSON value as it is, without spaces. */
void schema_put_value(struct schema *s, const struct json_value *v);
void schema_put_rule(struct schema *s, uint32_t rule);
void schema_put_object(struct schema *s, const struct json_value *v);
void schema_put_array(struct schema *s, const struct json_value *v);
/* A string of given lengths, pattern or format. */
void schema_put_text_schema(struct schema *s, const struct json_value *v);
void schema_put_number(struct schema *s, const struct json_value *v, bool integer);

/* A string for a key that is none of these properties' names: one with no escapes in it. */
void schema_put_other_key(struct schema *s, const struct json_value *properties);

/* What was put since mark becomes a new rule's only alternative. */
uint32_t schema_new_rule(struct schema *s, size_t mark);

/* A keyword's count, 0..SCHEMA_MAX_COUNT; fallback where it is absent. */
uint32_t schema_count(struct schema *s, const struct json_value *v, const char *keyword,
                      uint32_t fallback);

/* A regular expression (ECMA-262's, the part of it that a grammar can follow), as characters inside
 * of a JSON string. */
void schema_put_pattern(struct schema *s, const struct json_value *at, const char *text,
                        size_t len);
/* One character of the class, in its JSON form. */
void schema_put_class(struct schema *s, const struct json_value *at, const struct char_class *c);

/* What values a schema may have. */
unsigned schema_types(struct schema *s, const struct json_value *v);
enum schema_type {
    SCHEMA_NULL = 1,
    SCHEMA_BOOL = 2,
    SCHEMA_INTEGER = 4,
    SCHEMA_FRACTION = 8, /* a number that is no integer */
    SCHEMA_STRING = 16,
    SCHEMA_ARRAY = 32,
    SCHEMA_OBJECT = 64,
    SCHEMA_ANY = 127
};

/* Whether an object schema v requires the property, one of its own or of another's. */
bool schema_requires(const struct json_value *v, const struct json_value *property);

/* The schema that v's $ref, if it has one, leads to; NULL after a failure. */
const struct json_value *schema_resolve(struct schema *s, const struct json_value *v);
/* Whether certainly no value matches both. */
bool schema_disjoint(struct schema *s, const struct json_value *a, const struct json_value *b);

#endif
