/* Arrays that grow. */
#include "src/base/array.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

Test(array, grows_by_doubling_and_keeps_what_it_has) {
    size_t cap = 0, moves = 0;
    uint32_t *items = NULL;
    for (uint32_t n = 0; n < 10000; n++) {
        const size_t before = cap;
        cr_assert(array_grow(&items, &cap, n + 1, sizeof *items));
        cr_assert(items && cap > n);
        moves += cap != before;
        items[n] = n;
    }
    cr_assert_leq(moves, 12);
    for (uint32_t n = 0; n < 10000; n++)
        cr_assert_eq(items[n], n);
    free(items);
}

Test(array, what_is_asked_for_at_once) {
    size_t cap = 3;
    char *items = malloc(3);
    cr_assert(array_grow(&items, &cap, 5000, 1));
    cr_assert(items && cap == 5000);
    free(items);
}

Test(array, more_than_there_can_be) {
    size_t cap = 4;
    void *const before = malloc(64), *items = before;
    cr_assert(!array_grow(&items, &cap, SIZE_MAX / 16 + 2, 16));
    cr_assert(items == before && cap == 4); /* times 16 that would be 16 bytes */
    free(items);
}
