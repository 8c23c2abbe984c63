#include "src/base/array.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/utf8.h"
#include "src/text/chat_impl.h"
#include "src/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

static int32_t find_control(const struct chat *c, const char *piece) {
    const int32_t id = tokenizer_find(c->tokenizer, piece, strlen(piece));
    return id >= 0 && tokenizer_kind(c->tokenizer, id) == PIECE_CONTROL ? id : -1;
}

enum bise_status chat_open(struct chat **out, const struct tokenizer *tokenizer,
                           enum chat_format format, int32_t bos, const int32_t *eos_ids,
                           size_t n_eos, struct bise_error *err) {
    *out = NULL;
    if (format == CHAT_UNKNOWN || (unsigned)format >= CHAT_FORMAT_COUNT || n_eos > MAX_EOS)
        return bise_fail(err, BISE_ERR_ARG, "no chat format is given");
    struct chat *c = calloc(1, sizeof *c);
    if (!c)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the chat");
    c->tokenizer = tokenizer;
    c->format = format;
    c->bos = bos;
    c->eos = tokenizer_eos(tokenizer);
    if (c->eos < 0 && n_eos)
        c->eos = eos_ids[0];
    if (n_eos)
        memcpy(c->end_ids, eos_ids, n_eos * sizeof *eos_ids);
    c->n_end = n_eos;
    c->inst = find_control(c, "[INST]");
    c->inst_end = find_control(c, "[/INST]");
    c->im_start = find_control(c, "<|im_start|>");
    c->im_end = find_control(c, "<|im_end|>");
    c->roles[0] = find_control(c, "<|system|>");
    c->roles[1] = find_control(c, "<|user|>");
    c->roles[2] = find_control(c, "<|assistant|>");
    if (format == CHAT_CHATML && c->im_end >= 0)
        c->end_ids[c->n_end++] = c->im_end;
    if (format == CHAT_V3 && (c->inst < 0 || c->inst_end < 0)) {
        chat_close(&c);
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "chat format v3: expected the control pieces [INST] and [/INST] in the "
                         "tokenizer, found none");
    }
    *out = c;
    return BISE_OK;
}

void chat_close(struct chat **chat) {
    if (!chat || !*chat)
        return;
    struct chat *c = *chat;
    c->watch = NULL;
    chat_clear(c);
    free(c->system);
    free(c->messages);
    free(c->ids);
    free(c->pending);
    free(c);
    *chat = NULL;
}

/* ---- messages ---- */

static enum bise_status no_memory(struct bise_error *err) {
    return bise_fail(err, BISE_ERR_MEMORY, "no memory for the conversation");
}

static enum bise_status copy_text(char **out, const char *text, size_t len,
                                  struct bise_error *err) {
    const size_t invalid = utf8_invalid_at(text, len);
    if (invalid < len)
        return bise_fail(err, BISE_ERR_ARG,
                         "the message is not valid UTF-8: byte 0x%02x at offset %zu",
                         (unsigned)(uint8_t)text[invalid], invalid);
    *out = malloc(len + 1);
    if (!*out)
        return no_memory(err);
    memcpy(*out, text, len);
    (*out)[len] = 0;
    return BISE_OK;
}

enum bise_status chat_set_system(struct chat *c, const char *text, size_t len,
                                 struct bise_error *err) {
    char *copy = NULL;
    if (len == c->system_len && (!len || memcmp(c->system, text, len) == 0))
        return BISE_OK; /* the same as it was */
    if (len) {
        const enum bise_status status = copy_text(&copy, text, len, err);
        if (status)
            return status;
    }
    free(c->system);
    c->system = copy;
    c->system_len = len;
    c->n_rendered = 0;
    chat_told(c, CHAT_EV_SYSTEM, text, len);
    return BISE_OK;
}

/* Appends an empty message; what the new one changes in earlier ids is forgotten. */
static enum bise_status append(struct chat *c, enum chat_role role, struct message **out,
                               struct bise_error *err) {
    if ((c->n_messages % 2 == 0) != (role == CHAT_USER))
        return bise_fail(err, BISE_ERR_ARG, "chat: user and assistant must take turns");
    if (!array_grow(&c->messages, &c->cap_messages, c->n_messages + 1, sizeof *c->messages))
        return no_memory(err);
    if (c->format == CHAT_V3 && c->system && role == CHAT_USER && c->n_messages >= 2 &&
        c->n_rendered > c->n_messages - 2)
        c->n_rendered = c->n_messages - 2; /* the system prompt leaves the last user's text */
    *out = &c->messages[c->n_messages++];
    **out = (struct message){.role = role};
    return BISE_OK;
}

enum bise_status chat_add(struct chat *c, enum chat_role role, const char *text, size_t len,
                          struct bise_error *err) {
    char *copy = NULL;
    enum bise_status status = copy_text(&copy, text, len, err);
    struct message *m;
    if (!status)
        status = append(c, role, &m, err);
    if (status) {
        free(copy);
        return status;
    }
    m->text = copy;
    m->len = len;
    chat_told(c, role == CHAT_USER ? CHAT_EV_USER : CHAT_EV_TEXT, text, len);
    return BISE_OK;
}

enum bise_status chat_add_answer(struct chat *c, const int32_t *ids, size_t n,
                                 struct bise_error *err) {
    int32_t *copy = malloc((n + 1) * sizeof *copy);
    if (!copy)
        return no_memory(err);
    struct message *m;
    const enum bise_status status = append(c, CHAT_ASSISTANT, &m, err);
    if (status) {
        free(copy);
        return status;
    }
    if (n)
        memcpy(copy, ids, n * sizeof *ids);
    m->answer = copy;
    m->n_answer = n;
    chat_told(c, CHAT_EV_ANSWER, copy, n * sizeof *copy);
    return BISE_OK;
}

const char *chat_system(const struct chat *c) {
    return c->system;
}

size_t chat_messages(const struct chat *c) {
    return c->n_messages;
}

static void pop(struct chat *c) {
    struct message *m = &c->messages[--c->n_messages];
    free(m->text);
    free(m->answer);
    if (c->n_rendered > c->n_messages)
        c->n_rendered = c->n_messages;
    if (c->n_dropped >= c->n_messages)
        c->n_dropped = c->n_rendered = 0;
    if (c->format == CHAT_V3 && c->system && m->role == CHAT_USER && c->n_messages >= 2 &&
        c->n_rendered > c->n_messages - 2)
        c->n_rendered = c->n_messages - 2; /* the system prompt returns to the one before */
}

void chat_pop(struct chat *c) {
    if (!c->n_messages)
        return;
    pop(c);
    chat_told(c, CHAT_EV_POP, NULL, 0);
}

void chat_clear(struct chat *c) {
    while (c->n_messages)
        pop(c);
    chat_told(c, CHAT_EV_CLEAR, NULL, 0);
}

/* ---- what the model no longer sees ---- */

void chat_set_dropped(struct chat *c, size_t n) {
    uint8_t bytes[8];
    if (n == c->n_dropped)
        return;
    c->n_dropped = n;
    c->n_rendered = 0;
    put_u64(bytes, n);
    chat_told(c, CHAT_EV_DROP, bytes, sizeof bytes);
}

size_t chat_dropped(const struct chat *c) {
    return c->n_dropped;
}

size_t chat_drop_for(const struct chat *c, size_t n_ids) {
    size_t n = c->n_dropped;
    while (n + 2 < c->n_messages && n < c->n_rendered &&
           c->n_ids - (n > c->n_dropped ? c->messages[n - 1].end : 0) > n_ids)
        n += 2;
    return n;
}

size_t chat_messages_within(const struct chat *c, size_t n_ids) {
    size_t n = c->n_dropped;
    while (n < c->n_rendered && c->messages[n].end <= n_ids)
        n++;
    return n;
}

/* ---- ends ---- */

const int32_t *chat_end_ids(const struct chat *c, size_t *n) {
    *n = c->n_end;
    return c->end_ids;
}

bool chat_is_end(const struct chat *c, int32_t id) {
    for (size_t i = 0; i < c->n_end; i++)
        if (c->end_ids[i] == id)
            return true;
    return false;
}

const char *chat_end_text(const struct chat *c) {
    return c->format == CHAT_CHATML && c->im_end < 0 ? "<|im_end|>" : NULL;
}
