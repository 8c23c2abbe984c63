/* A conversation with a random model whose tokenizer has the bytes and V3's control pieces. */
#ifndef BISE_TESTS_UNIT_TOY_CONVERSATION_H
#define BISE_TESTS_UNIT_TOY_CONVERSATION_H

#include "tests/unit/tiny_model.h"
#include "tests/unit/toy_tokenizer.h"

#include "tools/chat/conversation.h"

#include <fcntl.h>

#define TOY_VOCAB 262

static inline void toy_write_model(const char *path, uint32_t window, enum tensor_type type) {
    static struct toy m;
    toy_begin(&m, true);
    toy_piece(&m, "[INST]", 0, PIECE_CONTROL);
    toy_piece(&m, "[/INST]", 0, PIECE_CONTROL);
    toy_piece(&m, "\xe2\x96\x81", 0, PIECE_NORMAL);
    toy_end(&m, true, true);
    struct model_config c = tiny_config();
    struct bise_error err = {0};
    c.vocab_size = TOY_VOCAB;
    c.window = window;
    c.n_eos = 1;
    c.chat = CHAT_V3;
    cr_assert_eq(tiny_write_with(path, &c, type, m.bytes, m.len, &err), BISE_OK, "%s", err.detail);
}

struct toy_conversation {
    struct runtime runtime;
    struct conversation c;
    char path[300]; /* of the model */
};

/* With the model that is at t->path; ctx 0: the model's. Answers have 12 ids at most. */
static inline void toy_conversation_begin(struct toy_conversation *t, enum chat_format format,
                                          int64_t n_ctx, float temp) {
    struct runtime_options o = RUNTIME_DEFAULTS;
    o.model = t->path;
    o.threads = 1;
    o.n_ctx = n_ctx;
    t->c = (struct conversation){.runtime = NULL};
    cr_assert_eq(runtime_open(&t->runtime, &o), EXIT_DONE);
    cr_assert_eq(conversation_open(&t->c, &t->runtime, format), EXIT_DONE);
    const struct bise_sampler_params sampling = {.temp = temp, .seed = 3};
    cr_assert_eq(bise_sampler_open(&t->c.sampler, TOY_VOCAB, &sampling, NULL), BISE_OK);
    t->c.max_tokens = 12;
    t->c.out.fd = open("/dev/null", O_WRONLY);
}

/* With a new model in the folder, greedy. */
static inline void toy_conversation_open(struct toy_conversation *t, const char *folder,
                                         uint32_t window, int64_t n_ctx) {
    snprintf(t->path, sizeof t->path, "%s/toy.bise", folder);
    toy_write_model(t->path, window, TYPE_I4);
    toy_conversation_begin(t, CHAT_V3, n_ctx, 0);
}

static inline void toy_conversation_close(struct toy_conversation *t) {
    close(t->c.out.fd);
    bise_sampler_close(&t->c.sampler);
    conversation_close(&t->c);
    runtime_close(&t->runtime);
}

static inline enum bise_status toy_say(struct toy_conversation *t, const char *text) {
    struct bise_error err = {0};
    enum finish finish;
    cr_assert_eq(chat_add(t->c.chat, CHAT_USER, text, strlen(text), &err), BISE_OK);
    return conversation_answer(&t->c, &finish, &err);
}

/* The conversation's ids, malloc'd. */
static inline int32_t *toy_ids(const struct toy_conversation *t, size_t *n) {
    const int32_t *ids;
    cr_assert_eq(chat_ids(t->c.chat, &ids, n, NULL), BISE_OK);
    int32_t *copy = malloc((*n + 1) * sizeof *copy);
    cr_assert_not_null(copy);
    if (*n)
        memcpy(copy, ids, *n * sizeof *ids);
    return copy;
}

#endif
