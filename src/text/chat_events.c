/* Conversations as events; data comes from files that are not trusted, tests/fuzz/fuzz_journal.c
 * feeds it. */
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/text/chat_impl.h"

#include <stdlib.h>

void chat_watch(struct chat *c, chat_event_fn *fn, void *arg) {
    c->watch = fn;
    c->watch_arg = arg;
}

void chat_tell(const struct chat *c, chat_event_fn *fn, void *arg) {
    uint8_t bytes[8];
    if (c->system)
        fn(arg, CHAT_EV_SYSTEM, c->system, c->system_len);
    for (size_t i = 0; i < c->n_messages; i++) {
        const struct message *m = &c->messages[i];
        if (m->role == CHAT_USER)
            fn(arg, CHAT_EV_USER, m->text, m->len);
        else if (m->text)
            fn(arg, CHAT_EV_TEXT, m->text, m->len);
        else
            fn(arg, CHAT_EV_ANSWER, m->answer, m->n_answer * sizeof *m->answer);
    }
    put_u64(bytes, c->n_dropped);
    if (c->n_dropped)
        fn(arg, CHAT_EV_DROP, bytes, sizeof bytes);
}

static enum bise_status bad(struct bise_error *err, const char *what) {
    return bise_fail(err, BISE_ERR_FORMAT, "a conversation's record: %s", what);
}

/* Whether a message of the role may come next. */
static bool may_speak(const struct chat *c, enum chat_role role) {
    return (c->n_messages % 2 == 0) == (role == CHAT_USER);
}

static enum bise_status apply_answer(struct chat *c, const uint8_t *data, size_t len,
                                     uint32_t vocab, struct bise_error *err) {
    const size_t n = len / sizeof(int32_t);
    if (len % sizeof(int32_t))
        return bad(err, "an answer that is not whole");
    for (size_t i = 0; i < n; i++)
        if (get_u32(data + 4 * i) >= vocab)
            return bad(err, "an id beyond the vocabulary");
    int32_t *ids = malloc(len + 1);
    if (!ids)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the conversation");
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)get_u32(data + 4 * i);
    const enum bise_status status = chat_add_answer(c, ids, n, err);
    free(ids);
    return status;
}

static enum bise_status apply_drop(struct chat *c, const uint8_t *data, size_t len,
                                   struct bise_error *err) {
    const uint64_t n = len == 8 ? get_u64(data) : 1;
    if (n % 2 || (n && n >= c->n_messages))
        return bad(err, "a number of messages dropped");
    chat_set_dropped(c, (size_t)n);
    return BISE_OK;
}

enum bise_status chat_apply(struct chat *c, uint32_t event, const uint8_t *data, size_t len,
                            uint32_t vocab, struct bise_error *err) {
    const char *const text = (const char *)data;
    switch (event) {
    case CHAT_EV_SYSTEM:
        return chat_set_system(c, text, len, err);
    case CHAT_EV_USER:
        return may_speak(c, CHAT_USER) ? chat_add(c, CHAT_USER, text, len, err)
                                       : bad(err, "a question after a question");
    case CHAT_EV_TEXT:
        return may_speak(c, CHAT_ASSISTANT) ? chat_add(c, CHAT_ASSISTANT, text, len, err)
                                            : bad(err, "an answer to nothing");
    case CHAT_EV_ANSWER:
        return may_speak(c, CHAT_ASSISTANT) ? apply_answer(c, data, len, vocab, err)
                                            : bad(err, "an answer to nothing");
    case CHAT_EV_POP:
        if (!c->n_messages)
            return bad(err, "a message taken back that is not there");
        chat_pop(c);
        return BISE_OK;
    case CHAT_EV_CLEAR:
        chat_clear(c);
        return BISE_OK;
    case CHAT_EV_DROP:
        return apply_drop(c, data, len, err);
    default:
        return bad(err, "an unknown kind");
    }
}
