/* What a line that begins with a slash does. */
#ifndef BISE_TOOLS_CHAT_COMMANDS_H
#define BISE_TOOLS_CHAT_COMMANDS_H

#include "conversation.h"

enum command_result {
    COMMAND_NONE,   /* the line is a message */
    COMMAND_DONE,   /* nothing is left to do */
    COMMAND_ANSWER, /* the last message is to be answered (again) */
    COMMAND_QUIT
};

/* line is NUL-terminated. What there is to say goes to stderr. */
enum command_result chat_command(struct conversation *c, const char *line);

#endif
