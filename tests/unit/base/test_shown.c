/* What text of unknown origin becomes before a terminal sees it. */
#include "src/base/error.h"
#include "src/base/shown.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static char out[256];

static const char *show(const char *text) {
    cr_assert_eq(show_text(out, sizeof out, text, strlen(text)), strlen(out));
    return out;
}

__attribute__((format(printf, 1, 2))) static const char *format(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    cr_assert_eq(show_vformat(out, sizeof out, fmt, args), (int)strlen(out));
    va_end(args);
    return out;
}

Test(shown, what_steers_is_spelled_out) {
    cr_assert_str_eq(show("layers.0.wq \xc3\xa9 \xe2\x82\xac \\n"),
                     "layers.0.wq \xc3\xa9 \xe2\x82\xac \\n");
    cr_assert_str_eq(show("a\nb\rc\td"), "a\\nb\\rc\\td");
    cr_assert_str_eq(show("\x1b]0;title\x07\x1b[2J\x7f"), "\\x1b]0;title\\x07\\x1b[2J\\x7f");
    cr_assert_str_eq(show("\xc2\x9b"
                          "31m"),
                     "\\u009b31m", "a control sequence of one character");
    cr_assert_str_eq(show("a\x80\xff\xc3z"), "a\\x80\\xff\\xc3z", "no UTF-8");
    cr_assert_str_eq(show("a\xe2\x80\xae"
                          "b\xe2\x81\xa6\xe2\x80\xa8"),
                     "a\\u202eb\\u2066\\u2028");
    char once[256];
    snprintf(once, sizeof once, "%s", show("\x1b[31m\n"));
    cr_assert_str_eq(show(once), once, "once is enough");
}

Test(shown, whatever_the_bytes_nothing_steers) {
    uint32_t random = 1;
    for (int round = 0; round < 2000; round++) {
        char bytes[24];
        for (size_t i = 0; i < sizeof bytes; i++) {
            random = random * 1664525 + 1013904223;
            bytes[i] = (char)(random >> 24);
        }
        const size_t cap = 1 + round % 80, n = show_text(out, cap, bytes, sizeof bytes);
        cr_assert_leq(strlen(out), n);
        cr_assert_lt(strlen(out), cap);
        for (const char *c = out; *c; c++)
            cr_assert(*c != 0x7f && (unsigned char)*c >= 0x20);
    }
}

Test(shown, too_little_room_cuts_nothing_in_the_middle) {
    static const char text[] = "a\x1b\xc3\xa9";
    static const char *const cut[] = {"", "a", "a", "a", "a", "a\\x1b", "a\\x1b", "a\\x1b\xc3\xa9"};
    for (size_t cap = 1; cap <= 8; cap++) {
        cr_assert_eq(show_text(out, cap, text, 4), 7);
        cr_assert_str_eq(out, cut[cap - 1], "with room for %zu", cap);
    }
    cr_assert_eq(show_text(NULL, 0, text, 4), 7);
}

/* The same as printf, but for what %s and %c bring along. */
Test(shown, formats) {
    char expected[256];
    cr_assert_str_eq(format("%s: line\n%-6s|%6s|%.3s\n", "a\nb", "c\x1b", "\t", "abcdef"),
                     "a\\nb: line\nc\\x1b |    \\t|abc\n");
    cr_assert_str_eq(format("%.*s|%-*s|%c%c", 2, "xyz", 4, "ab", 'q', '\x07'), "xy|ab  |q\\x07");
    cr_assert_str_eq(format("%.2s|%.3s", "a\xc3\xa9", "a\xc3\xa9"), "a|a\xc3\xa9",
                     "no half character");
    cr_assert_str_eq(format("100 %% of %s", "it"), "100 % of it");
    snprintf(expected, sizeof expected,
             "%d %5d|%-5d|%05d %+d %i %u %x %X %#o %ld %lu %lld %llu %zu", -1, 42, 42, 42, 7, -8,
             9u, 255u, 255u, 8u, -10L, 11ul, -12ll, 13ull, (size_t)14);
    cr_assert_str_eq(format("%d %5d|%-5d|%05d %+d %i %u %x %X %#o %ld %lu %lld %llu %zu", -1, 42,
                            42, 42, 7, -8, 9u, 255u, 255u, 8u, -10L, 11ul, -12ll, 13ull,
                            (size_t)14),
                     expected);
    snprintf(expected, sizeof expected, "%.3f %8.2f|%-8.1e|%g %.17g %" PRIu64 " %hd %hhu %5.2f %%",
             1.5, 2.25, 3e10, 0.1, 0.1, UINT64_MAX, (short)-3, (unsigned char)200, 9.999);
    cr_assert_str_eq(format("%.3f %8.2f|%-8.1e|%g %.17g %" PRIu64 " %hd %hhu %5.2f %%", 1.5, 2.25,
                            3e10, 0.1, 0.1, UINT64_MAX, (short)-3, (unsigned char)200, 9.999),
                     expected);
}

Test(shown, errors_show_what_they_name) {
    struct bise_error err;
    bise_fail(&err, BISE_ERR_FORMAT, "%s: tensor %.64s", "m\x1b[2J", "all\nverified OK");
    cr_assert_str_eq(err.detail, "m\\x1b[2J: tensor all\\nverified OK");
}
