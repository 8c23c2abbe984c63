/* Chat and session together: whatever was said, taken back or moved before, an answer is the one
 * that a fresh session gives to the same conversation. */
#include "tests/unit/toy_conversation.h"

#include <math.h>

/* What the session holds begins like the conversation, and the last answer is what the same ids
 * give in a new session. */
static void check_answer(const struct toy_conversation *t) {
    const struct conversation *c = &t->c;
    struct bise_session *s;
    struct bise_error err = {0};
    const struct bise_engine_params params = {
        .n_threads = 1, .window = -1, .n_ctx = bise_session_plan(t->runtime.session)->n_ctx};
    cr_assert_eq(bise_position(t->runtime.session), c->held.n);
    /* The last id picked has not been decoded, so the prompt is what is held less the others. */
    const size_t n_prompt = c->held.n - (c->answer.n - 1);
    cr_assert_eq(bise_session_open(&s, t->runtime.model, &params, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(bise_prefill(s, c->held.ids, n_prompt, NULL, NULL, &err), BISE_OK, "%s",
                 err.detail);
    struct bise_sampler *greedy;
    const struct bise_sampler_params cold = {.temp = 0};
    cr_assert_eq(bise_sampler_open(&greedy, TOY_VOCAB, &cold, NULL), BISE_OK);
    for (size_t i = 0; i < c->answer.n; i++) {
        cr_expect_eq(bise_sample(greedy, bise_logits(s), NULL, NULL, 0, 0), c->answer.ids[i],
                     "id %zu", i);
        cr_assert_eq(bise_decode(s, c->answer.ids[i], &err), BISE_OK, "%s", err.detail);
    }
    bise_sampler_close(&greedy);
    bise_session_close(&s);
}

static void set_system(struct toy_conversation *t, const char *text) {
    cr_assert_eq(chat_set_system(t->c.chat, text, strlen(text), NULL), BISE_OK);
}

/* Expects the session to hold the conversation up to the last id of the answer. */
static void check_held(struct toy_conversation *t) {
    const int32_t *ids;
    size_t n;
    cr_assert_eq(chat_ids(t->c.chat, &ids, &n, NULL), BISE_OK);
    cr_assert_leq(t->c.held.n, n);
    cr_assert_arr_eq(t->c.held.ids, ids, t->c.held.n * sizeof *ids);
    cr_assert_geq(t->c.held.n + 2, n); /* the last id, and the end put after it */
}

static void talk_over(uint32_t window) {
    char folder[256];
    struct toy_conversation t;
    cr_assert(tiny_folder(folder));
    toy_conversation_open(&t, folder, window, 0);
    set_system(&t, "Be kind.");
    for (int i = 0; i < 4; i++) { /* the system prompt moves every time */
        cr_assert_eq(toy_say(&t, "Hello there"), BISE_OK);
        check_held(&t);
    }
    chat_pop(t.c.chat); /* undo */
    chat_pop(t.c.chat);
    cr_assert_eq(toy_say(&t, "Something else?"), BISE_OK);
    check_held(&t);
    chat_pop(t.c.chat); /* the same message again */
    enum finish finish;
    cr_assert_eq(conversation_answer(&t.c, &finish, NULL), BISE_OK);
    check_held(&t);
    chat_clear(t.c.chat);
    set_system(&t, "");
    cr_assert_eq(toy_say(&t, "A new one"), BISE_OK);
    check_held(&t);
    cr_assert_eq(toy_say(&t, "And on"), BISE_OK);
    check_held(&t);
    toy_conversation_close(&t);
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
    struct toy_conversation t;
    cr_assert(tiny_folder(folder));
    toy_conversation_open(&t, folder, 0, 0);
    t.runtime.n_prompt = 0;
    cr_assert_eq(toy_say(&t, "A first message, longer than sixteen tokens"), BISE_OK);
    check_answer(&t);
    toy_conversation_close(&t);
    unlink(t.path);
    rmdir(folder);
}

/* The first id of an answer whose piece is one byte that none before it has. */
static size_t first_of_its_byte(const struct toy_conversation *t, char stop[2]) {
    bool seen[256] = {false};
    for (size_t i = 0; i < t->c.answer.n; i++) {
        size_t len;
        const char *const piece = bise_token_piece(t->runtime.model, t->c.answer.ids[i], &len);
        if (i > 2 && len == 1 && *piece && !seen[(uint8_t)*piece]) {
            stop[0] = *piece;
            return i;
        }
        for (size_t at = 0; at < len; at++)
            seen[(uint8_t)piece[at]] = true;
    }
    return 0;
}

Test(conversation, what_a_stop_string_cuts_is_not_kept) {
    char folder[256], stop[2] = {0};
    int32_t ids[12];
    size_t n = 0;
    cr_assert(tiny_folder(folder));
    for (int stopped = 0; stopped < 2; stopped++) {
        struct toy_conversation t;
        snprintf(t.path, sizeof t.path, "%s/toy.bise", folder);
        toy_write_model(t.path, 0, TYPE_I4);
        toy_conversation_begin(&t, CHAT_V3, 0, 1);
        if (stopped)
            cr_assert(stop_add(&t.c.stop, stop));
        cr_assert_eq(toy_say(&t, "Hi"), BISE_OK);
        if (stopped) {
            cr_assert_eq(t.c.answer.n, n);
            cr_assert_arr_eq(t.c.answer.ids, ids, n * sizeof *ids);
        } else {
            n = first_of_its_byte(&t, stop);
            cr_assert(n > 0 && t.c.answer.n <= 12);
            memcpy(ids, t.c.answer.ids, n * sizeof *ids);
        }
        toy_conversation_close(&t);
        unlink(t.path);
    }
    rmdir(folder);
}

Test(conversation, a_full_context_refuses_and_keeps_the_rest) {
    char folder[256];
    struct toy_conversation t;
    static char text[400];
    cr_assert(tiny_folder(folder));
    toy_conversation_open(&t, folder, 0, 64);
    cr_assert_eq(toy_say(&t, "Hi"), BISE_OK);
    cr_assert_eq(chat_messages(t.c.chat), 2);
    memset(text, 'x', sizeof text - 1);
    cr_assert_eq(toy_say(&t, text), BISE_ERR_CONTEXT);
    cr_assert_eq(chat_messages(t.c.chat), 2);
    cr_assert_eq(toy_say(&t, "Hi"), BISE_OK);
    check_held(&t);
    toy_conversation_close(&t);
    unlink(t.path);
    rmdir(folder);
}

/* Whether what the model sees of the conversation has the text in it. */
static bool has_text(struct toy_conversation *t, const char *text) {
    const int32_t *ids;
    size_t n, len = 0;
    char out[4096];
    cr_assert_eq(chat_ids(t->c.chat, &ids, &n, NULL), BISE_OK);
    for (size_t i = 0; i < n; i++) {
        size_t piece_len;
        const char *piece = bise_token_piece(t->runtime.model, ids[i], &piece_len);
        memcpy(out + len, piece, piece_len);
        len += piece_len;
    }
    out[len] = 0;
    return strstr(out, text) != NULL;
}

Test(conversation, the_oldest_turns_are_left_out_where_asked) {
    char folder[256];
    struct toy_conversation t;
    cr_assert(tiny_folder(folder));
    toy_conversation_open(&t, folder, 0, 128);
    t.c.overflow = OVERFLOW_DROP;
    set_system(&t, "SYSTEM");
    for (int i = 0; i < 40; i++) {
        char text[40];
        snprintf(text, sizeof text, "question number %d", i);
        cr_assert_eq(toy_say(&t, text), BISE_OK);
        check_held(&t);
        cr_assert(has_text(&t, text), "nothing is cut from a message");
        cr_assert(has_text(&t, "SYSTEM"), "the system prompt stays");
        cr_assert_leq(bise_position(t.runtime.session), 128);
    }
    cr_assert_eq(chat_messages(t.c.chat), 80, "all is kept");
    cr_assert_gt(chat_dropped(t.c.chat), 60);
    cr_assert_eq(chat_dropped(t.c.chat) % 2, 0, "whole turns");
    cr_assert_not(has_text(&t, "question number 0"));
    /* A message that is longer than the context by itself is refused, and nothing is left out. */
    static char text[400];
    memset(text, 'x', sizeof text - 1);
    const size_t before = chat_dropped(t.c.chat);
    cr_assert_eq(toy_say(&t, text), BISE_ERR_CONTEXT);
    cr_assert_eq(chat_dropped(t.c.chat), before);
    cr_assert_eq(chat_messages(t.c.chat), 80);
    /* Going back before what is left out brings it back. */
    while (chat_messages(t.c.chat) > before)
        chat_pop(t.c.chat);
    cr_assert_eq(chat_dropped(t.c.chat), 0);
    cr_assert_eq(toy_say(&t, "again"), BISE_OK);
    check_held(&t);
    toy_conversation_close(&t);
    unlink(t.path);
    rmdir(folder);
}

static enum overflow choose_new(void *arg, bool in_answer) {
    ++*(int *)arg;
    return in_answer ? OVERFLOW_STOP : OVERFLOW_NEW;
}

Test(conversation, who_is_asked_may_begin_anew) {
    char folder[256];
    struct toy_conversation t;
    int n_asked = 0;
    cr_assert(tiny_folder(folder));
    toy_conversation_open(&t, folder, 0, 128);
    t.c.overflow = OVERFLOW_ASK;
    t.c.ask_overflow = choose_new;
    t.c.ask_arg = &n_asked;
    static const char text[] = "a message of forty-one letters, no more..";
    for (int i = 0; i < 3; i++)
        cr_assert_eq(toy_say(&t, text), BISE_OK);
    cr_assert_eq(n_asked, 1);
    cr_assert_eq(chat_dropped(t.c.chat), 4, "all before the last message");
    check_held(&t);
    toy_conversation_close(&t);
    unlink(t.path);
    rmdir(folder);
}

Test(conversation, an_answer_goes_on_where_the_context_was_full) {
    char folder[256];
    struct toy_conversation t;
    cr_assert(tiny_folder(folder));
    toy_conversation_open(&t, folder, 0, 128);
    t.c.overflow = OVERFLOW_DROP;
    static const struct bise_logit_bias never[] = {{2, -INFINITY}};
    const struct bise_sampler_params endless = {.temp = 0, .bias = never, .n_bias = 1};
    bise_sampler_close(&t.c.sampler);
    cr_assert_eq(bise_sampler_open(&t.c.sampler, TOY_VOCAB, &endless, NULL), BISE_OK);
    t.c.max_tokens = 20;
    for (int i = 0; i < 4; i++)
        cr_assert_eq(toy_say(&t, "hello"), BISE_OK);
    t.c.max_tokens = 90; /* beyond the context, within what is free when the others are left out */
    enum finish finish;
    cr_assert_eq(chat_add(t.c.chat, CHAT_USER, "go on", 5, NULL), BISE_OK);
    cr_assert_eq(conversation_answer(&t.c, &finish, NULL), BISE_OK);
    cr_assert_eq(finish, FINISH_LENGTH, "all of the answer came");
    cr_assert_eq(t.c.answer.n, 90);
    cr_assert_gt(chat_dropped(t.c.chat), 0);
    check_held(&t);
    t.c.max_tokens = 200; /* more than any context: it ends there, and is kept */
    cr_assert_eq(chat_add(t.c.chat, CHAT_USER, "more", 4, NULL), BISE_OK);
    cr_assert_eq(conversation_answer(&t.c, &finish, NULL), BISE_OK);
    cr_assert_eq(finish, FINISH_CONTEXT);
    cr_assert_eq(bise_position(t.runtime.session), 128);
    toy_conversation_close(&t);
    unlink(t.path);
    rmdir(folder);
}

/* Goes back by a turn whose answer is longer than the ring can, far into a conversation: no more is
 * read than the layers reach, and the answer is that of a session that has read everything. */
Test(conversation, going_back_reads_no_more_than_the_layers_reach) {
    char folder[256];
    struct toy_conversation t;
    cr_assert(tiny_folder(folder));
    snprintf(t.path, sizeof t.path, "%s/toy.bise", folder);
    toy_write_model(t.path, 24, TYPE_F32); /* one arithmetic for every length of a call */
    toy_conversation_begin(&t, CHAT_V3, 0, 0);
    const size_t reach = 2 * 23 + 1;
    cr_assert_eq(bise_reach(t.runtime.session), reach);
    for (int i = 0; i < 30; i++)
        cr_assert_eq(toy_say(&t, "Hello there, how do you do?"), BISE_OK);
    static const struct bise_logit_bias never[] = {{2, -INFINITY}};
    const struct bise_sampler_params endless = {.temp = 0, .bias = never, .n_bias = 1};
    bise_sampler_close(&t.c.sampler);
    cr_assert_eq(bise_sampler_open(&t.c.sampler, TOY_VOCAB, &endless, NULL), BISE_OK);
    t.c.max_tokens = 2 * (int64_t)bise_session_plan(t.runtime.session)->ring;
    cr_assert_eq(toy_say(&t, "A long story"), BISE_OK);
    chat_pop(t.c.chat);
    chat_pop(t.c.chat);
    const size_t before = t.runtime.n_prompt;
    t.c.max_tokens = 12;
    cr_assert_eq(toy_say(&t, "Another"), BISE_OK);
    cr_assert_eq(t.runtime.n_prompt - before, reach);
    check_held(&t);
    check_answer(&t);
    /* A message that is longer than the reach is read from where it matters. */
    static char text[400];
    memset(text, 'y', sizeof text - 1);
    const size_t then = t.runtime.n_prompt;
    cr_assert_eq(toy_say(&t, text), BISE_OK);
    cr_assert_eq(t.runtime.n_prompt - then, reach);
    check_answer(&t);
    /* Going back from there would need what was never read: it is read. */
    chat_pop(t.c.chat);
    chat_pop(t.c.chat);
    cr_assert_eq(toy_say(&t, "Short"), BISE_OK);
    check_held(&t);
    check_answer(&t);
    toy_conversation_close(&t);
    unlink(t.path);
    rmdir(folder);
}
