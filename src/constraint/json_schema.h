/*
 * JSON Schema (drafts 7 to 2020-12) to a grammar: every text of the grammar is a value that the
 * schema accepts. The reverse does not hold where the schema leaves more open than is useful.
 *
 * - Objects have their declared properties in the schema's order; others only where
 *   additionalProperties says so by name.
 * - Between the parts of a value there may be one space or one line end with up to 20 blanks.
 * - Numbers have at most 15 digits before and 16 after the point, exponents at most two.
 * - Without "type", keywords of a type imply it. Values of any kind are at most 8 levels deep.
 *
 * Known keywords: type, enum, const, anyOf, oneOf (where no value can match two branches), allOf of
 * one schema, $ref (within the document, also recursive); properties, required,
 * additionalProperties; items, prefixItems, minItems, maxItems; minLength, maxLength, pattern,
 * format (date, time, date-time, uuid, ipv4, email, uri); minimum, maximum, exclusiveMinimum,
 * exclusiveMaximum. Annotations are passed over; everything else is refused by its name.
 */
#ifndef BISE_SRC_CONSTRAINT_JSON_SCHEMA_H
#define BISE_SRC_CONSTRAINT_JSON_SCHEMA_H

#include "src/constraint/grammar.h"

/* Reads a schema (len bytes of JSON) into a zeroed g. Errors: ARG (where in the schema, and what is
 * not supported or contradicts itself), MEMORY; g is then left for grammar_free. */
enum bise_status json_schema_parse(struct grammar *g, const char *text, size_t len,
                                   struct bise_error *err);

#endif
