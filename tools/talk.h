/* What a chat consists of: the options it was begun with, the model, the conversation. */
#ifndef BISE_TOOLS_TALK_H
#define BISE_TOOLS_TALK_H

#include "conversation.h"
#include "moderation.h"
#include "sampling.h"
#include "session_store.h"

struct chat_options {
    struct engine_options engine;
    struct sampling_options sampling;
    const char *format, *system, *color;
    const char *session;  /* NULL: none */
    const char *overflow; /* NULL: ask on a terminal, else stop */
    int64_t n_predict;    /* TALK_DEFAULT_LENGTH: until the model ends its answer */
    double threshold;     /* of --moderate */
    bool guard, moderate, dump_tokens, quiet;
};

#define TALK_DEFAULT_LENGTH -2

/* Not to be moved once it is open: its parts point at each other. */
struct talk {
    struct chat_options options; /* /set and /model change them */
    enum chat_format format;
    struct engine engine;
    struct conversation conversation;
    struct session_store store;
    struct moderation moderation; /* with --moderate */
    struct buffer held_answer;    /* one that has not been judged yet */
};

/* The chat format asked for (may be NULL), or the model's own; never a guess. Returns an exit code,
 * the fault said on stderr. */
int talk_format(const struct engine *e, const char *asked, enum chat_format *format);

/* Opens model, conversation and sampler as t->options say (those alone are filled). Returns an exit
 * code, the fault said on stderr; talk_close is due in any case. */
int talk_open(struct talk *t);
/* Saves the session, if there is one and it has changed, and lets go of it. Returns an exit code,
 * the fault said on stderr; the session is then still there. */
int talk_leave_session(struct talk *t);
/* Without saving. */
void talk_close(struct talk *t);

#endif
