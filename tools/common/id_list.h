/* Ids that grow. */
#ifndef BISE_TOOLS_COMMON_ID_LIST_H
#define BISE_TOOLS_COMMON_ID_LIST_H

#include "src/base/array.h"

#include <stdint.h>
#include <stdlib.h>

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

#endif
