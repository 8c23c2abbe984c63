/* Messages of earlier chats, in a file that all chats of a user share. */
#ifndef BISE_TOOLS_EDIT_HISTORY_H
#define BISE_TOOLS_EDIT_HISTORY_H

#include "src/bise.h"

#define HISTORY_MAX_LINES 1000       /* a file that has grown beyond is cut to three quarters */
#define HISTORY_MAX_BYTES (1u << 20) /* likewise */
#define HISTORY_MAX_ENTRY (HISTORY_MAX_BYTES / 4) /* longer messages are not kept */

/* Starts zeroed. The file has one message a line, with "\n" for a line break and "\\" for a
 * backslash in it. */
struct history {
    char **lines; /* [n], the oldest first; well-formed UTF-8, NUL-terminated */
    size_t n, cap;
    char *path;      /* NULL: kept in memory only */
    int64_t mark[4]; /* of the file as it was read last (src/os/file.h) */
};

/* XDG_STATE_HOME/bise/history, or ~/.local/state/bise/history: malloc'd, its folders made. NULL
 * where there is no place for it. */
char *history_default_path(void);
/* path may be NULL; copied. What cannot be read is as if it were not there. */
void history_open(struct history *h, const char *path);
/* Reads what other chats have added. */
void history_refresh(struct history *h);
/* Adds a message (NUL-terminated) to list and file, under a lock, so that chats may run at once;
 * nothing if it is "", too long, or the last one again. Where another chat has the file for a whole
 * second, this message is not kept in it. False: the file could not be written, err tells why; from
 * then on messages are kept in memory only. */
bool history_add(struct history *h, const char *text, struct bise_error *err);
void history_close(struct history *h);

#endif
