/* Objects of a case: declared properties in the schema's order, then others. */
#ifndef BISE_SRC_CONSTRAINT_SCHEMA_OBJECTS_H
#define BISE_SRC_CONSTRAINT_SCHEMA_OBJECTS_H

#include "src/constraint/schema_cases.h"

/* An object of the case. */
void schema_put_objects(struct schema *s, const struct schema_case *c);

#endif
