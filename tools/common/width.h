/* How many columns of a terminal a character takes. */
#ifndef BISE_TOOLS_COMMON_WIDTH_H
#define BISE_TOOLS_COMMON_WIDTH_H

#include "src/base/shown.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0 for marks that join the character before them, 2 for wide characters, else 1. Control
 * characters are shown in another way (char_shown) and have no width of their own. */
int code_width(uint32_t code);

/* The character at s [n], n > 0: its length in bytes. */
size_t char_length(const char *s, size_t n);

#define CHAR_SHOWN_MAX 5

/* How a character (len bytes at s, well-formed) is written to a terminal: as it is, a tab as a
 * space, control characters as ^A or U+FFFD, so that no text can steer the terminal. Writes at most
 * CHAR_SHOWN_MAX bytes to out, their number to *n; returns the columns. */
size_t char_shown(const char *s, size_t len, char *out, size_t *n);

#endif
