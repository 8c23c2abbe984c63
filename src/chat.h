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
#ifndef BISE_CHAT_H
#define BISE_CHAT_H

#include "config.h"

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
size_t chat_messages(const struct chat *c);
/* Takes the last message away. */
void chat_pop(struct chat *c);
/* Takes all messages away; the system prompt stays. */
void chat_clear(struct chat *c);

/* Ids of the conversation; where the last message is the user's, up to where the answer begins.
 * Owned by the chat, valid until the next call that takes it non-const. Errors: MEMORY. */
enum bise_status chat_ids(struct chat *c, const int32_t **ids, size_t *n, struct bise_error *err);

/* The ids by which the model ends its answer. */
const int32_t *chat_end_ids(const struct chat *c, size_t *n);
bool chat_is_end(const struct chat *c, int32_t id);
/* Where the vocabulary has no piece for the format's end: the text that ends an answer, else NULL.
 */
const char *chat_end_text(const struct chat *c);

#endif
