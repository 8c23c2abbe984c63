/* Arrays of a case: tuples, items, how many, and how many of a kind. */
#ifndef BISE_SRC_CONSTRAINT_SCHEMA_ARRAYS_H
#define BISE_SRC_CONSTRAINT_SCHEMA_ARRAYS_H

#include "src/constraint/schema_cases.h"

/* An array of the case. */
void schema_put_arrays(struct schema *s, const struct schema_case *c);

#endif
