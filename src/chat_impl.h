/* Inside of a conversation: chat.c keeps the messages, chat_render.c makes ids of them. */
#ifndef BISE_CHAT_IMPL_H
#define BISE_CHAT_IMPL_H

#include "chat.h"

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
    char *system;             /* NULL: none */
    size_t system_len;
    struct message *messages; /* [n_messages] */
    size_t n_messages, cap_messages;
    size_t n_rendered; /* messages whose ids are in ids, and still right */
    int32_t *ids;      /* [n_ids] */
    size_t n_ids, cap_ids;
    char *pending; /* text of the segment being put together */
    size_t n_pending, cap_pending;
    bool after_answer; /* the next segment goes on in the answer's text: no dummy prefix */
};

/* Room for need elements of a growing array; on failure it stays as it was. */
bool chat_grow(void **array, size_t *cap, size_t need, size_t element);

#endif
