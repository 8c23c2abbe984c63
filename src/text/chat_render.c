/* From messages to ids: one function for each format. Templates as the models' cards give them. */
#include "src/base/array.h"
#include "src/base/error.h"
#include "src/text/chat_impl.h"
#include "src/text/tokenizer.h"

#include <string.h>

/* Text gathers in chat.pending; an id or the end of a message closes the segment, which is then
 * encoded by itself. After a failure nothing more is done. */
struct render {
    struct chat *c;
    enum bise_status status;
    struct bise_error *err;
};

static void no_memory(struct render *r) {
    r->status = bise_fail(r->err, BISE_ERR_MEMORY, "no memory for the conversation's tokens");
}

static bool reserve_ids(struct render *r, size_t n) {
    struct chat *c = r->c;
    if (!array_grow(&c->ids, &c->cap_ids, c->n_ids + n, sizeof *c->ids)) {
        no_memory(r);
        return false;
    }
    return true;
}

static void put_text(struct render *r, const char *text, size_t len) {
    struct chat *c = r->c;
    if (r->status || !len)
        return;
    if (!array_grow(&c->pending, &c->cap_pending, c->n_pending + len, 1)) {
        no_memory(r);
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
