/* Strings of a case: patterns, formats, lengths and what is excluded, as one language. */
#ifndef BISE_SRC_CONSTRAINT_SCHEMA_STRINGS_H
#define BISE_SRC_CONSTRAINT_SCHEMA_STRINGS_H

#include "src/constraint/schema_cases.h"

/* The language of a pattern (a JSON string), kept with the document: not to be freed. NULL after a
 * failure. */
const struct automaton *schema_pattern(struct schema *s, const struct json_value *pattern,
                                       enum regex_mode mode);
/* What strings a format means. */
struct format {
    const struct automaton *automaton; /* the document's; NULL after a failure */
    bool exact;                        /* whether validators agree on it */
    uint32_t max;                      /* characters, at most */
};
/* False for a format that is not known. */
bool schema_format(struct schema *s, const struct json_value *format, struct format *out);

/* All of a case's facts about strings; NULL where there are none, or after a failure. The limits
 * of lengths come along: out of a language of its own, they would be large. */
struct automaton *schema_string_language(struct schema *s, const struct schema_case *c,
                                         uint32_t *min, uint32_t *max);

/* The strings among a fact's values, or all others; NULL after a failure. */
struct automaton *schema_strings_of(struct schema *s, const struct fact *f, bool others);

#endif
