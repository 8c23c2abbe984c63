/* The keywords there are. */
#ifndef BISE_SRC_CONSTRAINT_SCHEMA_KEYWORDS_H
#define BISE_SRC_CONSTRAINT_SCHEMA_KEYWORDS_H

#include "src/constraint/schema.h"

/* Notes what of the schema v is passed over, refuses what is not supported. Whether it has keywords
 * about properties or items. */
void schema_look_at_keywords(struct schema *s, const struct json_value *v, bool *object,
                             bool *array);

#endif
