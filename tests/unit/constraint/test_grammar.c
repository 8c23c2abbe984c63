/* Grammars: what a text may be, byte by byte and token by token. */
#include "src/base/random.h"
#include "src/bise.h"
#include "src/constraint/grammar.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts ---- */

enum verdict { NO, PART, WHOLE }; /* cannot be; can go on to become one; is one */

static enum verdict judge(struct matcher *m, const char *text) {
    matcher_begin(m, false);
    for (; *text; text++)
        if (!matcher_accept(m, text, 1))
            return NO;
    return matcher_may_end(m) ? WHOLE : PART;
}

static void expect_texts(const char *gbnf, const char *const *whole, const char *const *no) {
    struct grammar g = {.n_rules = 0};
    struct matcher *m;
    struct bise_error err = {0};
    cr_assert_eq(grammar_parse(&g, gbnf, strlen(gbnf), &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(matcher_open(&m, &g, NULL), BISE_OK);
    for (; *whole; whole++) {
        cr_expect_eq(judge(m, *whole), WHOLE, "\"%s\" by %s", *whole, gbnf);
        /* The same in one go, and every beginning of it can go on. */
        matcher_begin(m, false);
        cr_expect(matcher_accept(m, *whole, strlen(*whole)) && matcher_may_end(m));
    }
    for (; *no; no++)
        cr_expect_neq(judge(m, *no), WHOLE, "\"%s\" by %s", *no, gbnf);
    matcher_close(&m);
    grammar_free(&g);
}

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(grammar, literals_and_alternatives) {
    expect_texts("root ::= \"yes\" | \"no\"", TEXTS("yes", "no"), TEXTS("", "y", "yesno", "yep"));
    expect_texts("root ::= \"a\" (\"b\" | \"c\" \"d\") \"e\"", TEXTS("abe", "acde"),
                 TEXTS("ae", "ace", "abde", "abee"));
    expect_texts("root ::= \"\"", TEXTS(""), TEXTS("a"));
    expect_texts("root ::= \"a\" |", TEXTS("", "a"), TEXTS("aa"));
}

Test(grammar, repetitions) {
    expect_texts("root ::= \"ab\"*", TEXTS("", "ab", "abab"), TEXTS("a", "aba", "ba"));
    expect_texts("root ::= [ab]+ \"c\"?", TEXTS("a", "bba", "bc"), TEXTS("", "c", "acc"));
    expect_texts("root ::= \"a\"{3}", TEXTS("aaa"), TEXTS("", "aa", "aaaa"));
    expect_texts("root ::= \"a\"{2,}", TEXTS("aa", "aaaaa"), TEXTS("", "a"));
    expect_texts("root ::= (\"a\" | \"b\"){1,3}", TEXTS("a", "ab", "bab"), TEXTS("", "abab"));
    expect_texts("root ::= \"a\"{0,2} \"b\"", TEXTS("b", "ab", "aab"), TEXTS("aaab", "a"));
    expect_texts("root ::= \"x\" \"a\"{0} \"y\"", TEXTS("xy"), TEXTS("xay"));
    expect_texts("root ::= (\"a\"{2}){2}", TEXTS("aaaa"), TEXTS("aa", "aaa", "aaaaaa"));
}

/* To repeat nothing is to repeat what is left when nothing is left out. */
Test(grammar, repetitions_of_what_may_be_empty) {
    expect_texts("root ::= ([x]*)*", TEXTS("", "x", "xxx"), TEXTS("y"));
    expect_texts("root ::= (\"a\"?){3}", TEXTS("", "a", "aa", "aaa"), TEXTS("aaaa"));
    expect_texts("root ::= (\"a\"? \"b\"*){2} \"c\"", TEXTS("c", "ac", "bbabc", "abac", "aac"),
                 TEXTS("aaac", "abaabc", "ab"));
    expect_texts("root ::= ((\"a\" | \"\")+ \"b\"?)+ \".\"", TEXTS(".", "aab.", "b.", "abba."),
                 TEXTS("", "a"));
    expect_texts("root ::= (()+ | \"b\"+){2}", TEXTS("", "b", "bbb"), TEXTS("a"));
    expect_texts("root ::= ((\"a\"* \"b\"*)* (\"c\"? | \"d\"*)+)*", TEXTS("", "abcdab", "ddab"),
                 TEXTS("e"));
    expect_texts("root ::= (\"(\" root \")\")* ", TEXTS("", "()", "(()())()"), TEXTS("(", ")("));
}

Test(grammar, counted_repetitions) {
    static char text[1001];
    memset(text, 'a', 1000);
    expect_texts("root ::= \"a\"{1000}", TEXTS(text), TEXTS(text + 1));
    expect_texts("root ::= \"a\"{10,1000000}", TEXTS(text), TEXTS(text + 991));
    expect_texts("root ::= (\"a\" | \"aa\"){2,3}", TEXTS("aa", "aaa", "aaaaaa"),
                 TEXTS("a", "aaaaaaa"));
    expect_texts("\xef\xbb\xbfroot ::= \"a\"", TEXTS("a"), TEXTS("b"));
}

Test(grammar, classes) {
    expect_texts("root ::= [a-c\\]-]", TEXTS("a", "c", "]", "-"), TEXTS("d", "", "ab"));
    expect_texts("root ::= [^a\\n]", TEXTS("b", "\xc3\xa9", "\xe6\x97\xa5", "\xf0\x9f\xa6\x99"),
                 TEXTS("a", "\n", "\xc3", "bb"));
    expect_texts("root ::= [\xc3\xa0-\xc3\xbc]", TEXTS("\xc3\xa0", "\xc3\xa9"),
                 TEXTS("a", "\xc3\xbd", "\xc3\x9f"));
    expect_texts("root ::= [\\u3040-\\u30ff\\U0001F600-\\U0001F64F]",
                 TEXTS("\xe3\x81\xaf", "\xf0\x9f\x98\x80", "\xf0\x9f\x99\x8f"),
                 TEXTS("\xe6\x97\xa5", "\xf0\x9f\x99\x90", "\xf0\x9f\x97\xbf"));
    expect_texts("root ::= .", TEXTS("a", "\n", "\xf4\x8f\xbf\xbf"), TEXTS("", "ab", "\xc3"));
    expect_texts("root ::= \"\\x41\\u00e9\\\"\\\\\"", TEXTS("A\xc3\xa9\"\\"), TEXTS("A", "x41"));
}

/* Every code point against the class as numbers. */
Test(grammar, classes_of_all_code_points) {
    const char *const gbnf =
        "root ::= [\\u0041-\\u0400\\u07f0-\\u0900\\ud000-\\ue100\\uffff-\\U00010800]";
    struct grammar g = {.n_rules = 0};
    struct matcher *m;
    cr_assert_eq(grammar_parse(&g, gbnf, strlen(gbnf), NULL), BISE_OK);
    cr_assert_eq(matcher_open(&m, &g, NULL), BISE_OK);
    for (uint32_t c = 0; c < 0x11000; c++) {
        char bytes[4];
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (size_t i = n - 1; i > 0; i--)
            bytes[i] = (char)(0x80 | (c >> 6 * (n - 1 - i) & 0x3f));
        static const unsigned lead[] = {0, 0xc0, 0xe0, 0xf0};
        bytes[0] = (char)(lead[n - 1] | c >> 6 * (n - 1));
        const bool in = (c >= 0x41 && c <= 0x400) || (c >= 0x7f0 && c <= 0x900) ||
                        (c >= 0xd000 && c < 0xd800) || (c >= 0xe000 && c <= 0xe100) ||
                        (c >= 0xffff && c <= 0x10800);
        matcher_begin(m, false);
        cr_assert_eq(matcher_accept(m, bytes, n), in, "U+%04X", c);
    }
    matcher_close(&m);
    grammar_free(&g);
}

Test(grammar, rules) {
    expect_texts("# a comment\nroot ::= pair (\",\" pair)* # more\n\npair ::= [a-z]+ \"=\" num\n"
                 "num ::= (\"-\"? [0-9]+)\n",
                 TEXTS("a=1", "ab=-12,c=3"), TEXTS("a=", "a=1,", "=1"));
    expect_texts("list ::= \"(\" (list | [0-9])* \")\"\nroot ::= list", TEXTS("()", "(1(2)(()))"),
                 TEXTS("(", "(1))", "1"));
    /* Palindromes are ambiguous at every byte. */
    expect_texts("root ::= \"a\" root \"a\" | \"b\" root \"b\" | \"\"",
                 TEXTS("", "abba", "aaaaaaaa"), TEXTS("ab", "aba", "abab"));
    /* So are these, and the same stacks come again and again. */
    expect_texts("root ::= (\"a\" | [ab] | \"a\")*", TEXTS("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"),
                 TEXTS("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaac"));
    expect_texts("root ::= x y\nx ::= \"a\"?\ny ::= \"b\" | x", TEXTS("", "a", "ab", "aa", "b"),
                 TEXTS("ba", "aaa"));
}

Test(grammar, json) {
    expect_texts(
        "root   ::= object\n"
        "value  ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"
        "object ::= \"{\" ws ( string \":\" ws value (\",\" ws string \":\" ws value)* )? \"}\" "
        "ws\n"
        "array  ::= \"[\" ws ( value (\",\" ws value)* )? \"]\" ws\n"
        "string ::= \"\\\"\" ( [^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt] | \"u\" "
        "[0-9a-fA-F]{4}) )* \"\\\"\" ws\n"
        "number ::= (\"-\"? ([0-9] | [1-9] [0-9]{0,15})) (\".\" [0-9]+)? ([eE] [-+]? [0-9] "
        "[1-9]{0,15})? ws\n"
        "ws ::= | \" \" | \"\\n\" [ \\t]{0,20}\n",
        TEXTS("{}", "{\"a\": [1, -2.5e3, \"\xe6\x97\xa5\\u00e9\"], \"b\":{\"c\":null}}\n  "),
        TEXTS("", "{", "{\"a\"}", "{\"a\":01}", "[1]", "{\"a\":\"\t\"}", "{\"a\":1,}"));
}

Test(grammar, deep_and_long_texts) {
    struct grammar g = {.n_rules = 0};
    struct matcher *m;
    const char *const gbnf = "root ::= \"(\" root \")\" | [a-z]*";
    cr_assert_eq(grammar_parse(&g, gbnf, strlen(gbnf), NULL), BISE_OK);
    cr_assert_eq(matcher_open(&m, &g, NULL), BISE_OK);
    const char *const open = "((((((((((((((((", *const loop = "abcdefghijklmnop"; /* 16 each */
    for (int i = 0; i < 2000; i += 16)
        cr_assert(matcher_accept(m, open, 16), "depth %d", i);
    for (int i = 0; i < 100000; i += 16) /* no stack grows by a loop */
        cr_assert(matcher_accept(m, loop, 16));
    for (int i = 0; i < 2000; i++) {
        cr_assert(!matcher_may_end(m));
        cr_assert(matcher_accept(m, ")", 1));
    }
    cr_assert(matcher_may_end(m));
    cr_assert(!matcher_accept(m, ")", 1));
    cr_assert(!matcher_is_full(m));
    matcher_begin(m, false);
    int depth = 0;
    while (depth < 1000000 && matcher_accept(m, open, 16))
        depth += 16;
    cr_assert_lt(depth, 1000000);
    cr_assert(matcher_is_full(m)); /* said, not a wrong answer */
    matcher_begin(m, true);
    cr_assert(matcher_accept(m, " (a)", 4));
    cr_assert(matcher_may_end(m));
    matcher_begin(m, true);
    cr_assert(!matcher_accept(m, "  ", 2));
    matcher_close(&m);
    grammar_free(&g);
}

/* More beginnings than there is room for: said, not some of them forgotten. */
Test(grammar, too_many_beginnings) {
    static char gbnf[9 + 70000 * 4];
    struct grammar g = {.n_rules = 0};
    struct matcher *m;
    memcpy(gbnf, "root ::= ", 9);
    for (size_t i = 9; i < sizeof gbnf; i += 4)
        memcpy(gbnf + i, "|\"a\"", 4);
    cr_assert_eq(grammar_parse(&g, gbnf, sizeof gbnf, NULL), BISE_OK);
    cr_assert_eq(matcher_open(&m, &g, NULL), BISE_ERR_ARG);
    cr_assert_null(m);
    grammar_free(&g);
}

Test(grammar, faults_are_named_with_their_line) {
    const struct {
        const char *gbnf, *detail;
    } cases[] = {
        {"", "a rule named root"},
        {"rot ::= \"a\"", "a rule named root"},
        {"root ::= a", "line 1: rule a is used but not defined"},
        {"root ::= \"a\"\nb ::= c\n", "line 2: rule c"},
        {"root ::= \"a\n", "\" at the end"},
        {"root ::= [a", "] at the end"},
        {"root ::= [z-a]", "ascends"},
        {"root ::= (\"a\"", "expected )"},
        {"root ::= \"a\")", "the end of the line"},
        {"root = \"a\"", "expected ::="},
        {"root ::= \"\\q\"", "after a backslash"},
        {"root ::= \"\\xg0\"", "hexadecimal"},
        {"root ::= \"\\ud800\"", "escape of a character"},
        {"root ::= \"a\"{2,1}", "ascend"},
        {"root ::= \"a\"{x}", "a number"},
        {"root ::= \"a\"{9999999}", "at most 1000000"},
        {"root ::= \"a\"{2", "} after"},
        {"root ::= (((\"a\"{9999}){9999}){9999}){9999}", NULL},
        {"root ::= \"ab\"{9999} [ab]{9999}", NULL},
        {"root ::= \"\" | \"a\"? root \"b\"", "left recursion"},
        {"root ::= root \"a\" | \"a\"", "left recursion"},
        {"root ::= a\na ::= b | \"x\"\nb ::= a \"y\"", "left recursion"},
        {"root ::= e root \"a\" | \"b\"\ne ::= \"x\"?", "left recursion"},
        {"root ::= [] \"a\"", "no text"},
        {"root ::= \"a\" root", "no text"},
        {"root ::= <", "a token as"},
        {"root ::= <[x]>", "a number"},
        {"root ::= !\"a\"", "a token after !"},
        {"root ::= \"a\"\nroot ::= \"b\"", "defined again"},
        {"root ::= \"\xff\"", "line 1: expected UTF-8"},
        {"::= \"a\"", "a rule's name"},
        {"root ::= | *", "the end of the line"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct grammar g = {.n_rules = 0};
        struct bise_error err = {0};
        const enum bise_status status =
            grammar_parse(&g, cases[i].gbnf, strlen(cases[i].gbnf), &err);
        cr_expect_eq(status, cases[i].detail ? BISE_ERR_ARG : BISE_OK, "%s: %s", cases[i].gbnf,
                     err.detail);
        if (cases[i].detail)
            cr_expect(strstr(err.detail, cases[i].detail), "%s: %s", cases[i].gbnf, err.detail);
        grammar_free(&g);
    }
    char deep[1024] = "root ::= ";
    memset(deep + 9, '(', 500);
    struct grammar g = {.n_rules = 0};
    struct bise_error err = {0};
    cr_assert_eq(grammar_parse(&g, deep, strlen(deep), &err), BISE_ERR_ARG);
    cr_assert(strstr(err.detail, "brackets"), "%s", err.detail);
    grammar_free(&g);
}

/* ---- tokens, with the demo model's vocabulary ---- */

static struct bise_model *open_demo(void) {
    struct bise_model *model;
    const struct bise_model_params params = {.no_tensors = true};
    struct bise_error err = {0};
    cr_assert_eq(bise_model_open(&model, "models/demo.bise", &params, &err), BISE_OK, "%s",
                 err.detail);
    return model;
}

/* Whether each token is allowed is what taking it says, at every step of a random text. */
Test(grammar, allowed_tokens_are_those_that_can_be_taken) {
    static const char gbnf[] = "root ::= word (\", \" word)* \".\"\n"
                               "word ::= [a-z]+ | \"\xc3\xa9\" | [^\\x00-\\u2000]";
    struct bise_model *model = open_demo();
    struct bise_grammar *g;
    struct bise_error err = {0};
    const uint32_t n_vocab = bise_model_info(model)->vocab_size;
    uint8_t *allowed = malloc(n_vocab);
    struct grammar plain = {.n_rules = 0};
    struct matcher *m;
    struct random_state r;
    cr_assert_not_null(allowed);
    cr_assert_eq(grammar_parse(&plain, gbnf, sizeof gbnf - 1, NULL), BISE_OK);
    cr_assert_eq(matcher_open(&m, &plain, NULL), BISE_OK);
    cr_assert_eq(bise_grammar_open(&g, model, gbnf, sizeof gbnf - 1, &err), BISE_OK, "%s",
                 err.detail);
    random_seed(&r, 5);
    char text[512] = "";
    size_t n_text = 0;
    for (int step = 0; step < 30 && n_text < 400; step++) {
        cr_assert_eq(bise_grammar_allowed(g, allowed, &err), BISE_OK, "%s", err.detail);
        int32_t pick = -1;
        uint32_t n_allowed = 0;
        for (uint32_t id = 0; id < n_vocab; id++) {
            size_t len;
            const char *piece = bise_token_piece(model, (int32_t)id, &len);
            matcher_begin(m, false);
            cr_assert(matcher_accept(m, text, n_text));
            const bool end = id == 2 && matcher_may_end(m);
            const bool fits = id > 2 && len && matcher_accept(m, piece, len);
            cr_assert_eq(allowed[id], end || fits, "after \"%s\", id %u", text, id);
            n_allowed += fits;
            if (fits && random_u64(&r) % n_allowed == 0)
                pick = (int32_t)id;
        }
        if (pick < 0)
            break;
        size_t len;
        const char *piece = bise_token_piece(model, pick, &len);
        memcpy(text + n_text, piece, len);
        n_text += len;
        text[n_text] = 0;
        cr_assert_eq(bise_grammar_accept(g, pick, &err), BISE_OK, "%s", err.detail);
    }
    cr_assert_gt(n_text, 10u);
    matcher_close(&m);
    grammar_free(&plain);
    bise_grammar_close(&g);
    bise_model_close(&model);
    free(allowed);
}

/* No room for all that may follow "a": said each time, not the second time forgotten. */
Test(grammar, tokens_that_lead_to_too_much) {
    static char gbnf[26 + 70000 * 4];
    struct bise_model *model = open_demo();
    struct bise_grammar *g;
    uint8_t *allowed = malloc(bise_model_info(model)->vocab_size);
    cr_assert_not_null(allowed);
    memcpy(gbnf, "root ::= \"a\" more\nmore ::=", 26);
    for (size_t i = 26; i < sizeof gbnf; i += 4)
        memcpy(gbnf + i, "|\"a\"", 4);
    cr_assert_eq(bise_grammar_open(&g, model, gbnf, sizeof gbnf, NULL), BISE_OK);
    for (int i = 0; i < 2; i++)
        cr_expect_eq(bise_grammar_allowed(g, allowed, NULL), BISE_ERR_MEMORY, "time %d", i);
    bise_grammar_close(&g);
    bise_model_close(&model);
    free(allowed);
}

/* A thousand ways that all stay open, for every piece of the vocabulary: refused by the work, each
 * time, and the grammar goes on to serve. */
Test(grammar, tokens_in_too_many_ways) {
    static char gbnf[64 * 1024] = "root ::= (\"0\"";
    struct bise_model *model = open_demo();
    struct bise_grammar *g;
    struct bise_error err = {0};
    uint8_t *allowed = malloc(bise_model_info(model)->vocab_size);
    size_t n = strlen(gbnf);
    cr_assert_not_null(allowed);
    for (int i = 1; i < 3000; i++)
        n += (size_t)snprintf(gbnf + n, sizeof gbnf - n, " | [a-z]* \"%d\"", i);
    n += (size_t)snprintf(gbnf + n, sizeof gbnf - n, ")*");
    cr_assert_eq(bise_grammar_open(&g, model, gbnf, n, NULL), BISE_OK);
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(bise_grammar_allowed(g, allowed, &err), BISE_ERR_ARG, "time %d", i);
        cr_expect_not_null(strstr(err.detail, "more ways to go on"), "%s", err.detail);
    }
    cr_expect(bise_grammar_may_end(g));
    bise_grammar_close(&g);
    bise_model_close(&model);
    free(allowed);
}

Test(grammar, sampling_within_it) {
    static const char gbnf[] = "root ::= \"yes\" | \"no\" | \"maybe\"";
    struct bise_model *model = open_demo();
    struct bise_grammar *g;
    struct bise_sampler *s;
    const uint32_t n_vocab = bise_model_info(model)->vocab_size;
    uint8_t *allowed = malloc(n_vocab);
    float *logits = malloc(n_vocab * sizeof *logits);
    struct random_state r;
    struct bise_error err = {0};
    int seen[3] = {0};
    cr_assert(allowed && logits);
    cr_assert_eq(bise_grammar_open(&g, model, gbnf, sizeof gbnf - 1, NULL), BISE_OK);
    const struct bise_sampler_params p = {.temp = 1, .top_k = 40, .seed = 3};
    cr_assert_eq(bise_sampler_open(&s, n_vocab, &p, NULL), BISE_OK);
    random_seed(&r, 11);
    for (int round = 0; round < 200; round++) {
        char text[64] = "";
        size_t n = 0;
        bise_grammar_begin(g, true);
        for (;;) {
            cr_assert_eq(bise_grammar_allowed(g, allowed, NULL), BISE_OK);
            for (uint32_t i = 0; i < n_vocab; i++)
                logits[i] = (float)random_unit(&r) * 5;
            const int32_t id = bise_sample(s, logits, allowed, NULL, 0, random_u64(&r) % 1000);
            if (id == 2)
                break;
            size_t len;
            const char *piece = bise_token_piece(model, id, &len);
            cr_assert_eq(bise_grammar_accept(g, id, &err), BISE_OK, "%s", err.detail);
            cr_assert_lt(n + len, sizeof text);
            memcpy(text + n, piece, len);
            text[n += len] = 0;
        }
        cr_assert(bise_grammar_may_end(g));
        const char *word = text + (text[0] == ' ');
        seen[0] += strcmp(word, "yes") == 0;
        seen[1] += strcmp(word, "no") == 0;
        seen[2] += strcmp(word, "maybe") == 0;
    }
    cr_assert_eq(seen[0] + seen[1] + seen[2], 200);
    cr_assert(seen[0] && seen[1] && seen[2]);
    cr_assert_eq(bise_grammar_accept(g, 5, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_grammar_accept(g, -1, &err), BISE_ERR_ARG);
    bise_sampler_close(&s);
    bise_grammar_close(&g);
    bise_grammar_close(NULL);
    bise_model_close(&model);
    free(allowed);
    free(logits);
}
