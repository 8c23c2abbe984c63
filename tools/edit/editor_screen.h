/* How the text being edited stands on a terminal: where rows break, where the cursor is, and the
 * bytes that show it. Rows are broken by the terminal itself, so that what is copied from it, and
 * what it breaks anew when its size changes, is whole. */
#ifndef BISE_TOOLS_EDIT_EDITOR_SCREEN_H
#define BISE_TOOLS_EDIT_EDITOR_SCREEN_H

#include "tools/common/buffer.h"

/* What is to be seen. Line breaks are '\n'; further lines begin with SCREEN_INDENT. */
struct screen_text {
    const char *prompt;                 /* well-formed UTF-8 */
    const char *prompt_on, *prompt_off; /* sequences around it, e.g. of colour; may be "" */
    const char *text;                   /* [len] well-formed UTF-8 */
    size_t len, cursor;
};

#define SCREEN_INDENT ". "

/* Starts zeroed but for the size. */
struct screen {
    size_t cols, rows; /* of the terminal */
    size_t cursor_row; /* where the cursor was left, from the first row shown */
    size_t top;        /* first row shown of a text that is taller than the terminal */
};

/* The size of the terminal has changed, and it has broken its rows anew: t is what it shows. */
void screen_resize(struct screen *s, const struct screen_text *t, size_t cols, size_t rows);
/* Adds to out what replaces the text shown by t, as much of it as there are rows for. */
void screen_draw(struct screen *s, const struct screen_text *t, struct buffer *out);
/* The whole of t, however tall, the cursor in the row below: it stays there. */
void screen_leave(struct screen *s, const struct screen_text *t, struct buffer *out);
/* The text is no longer there, and the cursor at a row's beginning. */
void screen_forget(struct screen *s);

#endif
