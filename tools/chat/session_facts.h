/* What a session's file or journal says of itself, without its model. */
#ifndef BISE_TOOLS_CHAT_SESSION_FACTS_H
#define BISE_TOOLS_CHAT_SESSION_FACTS_H

#include "tools/common/tools.h"

#include <stddef.h>

/* Whether the file at path begins as a session, or a session's journal, does. */
bool is_session(const char *path);
/* Prints its model, chat format, messages, what it holds, and its first words. Returns an exit
 * code, the fault said on stderr. */
int session_print(const char *path);
/* What the user said first in the session at path, as its file has it or, where there is none yet,
 * its journal; as print_words does. */
void session_print_first_words(FILE *to, const char *path, size_t cols);
/* A text's beginning in one row of at most cols columns, nothing in it that steers a terminal. */
void print_words(FILE *to, const char *text, size_t len, size_t cols);

#endif
