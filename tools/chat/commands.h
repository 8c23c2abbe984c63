/* What a line that begins with a slash does. To add a command: a function and a row of the table in
 * commands.c. */
#ifndef BISE_TOOLS_CHAT_COMMANDS_H
#define BISE_TOOLS_CHAT_COMMANDS_H

#include "tools/chat/console.h"
#include "tools/edit/completion.h"

enum command_result {
    COMMAND_NONE,   /* the line is a message */
    COMMAND_DONE,   /* nothing is left to do */
    COMMAND_ANSWER, /* the last message is to be answered (again) */
    COMMAND_EDIT,   /* the next message is written in an editor */
    COMMAND_MULTI,  /* the next message has several lines */
    COMMAND_FAILED, /* said on stderr; a script should not go on as if it had been done */
    COMMAND_BROKEN, /* said on stderr; there is no model any more */
    COMMAND_QUIT
};

/* arg is what follows the name, without the spaces around it; may be "". What there is to say goes
 * to stderr. */
typedef enum command_result command_fn(struct console *t, const char *arg);

/* line is NUL-terminated. */
enum command_result console_command(struct console *t, const char *line);

/* What the word that ends the line may become: a command or its argument. *start is where the word
 * begins; nothing where the line is a message. */
void console_complete(struct completion *c, const char *line, size_t *start);

#endif
