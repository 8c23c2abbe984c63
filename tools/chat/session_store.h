/*
 * A conversation on the disk: a session's file, written when the chat is saved, and its journal,
 * which holds what was said since, message by message. Where the program is killed, the journal is
 * read over the file; what is lost at most is the answer that was being written.
 */
#ifndef BISE_TOOLS_CHAT_SESSION_STORE_H
#define BISE_TOOLS_CHAT_SESSION_STORE_H

#include "tools/chat/conversation.h"
#include "tools/chat/journal.h"
#include "tools/chat/session_records.h"

struct session_store {
    char *path; /* NULL: there is none */
    struct journal journal;
    struct session_identity identity;
    struct conversation *conversation; /* whose changes are written */
    enum chat_format format;
    uint64_t seed;   /* that file and journal know */
    bool knows_seed; /* false: that is the sampler's own */
    bool complained; /* that the journal cannot be written */
};

/* Goes on with the session of this path, into a conversation that is empty, or begins one there if
 * there is none (must_exist: refuses). seed_given: the sampler's seed stays; else it becomes the
 * session's. What there is to tell goes to stderr, unless quiet. The conversation is watched from
 * here on. Returns an exit code, the fault said on stderr; s is then closed, and the conversation
 * may hold a part. */
int session_store_open(struct session_store *s, struct conversation *c, enum chat_format format,
                       const char *path, bool must_exist, bool seed_given, bool quiet);
/* Whether there is a session at path that this conversation's model could go on with, and nobody
 * holds it; if not, the reason is said on stderr. Nothing is changed. Returns an exit code. */
int session_store_check(const struct conversation *c, enum chat_format format, const char *path);
/* Writes the file; the journal is empty afterwards. Returns an exit code, the fault said on stderr;
 * the older file and the journal are then as they were. */
int session_store_save(struct session_store *s, bool quiet);
/* Whether something has happened since the file was written. */
bool session_store_changed(const struct session_store *s);
/* Goes on in the file that session_store_copy has just written of this conversation. Returns an
 * exit code, the fault said on stderr. */
int session_store_adopt(struct session_store *s, struct conversation *c, enum chat_format format,
                        const char *path);
/* To be called when the sampler's seed has changed. Accepts a store that is closed. */
void session_store_keep_seed(struct session_store *s);
/* Lets go of the files; saves nothing. Accepts one that is closed. */
void session_store_close(struct session_store *s);

/* A copy of the conversation as a session of its own at path, which must not exist or be a session.
 * Returns an exit code, the fault said on stderr. */
int session_store_copy(const struct conversation *c, enum chat_format format, const char *path);

#endif
