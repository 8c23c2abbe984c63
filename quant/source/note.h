/* Lines for the user, bounded; what does not fit is left out. */
#ifndef BISE_QUANT_SOURCE_NOTE_H
#define BISE_QUANT_SOURCE_NOTE_H

#include <stddef.h>

struct note {
    char *text;
    size_t cap, len;
};

/* Adds a line; note may be NULL. One that begins with "warning: " is shown as that. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void note_add(struct note *note, const char *fmt, ...);

#endif
