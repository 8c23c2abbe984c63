/* How much of what they could do tests do: see TEST_SIZE in tests/run.sh. */
#ifndef BISE_TESTS_SIZE_H
#define BISE_TESTS_SIZE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Whether all of it is wanted, as make check-all has it; else a sample, as in make check. */
static inline bool test_full(void) {
    const char *const size = getenv("TEST_SIZE");
    return size && strcmp(size, "full") == 0;
}

#endif
