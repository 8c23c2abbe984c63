/* Chat formats, token by token. */
#include "src/text/chat.h"
#include "tests/unit/jsonl.h"
#include "tests/unit/toy_tokenizer.h"

/* ---- Mistral's own, by vectors ---- */

struct vectors {
    struct tokenizer *t;
    enum chat_format format;
    const char *key;
};

static struct chat *open_chat(const struct tokenizer *t, enum chat_format format) {
    struct chat *c = NULL;
    struct bise_error err = {0};
    const int32_t eos = 2;
    cr_assert_eq(chat_open(&c, t, format, 1, &eos, 1, &err), BISE_OK, "%s", err.detail);
    return c;
}

static void add(struct chat *c, const char *role, const char *text, size_t len) {
    struct bise_error err = {0};
    enum bise_status status;
    if (strcmp(role, "system") == 0)
        status = chat_set_system(c, text, len, &err);
    else
        status = chat_add(c, role[0] == 'u' ? CHAT_USER : CHAT_ASSISTANT, text, len, &err);
    cr_assert_eq(status, BISE_OK, "%s", err.detail);
}

static void expect_ids(struct chat *c, const struct json_value *want, const char *what) {
    const int32_t *ids;
    size_t n;
    cr_assert_eq(chat_ids(c, &ids, &n, NULL), BISE_OK);
    cr_expect(ids_equal(want, ids, n), "%s", what);
}

/* The conversation as a whole; then again with the ids asked for after every message, so that what
 * is kept from turn to turn is tested too. */
static void check_conversation(void *arg, const struct json_value *line) {
    const struct vectors *v = arg;
    const struct json_value *messages = json_get(line, "messages"), *want = json_get(line, v->key);
    for (int step_by_step = 0; step_by_step < 2; step_by_step++) {
        struct chat *c = open_chat(v->t, v->format);
        for (const struct json_value *m = json_first(messages); m; m = json_next(messages, m)) {
            const struct json_value *text = json_get(m, "content");
            const int32_t *ids;
            size_t n;
            add(c, json_get(m, "role")->string, text->string, text->len);
            if (step_by_step)
                cr_assert_eq(chat_ids(c, &ids, &n, NULL), BISE_OK);
        }
        expect_ids(c, want,
                   json_first(messages) ? json_get(json_first(messages), "content")->string : "");
        chat_close(&c);
    }
}

static struct tokenizer *open_mistral(const char *version) {
    char name[64];
    struct tokenizer *t = NULL;
    size_t len;
    snprintf(name, sizeof name, "data/tokenizers/mistral-%s.model", version);
    char *bytes = read_whole(shared_path(name), &len);
    if (!bytes)
        cr_skip_test("%s is not there", shared_path(name));
    cr_assert_eq(tokenizer_open(&t, bytes, len, name, NULL), BISE_OK);
    free(bytes);
    return t;
}

static void check_format(const char *tokenizer, enum chat_format format, const char *key) {
    struct vectors v = {.t = open_mistral(tokenizer), .format = format, .key = key};
    cr_assert_gt(each_line("tests/data/chat/conversations.jsonl", check_conversation, &v), 5u);
    tokenizer_close(&v.t);
}

Test(chat, v1_conversations) {
    check_format("v1", CHAT_V1, "v1");
}

Test(chat, v3_conversations) {
    check_format("v3", CHAT_V3, "v3");
}

/* Mistral's own sample, in one JSON file, its ids in another. */
static void check_sample(const char *version, enum chat_format format) {
    char name[64];
    size_t len, want_len;
    struct tokenizer *t = open_mistral(version);
    snprintf(name, sizeof name, "data/golden/chat/no_tools.%s.tokens.json", version);
    char *want_text = read_whole(shared_path(name), &want_len);
    char *text = read_whole(shared_path("data/golden/chat/no_tools.json"), &len);
    if (!text || !want_text)
        cr_skip_test("the sample is not there");
    struct json *sample, *want;
    cr_assert_eq(json_parse(&sample, text, len, "sample", NULL), BISE_OK);
    cr_assert_eq(json_parse(&want, want_text, want_len, "ids", NULL), BISE_OK);
    struct chat *c = open_chat(t, format);
    const struct json_value *messages = json_get(json_root(sample), "messages");
    for (const struct json_value *m = json_first(messages); m; m = json_next(messages, m))
        add(c, json_get(m, "role")->string, json_get(m, "content")->string,
            json_get(m, "content")->len);
    expect_ids(c, json_get(json_root(want), "tokens"), version);
    chat_close(&c);
    json_close(&sample);
    json_close(&want);
    tokenizer_close(&t);
    free(text);
    free(want_text);
}

Test(chat, mistral_common_sample) {
    check_sample("v1", CHAT_V1);
    check_sample("v2", CHAT_V3);
    check_sample("v3", CHAT_V3);
}

/* ---- a toy vocabulary: every byte is a piece, so that the ids can be read ---- */

/* Control pieces stand for what the formats use; a space that begins a segment comes from the dummy
 * prefix, so the segments can be seen. */
static struct tokenizer *open_toy(bool chatml, bool inst) {
    static struct toy m;
    toy_begin(&m, true); /* 3..258 bytes */
    if (chatml) {
        toy_piece(&m, "<|im_start|>", 0, PIECE_CONTROL); /* 259 */
        toy_piece(&m, "<|im_end|>", 0, PIECE_CONTROL);   /* 260 */
    }
    if (inst) {
        toy_piece(&m, "[INST]", 0, PIECE_CONTROL);
        toy_piece(&m, "[/INST]", 0, PIECE_CONTROL);
    }
    toy_piece(&m, "\xe2\x96\x81", 0, PIECE_NORMAL);
    toy_end(&m, true, true);
    return toy_open(&m);
}

/* The ids as text, control pieces by their names. */
static const char *shown(struct chat *c, const struct tokenizer *t) {
    static char out[4096];
    const int32_t *ids;
    size_t n, at = 0;
    cr_assert_eq(chat_ids(c, &ids, &n, NULL), BISE_OK);
    out[0] = 0;
    for (size_t i = 0; i < n; i++) {
        size_t len;
        const char *piece = tokenizer_piece(t, ids[i], &len);
        if (tokenizer_kind(t, ids[i]) == PIECE_CONTROL)
            at +=
                (size_t)snprintf(out + at, sizeof out - at, "{%s}", tokenizer_piece_raw(t, ids[i]));
        else
            at += (size_t)snprintf(out + at, sizeof out - at, "%.*s", (int)len, piece);
    }
    return out;
}

static void add_user(struct chat *c, const char *text) {
    cr_assert_eq(chat_add(c, CHAT_USER, text, strlen(text), NULL), BISE_OK);
}

/* A generated answer: the bytes of text, then the end id unless it is 0. */
static void add_answer(struct chat *c, const char *text, int32_t end) {
    int32_t ids[64];
    size_t n = 0;
    for (; text[n]; n++)
        ids[n] = 3 + (uint8_t)text[n];
    if (end)
        ids[n++] = end;
    cr_assert_eq(chat_add_answer(c, ids, n, NULL), BISE_OK);
}

static void add_system(struct chat *c, const char *text) {
    cr_assert_eq(chat_set_system(c, text, strlen(text), NULL), BISE_OK);
}

Test(chat, v1) {
    struct tokenizer *t = open_toy(false, false);
    struct chat *c = open_chat(t, CHAT_V1);
    cr_assert_str_eq(shown(c, t), "");
    add_system(c, "S");
    add_user(c, "a");
    cr_assert_str_eq(shown(c, t), "{<s>} [INST] S\n\na [/INST]");
    add_answer(c, "b", 2); /* its ids are kept: no dummy prefix appears */
    cr_assert_str_eq(shown(c, t), "{<s>} [INST] S\n\na [/INST]b{</s>}");
    add_user(c, "</s>");
    add_answer(c, "d", 0); /* stopped early: the end is put */
    cr_assert_str_eq(shown(c, t), "{<s>} [INST] S\n\na [/INST]b{</s>} [INST] </s> [/INST]d{</s>}");
    chat_pop(c);
    chat_pop(c);
    add_system(c, "");
    cr_assert_str_eq(shown(c, t), "{<s>} [INST] a [/INST]b{</s>}");
    chat_clear(c);
    cr_assert_str_eq(shown(c, t), "");
    cr_assert_eq(chat_messages(c), 0);
    chat_close(&c);
    tokenizer_close(&t);
}

Test(chat, v3_moves_the_system_prompt) {
    struct tokenizer *t = open_toy(false, true);
    struct chat *c = open_chat(t, CHAT_V3);
    add_system(c, "S");
    add_user(c, "a");
    cr_assert_str_eq(shown(c, t), "{<s>}{[INST]} S\n\na{[/INST]}");
    add_answer(c, "b", 2);
    cr_assert_str_eq(shown(c, t), "{<s>}{[INST]} S\n\na{[/INST]}b{</s>}");
    add_user(c, "c");
    cr_assert_str_eq(shown(c, t), "{<s>}{[INST]} a{[/INST]}b{</s>}{[INST]} S\n\nc{[/INST]}");
    chat_pop(c);
    cr_assert_str_eq(shown(c, t), "{<s>}{[INST]} S\n\na{[/INST]}b{</s>}");
    chat_close(&c);
    tokenizer_close(&t);
}

Test(chat, chatml_with_its_pieces) {
    struct tokenizer *t = open_toy(true, false);
    struct chat *c = open_chat(t, CHAT_CHATML);
    add_system(c, "S");
    add_user(c, "a");
    cr_assert_str_eq(shown(c, t), "{<s>}{<|im_start|>} system\nS{<|im_end|>} \n{<|im_start|>} "
                                  "user\na{<|im_end|>} \n{<|im_start|>} assistant\n");
    cr_assert_null(chat_end_text(c));
    cr_assert(chat_is_end(c, 260));
    cr_assert(chat_is_end(c, 2));
    cr_assert(!chat_is_end(c, 259));
    chat_clear(c);
    add_system(c, "");
    add_user(c, "a");
    add_answer(c, "b", 260);
    add_user(c, "c");
    add_answer(c, "d", 0);
    cr_assert_str_eq(
        shown(c, t),
        "{<s>}{<|im_start|>} user\na{<|im_end|>} \n{<|im_start|>} assistant\nb{<|im_end|>} "
        "\n{<|im_start|>} user\nc{<|im_end|>} \n{<|im_start|>} assistant\nd{<|im_end|>}");
    chat_close(&c);
    tokenizer_close(&t);
}

Test(chat, chatml_as_plain_text) {
    struct tokenizer *t = open_toy(false, false);
    struct chat *c = open_chat(t, CHAT_CHATML);
    cr_assert_str_eq(chat_end_text(c), "<|im_end|>");
    add_user(c, "a");
    cr_assert_str_eq(shown(c, t), "{<s>} <|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n");
    add_answer(c, "b", 0);
    add_user(c, "c"); /* the text goes on behind the answer, without a dummy prefix */
    cr_assert_str_eq(shown(c, t),
                     "{<s>} <|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"
                     "<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n");
    chat_close(&c);
    tokenizer_close(&t);
}

/* What a record of another program, or a damaged one, may tell. */
Test(chat, events_that_make_no_sense) {
    struct tokenizer *t = open_toy(false, false);
    struct chat *c = open_chat(t, CHAT_V1);
    static const uint8_t beyond[4] = {0xff, 0xff, 0xff}, drop[9] = {2};
    static const struct {
        uint32_t event;
        const uint8_t *data;
        size_t len;
    } bad[] = {{CHAT_EV_DROP, drop, 8},  {CHAT_EV_DROP, drop, 7},   {CHAT_EV_DROP, drop, 9},
               {CHAT_EV_TEXT, drop, 1},  {CHAT_EV_ANSWER, drop, 4}, {CHAT_EV_COUNT, drop, 0},
               {CHAT_EV_USER, beyond, 1}};
    cr_assert_eq(chat_apply(c, CHAT_EV_POP, NULL, 0, 100, NULL), BISE_ERR_FORMAT);
    add_user(c, "a");
    cr_assert_eq(chat_apply(c, CHAT_EV_USER, drop, 1, 100, NULL), BISE_ERR_FORMAT);
    cr_assert_eq(chat_apply(c, CHAT_EV_ANSWER, beyond, 4, 100, NULL), BISE_ERR_FORMAT);
    cr_assert_eq(chat_apply(c, CHAT_EV_ANSWER, drop, 3, 100, NULL), BISE_ERR_FORMAT);
    cr_assert_eq(chat_apply(c, CHAT_EV_ANSWER, drop, 4, 100, NULL), BISE_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_neq(chat_apply(c, bad[i].event, bad[i].data, bad[i].len, 100, NULL), BISE_OK,
                      "%zu", i);
    cr_assert_eq(chat_messages(c), 2);
    cr_assert_eq(chat_dropped(c), 0);
    add_user(c, "b");
    cr_assert_eq(chat_apply(c, CHAT_EV_DROP, drop, 8, 100, NULL), BISE_OK);
    chat_close(&c);
    tokenizer_close(&t);
}

Test(chat, zephyr) {
    struct tokenizer *t = open_toy(false, false);
    struct chat *c = open_chat(t, CHAT_ZEPHYR);
    add_system(c, "S");
    add_user(c, "a");
    add_answer(c, "b", 2);
    add_user(c, "c");
    cr_assert_str_eq(shown(c, t), "{<s>} <|system|>\nS{</s>} \n<|user|>\na{</s>} \n<|assistant|>\n"
                                  "b{</s>} \n<|user|>\nc{</s>} \n<|assistant|>\n");
    chat_close(&c);
    tokenizer_close(&t);
}

Test(chat, llama2) {
    struct tokenizer *t = open_toy(false, false);
    struct chat *c = open_chat(t, CHAT_LLAMA2);
    add_system(c, "S");
    add_user(c, "a");
    add_answer(c, "b", 2);
    add_user(c, "c");
    cr_assert_str_eq(shown(c, t), "{<s>} [INST] <<SYS>>\nS\n<</SYS>>\n\na [/INST]b{</s>}"
                                  "{<s>} [INST] c [/INST]");
    chat_close(&c);
    tokenizer_close(&t);
}

static void add_text(struct chat *c, const char *text) {
    cr_assert_eq(chat_add(c, CHAT_ASSISTANT, text, strlen(text), NULL), BISE_OK);
}

/* Answers known as text only: as the templates have them. */
Test(chat, answers_that_are_text) {
    struct tokenizer *t = open_toy(false, false);
    struct chat *c = open_chat(t, CHAT_LLAMA2);
    add_user(c, "a");
    add_text(c, "b");
    cr_assert_str_eq(shown(c, t),
                     "{<s>} [INST] a [/INST] b {</s>}"); /* Meta's blank before the end */
    chat_close(&c);
    c = open_chat(t, CHAT_ZEPHYR);
    add_user(c, "a");
    add_text(c, "b");
    add_user(c, "c");
    cr_assert_str_eq(shown(c, t), "{<s>} <|user|>\na{</s>} \n<|assistant|>\nb{</s>} \n<|user|>\n"
                                  "c{</s>} \n<|assistant|>\n");
    chat_close(&c);
    tokenizer_close(&t);
}

Test(chat, none_is_one_text) {
    struct tokenizer *t = open_toy(false, false);
    struct chat *c = open_chat(t, CHAT_NONE);
    add_user(c, "Once");
    add_answer(c, " upon", 0);
    add_user(c, "So");
    cr_assert_str_eq(shown(c, t), "{<s>} Once upon\nSo");
    add_answer(c, ".", 2);
    add_user(c, "New");
    cr_assert_str_eq(shown(c, t), "{<s>} Once upon\nSo.{</s>} \nNew");
    chat_close(&c);
    tokenizer_close(&t);
}

Test(chat, many_turns_extend_what_is_there) {
    struct tokenizer *t = open_toy(false, true);
    for (int system = 0; system < 2; system++) {
        struct chat *c = open_chat(t, CHAT_V1), *all = open_chat(t, CHAT_V1);
        if (system) {
            add_system(c, "S");
            add_system(all, "S");
        }
        const int32_t *ids, *want;
        size_t n, n_want;
        for (int i = 0; i < 300; i++) {
            add_user(c, "hello");
            cr_assert_eq(chat_ids(c, &ids, &n, NULL), BISE_OK);
            add_answer(c, "hi", 2);
            add_user(all, "hello");
            add_answer(all, "hi", 2);
        }
        cr_assert_eq(chat_ids(c, &ids, &n, NULL), BISE_OK);
        cr_assert_eq(chat_ids(all, &want, &n_want, NULL), BISE_OK);
        cr_assert_eq(n, n_want);
        cr_assert_arr_eq(ids, want, n * sizeof *ids);
        chat_close(&c);
        chat_close(&all);
    }
    tokenizer_close(&t);
}

Test(chat, refusals) {
    struct tokenizer *t = open_toy(false, false);
    struct chat *c = NULL;
    struct bise_error err = {0};
    cr_assert_eq(chat_open(&c, t, CHAT_V3, 1, NULL, 0, &err), BISE_ERR_UNSUPPORTED);
    cr_assert_not_null(strstr(err.detail, "[INST]"));
    cr_assert_null(c);
    cr_assert_eq(chat_open(&c, t, CHAT_UNKNOWN, 1, NULL, 0, &err), BISE_ERR_ARG);
    c = open_chat(t, CHAT_V1);
    cr_assert_eq(chat_add(c, CHAT_ASSISTANT, "a", 1, &err), BISE_ERR_ARG);
    cr_assert_eq(chat_add(c, CHAT_USER, "a\xff", 2, &err), BISE_ERR_ARG);
    cr_assert_not_null(strstr(err.detail, "offset 1"));
    cr_assert_eq(chat_set_system(c, "\x80", 1, &err), BISE_ERR_ARG);
    cr_assert_eq(chat_messages(c), 0);
    add_user(c, "a");
    cr_assert_eq(chat_add(c, CHAT_USER, "b", 1, &err), BISE_ERR_ARG);
    cr_assert_eq(chat_messages(c), 1);
    chat_close(&c);
    chat_close(&c);
    chat_close(NULL);
    tokenizer_close(&t);
}
