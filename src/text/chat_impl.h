/* Inside of a conversation: chat.c keeps the messages, chat_render.c makes ids of them. */
#ifndef BISE_SRC_TEXT_CHAT_IMPL_H
#define BISE_SRC_TEXT_CHAT_IMPL_H

#include "src/text/chat.h"

struct message {
    enum chat_role role;
    char *text; /* NULL for a generated answer */
    size_t len;
    int32_t *answer; /* [n_answer], generated */
    size_t n_answer;
    size_t end; /* of its ids in chat.ids, once rendered */
};

struct chat {
    const struct tokenizer *tokenizer;
    enum chat_format format;
    int32_t bos, eos; /* -1: none */
    int32_t end_ids[MAX_EOS + 1];
    size_t n_end;
    int32_t inst, inst_end;   /* V3 */
    int32_t im_start, im_end; /* ChatML; -1 where the vocabulary has them not */
    int32_t roles[3];         /* Zephyr's <|system|>, <|user|>, <|assistant|>; likewise */
    char *system;             /* NULL: none */
    size_t system_len;
    struct message *messages; /* [n_messages] */
    size_t n_messages, cap_messages;
    size_t n_dropped;  /* messages not seen by the model, at the beginning */
    size_t n_rendered; /* messages whose ids are in ids, and still right; those dropped count */
    int32_t *ids;      /* [n_ids] */
    size_t n_ids, cap_ids;
    char *pending; /* text of the segment being put together */
    size_t n_pending, cap_pending;
    chat_event_fn *watch; /* NULL: none */
    void *watch_arg;
    bool goes_on; /* the next segment goes on in the text before it: no dummy prefix */
};

/* Tells who watches. */
static inline void chat_told(const struct chat *c, enum chat_event event, const void *data,
                             size_t len) {
    if (c->watch)
        c->watch(c->watch_arg, event, data, len);
}

#endif
