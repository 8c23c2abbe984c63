/* The word that somebody may have meant. */
#ifndef BISE_TOOLS_COMMON_NEAREST_H
#define BISE_TOOLS_COMMON_NEAREST_H

#include <stddef.h>

/* Starts with word [len] alone. */
struct nearest {
    const char *word;
    size_t len;
    const char
        *best; /* of what was offered: the first that the word begins, else the likest; NULL */
    size_t distance;
};

/* Looks at one word that there is (NUL-terminated, kept by the caller). */
void nearest_offer(struct nearest *n, const char *candidate);

#endif
