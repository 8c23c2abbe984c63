/*
 * A conversation as token ids, in the formats models were trained on.
 *
 * The chat holds messages and gives the ids of the whole conversation; what the session already
 * holds of them is for the caller to compare. Every segment of a format is encoded separately, text
 * never becomes control pieces, and the ids of a generated answer are kept, never encoded again.
 *
 * V1      BOS, then for each turn  enc("[INST] " user " [/INST]")  answer EOS; the system prompt
 *         and an empty line stand before the first user's text
 * V3      BOS, then for each turn  [INST] enc(user) [/INST]  answer EOS; the system prompt stands
 *         before the last user's text, so earlier ids change from turn to turn
 * ChatML  BOS, then for each message  <|im_start|> enc(role "\n" text) <|im_end|> enc("\n")
 * Zephyr  BOS, then for each message  enc("<|role|>\n" text) EOS, enc("\n" ...)
 * Llama-2 for each turn  BOS enc("[INST] <<SYS>>\n" system "\n<</SYS>>\n\n" user " [/INST]")
 *         answer EOS
 * none    BOS, then everything as one text: a base model goes on writing
 */
#ifndef BISE_SRC_TEXT_CHAT_H
#define BISE_SRC_TEXT_CHAT_H

#include "src/text/chat_format.h"

struct chat;
struct tokenizer;

enum chat_role { CHAT_USER, CHAT_ASSISTANT };

/* bos and eos_ids as in the model's config. The tokenizer must outlive the chat.
 * Errors: ARG (CHAT_UNKNOWN), UNSUPPORTED (a control piece of the format is missing), MEMORY. */
enum bise_status chat_open(struct chat **out, const struct tokenizer *tokenizer,
                           enum chat_format format, int32_t bos, const int32_t *eos_ids,
                           size_t n_eos, struct bise_error *err);
/* Accepts NULL and a pointer to NULL; sets *c to NULL. */
void chat_close(struct chat **c);

/* Texts are copied. len 0 takes the system prompt away. Errors: ARG (invalid UTF-8), MEMORY. */
enum bise_status chat_set_system(struct chat *c, const char *text, size_t len,
                                 struct bise_error *err);
/* Adds a message: a user's, or an answer known as text. Roles alternate, beginning with the user.
 * Errors: ARG (invalid UTF-8, wrong turn), MEMORY; nothing is added then. */
enum bise_status chat_add(struct chat *c, enum chat_role role, const char *text, size_t len,
                          struct bise_error *err);
/* Adds a generated answer: its ids, the end id included where the model came to one. The format's
 * end is put after an answer that stopped early. */
enum bise_status chat_add_answer(struct chat *c, const int32_t *ids, size_t n,
                                 struct bise_error *err);
/* The system prompt, NUL-terminated; NULL if there is none. */
const char *chat_system(const struct chat *c);
size_t chat_messages(const struct chat *c);
/* Takes the last message away. */
void chat_pop(struct chat *c);
/* Takes all messages away; the system prompt stays. */
void chat_clear(struct chat *c);

/* Ids of the conversation; where the last message is the user's, up to where the answer begins.
 * Owned by the chat, valid until the next call that takes it non-const. Errors: MEMORY. */
enum bise_status chat_ids(struct chat *c, const int32_t **ids, size_t *n, struct bise_error *err);

/* Leaves the first n messages out of the ids (n even; at most those before the last user's): the
 * model no longer sees them, and the next is rendered as the first, system prompt included. They
 * stay in the conversation. Taking back the last message seen brings all of them back. */
void chat_set_dropped(struct chat *c, size_t n);
size_t chat_dropped(const struct chat *c);
/* How many messages to leave out so that the others' ids, as chat_ids gave them last, are at most
 * n_ids; the last user's and what follows it stay in any case. */
size_t chat_drop_for(const struct chat *c, size_t n_ids);

/* How many messages, those left out among them, lie wholly in the first n_ids ids that chat_ids
 * gave last. */
size_t chat_messages_within(const struct chat *c, size_t n_ids);

/* ---- what happens to a conversation, as a journal and a session's file keep it ---- */

enum chat_event {
    CHAT_EV_SYSTEM = 1, /* text; empty: none */
    CHAT_EV_USER,       /* text */
    CHAT_EV_ANSWER,     /* ids, i32 little-endian */
    CHAT_EV_TEXT,       /* an answer known as text */
    CHAT_EV_POP,        /* nothing */
    CHAT_EV_CLEAR,      /* nothing */
    CHAT_EV_DROP,       /* u64: chat_set_dropped */
    CHAT_EV_COUNT
};
typedef void chat_event_fn(void *arg, enum chat_event event, const void *data, size_t len);

/* From here on fn (NULL: none) is told of every change, after it. */
void chat_watch(struct chat *c, chat_event_fn *fn, void *arg);
/* Tells the events that make this conversation of an empty one. */
void chat_tell(const struct chat *c, chat_event_fn *fn, void *arg);
/* Does what an event says; data is not trusted. vocab: of the model. Errors: FORMAT (an unknown
 * event, a turn that is not one's, ids out of range), ARG (invalid UTF-8), MEMORY. */
enum bise_status chat_apply(struct chat *c, uint32_t event, const uint8_t *data, size_t len,
                            uint32_t vocab, struct bise_error *err);

/* ---- ends ---- */

/* The ids by which the model ends its answer. */
const int32_t *chat_end_ids(const struct chat *c, size_t *n);
bool chat_is_end(const struct chat *c, int32_t id);
/* Where the vocabulary has no piece for the format's end: the text that ends an answer, else NULL.
 */
const char *chat_end_text(const struct chat *c);

#endif
