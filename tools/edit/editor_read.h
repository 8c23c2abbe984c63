/* The line editor on a terminal. */
#ifndef BISE_TOOLS_EDIT_EDITOR_READ_H
#define BISE_TOOLS_EDIT_EDITOR_READ_H

#include "tools/edit/editor.h"

/* What was read and not yet used: keys typed ahead. Starts zeroed. */
struct typed {
    unsigned char bytes[4096];
    size_t from, to;
    int error; /* errno of a read that failed; 0: none. EDITOR_END then is not the end */
};

/* Reads a message that begins with text (NUL-terminated) from the terminal of terminal.h.
 * EDITOR_MESSAGE, EDITOR_END or EDITOR_INTERRUPT (SIGINT from elsewhere too). Afterwards Ctrl-C is
 * a signal again. */
enum editor_event editor_read(struct editor *e, struct typed *typed, const char *text);

#endif
