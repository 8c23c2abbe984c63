/* What a chat consists of: the options it was begun with, the model, the conversation. */
#ifndef BISE_TOOLS_TALK_H
#define BISE_TOOLS_TALK_H

#include "conversation.h"
#include "sampling.h"
#include "session_store.h"

struct chat_options {
    struct engine_options engine;
    struct sampling_options sampling;
    const char *format, *system, *color;
    const char *session;  /* NULL: none */
    const char *overflow; /* NULL: ask on a terminal, else stop */
    int64_t n_predict;    /* TALK_DEFAULT_LENGTH: until the model ends its answer */
    bool dump_tokens, quiet;
};

#define TALK_DEFAULT_LENGTH -2

/* Not to be moved once it is open: its parts point at each other. */
struct talk {
    struct chat_options options; /* /set and /model change them */
    enum chat_format format;
    struct engine engine;
    struct conversation conversation;
    struct session_store store;
};

/* Opens model, conversation and sampler as t->options say (those alone are filled). Returns an exit
 * code, the fault said on stderr; talk_close is due in any case. */
int talk_open(struct talk *t);
/* Saves the session, if there is one and it has changed, and lets go of it. Returns an exit code,
 * the fault said on stderr; the session is then still there. */
int talk_leave_session(struct talk *t);
/* Without saving. */
void talk_close(struct talk *t);

#endif
