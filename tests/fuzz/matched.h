/* Inputs that hold a text and the grammar it is to follow: a length byte, the text, the grammar. */
#ifndef BISE_TESTS_FUZZ_MATCHED_H
#define BISE_TESTS_FUZZ_MATCHED_H

#include "src/constraint/grammar.h"

#include <stdint.h>

typedef enum bise_status parse_fn(struct grammar *g, const char *source, size_t len,
                                  struct bise_error *err);

/* The input's text and a matcher for it; false where there is none. g is zeroed; grammar_free is
 * due in any case, matcher_close where there is a matcher. */
static inline bool matched_open(const uint8_t *data, size_t size, parse_fn *parse,
                                struct grammar *g, struct matcher **m, const char **text,
                                size_t *len) {
    if (size < 1)
        return false;
    *len = data[0] < size - 1 ? data[0] : size - 1;
    *text = (const char *)data + 1;
    return parse(g, *text + *len, size - 1 - *len, NULL) == BISE_OK &&
           matcher_open(m, g, NULL) == BISE_OK;
}

#endif
