/*
 * JSON Schema (drafts 4 to 2020-12) to a grammar: every text of the grammar is a value that the
 * schema accepts, and every value that it accepts can be written, but for what docs/constraints.md
 * lists: the order of properties, spelling, digits, formats narrower than some validators'.
 *
 * - Objects have their declared properties in the schema's order, then others where they may.
 * - Between the parts of a value there may be one space or one line end with up to 20 blanks.
 *
 * Keywords that say nothing about values, unknown ones among them, are passed over and named in the
 * grammar's note. What constrains and is not supported is refused by name. A text of 64 KB is
 * compiled or refused within a second.
 */
#ifndef BISE_SRC_CONSTRAINT_JSON_SCHEMA_H
#define BISE_SRC_CONSTRAINT_JSON_SCHEMA_H

#include "src/constraint/grammar.h"

/* Reads a schema (len bytes of JSON) into a zeroed g. Errors: ARG (where in the schema, and what is
 * not supported or contradicts itself), MEMORY; g is then left for grammar_free. */
enum bise_status json_schema_parse(struct grammar *g, const char *text, size_t len,
                                   struct bise_error *err);

#endif
