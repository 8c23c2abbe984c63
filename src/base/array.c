#include "src/base/array.h"

#include <stdint.h>
#include <stdlib.h>

#define LEAST 8 /* items at first */

void *array_grow(void *items, size_t *cap, size_t need, size_t item_bytes) {
    if (need <= *cap && items)
        return items;
    size_t wanted = *cap <= SIZE_MAX / 2 && 2 * *cap > LEAST ? 2 * *cap : LEAST;
    wanted = wanted < need ? need : wanted;
    if (wanted > SIZE_MAX / item_bytes)
        return NULL;
    void *const grown = realloc(items, wanted * item_bytes);
    if (grown)
        *cap = wanted;
    return grown;
}
