/* Colours of what is said on standard error: only on a terminal, or as --color asks. */
#ifndef BISE_TOOLS_EDIT_COLOR_H
#define BISE_TOOLS_EDIT_COLOR_H

#include <stdbool.h>

enum paint {
    PAINT_OFF,
    PAINT_PROMPT, /* where the user writes */
    PAINT_NOTE    /* remarks beside the conversation */
};

/* when: "auto" (or NULL: on a terminal, unless NO_COLOR is set or TERM is dumb), "always" or
 * "never". False: another word, said on stderr. */
bool color_choose(const char *when);
/* The sequence that begins this paint; "" without colours. */
const char *paint(enum paint p);
/* A remark on a line of its own, on standard error. */
__attribute__((format(printf, 1, 2))) void say_note(const char *format, ...);

#endif
