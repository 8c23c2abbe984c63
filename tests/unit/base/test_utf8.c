/* UTF-8: what is well-formed, and that a stream never cuts a character. */
#include "src/base/utf8.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BAD "\xef\xbf\xbd" /* U+FFFD */

Test(utf8, every_code_point_round_trips) {
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        char s[4];
        const size_t len = utf8_put(c, s);
        const size_t want = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        cr_assert_eq(len, want, "U+%04X", c);
        if (c >= 0xd800 && c < 0xe000) {
            cr_assert_eq(utf8_char_len(s, len), 0, "surrogate U+%04X", c);
            continue;
        }
        cr_assert_eq(utf8_char_len(s, len), len, "U+%04X", c);
        cr_assert_eq(utf8_code_point(s, len), c);
        for (size_t cut = 1; cut < len; cut++)
            cr_assert_eq(utf8_char_len(s, cut), 0);
    }
}

Test(utf8, all_pairs_of_bytes) {
    /* Two bytes are well-formed exactly as two ASCII characters or c2..df with a continuation. */
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++) {
            const char s[2] = {(char)a, (char)b};
            const bool two = a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf;
            const size_t want = two || (a < 0x80 && b < 0x80) ? 2 : a < 0x80 ? 1 : 0;
            cr_assert_eq(utf8_invalid_at(s, 2), want, "%02x %02x", a, b);
        }
}

Test(utf8, offset_of_the_first_fault) {
    const struct {
        const char *s;
        size_t at;
    } cases[] = {
        {"", 0},
        {"abc", 3},
        {"a\x80", 1},
        {"\xc0\x80", 0},
        {"\xc1\xbf", 0},
        {"ab\xe0\x9f\xbf", 2},
        {"\xed\xa0\x80", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xe6\x97\xa5\xe6\x97", 3},
        {"\xf0\x9f\xa6\x99", 4},
        {"\xff", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(utf8_invalid_at(cases[i].s, strlen(cases[i].s)), cases[i].at, "case %zu", i);
}

/* Sends s through a stream in portions of step bytes; whole text to out. */
static void stream(const char *s, size_t n, size_t step, char *out) {
    struct utf8_stream u = {.n_tail = 0};
    size_t at = 0;
    for (size_t i = 0; i < n; i += step) {
        const size_t len = step < n - i ? step : n - i;
        const size_t put = utf8_stream_put(&u, s + i, len, out + at);
        cr_assert_leq(put, UTF8_STREAM_ROOM(len));
        cr_assert_eq(utf8_invalid_at(out + at, put), put, "a portion is not whole characters");
        at += put;
    }
    at += utf8_stream_end(&u, out + at);
    out[at] = 0;
}

Test(utf8, streams_in_any_portions) {
    const struct {
        const char *in, *out;
    } cases[] = {
        {"plain", "plain"},
        {"\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\xa6\x99 \xc3\xa9", NULL},
        {"a\x80z", "a" BAD "z"},
        {"\xf0\x9f\xa6", BAD},
        {"\xf0\x9f\xa6!", BAD "!"},
        {"\xe6\x97\xe6\x97\xa5", BAD "\xe6\x97\xa5"},
        {"\xc3", BAD},
        {"\xc3\xc3\xa9", BAD "\xc3\xa9"},
        /* The Unicode standard's own example, table 3-8 */
        {"\xf1\x80\x80\x41\xf0\x80\x80\x41", BAD "A" BAD BAD BAD "A"},
        {"\xed\xa0\x80", BAD BAD BAD},
        {"\xff\xfe\xfd", BAD BAD BAD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t step = 1; step <= 9; step++) {
            char out[256];
            stream(cases[i].in, strlen(cases[i].in), step, out);
            cr_assert_str_eq(out, cases[i].out ? cases[i].out : cases[i].in, "case %zu step %zu", i,
                             step);
        }
}

Test(utf8, random_bytes_give_the_same_text_in_any_portions) {
    srand(1);
    for (int round = 0; round < 2000; round++) {
        static const uint8_t likely[] = {0x41, 0x80, 0xbf, 0xc3, 0xe0,
                                         0xe6, 0xed, 0xf0, 0xf4, 0x9f};
        char in[24], once[160], parts[160];
        for (size_t i = 0; i < sizeof in; i++)
            in[i] = (char)likely[(size_t)rand() % sizeof likely];
        stream(in, sizeof in, sizeof in, once);
        for (size_t step = 1; step < 8; step++) {
            stream(in, sizeof in, step, parts);
            cr_assert_str_eq(parts, once);
        }
    }
}
