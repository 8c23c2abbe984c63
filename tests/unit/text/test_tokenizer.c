/* The tokenizer on models made here: rules of merging, and files that are not what they should be.
 * Expected ids are those SentencePiece 0.1.97 gives for the same models. tests/golden compares
 * whole vocabularies. */
#include "tests/unit/toy_tokenizer.h"

#include "src/text/tokenizer_impl.h"

/* Ids 0..2 as in toy_begin, then these. */
static struct tokenizer *open_pieces(const char *const *pieces, size_t n, bool prefix) {
    static struct toy m;
    toy_begin(&m, false);
    for (size_t i = 0; i < n; i++)
        toy_piece(&m, pieces[i], -(float)i, PIECE_NORMAL);
    toy_end(&m, false, prefix);
    return toy_open(&m);
}

Test(tokenizer, merges_the_best_score_first_and_the_leftmost_of_equals) {
    static const char *const pieces[] = {"ab", "bc", "a", "b", "c", "abc"}; /* 3.. */
    struct tokenizer *t = open_pieces(pieces, 6, false);
    cr_assert_str_eq(toy_encode(t, "abc"), "8"); /* ab, then abc */
    cr_assert_str_eq(toy_encode(t, "bcab"), "4 3");
    cr_assert_str_eq(toy_encode(t, "aabcc"), "5 8 7");
    tokenizer_close(&t);
    cr_assert_null(t);
    static struct toy m;
    toy_begin(&m, false);
    toy_piece(&m, "a", -9, PIECE_NORMAL);
    toy_piece(&m, "aa", -1, PIECE_NORMAL);
    toy_end(&m, false, false);
    t = toy_open(&m);
    cr_assert_str_eq(toy_encode(t, "aaaaa"), "4 4 3");
    tokenizer_close(&t);
}

Test(tokenizer, prefix_and_spaces) {
    static const char *const pieces[] = {SPACE_MARK, SPACE_MARK "a", "a", SPACE_MARK SPACE_MARK};
    struct tokenizer *t = open_pieces(pieces, 4, true);
    cr_assert_eq(tokenizer_prefix(t), PREFIX_ALWAYS);
    cr_assert_str_eq(toy_encode(t, ""), "");
    cr_assert_str_eq(toy_encode(t, "a"), "4");
    cr_assert_str_eq(toy_encode(t, " a"), "3 4");
    cr_assert_str_eq(toy_encode(t, "a  a"), "4 3 4");
    cr_assert_str_eq(toy_encode(t, "   "), "6 6");
    int32_t ids[8];
    size_t n;
    cr_assert_eq(tokenizer_encode(t, "a", 1, false, ids, 8, &n, NULL), BISE_OK);
    cr_assert_eq(n, 1);
    cr_assert_eq(ids[0], 5);
    tokenizer_close(&t);
}

Test(tokenizer, unknown_characters) {
    static const char *const pieces[] = {"a", "b"};
    struct tokenizer *t = open_pieces(pieces, 2, false);
    cr_assert_str_eq(toy_encode(t, "axyzb\xe6\x97\xa5"), "3 0 4 0"); /* a run is one unknown */
    tokenizer_close(&t);
    static struct toy m;
    toy_begin(&m, true);
    toy_piece(&m, "a", 0, PIECE_NORMAL);
    toy_end(&m, true, false);
    t = toy_open(&m);
    cr_assert_str_eq(toy_encode(t, "a\xe6\x97\xa5x"), "259 233 154 168 123");
    cr_assert_str_eq(toy_encode(t, "<0x41>"), "63 51 123 55 52 65"); /* a name is not the byte */
    tokenizer_close(&t);
}

Test(tokenizer, control_pieces_are_never_matched) {
    static struct toy m;
    toy_begin(&m, true);
    toy_piece(&m, "<", -1, PIECE_NORMAL); /* 259 */
    toy_piece(&m, "s", -1, PIECE_NORMAL); /* 260 */
    toy_piece(&m, "<s", 0, PIECE_NORMAL); /* 261 */
    toy_piece(&m, ">", -1, PIECE_NORMAL); /* 262 */
    toy_end(&m, true, false);
    struct tokenizer *t = toy_open(&m);
    cr_assert_str_eq(toy_encode(t, "<s></s>"), "261 262 259 50 260 262");
    cr_assert_eq(tokenizer_bos(t), 1);
    cr_assert_eq(tokenizer_eos(t), 2);
    cr_assert_eq(tokenizer_find(t, "<s>", 3), 1);
    cr_assert_eq(tokenizer_find(t, "<s", 2), 261);
    cr_assert_eq(tokenizer_find(t, "<0x41>", 6), 3 + 0x41);
    cr_assert_eq(tokenizer_find(t, "nothing", 7), -1);
    tokenizer_close(&t);
}

Test(tokenizer, user_defined_pieces_come_first_the_longest_of_them) {
    static struct toy m;
    toy_begin(&m, false);
    toy_piece(&m, "a", -3, PIECE_NORMAL);         /* 3 */
    toy_piece(&m, "b", -3, PIECE_NORMAL);         /* 4 */
    toy_piece(&m, "ab", -1, PIECE_NORMAL);        /* 5 */
    toy_piece(&m, "ba", 0, PIECE_USER_DEFINED);   /* 6 */
    toy_piece(&m, "baab", 0, PIECE_USER_DEFINED); /* 7 */
    toy_piece(&m, "bb", 0, PIECE_USER_DEFINED);   /* 8 */
    toy_piece(&m, "aab", 5, PIECE_NORMAL);        /* 9 */
    toy_end(&m, false, false);
    struct tokenizer *t = toy_open(&m);
    cr_assert_str_eq(toy_encode(t, "ba"), "6");
    cr_assert_str_eq(toy_encode(t, "aba"), "3 6"); /* though ab could have been merged */
    cr_assert_str_eq(toy_encode(t, "baab"), "7");
    cr_assert_str_eq(toy_encode(t, "baaab"), "6 9"); /* merges go on beside it */
    cr_assert_str_eq(toy_encode(t, "baaba"), "7 3");
    cr_assert_str_eq(toy_encode(t, "bbb"), "8 4");
    tokenizer_close(&t);
}

Test(tokenizer, unused_pieces_are_steps_of_merging_only) {
    static struct toy m;
    toy_begin(&m, false);
    toy_piece(&m, "a", -5, PIECE_NORMAL);   /* 3 */
    toy_piece(&m, "b", -5, PIECE_NORMAL);   /* 4 */
    toy_piece(&m, "c", -5, PIECE_UNUSED);   /* 5 */
    toy_piece(&m, "ab", -1, PIECE_UNUSED);  /* 6 */
    toy_piece(&m, "abc", -2, PIECE_NORMAL); /* 7 */
    toy_piece(&m, "abab", -3, PIECE_UNUSED);
    toy_end(&m, false, false);
    struct tokenizer *t = toy_open(&m);
    cr_assert_str_eq(toy_encode(t, "abc"), "7");
    cr_assert_str_eq(toy_encode(t, "ab"), "3 4");
    cr_assert_str_eq(toy_encode(t, "abab"), "3 4 3 4");
    cr_assert_str_eq(toy_encode(t, "c"), "5"); /* nothing to take it apart into */
    tokenizer_close(&t);
}

Test(tokenizer, decoded_pieces) {
    static struct toy m;
    toy_begin(&m, true);
    toy_piece(&m, SPACE_MARK "a" SPACE_MARK SPACE_MARK "b", 0, PIECE_NORMAL);
    toy_piece(&m, "[U]", 0, PIECE_USER_DEFINED);
    toy_end(&m, true, true);
    struct tokenizer *t = toy_open(&m);
    const struct {
        int32_t id;
        const char *text;
    } want[] = {{0, " \xe2\x81\x87 "}, {1, ""},   {2, ""},        {3 + 'A', "A"},
                {3 + 0xff, "\xff"},    {3, "\0"}, {259, " a  b"}, {260, "[U]"}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        size_t len, expected = want[i].id == 3 ? 1 : strlen(want[i].text);
        const char *p = tokenizer_piece(t, want[i].id, &len);
        cr_assert_eq(len, expected, "id %d", want[i].id);
        cr_assert_arr_eq(p, want[i].text, len);
    }
    size_t len = 7;
    cr_assert_null(tokenizer_piece(t, -1, &len));
    cr_assert_null(tokenizer_piece(t, 261, &len));
    cr_assert_eq(len, 0);
    cr_assert_eq(tokenizer_size(t), 261u);
    cr_assert_str_eq(tokenizer_piece_raw(t, 259), SPACE_MARK "a" SPACE_MARK SPACE_MARK "b");
    tokenizer_close(&t);
}

Test(tokenizer, invalid_text_and_little_room) {
    static const char *const pieces[] = {"a"};
    struct tokenizer *t = open_pieces(pieces, 1, false);
    struct bise_error err = {0};
    int32_t ids[4] = {-1, -1, -1, -1};
    size_t n = 9;
    cr_assert_eq(tokenizer_encode(t,
                                  "aa\xff"
                                  "a",
                                  4, true, ids, 4, &n, &err),
                 BISE_ERR_ARG);
    cr_assert_not_null(strstr(err.detail, "0xff at offset 2"), "%s", err.detail);
    cr_assert_eq(n, 0);
    cr_assert_eq(tokenizer_encode(t, "aaaaaa", 6, true, ids, 2, &n, &err), BISE_OK);
    cr_assert_eq(n, 6);
    cr_assert_eq(ids[1], 3);
    cr_assert_eq(ids[2], -1);
    cr_assert_eq(tokenizer_encode(t, "a\0a", 3, true, ids, 4, &n, &err), BISE_OK);
    cr_assert_eq(n, 3); /* a NUL is a character like others */
    tokenizer_close(&t);
}

Test(tokenizer, long_texts_are_not_quadratic, .timeout = 60) {
    static const char *const pieces[] = {"a", "aa", "aaaa", "aaaaaaaa"};
    struct tokenizer *t = open_pieces(pieces, 4, false);
    enum { LEN = 1 << 20 };
    char *text = malloc(LEN);
    int32_t *ids = malloc(LEN * sizeof *ids);
    cr_assert(text && ids);
    memset(text, 'a', LEN);
    size_t n;
    cr_assert_eq(tokenizer_encode(t, text, LEN, true, ids, LEN, &n, NULL), BISE_OK);
    cr_assert_eq(n, LEN / 8u);
    cr_assert_eq(ids[n - 1], 6);
    free(text);
    free(ids);
    tokenizer_close(&t);
}

static void expect_refused(const struct toy *m, enum bise_status status, const char *detail) {
    struct tokenizer *t = NULL;
    struct bise_error err = {0};
    cr_assert_eq(tokenizer_open(&t, m->bytes, m->len, "a.model", &err), status, "%s: %s", detail,
                 err.detail);
    cr_assert_null(t);
    cr_assert_not_null(strstr(err.detail, "a.model"), "%s", err.detail);
    cr_assert_not_null(strstr(err.detail, detail), "%s", err.detail);
}

Test(tokenizer, settings_outside_the_family) {
    const struct {
        unsigned spec, field;
        uint64_t value; /* 99: bytes */
        const char *detail;
    } cases[] = {
        {2, 3, 1, "unigram"},   {2, 3, 4, "model_type"},  {2, 24, 1, "suffix"},
        {3, 2, 99, "charsmap"}, {3, 4, 1, "extra_white"}, {3, 5, 0, "escape"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct toy m, spec;
        toy_begin(&m, false);
        toy_end(&m, false, true);
        spec.len = 0; /* a second message of the same field is merged into the first */
        if (cases[i].value == 99)
            toy_bytes(&spec, cases[i].field, "map", 3);
        else
            toy_int(&spec, cases[i].field, cases[i].value);
        toy_bytes(&m, cases[i].spec, spec.bytes, spec.len);
        expect_refused(&m, BISE_ERR_UNSUPPORTED, cases[i].detail);
    }
}

Test(tokenizer, faults_in_pieces) {
    const float not_a_number = (float)(0.0 / 0.0);
    const struct {
        const char *text;
        float score;
        enum piece_kind kind;
        const char *detail;
    } cases[] = {
        {"", 0, PIECE_NORMAL, "piece 3 is empty"},
        {"\xff", 0, PIECE_NORMAL, "piece 3 is not valid UTF-8"},
        {"a", 0, (enum piece_kind)7, "piece 3 is of an unknown type"},
        {"a", 0, (enum piece_kind)0, "piece 3 is of an unknown type"},
        {"a", not_a_number, PIECE_NORMAL, "piece 3 has a score that is not a number"},
        {"<s>", 0, PIECE_CONTROL, "piece 3 (\"<s>\") is there twice"},
        {"<unk2>", 0, PIECE_UNKNOWN, "one unknown piece"},
        {"<0x4g>", 0, PIECE_BYTE, "byte piece 3"},
        {"<0x41", 0, PIECE_BYTE, "byte piece 3"},
    };
    static struct toy m;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        toy_begin(&m, false);
        toy_piece(&m, cases[i].text, cases[i].score, cases[i].kind);
        toy_end(&m, false, true);
        expect_refused(&m, BISE_ERR_FORMAT, cases[i].detail);
    }
    static char longest[MAX_PIECE_BYTES + 2];
    memset(longest, 'x', MAX_PIECE_BYTES + 1);
    toy_begin(&m, false);
    toy_piece(&m, longest, 0, PIECE_NORMAL);
    toy_end(&m, false, true);
    expect_refused(&m, BISE_ERR_FORMAT, "longer than 1024");
    m.len = 0;
    toy_piece(&m, "a", 0, PIECE_NORMAL);
    toy_end(&m, false, true);
    expect_refused(&m, BISE_ERR_FORMAT, "no unknown piece");
    m.len = 0;
    toy_end(&m, false, true);
    expect_refused(&m, BISE_ERR_FORMAT, "no pieces");
    toy_begin(&m, false);
    toy_end(&m, true, true);
    expect_refused(&m, BISE_ERR_FORMAT, "<0x00> is missing");
}

Test(tokenizer, cut_at_every_byte) {
    static struct toy m;
    toy_begin(&m, true);
    toy_piece(&m, "abc", -1, PIECE_NORMAL);
    toy_end(&m, true, true);
    for (size_t len = 0; len < m.len; len++) {
        /* Exactly len bytes, so that a sanitizer sees a read beyond. */
        uint8_t *cut = malloc(len + 1);
        cr_assert_not_null(cut);
        memcpy(cut + 1, m.bytes, len);
        struct tokenizer *t = NULL;
        struct bise_error err = {0};
        cr_assert_neq(tokenizer_open(&t, cut + 1, len, "cut", &err), BISE_OK, "at %zu", len);
        cr_assert_null(t);
        cr_assert(err.detail[0]);
        free(cut);
    }
}

Test(tokenizer, damaged_wire_format) {
    static const struct {
        uint8_t bytes[16];
        size_t len;
    } cases[] = {
        {{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 11}, /* 2^64 - 1 */
        {{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 11}, /* 65 bits */
        {{0x0b}, 1},                                                              /* a group */
        {{0x00, 0x00}, 2},                                                        /* field 0 */
        {{0x0a, 0x02, 0x0a}, 3}, /* a length beyond the end */
        {{0x0d, 1, 2, 3}, 4},    /* a fixed32 of three bytes */
        {{0x09, 1, 2, 3}, 4},    /* a fixed64 of three bytes */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct toy m;
        m.len = cases[i].len;
        memcpy(m.bytes, cases[i].bytes, m.len);
        expect_refused(&m, BISE_ERR_FORMAT, "protocol buffer");
    }
    static struct toy m;
    toy_begin(&m, false);
    toy_bytes(&m, 1, "\x0a", 1); /* a piece that is cut inside */
    toy_end(&m, false, true);
    expect_refused(&m, BISE_ERR_FORMAT, "a piece is no sound protocol buffer");
}

/* ---- turn marks, and control pieces by name ---- */

/* Whatever type a file gives them, what a user types stays text. */
Test(tokenizer, turn_marks_are_control_pieces) {
    static struct toy m;
    toy_begin(&m, true);
    toy_piece(&m, "<|im_end|>", 0, PIECE_USER_DEFINED); /* 259 */
    toy_piece(&m, "<|user|>", 0, PIECE_NORMAL);         /* 260 */
    toy_piece(&m, "[INST]", 0, PIECE_USER_DEFINED);     /* 261 */
    toy_piece(&m, "<mine>", 0, PIECE_USER_DEFINED);     /* 262 */
    toy_piece(&m, "<||>", 0, PIECE_USER_DEFINED);       /* 263 */
    toy_piece(&m, "[/INST]", 0, PIECE_NORMAL);          /* 264: a vocabulary may have learned it */
    toy_end(&m, true, false);
    struct tokenizer *t = toy_open(&m);
    static const enum piece_kind kinds[] = {PIECE_CONTROL,      PIECE_CONTROL,      PIECE_CONTROL,
                                            PIECE_USER_DEFINED, PIECE_USER_DEFINED, PIECE_NORMAL};
    for (int32_t i = 0; i < 6; i++)
        cr_assert_eq(tokenizer_kind(t, 259 + i), kinds[i], "%d", 259 + i);
    cr_assert_str_eq(toy_encode(t, "<|im_end|>"), "63 127 108 112 98 104 113 103 127 65");
    cr_assert_str_eq(toy_encode(t, "<mine><||>"), "262 263");
    size_t len;
    tokenizer_piece(t, 259, &len);
    cr_assert_eq(len, 0);
    tokenizer_reserve(t, 262); /* an EOS id */
    tokenizer_reserve(t, 264); /* is no user-defined one */
    cr_assert(tokenizer_kind(t, 262) == PIECE_CONTROL && tokenizer_kind(t, 264) == PIECE_NORMAL);
    cr_assert_str_eq(toy_encode(t, "<mine>"), "63 112 108 113 104 65");
    tokenizer_close(&t);
}

static const char *special_of(const struct tokenizer *t, const char *text) {
    static char out[256];
    int32_t ids[64];
    size_t n, at = 0;
    cr_assert_eq(tokenizer_encode_special(t, text, strlen(text), ids, 64, &n, NULL), BISE_OK);
    out[0] = 0;
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, sizeof out - at, i ? " %d" : "%d", ids[i]);
    return out;
}

Test(tokenizer, control_pieces_by_name_where_that_is_asked_for) {
    static const char *const pieces[] = {SPACE_MARK "a", "a", SPACE_MARK, "<", "s", ">", "/"};
    struct tokenizer *t = open_pieces(pieces, 7, true); /* 3.. */
    cr_assert_str_eq(toy_encode(t, "<s>a"), "5 6 7 8 4");
    cr_assert_str_eq(special_of(t, "<s>a</s>"), "1 3 2");
    cr_assert_str_eq(special_of(t, "<s> a</s>"), "1 3 2"); /* the blank is the prefix */
    cr_assert_str_eq(special_of(t, "a<s>a"), "3 1 3");
    cr_assert_str_eq(special_of(t, "</s"), "5 6 9 7");
    cr_assert_str_eq(special_of(t, ""), "");
    tokenizer_close(&t);
}

/* ---- rules of its own ---- */

static void put_word(struct toy *m, uint32_t u) {
    for (int i = 0; i < 4; i++)
        m->bytes[m->len++] = (uint8_t)(u >> 8 * i);
}

/* Bytes 3..258, then U+2581, a, b, U+2581 a, ab: 259..263; merges: U+2581 a, then ab. */
static void begin_ruled(struct toy *m) {
    static const char *const pieces[] = {SPACE_MARK, "a", "b", SPACE_MARK "a", "ab", "<t>"};
    toy_begin(m, true);
    for (size_t i = 0; i < 6; i++)
        toy_piece(m, pieces[i], -(float)i, i == 5 ? PIECE_USER_DEFINED : PIECE_NORMAL);
    toy_end(m, true, true);
}

static void put_rules(struct toy *m, uint32_t flags, const struct toy *merges,
                      const struct toy *tokens) {
    static struct toy rules;
    rules.len = 0;
    toy_int(&rules, RULES_FLAGS, flags);
    if (merges)
        toy_bytes(&rules, RULES_MERGES, merges->bytes, merges->len);
    if (tokens)
        toy_bytes(&rules, RULES_TOKENS, tokens->bytes, tokens->len);
    toy_bytes(m, RULES_FIELD, rules.bytes, rules.len);
}

static struct tokenizer *open_ruled(uint32_t flags, uint32_t token_flags) {
    static struct toy m, merges, tokens;
    static const uint32_t list[] = {259, 260, 262, 260, 261, 263};
    merges.len = tokens.len = 0;
    for (size_t i = 0; i < 6; i++)
        put_word(&merges, list[i]);
    put_word(&tokens, 264);
    put_word(&tokens, token_flags);
    begin_ruled(&m);
    put_rules(&m, flags, &merges, &tokens);
    return toy_open(&m);
}

Test(tokenizer, merges_come_in_the_order_of_their_list) {
    struct tokenizer *t = open_ruled(PREFIX_ALWAYS | RULE_SPACES_EARLY, 0);
    cr_assert(tokenizer_has_rules(t) && tokenizer_prefix(t) == PREFIX_ALWAYS);
    cr_assert_str_eq(toy_encode(t, "ab"), "262 261"); /* the first pair first, not the best score */
    cr_assert_str_eq(toy_encode(t, "bab"), "259 261 263");
    cr_assert_str_eq(toy_encode(t, "a<t>ab"), "262 264 262 261");    /* a prefix behind the token */
    cr_assert_str_eq(toy_encode(t, "c\xc3\xa4"), "259 102 198 167"); /* bytes are never merged */
    tokenizer_close(&t);
}

Test(tokenizer, prefixes_where_the_rules_put_them) {
    static const struct {
        uint32_t flags;
        const char *text, *ids;
    } cases[] = {
        {PREFIX_NEVER | RULE_SPACES_EARLY, "a a", "260 262"},
        {PREFIX_FIRST | RULE_SPACES_EARLY, "a<t>a", "262 264 260"},
        {PREFIX_FIRST | RULE_SPACES_EARLY, "<t>a", "264 260"},
        {PREFIX_ALWAYS | RULE_SPACES_EARLY, " a", "259 262"},
        {PREFIX_ALWAYS | RULE_PREFIX_IF_MISSING | RULE_SPACES_EARLY, " a", "262"},
        {PREFIX_ALWAYS | RULE_PREFIX_IF_MISSING | RULE_SPACES_EARLY, SPACE_MARK "a", "262"},
        {PREFIX_FIRST | RULE_PREFIX_LATE | RULE_PREFIX_IF_MISSING | RULE_SPACES_LATE, "a b",
         "262 259 261"},
        {PREFIX_NEVER, "a a", "260 35 260"}, /* spaces stay what they are */
        {PREFIX_NEVER | RULE_SPACES_EARLY | RULE_SPLIT | RULE_WHOLE_WORDS, "ab ab", "263 262 261"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tokenizer *t = open_ruled(cases[i].flags, 0);
        cr_assert_str_eq(toy_encode(t, cases[i].text), cases[i].ids, "case %zu: %s", i,
                         toy_encode(t, cases[i].text));
        tokenizer_close(&t);
    }
}

Test(tokenizer, tokens_and_the_space_around_them) {
    static const struct {
        uint32_t flags;
        const char *text, *ids;
    } cases[] = {
        {0, "b <t> b", "261 259 264 259 261"},
        {TOKEN_LSTRIP, "b <t> b", "261 264 259 261"},
        {TOKEN_RSTRIP,
         "b <t>\xe3\x80\x80"
         "b",
         "261 259 264 261"}, /* U+3000 */
        {TOKEN_SINGLE_WORD, "b<t>", "261 63 119 65"},
        {TOKEN_SINGLE_WORD, "<t>\xc3\xa9", "63 119 65 198 172"},
        {TOKEN_SINGLE_WORD, ".<t>.", "49 264 49"},
        {TOKEN_NORMALIZED, "b <t>", "261 259 264"},
        {TOKEN_LSTRIP | TOKEN_RSTRIP, "  <t>  ", "264"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tokenizer *t = open_ruled(PREFIX_NEVER | RULE_SPACES_EARLY, cases[i].flags);
        cr_assert_str_eq(toy_encode(t, cases[i].text), cases[i].ids, "case %zu: %s", i,
                         toy_encode(t, cases[i].text));
        tokenizer_close(&t);
    }
}

Test(tokenizer, rules_that_are_damaged) {
    static const uint32_t wrong[][3] = {
        {259, 260, 263}, {259, 260, 999}, {999, 260, 262}, {262, 262, 262}, {260, 261, 1}};
    static struct toy m, list;
    struct tokenizer *t = NULL;
    struct bise_error err = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        list.len = 0;
        for (int j = 0; j < 3; j++)
            put_word(&list, wrong[i][j]);
        begin_ruled(&m);
        put_rules(&m, 0, &list, NULL);
        cr_assert_eq(tokenizer_open(&t, m.bytes, m.len, "t", &err), BISE_ERR_FORMAT);
        cr_assert(strstr(err.detail, "merge 0: expected two pieces"), "%s", err.detail);
    }
    list.len = 0;
    for (int j = 0; j < 6; j++)
        put_word(&list, (uint32_t[]){259, 260, 262}[j % 3]);
    begin_ruled(&m);
    put_rules(&m, 0, &list, NULL);
    cr_assert_eq(tokenizer_open(&t, m.bytes, m.len, "t", &err), BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "merge 1 is there twice"), "%s", err.detail);
    static const uint32_t flags[] = {3, 256, 0xffffffff};
    for (size_t i = 0; i < 3; i++) { /* both kinds of prefix, and rules that do not exist */
        begin_ruled(&m);
        put_rules(&m, flags[i], NULL, NULL);
        cr_assert_eq(tokenizer_open(&t, m.bytes, m.len, "t", &err), BISE_ERR_FORMAT);
    }
    begin_ruled(&m);
    put_rules(&m, 0, NULL, NULL);
    put_rules(&m, 0, NULL, NULL);
    cr_assert_eq(tokenizer_open(&t, m.bytes, m.len, "t", &err), BISE_ERR_FORMAT, "rules twice");
    static const uint32_t tokens[][2] = {{999, 0}, {264, 16}};
    for (size_t i = 0; i < 2; i++) {
        list.len = 0;
        put_word(&list, tokens[i][0]);
        put_word(&list, tokens[i][1]);
        begin_ruled(&m);
        put_rules(&m, 0, NULL, &list);
        cr_assert_eq(tokenizer_open(&t, m.bytes, m.len, "t", &err), BISE_ERR_FORMAT);
        cr_assert(strstr(err.detail, "token 0 of the rules"), "%s", err.detail);
    }
}

/* Nobody can make pieces that collide: each opening has its own key. */
Test(tokenizer, hashes_are_keyed_anew) {
    static const char *const pieces[] = {"a"};
    struct tokenizer *a = open_pieces(pieces, 1, false), *b = open_pieces(pieces, 1, false);
    cr_assert_neq(memcmp(a->mergeable.key, b->mergeable.key, sizeof a->mergeable.key), 0);
    tokenizer_close(&a);
    tokenizer_close(&b);
}
