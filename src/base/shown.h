/* Text from files and from strangers, as a terminal or a log may be given it: what would steer one,
 * or make a reader see something else than is there, is spelled out. */
#ifndef BISE_SRC_BASE_SHOWN_H
#define BISE_SRC_BASE_SHOWN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Control characters: below U+0020, U+007F to U+009F, and the separators U+2028, U+2029. */
bool code_is_control(uint32_t code);

/* Writes text [n] to out [cap], NUL-terminated where cap > 0, and returns the length that all of it
 * has: line feeds, carriage returns and tabs become \n, \r, \t; other control characters and bytes
 * that are no UTF-8 \x1b; separators of lines and paragraphs and what changes the direction of
 * reading \u202e. Other text stays as it is, a backslash too: what has been shown once does not
 * change by being shown again. Nothing is cut in the middle. */
size_t show_text(char *out, size_t cap, const char *text, size_t n);

/* As vsnprintf, but what %s and %c put in is shown, not obeyed; the format itself is the program's.
 * Knows the conversions d i u o x X c s p f e g a and their lengths, no %n and no wide characters.
 */
int show_vformat(char *out, size_t cap, const char *format, va_list args);

#endif
