#include "src/base/array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LEAST 8 /* items at first */

bool array_grow(void *array, size_t *cap, size_t need, size_t item_bytes) {
    void *items;
    memcpy(&items, array, sizeof items); /* of another type than void * */
    if (need <= *cap && items)
        return true;
    size_t wanted = *cap <= SIZE_MAX / 2 && 2 * *cap > LEAST ? 2 * *cap : LEAST;
    wanted = wanted < need ? need : wanted;
    if (wanted > SIZE_MAX / item_bytes)
        return false;
    void *grown = realloc(items, wanted * item_bytes);
    if (!grown)
        return false;
    memcpy(array, &grown, sizeof grown);
    *cap = wanted;
    return true; /* cppcheck-suppress memleak */
}
