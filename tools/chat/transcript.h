/* A conversation as text: what was said, whatever model said it. */
#ifndef BISE_TOOLS_CHAT_TRANSCRIPT_H
#define BISE_TOOLS_CHAT_TRANSCRIPT_H

#include "src/text/chat.h"
#include "tools/common/buffer.h"

struct transcript {
    const struct bise_model *model; /* whose ids the answers are; until it has been taken */
    bool strip;                     /* the space that begins an answer is the format's */
    struct buffer records;
};

/* Takes the messages of a chat, and its system prompt, as they are now. False: no memory;
 * transcript_free is due in any case. */
bool transcript_take(struct transcript *t, const struct bise_model *model, enum chat_format format,
                     const struct chat *chat);
void transcript_free(struct transcript *t);

/* The message at *at (0: the first), and *at moves behind it; event is CHAT_EV_SYSTEM, CHAT_EV_USER
 * or CHAT_EV_TEXT. False: there is none any more. */
bool transcript_next(const struct transcript *t, size_t *at, enum chat_event *event,
                     const char **text, size_t *len);

/* The whole as a file: path ends in .md, .json (an array of role and content, as bise moderate
 * reads it) or .txt; what is there is not written over. Returns an exit code, the fault said on
 * stderr. */
int transcript_export(const struct transcript *t, const char *path);

#endif
