/* Stop strings across any borders. */
#include "src/text/stop.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sends text in portions of step bytes; returns what came out, with "|" where a stop string hit. */
static const char *through(struct stop *s, const char *text, size_t step) {
    static char out[1024];
    const size_t n = strlen(text);
    size_t at = 0;
    stop_begin(s);
    for (size_t i = 0; i < n; i += step)
        at += stop_put(s, text + i, step < n - i ? step : n - i, out + at);
    at += stop_end(s, out + at);
    snprintf(out + at, sizeof out - at, "%s", s->hit ? "|" : "");
    return out;
}

Test(stop, cases) {
    const struct {
        const char *stops[3], *in, *out;
    } cases[] = {
        {{"END"}, "some text END more", "some text |"},
        {{"END"}, "EN ENEND", "EN EN|"},
        {{"END"}, "EN", "EN"},
        {{"END"}, "", ""},
        {{"END"}, "END", "|"},
        {{"aab"}, "aaaab!", "aa|"},
        {{"abab", "x"}, "ababab", "|"},
        {{"abcd", "bc"}, "abce", "a|"}, /* the longer one begins first, the shorter ends first */
        {{"abcd", "bc"}, "abcd", "a|"},
        {{"abcd", "bce", "cx"}, "zabcx", "zab|"},
        {{"\n\n", "User:"}, "one\ntwo\n\nthree", "one\ntwo|"},
        {{"\xe6\x97\xa5"}, "\xe6\x97\xa6 \xe6\x97\xa5", "\xe6\x97\xa6 |"},
        {{NULL}, "free", "free"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t step = 1; step < 9; step++) {
            struct stop s = {.n = 0};
            for (size_t j = 0; j < 3 && cases[i].stops[j]; j++)
                cr_assert(stop_add(&s, cases[i].stops[j]));
            cr_assert_str_eq(through(&s, cases[i].in, step), cases[i].out, "case %zu step %zu", i,
                             step);
        }
}

Test(stop, random_texts_agree_with_a_search) {
    srand(3);
    for (int round = 0; round < 5000; round++) {
        char texts[3][5], in[25];
        struct stop s = {.n = 0};
        for (int j = 0; j < 3; j++) {
            const int len = 1 + rand() % 4;
            for (int k = 0; k < len; k++)
                texts[j][k] = (char)('a' + rand() % 2);
            texts[j][len] = 0;
            cr_assert(stop_add(&s, texts[j]));
        }
        for (size_t k = 0; k < 24; k++)
            in[k] = (char)('a' + rand() % 3);
        in[24] = 0;
        /* The stop string that ends first; of those, the one that begins first. */
        size_t cut = 24;
        bool hit = false;
        for (size_t end = 1; end <= 24 && !hit; end++)
            for (size_t begin = 0; begin < end && !hit; begin++)
                for (int j = 0; j < 3; j++)
                    if (strlen(texts[j]) == end - begin &&
                        memcmp(in + begin, texts[j], end - begin) == 0) {
                        hit = true;
                        cut = begin;
                    }
        char want[32];
        snprintf(want, sizeof want, "%.*s%s", (int)cut, in, hit ? "|" : "");
        for (size_t step = 1; step < 6; step++)
            cr_assert_str_eq(through(&s, in, step), want, "%s in %s %s %s", in, texts[0], texts[1],
                             texts[2]);
    }
}

Test(stop, limits) {
    struct stop s = {.n = 0};
    static char longest[STOP_MAX_BYTES + 2];
    memset(longest, 'x', STOP_MAX_BYTES + 1);
    cr_assert(!stop_add(&s, longest));
    longest[STOP_MAX_BYTES] = 0;
    cr_assert(stop_add(&s, longest));
    cr_assert(!stop_add(&s, ""));
    char out[3 * STOP_MAX_BYTES];
    stop_begin(&s);
    cr_assert_eq(stop_put(&s, longest, STOP_MAX_BYTES - 1, out), 0);
    cr_assert_eq(stop_put(&s, "xyz", 3, out), 0);
    cr_assert(s.hit);
    while (s.n < STOP_MAX_TEXTS)
        cr_assert(stop_add(&s, "y"));
    cr_assert(!stop_add(&s, "y"));
}
