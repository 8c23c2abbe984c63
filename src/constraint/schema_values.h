/* Whether given JSON values match: what enum and const leave where other keywords stand beside. */
#ifndef BISE_SRC_CONSTRAINT_SCHEMA_VALUES_H
#define BISE_SRC_CONSTRAINT_SCHEMA_VALUES_H

#include "src/constraint/schema_cases.h"

enum verdict { VERDICT_NO, VERDICT_YES, VERDICT_UNKNOWN };

/* Whether the schema of the need holds for the value. */
enum verdict schema_allows(struct schema *s, need n, const struct json_value *value);
/* Whether a value, one of those of the case's fact `from`, is in the case. */
enum verdict schema_case_allows(struct schema *s, const struct schema_case *c,
                                const struct fact *from, const struct json_value *value);
bool schema_values_equal(const struct json_value *a, const struct json_value *b);
/* Whether one of the values of a FACT_VALUES or FACT_NOT_VALUES is this one. */
bool schema_has_value(const struct fact *f, const struct json_value *value);

#endif
