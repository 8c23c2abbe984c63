/* Arrays that grow. */
#ifndef BISE_SRC_BASE_ARRAY_H
#define BISE_SRC_BASE_ARRAY_H

#include <stddef.h>

/* items [*cap], from malloc or NULL, with room for `need` of them: the same or moved, *cap at least
 * doubled where it was too small. NULL: no memory, or more than there can be; all is as it was. */
void *array_grow(void *items, size_t *cap, size_t need, size_t item_bytes);

#endif
