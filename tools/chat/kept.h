/* Chats that are kept: what is said on a terminal, as words and ids, without the model's cache: a
 * session's journal alone, in bise/chats of the user's state folder, readable by its owner alone.
 * The last KEPT_CHATS stay; sessions with a name of their own lie there too, and all stay. */
#ifndef BISE_TOOLS_CHAT_KEPT_H
#define BISE_TOOLS_CHAT_KEPT_H

#include "tools/common/tools.h"

#include <limits.h>

#define KEPT_CHATS 50

/* The session of this name there (no slash in it). False: no folder is known, or no such name is
 * possible. Makes the folder. */
bool kept_path(char path[PATH_MAX], const char *name);
/* A path for a chat that begins now; the oldest chats beyond KEPT_CHATS are removed. */
bool kept_new(char path[PATH_MAX]);
/* The chat, or session, that was used last. False: there is none. */
bool kept_last(char path[PATH_MAX]);
/* One line for each, the last used first: when, its name, its model, its first words. */
void kept_list(FILE *to);

/* Notes which model, an absolute path or a name, and which chat format a session is of. */
void kept_note_model(const char *path, const char *model, const char *format);
/* Nothing was said: there is no chat to note a model of. */
void kept_forget_model(const char *path);
/* The model and format noted; false: none is. */
bool kept_model(const char *path, char model[PATH_MAX], char format[16]);

#endif
