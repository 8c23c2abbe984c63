/* Arrays that grow. */
#ifndef BISE_SRC_BASE_ARRAY_H
#define BISE_SRC_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* array: the address of a pointer to items [*cap], from malloc or NULL. Makes room for `need` of
 * them: where there is too little the items move, and *cap at least doubles. False: no memory, or
 * more than there can be; all is as it was. */
bool array_grow(void *array, size_t *cap, size_t need, size_t item_bytes);

#endif
