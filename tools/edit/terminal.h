/* The terminal that a chat runs on. There is one, so its state is the module's own. */
#ifndef BISE_TOOLS_EDIT_TERMINAL_H
#define BISE_TOOLS_EDIT_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a person can edit here: standard input is a terminal that understands more than lines
 * (TERM is set, and not dumb), and standard error or output shows on one. Takes its mode over until
 * terminal_close; Ctrl-C is a signal, what is typed waits unseen. False: all stays as it was. */
bool terminal_open(void);
void terminal_close(void);
/* Every key is a byte to read, Ctrl-C and Ctrl-Z too. */
void terminal_edit(void);
/* As after terminal_open: what is typed is kept, in order, for the next terminal_edit. */
void terminal_watch(void);
/* Stops the program as Ctrl-Z does, with the terminal as it was before; returns when it goes on. */
void terminal_suspend(void);

/* Where to draw. */
int terminal_fd(void);
/* 80 x 24 where the terminal does not tell. */
void terminal_size(size_t *cols, size_t *rows);
/* Not 0 after the size has changed, or the program was stopped and goes on; lowered by the reader.
 */
extern volatile int terminal_changed;

#endif
