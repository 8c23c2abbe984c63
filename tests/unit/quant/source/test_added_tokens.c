/* added_tokens.json: what is appended to a tokenizer, and what is refused. */
#include "quant/source/added_tokens.h"
#include "src/text/tokenizer_impl.h"
#include "tests/unit/toy_tokenizer.h"

/* A tokenizer of 263 pieces, and a model's vocabulary of 270. */
enum { N_PIECES = 263, VOCAB = 270 };

static uint8_t *model;
static size_t model_len;
static struct tokenizer *tokenizer;
static struct added_tokens added;
static struct bise_error err;

static void setup(void) {
    static struct toy m;
    toy_begin(&m, true);
    toy_piece(&m, "<", -1, PIECE_NORMAL); /* 259 */
    toy_piece(&m, "x", -1, PIECE_NORMAL); /* 260 */
    toy_piece(&m, "<x", 0, PIECE_NORMAL); /* 261 */
    toy_piece(&m, ">", -1, PIECE_NORMAL); /* 262 */
    toy_end(&m, true, false);
    model = malloc(m.len);
    cr_assert(model);
    memcpy(model, m.bytes, m.len);
    model_len = m.len;
    tokenizer = toy_open(&m);
    cr_assert_eq(tokenizer_size(tokenizer), (size_t)N_PIECES);
}

static void teardown(void) {
    tokenizer_close(&tokenizer);
    free(model);
}

TestSuite(added_tokens, .init = setup, .fini = teardown);

static char note[1024];

/* The tokens of a file of one kind join the model. */
static enum bise_status append_kind(enum added_kind kind, const char *json, size_t len) {
    struct added_list l = {0};
    struct proto pieces = {0}, rules = {0};
    struct json *j = NULL;
    struct note notes = {.text = note, .cap = sizeof note};
    note[0] = 0;
    added = (struct added_tokens){0};
    enum bise_status s = json_parse(&j, json, len, "added.json", &err);
    if (!s)
        s = added_read(&l, kind, json_root(j), "added.json", &err);
    if (!s)
        s = added_put(&l, tokenizer, VOCAB, &pieces, &rules, &added, &notes, &err);
    if (!s && rules.n)
        proto_rules(&pieces, RULE_SPACES_EARLY, NULL, &rules);
    if (!s && pieces.n) {
        model = realloc(model, model_len + pieces.n);
        memcpy(model + model_len, pieces.at, pieces.n);
        model_len += pieces.n;
    }
    proto_free(&pieces);
    proto_free(&rules);
    free(l.tokens);
    json_close(&j);
    return s;
}

static enum bise_status append(const char *json, size_t len) {
    return append_kind(ADDED_BY_TOKEN, json, len);
}

/* Appends, and opens the tokenizer again. */
static void add(const char *json) {
    cr_assert_eq(append(json, strlen(json)), BISE_OK, "%s: %s", json, err.detail);
    tokenizer_close(&tokenizer);
    cr_assert_eq(tokenizer_open(&tokenizer, model, model_len, "longer", &err), BISE_OK, "%s",
                 err.detail);
    cr_assert_eq(tokenizer_size(tokenizer), added.end);
}

static void refuse(const char *json, size_t len, const char *message) {
    const size_t before = model_len;
    uint8_t *copy = malloc(before);
    cr_assert(copy);
    memcpy(copy, model, before);
    cr_assert_eq(append(json, len), BISE_ERR_FORMAT, "%.200s", json);
    cr_assert(strstr(err.detail, message), "%s", err.detail);
    cr_assert(strstr(err.detail, "added.json"), "%s", err.detail);
    cr_assert_eq(model_len, before);
    cr_assert_eq(memcmp(copy, model, before), 0);
    free(copy);
}

static void is_piece(int32_t id, const char *text, enum piece_kind kind) {
    cr_assert_eq(tokenizer_find(tokenizer, text, strlen(text)), id, "%s", text);
    cr_assert_str_eq(tokenizer_piece_raw(tokenizer, id), text);
    cr_assert_eq(tokenizer_kind(tokenizer, id), kind, "%s", text);
}

Test(added_tokens, become_control_pieces_in_the_order_of_their_ids) {
    add("{\"<|im_start|>\": 264, \"<x>\": 263}");
    cr_assert_eq(added.n_control, 2u);
    cr_assert_eq(added.n_unused, 0u);
    is_piece(263, "<x>", PIECE_CONTROL);
    is_piece(264, "<|im_start|>", PIECE_CONTROL);
    is_piece(1, "<s>", PIECE_CONTROL); /* those before stay */
    is_piece(262, ">", PIECE_NORMAL);
    cr_assert_eq(tokenizer_bos(tokenizer), 1);
    cr_assert_eq(tokenizer_eos(tokenizer), 2);
    size_t len;
    tokenizer_piece(tokenizer, 263, &len);
    cr_assert_eq(len, 0u);
}

Test(added_tokens, are_never_matched_in_text) {
    const char *text = "<x><|im_start|>";
    char before[4096];
    snprintf(before, sizeof before, "%s", toy_encode(tokenizer, text));
    cr_assert_eq(strncmp(before, "261 262 259 ", 12), 0, "%s", before);
    add("{\"<x>\": 263, \"<|im_start|>\": 266}"); /* with unused pieces between */
    cr_assert_str_eq(toy_encode(tokenizer, text), before);
    cr_assert_str_eq(toy_encode(tokenizer, "<unused_264>") + 4, /* behind "259 " */
                     "120 113 120 118 104 103 98 53 57 55 262");
}

Test(added_tokens, gaps_are_filled_with_unused_pieces) {
    add("{\"b\": 268, \"a\": 265}");
    cr_assert_eq(added.n_control, 2u);
    cr_assert_eq(added.n_unused, 4u);
    cr_assert_eq(added.end, 269u);
    is_piece(263, "<unused_263>", PIECE_UNUSED);
    is_piece(264, "<unused_264>", PIECE_UNUSED);
    is_piece(265, "a", PIECE_CONTROL);
    is_piece(267, "<unused_267>", PIECE_UNUSED);
    is_piece(268, "b", PIECE_CONTROL);
}

Test(added_tokens, the_tokenizers_own_are_left_as_they_are) {
    const size_t before = model_len;
    add("{}");
    add("{\"<unk>\": 0, \"<s>\": 1, \"</s>\": 2, \"<x\": 261}");
    cr_assert_eq(added.n_control, 0u);
    cr_assert_eq(added.end, (uint32_t)N_PIECES);
    cr_assert_eq(model_len, before);
    add("{\"</s>\": 2, \"<pad>\": 263, \"<pad>\": 263}");
    cr_assert_eq(added.n_control, 1u);
    add("{\"<pad>\": 263}"); /* once more: it is there */
    cr_assert_eq(added.n_control, 0u);
}

Test(added_tokens, texts_of_every_length) {
    static const size_t lens[] = {1, 122, 123, 124, 125, 126, 127, 128, 129, 1023, 1024};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        char text[1025], json[1100];
        memset(text, 'y', lens[i]);
        text[lens[i]] = 0;
        snprintf(json, sizeof json, "{\"%s\": 263}", text);
        add(json);
        is_piece(263, text, PIECE_CONTROL);
        teardown();
        setup();
    }
    add("{\"\\u2581a b\\n\\ud83d\\ude00\": 263}");
    is_piece(263, SPACE_MARK "a b\n\xf0\x9f\x98\x80", PIECE_CONTROL);
}

Test(added_tokens, padding_beyond_the_vocabulary_is_left_out) {
    static const char *const pads[] = {"[PAD]", "<pad>", "<|pad|>", "PAD"};
    for (size_t i = 0; i < sizeof pads / sizeof *pads; i++) {
        char json[64];
        const size_t before = model_len;
        snprintf(json, sizeof json, "{\"%s\": %d}", pads[i], VOCAB);
        add(json);
        cr_assert_eq(added.n_ignored, 1);
        cr_assert_eq(added.n_control, 0);
        cr_assert_eq(model_len, before);
    }
    add("{\"[PAD]\": 270, \"<|im_end|>\": 263}");
    cr_assert(added.n_ignored == 1 && added.n_control == 1);
    is_piece(263, "<|im_end|>", PIECE_CONTROL);
    add("{\"[PAD]\": 264}"); /* within it is a token like others */
    cr_assert(added.n_ignored == 0 && added.n_control == 1);
    cr_assert_str_eq(note, "");
    refuse("{\"pad\\u0000\": 270}", 18, "found 4");
}

/* Others are left out too, but that is said. */
Test(added_tokens, ids_that_cannot_occur_are_left_out) {
    static const char *const cases[] = {"{\"[PADS]\": 270}",
                                        "{\"pa\": 270}",
                                        "{\"b\": -1}",
                                        "{\"a\": 4294967559}",
                                        "{\"a\": 9223372036854775807}",
                                        "{\"a\": -9223372036854775808}"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t before = model_len;
        add(cases[i]);
        cr_assert(added.n_ignored == 1 && added.n_control == 0 && model_len == before);
        cr_assert(strstr(note, "warning: added.json: token \"") &&
                      strstr(note, "is no id below the vocabulary's 270: it is left out"),
                  "%s", note);
    }
    add("{\"\\u001b[2J\": 900}");
    cr_assert(strstr(note, "token \"\\u001b[2J\""), "%s", note); /* no escapes to terminals */
}

/* tokenizer_config.json's and tokenizer.json's say which are special; the others are matched in
 * text. */
Test(added_tokens, that_are_not_special) {
    static const char by_id[] =
        "{\"2\": {\"content\": \"</s>\", \"special\": true},"
        "\"264\": {\"content\": \"<x>\", \"special\": false, \"lstrip\": true,"
        "\"normalized\": false},"
        "\"263\": {\"content\": \"<|im_end|>\", \"special\": true}}";
    cr_assert_eq(append_kind(ADDED_BY_ID, by_id, sizeof by_id - 1), BISE_OK, "%s", err.detail);
    cr_assert(added.n_control == 1 && added.n_matched == 1 && added.end == 265);
    tokenizer_close(&tokenizer);
    cr_assert_eq(tokenizer_open(&tokenizer, model, model_len, "longer", &err), BISE_OK, "%s",
                 err.detail);
    is_piece(263, "<|im_end|>", PIECE_CONTROL);
    is_piece(264, "<x>", PIECE_USER_DEFINED);
    cr_assert(tokenizer_has_rules(tokenizer));
    cr_assert_str_eq(toy_encode(tokenizer, "x  <x>x"), "260 264 260"); /* lstrip takes the spaces */
    static const char list[] = "[{\"id\": 265, \"content\": \"<y>\", \"special\": true}]";
    cr_assert_eq(append_kind(ADDED_LIST, list, sizeof list - 1), BISE_OK, "%s", err.detail);
    cr_assert_eq(added.n_control, 1);
}

Test(added_tokens, objects_that_are_wrong) {
    static const struct {
        enum added_kind kind;
        const char *json, *message;
    } cases[] = {
        {ADDED_BY_ID, "[]", "expected an object of tokens by id, found an array"},
        {ADDED_BY_ID, "{\"a\": {\"content\": \"x\"}}", "expected a token's id, found \"a\""},
        {ADDED_BY_ID, "{\"263\": {\"content\": 7}}", "token 263: expected its content"},
        {ADDED_BY_ID, "{\"263\": \"x\"}", "token 263: expected its content, found a string"},
        {ADDED_LIST, "{}", "expected a list of tokens, found an object"},
        {ADDED_LIST, "[{\"content\": \"x\"}]", "token \"x\": expected a whole number"},
        {ADDED_LIST, "[7]", "expected a whole number, found nothing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(append_kind(cases[i].kind, cases[i].json, strlen(cases[i].json)),
                     BISE_ERR_FORMAT, "%s", cases[i].json);
        cr_assert(strstr(err.detail, cases[i].message), "%s", err.detail);
    }
}

Test(added_tokens, contradictions_are_refused) {
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"{\"</s>\": 263}", "token \"</s>\": expected id 2 as in the tokenizer, found 263"},
        {"{\"<x\": 1}", "token \"<x\": expected id 261 as in the tokenizer, found 1"},
        {"{\"<pad>\": 2}",
         "token \"<pad>\": expected an id from 263 on, found 2, the tokenizer's \"</s>\""},
        {"{\"a\": 263, \"a\": 264}", "token \"a\" is there twice: expected id 26"},
        {"{\"a\": 264, \"b\": 263, \"c\": 264}", "expected an id of its own, found 264, that of"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse(cases[i].json, strlen(cases[i].json), cases[i].message);
}

/* A few bytes of JSON cannot ask for millions of pieces. */
Test(added_tokens, ids_far_beyond_the_tokenizer) {
    static const char json[] = "{\"a\": 65799}"; /* 263 and 65536 more */
    struct added_list l = {0};
    struct proto pieces = {0}, rules = {0};
    struct json *j = NULL;
    cr_assert_eq(json_parse(&j, json, sizeof json - 1, "a.json", &err), BISE_OK);
    cr_assert_eq(added_read(&l, ADDED_BY_TOKEN, json_root(j), "a.json", &err), BISE_OK);
    cr_assert_eq(added_put(&l, tokenizer, 1 << 22, &pieces, &rules, &added, NULL, &err),
                 BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "expected an id of the 65536 behind the tokenizer's 263 pieces"));
    free(l.tokens);
    json_close(&j);
}

Test(added_tokens, hostile_json_is_refused) {
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"", "byte 0"},
        {"[\"a\"]", "expected an object of ids by token, found an array"},
        {"\"a\"", "found a string"},
        {"{\"a\": 263", "byte"},
        {"{\"a\": \"263\"}", "token \"a\": expected a whole number, found a string"},
        {"{\"a\": {\"id\": 263}}", "expected a whole number, found an object"},
        {"{\"a\": 263.5}", "expected a whole number, found another number"},
        {"{\"a\": 1e400}", "byte"},
        {"{\"\": 263}", "expected 1 to 1024 bytes, none of them zero, found 0"},
        {"{\"a\\u0000b\": 263}", "expected 1 to 1024 bytes, none of them zero, found 3"},
        {"{\"\\ud83d\": 263}", "byte"},
        {"{\"\xff\": 263}", "invalid UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse(cases[i].json, strlen(cases[i].json), cases[i].message);
    static char json[1 << 16];
    memset(json, '[', sizeof json);
    refuse(json, sizeof json, "nested deeper");
    memset(json, 'y', sizeof json);
    memcpy(json, "{\"", 2);
    memcpy(json + 1027, "\":263}", 6); /* a token of 1025 bytes */
    refuse(json, 1033, "none of them zero, found 1025");
}
