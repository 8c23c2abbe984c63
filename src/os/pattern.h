/* Extended regular expressions, as the system knows them (POSIX). */
#ifndef BISE_SRC_OS_PATTERN_H
#define BISE_SRC_OS_PATTERN_H

#include "src/base/error.h"

struct pattern;

/* what: stands before the message, e.g. an option. Errors: ARG, MEMORY. */
enum bise_status pattern_open(struct pattern **out, const char *text, const char *what,
                              struct bise_error *err);
/* Accepts NULL and a pointer to NULL. */
void pattern_close(struct pattern **p);
/* Whether it matches anywhere in text. */
bool pattern_matches(const struct pattern *p, const char *text);

#endif
