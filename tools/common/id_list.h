/* Ids that grow. */
#ifndef BISE_TOOLS_COMMON_ID_LIST_H
#define BISE_TOOLS_COMMON_ID_LIST_H

#include "src/base/array.h"

#include <stdint.h>
#include <string.h>

/* Starts zeroed; ids are to be freed. */
struct id_list {
    int32_t *ids; /* [n] */
    size_t n, cap;
};

/* Room for n ids in all; false without memory. */
static inline bool id_list_reserve(struct id_list *list, size_t n) {
    return array_grow(&list->ids, &list->cap, n, sizeof *list->ids);
}

static inline bool id_list_add(struct id_list *list, int32_t id) {
    if (!id_list_reserve(list, list->n + 1))
        return false;
    list->ids[list->n++] = id;
    return true;
}

static inline bool id_list_put(struct id_list *list, const int32_t *ids, size_t n) {
    if (!id_list_reserve(list, list->n + n))
        return false;
    if (n)
        memcpy(list->ids + list->n, ids, n * sizeof *ids);
    list->n += n;
    return true;
}

#endif
