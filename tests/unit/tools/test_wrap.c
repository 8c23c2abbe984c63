/* Words on a terminal: what a terminal of some width shows of a text that comes in pieces. */
#include "tests/pty/vt.h"
#include "tools/common/wrap.h"

#include <criterion/criterion.h>
#include <locale.h>

/* What is to be seen; malloc'd. */
static char *shown(size_t cols, const char *text) {
    struct wrap w = {.cols = cols};
    struct vt vt;
    cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
    vt_open(&vt, cols, 40);
    for (const char *p = text; *p;) {
        char out[WRAP_OUT_BYTES];
        size_t n = 1;
        while ((p[n] & 0xc0) == 0x80)
            n++;
        const size_t n_out = wrap_char(&w, p, n, *p == '\n' ? 0 : 1, out);
        for (size_t i = 0; i < n_out; i++)
            vt_write(&vt, out[i] == '\n' ? "\r\n" : out + i, out[i] == '\n' ? 2 : 1);
        p += n;
    }
    char *all = vt_text(&vt);
    cr_expect(!vt.unknown);
    vt_close(&vt);
    return all;
}

static void check(size_t cols, const char *text, const char *expected) {
    char *found = shown(cols, text);
    cr_expect_str_eq(found, expected, "%zu columns: expected\n%s\nfound\n%s", cols, expected,
                     found);
    free(found);
}

Test(wrap, words_are_not_cut) {
    check(20, "the king looked at the castle", "the king looked at\nthe castle");
    check(21, "the king looked at the castle", "the king looked at\nthe castle");
    check(40, "the king looked at the castle", "the king looked at the castle");
    check(20, "aaaaaaaaaaaaaaaaaaa b", "aaaaaaaaaaaaaaaaaaa\nb"); /* a row that is full */
    check(20, "one\ntwo three four five six", "one\ntwo three four five\nsix");
    check(20, "der k\xc3\xb6nig sah auf schl\xc3\xb6sser",
          "der k\xc3\xb6nig sah auf\nschl\xc3\xb6sser");
}

Test(wrap, a_word_longer_than_a_row_is_cut) {
    check(20, "a bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb c", "a\nbbbbbbbbbbbbbbbbbbb\nbbbbbbbbbbb c");
}

Test(wrap, code_is_left_alone) {
    check(20, "```c\nint x = 1; /* long words here */\n```\nthe king looked at the castle",
          "```c\nint x = 1; /* long words here */\n```\nthe king looked at\nthe castle");
    check(20, "a ``` b within a line is text", "a ``` b within a\nline is text");
}

Test(wrap, narrow_and_no_terminals) {
    check(10, "the king looked at", "the king looked at");
    char out[WRAP_OUT_BYTES];
    struct wrap w = {.cols = 0};
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(wrap_char(&w, "x", 1, 1, out), 1);
}

/* What wrap_text writes of pieces that follow each other. */
static void check_text(size_t cols, size_t indent, const char *first, const char *second,
                       const char *expected) {
    char found[512] = "";
    FILE *const f = fmemopen(found, sizeof found, "w");
    size_t col = 0;
    cr_assert_not_null(f);
    wrap_text(f, first, cols, indent, &col);
    wrap_text(f, second, cols, indent, &col);
    fclose(f);
    cr_expect_str_eq(found, expected, "%zu columns: expected\n%s\nfound\n%s", cols, expected,
                     found);
}

Test(wrap, text_as_a_whole) {
    check_text(20, 0, "the king looked at the castle\n", "", "the king looked at\nthe castle\n");
    check_text(20, 2, "the king looked at ", "the castle", "the king looked at \n  the castle");
    check_text(18, 0, "the king looked at", "", "the king looked\nat"); /* the last column waits */
    check_text(19, 0, "the king looked at", "", "the king looked at");
    check_text(0, 0, "the king looked at the castle", "", "the king looked at the castle");
    check_text(8, 0, "the king looked at the castle", "", "the king looked at the castle");
}

Test(wrap, tables_and_commands_are_left_alone) {
    check_text(20, 0, "Make one of it:\n  bise quantize folder -o name\nthen use it as -m name\n",
               "", "Make one of it:\n  bise quantize folder -o name\nthen use it as -m\nname\n");
}

Test(wrap, long_words_colours_and_wide_characters) {
    check_text(16, 0, "a wordthatislongerthanarow b", "", "a\nwordthatislongerthanarow\nb");
    check_text(16, 0, "\033[2m(the king) is\033[0m", " here", "\033[2m(the king) is\033[0m\nhere");
    check_text(16, 0, "\u4e00\u4e00\u4e00\u4e00 \u4e00\u4e00\u4e00\u4e00 a", "",
               "\u4e00\u4e00\u4e00\u4e00\n\u4e00\u4e00\u4e00\u4e00 a");
    check_text(16, 0, "reading 3 of 10 \rreading 4 of 10 \rdone", "",
               "reading 3 of 10 \rreading 4 of 10 \rdone");
}
