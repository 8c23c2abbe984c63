/* Conversations: their messages, as events that files keep (those data are not trusted;
 * tests/fuzz/fuzz_journal.c feeds them), and as ids. */
#include "src/text/chat.h"

#include "src/base/array.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/utf8.h"
#include "src/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

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
static void chat_told(const struct chat *c, enum chat_event event, const void *data, size_t len) {
    if (c->watch)
        c->watch(c->watch_arg, event, data, len);
}

/* ---- opening ---- */

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
    c->inst = tokenizer_find_control(tokenizer, "[INST]");
    c->inst_end = tokenizer_find_control(tokenizer, "[/INST]");
    c->im_start = tokenizer_find_control(tokenizer, "<|im_start|>");
    c->im_end = tokenizer_find_control(tokenizer, "<|im_end|>");
    c->roles[0] = tokenizer_find_control(tokenizer, "<|system|>");
    c->roles[1] = tokenizer_find_control(tokenizer, "<|user|>");
    c->roles[2] = tokenizer_find_control(tokenizer, "<|assistant|>");
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

/* Whether a message of the role may come next. */
static bool may_speak(const struct chat *c, enum chat_role role) {
    return (c->n_messages % 2 == 0) == (role == CHAT_USER);
}

/* A message of this role comes, or has gone: V3's system prompt leaves the last user's text, or
 * returns to it. */
static void move_system(struct chat *c, enum chat_role role) {
    if (c->format == CHAT_V3 && c->system && role == CHAT_USER && c->n_messages >= 2 &&
        c->n_rendered > c->n_messages - 2)
        c->n_rendered = c->n_messages - 2;
}

/* Appends an empty message; what the new one changes in earlier ids is forgotten. */
static enum bise_status append(struct chat *c, enum chat_role role, struct message **out,
                               struct bise_error *err) {
    if (!may_speak(c, role))
        return bise_fail(err, BISE_ERR_ARG, "chat: user and assistant must take turns");
    if (!array_grow(&c->messages, &c->cap_messages, c->n_messages + 1, sizeof *c->messages))
        return no_memory(err);
    move_system(c, role);
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
    move_system(c, m->role);
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

/* ---- events ---- */

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
        return no_memory(err);
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

/* ---- from messages to ids: one function for each format, as the models' cards give it ---- */

/* Text gathers in chat.pending; an id or the end of a message closes the segment, which is then
 * encoded by itself. After a failure nothing more is done. */
struct render {
    struct chat *c;
    enum bise_status status;
    struct bise_error *err;
};

static void no_memory_for_ids(struct render *r) {
    r->status = bise_fail(r->err, BISE_ERR_MEMORY, "no memory for the conversation's tokens");
}

static bool reserve_ids(struct render *r, size_t n) {
    struct chat *c = r->c;
    if (!array_grow(&c->ids, &c->cap_ids, c->n_ids + n, sizeof *c->ids)) {
        no_memory_for_ids(r);
        return false;
    }
    return true;
}

static void put_text(struct render *r, const char *text, size_t len) {
    struct chat *c = r->c;
    if (r->status || !len)
        return;
    if (!array_grow(&c->pending, &c->cap_pending, c->n_pending + len, 1)) {
        no_memory_for_ids(r);
        return;
    }
    memcpy(c->pending + c->n_pending, text, len);
    c->n_pending += len;
}

static void put(struct render *r, const char *literal) {
    put_text(r, literal, strlen(literal));
}

/* Mistral's and Meta's formats are defined segment by segment, each with its prefix; the others are
 * texts, which have it where the tokenizer's rules put it. */
static bool takes_prefix(const struct chat *c) {
    const bool by_segments =
        c->format == CHAT_V1 || c->format == CHAT_V3 || c->format == CHAT_LLAMA2;
    return !c->goes_on &&
           (by_segments || c->n_ids == 0 || tokenizer_prefix(c->tokenizer) != PREFIX_FIRST);
}

static void close_segment(struct render *r) {
    struct chat *c = r->c;
    const size_t most = TOKENIZER_MAX_IDS(c->n_pending);
    if (r->status || !c->n_pending || !reserve_ids(r, most))
        return;
    size_t n;
    r->status = tokenizer_encode(c->tokenizer, c->pending, c->n_pending, takes_prefix(c),
                                 c->ids + c->n_ids, most, &n, r->err);
    if (r->status)
        return;
    c->n_ids += n;
    c->n_pending = 0;
    c->goes_on = false;
}

static void put_ids(struct render *r, const int32_t *ids, size_t n) {
    close_segment(r);
    if (r->status || !n || !reserve_ids(r, n))
        return;
    r->c->goes_on = false;
    memcpy(r->c->ids + r->c->n_ids, ids, n * sizeof *ids);
    r->c->n_ids += n;
}

/* An id the model may lack (-1) is left out. */
static void put_id(struct render *r, int32_t id) {
    put_ids(r, &id, id >= 0);
}

/* A format's own token where the vocabulary has it, else its text. */
static void put_mark(struct render *r, int32_t id, const char *text) {
    if (id >= 0)
        put_id(r, id);
    else
        put(r, text);
}

static void put_system(struct render *r) {
    put_text(r, r->c->system, r->c->system_len);
}

/* ---- users' messages, up to where the answer begins; i: the number among those seen ---- */

static void user_none(struct render *r, const struct message *m, size_t i) {
    if (i) {
        put(r, "\n");
    } else {
        put_id(r, r->c->bos);
        put_system(r);
        if (r->c->system)
            put(r, "\n\n");
    }
    put_text(r, m->text, m->len);
}

static void user_v1(struct render *r, const struct message *m, size_t i) {
    if (!i)
        put_id(r, r->c->bos);
    put(r, "[INST] ");
    if (!i && r->c->system) {
        put_system(r);
        put(r, "\n\n");
    }
    put_text(r, m->text, m->len);
    put(r, " [/INST]");
}

static void user_v3(struct render *r, const struct message *m, size_t i) {
    if (!i)
        put_id(r, r->c->bos);
    put_id(r, r->c->inst);
    if (r->c->system &&
        i + 2 >= r->c->n_messages - r->c->n_dropped) { /* the last of the users' messages */
        put_system(r);
        put(r, "\n\n");
    }
    put_text(r, m->text, m->len);
    put_id(r, r->c->inst_end);
}

static void chatml_message(struct render *r, const char *role, const char *text, size_t len) {
    put_mark(r, r->c->im_start, "<|im_start|>");
    put(r, role);
    put_text(r, text, len);
    put_mark(r, r->c->im_end, "<|im_end|>");
    put(r, "\n");
}

static void user_chatml(struct render *r, const struct message *m, size_t i) {
    if (i)
        put(r, "\n"); /* after the answer's <|im_end|> */
    else
        put_id(r, r->c->bos);
    if (!i && r->c->system)
        chatml_message(r, "system\n", r->c->system, r->c->system_len);
    chatml_message(r, "user\n", m->text, m->len);
    put_mark(r, r->c->im_start, "<|im_start|>");
    put(r, "assistant\n");
}

static void zephyr_mark(struct render *r, int role) {
    static const char *const marks[] = {"<|system|>", "<|user|>", "<|assistant|>"};
    put_mark(r, r->c->roles[role], marks[role]);
    put(r, "\n");
}

static void user_zephyr(struct render *r, const struct message *m, size_t i) {
    if (i)
        put(r, "\n"); /* after the answer's EOS */
    else
        put_id(r, r->c->bos);
    if (!i && r->c->system) {
        zephyr_mark(r, 0);
        put_system(r);
        put_id(r, r->c->eos);
        put(r, "\n");
    }
    zephyr_mark(r, 1);
    put_text(r, m->text, m->len);
    put_id(r, r->c->eos);
    put(r, "\n");
    zephyr_mark(r, 2);
}

static void user_llama2(struct render *r, const struct message *m, size_t i) {
    put_id(r, r->c->bos);
    put(r, "[INST] ");
    if (!i && r->c->system) {
        put(r, "<<SYS>>\n");
        put_system(r);
        put(r, "\n<</SYS>>\n\n");
    }
    put_text(r, m->text, m->len);
    put(r, " [/INST]");
}

static void (*const render_user[CHAT_FORMAT_COUNT])(struct render *, const struct message *,
                                                    size_t) = {
    [CHAT_NONE] = user_none,     [CHAT_V1] = user_v1,         [CHAT_V3] = user_v3,
    [CHAT_CHATML] = user_chatml, [CHAT_ZEPHYR] = user_zephyr, [CHAT_LLAMA2] = user_llama2,
};

/* ---- answers ---- */

static bool has_end(const struct chat *c, const struct message *m) {
    return m->n_answer && chat_is_end(c, m->answer[m->n_answer - 1]);
}

/* Whether the ids of an answer stop within its text: the format has no end id, and the model gave
 * none. What follows goes on in the same text. */
static bool is_open(const struct chat *c, const struct message *m) {
    return !has_end(c, m) &&
           (c->format == CHAT_NONE || (c->format == CHAT_CHATML && c->im_end < 0));
}

static void render_answer(struct render *r, const struct message *m) {
    struct chat *c = r->c;
    size_t len = m->len;
    while (c->format == CHAT_V3 && len && m->text[len - 1] == ' ')
        len--;
    if (m->text) /* in these formats it stands in one text with the line before it */
        c->goes_on = c->format == CHAT_CHATML || c->format == CHAT_ZEPHYR;
    put_text(r, m->text, len);
    if (m->text && c->format == CHAT_LLAMA2)
        put(r, " "); /* Meta's blank before the end */
    put_ids(r, m->answer, m->n_answer);
    if (!has_end(c, m) && !is_open(c, m))
        put_id(r, c->format == CHAT_CHATML ? c->im_end : c->eos);
    close_segment(r);
}

static void render_message(struct render *r, size_t i) {
    struct chat *c = r->c;
    struct message *m = &c->messages[i];
    if (m->role == CHAT_ASSISTANT) {
        render_answer(r, m);
    } else {
        const size_t nth = i - c->n_dropped;
        c->goes_on = nth && is_open(c, m - 1);
        if (c->goes_on && c->format == CHAT_CHATML)
            put(r, chat_end_text(c));
        render_user[c->format](r, m, nth);
        close_segment(r);
    }
    m->end = c->n_ids;
}

enum bise_status chat_ids(struct chat *c, const int32_t **ids, size_t *n, struct bise_error *err) {
    struct render r = {.c = c, .err = err};
    if (c->n_rendered < c->n_dropped)
        c->n_rendered = c->n_dropped;
    c->n_ids = c->n_rendered > c->n_dropped ? c->messages[c->n_rendered - 1].end : 0;
    c->n_pending = 0;
    for (size_t i = c->n_rendered; i < c->n_messages && !r.status; i++)
        render_message(&r, i);
    if (!r.status)
        c->n_rendered = c->n_messages;
    *ids = c->ids;
    *n = c->n_ids;
    return r.status;
}
