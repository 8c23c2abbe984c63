/* Where a chat's messages come from: the line editor on a terminal, else lines. */
#ifndef BISE_TOOLS_CHAT_INPUT_H
#define BISE_TOOLS_CHAT_INPUT_H

#include "tools/edit/editor_read.h"

struct console_input {
    bool on_terminal, editing;
    struct editor editor;
    struct history history;
    struct typed typed;
    char *line; /* plain: the last one */
    size_t line_cap;
    struct buffer message; /* plain: of several lines */
    int error;             /* plain: errno of a read that failed */
};

/* Takes the terminal over where there is one; console_input_close gives it back, and is due in any
 * case. Starts zeroed. with_history: messages are kept for the next chat. */
void console_input_open(struct console_input *in, bool with_history);
void console_input_close(struct console_input *in);

/* Reads a message of one line, or, where a terminal or several asks for it, of more. EDITOR_MESSAGE
 * if there was one: *text [*len], NUL-terminated, until the next call. Else EDITOR_END or
 * EDITOR_INTERRUPT; terminated() may tell more. */
enum editor_event console_input_read(struct console_input *in, bool several, const char **text,
                                     size_t *len);

/* EXIT_DONE; after EDITOR_END, where standard input could not be read, which is said,
 * EXIT_INPUT. */
int console_input_status(const struct console_input *in);

/* The next message as it is written in $VISUAL or $EDITOR: *text [*len] as above. False: nothing
 * was written, or there is no editor, which is said. */
bool console_input_edit(struct console_input *in, const char **text, size_t *len);

/* Asks a question; the answer's first letter in lower case, '\n' where there is none, 0 at the end
 * of input or after Ctrl-C. Nothing of it is remembered. */
char console_input_ask(struct console_input *in, const char *question);

#endif
