/* A chat and the session that runs it: the session is brought to hold the conversation's ids, then
 * answers. */
#ifndef BISE_TOOLS_CONVERSATION_H
#define BISE_TOOLS_CONVERSATION_H

#include "answer.h"
#include "src/chat.h"

struct id_list {
    int32_t *ids;
    size_t n, cap;
};

struct conversation {
    struct engine *engine;
    struct chat *chat;
    struct bise_sampler *sampler;
    struct text_out out;
    struct stop stop;
    struct constraint constraint;
    struct speculation speculation;
    int64_t max_tokens; /* per answer, -1: no limit */
    bool dump_tokens;
    struct id_list held;   /* what the session holds */
    struct id_list answer; /* of the last answer */
};

/* The format's name is one of chat_format_from_name's, not CHAT_UNKNOWN. Returns an exit code, the
 * fault said on stderr; conversation_close is due in any case. */
int conversation_open(struct conversation *c, struct engine *e, enum chat_format format);
void conversation_close(struct conversation *c);

/* Answers the last message, on standard output. On failure (a status, detail in err) there is no
 * answer and the message is taken back: CONTEXT, INTERRUPTED while it was read in, MEMORY.
 * *finish: how the answer ended; it is part of the conversation, however it ended. */
enum bise_status conversation_answer(struct conversation *c, enum finish *finish,
                                     struct bise_error *err);

#endif
