/* Chat and session together: whatever was said, taken back or moved before, an answer is the one
 * that a fresh session gives to the same conversation. */
#include "tiny_model.h"
#include "toy_tokenizer.h"

#include "tools/conversation.h"

#include <criterion/criterion.h>
#include <fcntl.h>

/* A random model whose tokenizer has the bytes and V3's control pieces. */
static void write_model(const char *path, uint32_t window) {
    static struct toy m;
    toy_begin(&m, true);
    toy_piece(&m, "[INST]", 0, PIECE_CONTROL);
    toy_piece(&m, "[/INST]", 0, PIECE_CONTROL);
    toy_piece(&m, "\xe2\x96\x81", 0, PIECE_NORMAL);
    toy_end(&m, true, true);
    struct model_config c = tiny_config();
    struct bise_error err = {0};
    c.vocab_size = 262;
    c.window = window;
    c.n_eos = 1;
    c.chat = CHAT_V3;
    cr_assert_eq(tiny_write_with(path, &c, TYPE_I4, m.bytes, m.len, &err), BISE_OK, "%s",
                 err.detail);
}

struct talk {
    struct engine engine;
    struct conversation c;
    char path[300];
};

/* ctx 0: the model's. */
static void open_talk(struct talk *t, const char *folder, uint32_t window, int64_t n_ctx) {
    *t = (struct talk){.engine = {.path = NULL}};
    snprintf(t->path, sizeof t->path, "%s/toy.bise", folder);
    write_model(t->path, window);
    struct engine_options o = ENGINE_DEFAULTS;
    o.model = t->path;
    o.threads = 1;
    o.n_ctx = n_ctx;
    cr_assert_eq(engine_open(&t->engine, &o), EXIT_DONE);
    cr_assert_eq(conversation_open(&t->c, &t->engine, CHAT_V3), EXIT_DONE);
    const struct bise_sampler_params greedy = {.temp = 0};
    cr_assert_eq(bise_sampler_open(&t->c.sampler, 262, &greedy, NULL), BISE_OK);
    t->c.max_tokens = 12;
    t->c.out.fd = open("/dev/null", O_WRONLY);
}

static void close_talk(struct talk *t) {
    close(t->c.out.fd);
    bise_sampler_close(&t->c.sampler);
    conversation_close(&t->c);
    engine_close(&t->engine);
}

static enum bise_status say(struct talk *t, const char *text) {
    struct bise_error err = {0};
    enum finish finish;
    cr_assert_eq(chat_add(t->c.chat, CHAT_USER, text, strlen(text), &err), BISE_OK);
    return conversation_answer(&t->c, &finish, &err);
}

/* What the session holds begins like the conversation, and the last answer is what the same ids
 * give in a new session. */
static void check_answer(const struct talk *t) {
    const struct conversation *c = &t->c;
    struct bise_session *s;
    struct bise_error err = {0};
    const struct bise_session_params params = {
        .n_threads = 1, .window = -1, .n_ctx = bise_session_plan(t->engine.session)->n_ctx};
    cr_assert_eq(bise_position(t->engine.session), c->held.n);
    /* The last id picked has not been decoded, so the prompt is what is held less the others. */
    const size_t n_prompt = c->held.n - (c->answer.n - 1);
    cr_assert_eq(bise_session_open(&s, t->engine.model, &params, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(bise_prefill(s, c->held.ids, n_prompt, NULL, NULL, &err), BISE_OK, "%s",
                 err.detail);
    struct bise_sampler *greedy;
    const struct bise_sampler_params cold = {.temp = 0};
    cr_assert_eq(bise_sampler_open(&greedy, 262, &cold, NULL), BISE_OK);
    for (size_t i = 0; i < c->answer.n; i++) {
        cr_expect_eq(bise_sample(greedy, bise_logits(s)), c->answer.ids[i], "id %zu", i);
        cr_assert_eq(bise_decode(s, c->answer.ids[i], &err), BISE_OK, "%s", err.detail);
    }
    bise_sampler_close(&greedy);
    bise_session_close(&s);
}

static void set_system(struct talk *t, const char *text) {
    cr_assert_eq(chat_set_system(t->c.chat, text, strlen(text), NULL), BISE_OK);
}

/* Expects the session to hold the conversation up to the last id of the answer. */
static void check_held(struct talk *t) {
    const int32_t *ids;
    size_t n;
    cr_assert_eq(chat_ids(t->c.chat, &ids, &n, NULL), BISE_OK);
    cr_assert_leq(t->c.held.n, n);
    cr_assert_arr_eq(t->c.held.ids, ids, t->c.held.n * sizeof *ids);
    cr_assert_geq(t->c.held.n + 2, n); /* the last id, and the end put after it */
}

static void talk_over(uint32_t window) {
    char folder[256];
    struct talk t;
    cr_assert(tiny_folder(folder));
    open_talk(&t, folder, window, 0);
    set_system(&t, "Be kind.");
    for (int i = 0; i < 4; i++) { /* the system prompt moves every time */
        cr_assert_eq(say(&t, "Hello there"), BISE_OK);
        check_held(&t);
    }
    chat_pop(t.c.chat); /* undo */
    chat_pop(t.c.chat);
    cr_assert_eq(say(&t, "Something else?"), BISE_OK);
    check_held(&t);
    chat_pop(t.c.chat); /* the same message again */
    enum finish finish;
    cr_assert_eq(conversation_answer(&t.c, &finish, NULL), BISE_OK);
    check_held(&t);
    chat_clear(t.c.chat);
    set_system(&t, "");
    cr_assert_eq(say(&t, "A new one"), BISE_OK);
    check_held(&t);
    cr_assert_eq(say(&t, "And on"), BISE_OK);
    check_held(&t);
    close_talk(&t);
    unlink(t.path);
    rmdir(folder);
}

Test(conversation, the_session_holds_what_was_said) {
    talk_over(0);
}

Test(conversation, the_session_holds_what_was_said_with_a_window) {
    talk_over(64);
}

Test(conversation, an_answer_is_that_of_a_fresh_session) {
    char folder[256];
    struct talk t;
    cr_assert(tiny_folder(folder));
    open_talk(&t, folder, 0, 0);
    t.engine.n_prompt = 0;
    cr_assert_eq(say(&t, "A first message, longer than sixteen tokens"), BISE_OK);
    check_answer(&t);
    close_talk(&t);
    unlink(t.path);
    rmdir(folder);
}

Test(conversation, a_full_context_refuses_and_keeps_the_rest) {
    char folder[256];
    struct talk t;
    static char text[400];
    cr_assert(tiny_folder(folder));
    open_talk(&t, folder, 0, 64);
    cr_assert_eq(say(&t, "Hi"), BISE_OK);
    cr_assert_eq(chat_messages(t.c.chat), 2);
    memset(text, 'x', sizeof text - 1);
    cr_assert_eq(say(&t, text), BISE_ERR_CONTEXT);
    cr_assert_eq(chat_messages(t.c.chat), 2);
    cr_assert_eq(say(&t, "Hi"), BISE_OK);
    check_held(&t);
    close_talk(&t);
    unlink(t.path);
    rmdir(folder);
}
