/* A chat and the session that runs it: the session is brought to hold the conversation's ids, then
 * answers. */
#ifndef BISE_TOOLS_CHAT_CONVERSATION_H
#define BISE_TOOLS_CHAT_CONVERSATION_H

#include "src/text/chat.h"
#include "tools/common/answer.h"
#include "tools/common/sampling.h"

/* What to do where a conversation no longer fits into a context without a window. */
enum overflow {
    OVERFLOW_STOP, /* refuse the message, end the answer */
    OVERFLOW_DROP, /* leave the oldest turns out until half of the context is free */
    OVERFLOW_NEW,  /* leave all turns before the last message out */
    OVERFLOW_ASK   /* whoever sits at the terminal */
};

struct conversation {
    struct runtime *runtime;
    struct chat *chat;
    struct bise_sampler *sampler;
    struct text_out out;
    struct stop stop;
    struct constraint constraint;
    struct speculation speculation;
    int64_t max_tokens; /* per answer, -1: no limit */
    bool dump_tokens;
    bool reads_anew; /* what was said before will be: the next reading tells how long it took */
    enum overflow overflow;
    /* OVERFLOW_ASK: which of the others it is to be; in_answer: an answer is being written. */
    enum overflow (*ask_overflow)(void *arg, bool in_answer);
    void *ask_arg;
    struct id_list held;   /* what the session holds */
    struct id_list answer; /* of the last answer */
};

/* Whether the model can have one; if not, that is said on stderr. Returns an exit code. */
int conversation_possible(const struct runtime *e);
/* The format's name is one of chat_format_from_name's, not CHAT_UNKNOWN. Returns an exit code, the
 * fault said on stderr; conversation_close is due in any case. */
int conversation_open(struct conversation *c, struct runtime *e, enum chat_format format);
void conversation_close(struct conversation *c);

/* An empty conversation without a system prompt, and nothing held. */
void conversation_clear(struct conversation *c);
/* What the model's session holds, as read from a file: ids [n], little-endian. False: no memory. */
bool conversation_set_held(struct conversation *c, const uint8_t *ids, size_t n);

/* Answers the last message, on standard output; where the context is full, as overflow says: turns
 * left out are told on stderr. On failure (a status, detail in err) there is no answer and the
 * message is taken back: CONTEXT, INTERRUPTED while it was read in, MEMORY. *finish: how the answer
 * ended; it is part of the conversation, however it ended. */
enum bise_status conversation_answer(struct conversation *c, enum finish *finish,
                                     struct bise_error *err);

#endif
