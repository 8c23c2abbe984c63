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
