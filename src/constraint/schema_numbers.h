/* Numbers of a case: bounds of any size, multiples, integers, as one language of decimals. */
#ifndef BISE_SRC_CONSTRAINT_SCHEMA_NUMBERS_H
#define BISE_SRC_CONSTRAINT_SCHEMA_NUMBERS_H

#include "src/constraint/schema_cases.h"

/* A number of the case, which has one of its types of numbers. */
void schema_put_numbers(struct schema *s, const struct schema_case *c);

#endif
