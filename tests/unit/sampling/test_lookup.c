/* Drafts from the text itself, and how many of them are worth running. */
#include "src/base/random.h"
#include "src/sampling/lookup.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_draft(const char *text, size_t max, const char *draft, size_t match) {
    int32_t ids[64], out[LOOKUP_MAX];
    const size_t n = strlen(text);
    size_t found = 99;
    for (size_t i = 0; i < n; i++)
        ids[i] = text[i];
    cr_expect_eq(lookup_find(ids, n, out, max, &found), strlen(draft), "%s", text);
    cr_expect_eq(found, match, "%s: %zu", text, found);
    for (size_t i = 0; i < strlen(draft); i++)
        cr_expect_eq(out[i], draft[i], "%s: %zu", text, i);
}

Test(lookup, what_followed_the_longest_match) {
    expect_draft("", 4, "", 0);
    expect_draft("a", 4, "", 0);
    expect_draft("abcd", 4, "", 0);
    expect_draft("abcdXabc", 2, "dX", 3);
    expect_draft("abcdXbceYbc", 1, "e", 2);   /* the latest of two that match as long */
    expect_draft("abcdXzbceYabc", 1, "d", 3); /* the longer one, though it is older */
    expect_draft("aa", 3, "aaa", 1);
    expect_draft("abab", 5, "ababa", 2); /* over the end, again and again */
    expect_draft("0123456789X0123456789", 1, "X", LOOKUP_MATCH);
}

/* A text of n tokens in which a guess comes true with probability p, by a model whose calls take
 * 1 + slope for every drafted id, give or take a fifth: how much faster than one by one. */
static double speedup(double p, double slope, int n) {
    struct lookup l;
    struct random_state random;
    double seconds = 0;
    int tokens = 0;
    random_seed(&random, 3);
    lookup_begin(&l);
    while (tokens < n) {
        const size_t k = lookup_choose(&l, 1, LOOKUP_MAX);
        const double noise = 0.8 + 0.4 * random_unit(&random);
        lookup_timed(&l, k + 1, noise * (1 + slope * (double)k));
        seconds += 1 + slope * (double)k;
        bool hit = true;
        for (size_t i = 0; hit && i <= k && i < LOOKUP_MAX; i++) {
            tokens++; /* the first is the model's own, the others are guesses that came true */
            hit = random_unit(&random) < p;
            lookup_learn(&l, 1 + i, hit);
        }
    }
    return tokens / seconds;
}

Test(lookup, drafts_only_where_they_pay) {
    for (double p = 0; p <= 1; p += 0.125)
        for (double slope = 0; slope <= 1.5; slope += 0.125)
            cr_expect_geq(speedup(p, slope, 5000), 0.95, "p %g slope %g: %g", p, slope,
                          speedup(p, slope, 5000));
    cr_expect_geq(speedup(0.95, 0.1, 5000), 3);
    cr_expect_geq(speedup(0.8, 0.1, 5000), 1.9);
    cr_expect_geq(speedup(0.5, 0.05, 5000), 1.4);
    cr_expect_geq(speedup(0.9, 0.3, 5000), 1.5);
}

Test(lookup, nothing_is_chosen_before_a_call_was_timed) {
    struct lookup l;
    lookup_begin(&l);
    cr_expect_eq(lookup_choose(&l, LOOKUP_MATCH, LOOKUP_MAX), 0);
    lookup_timed(&l, 1, 0.1);
    cr_expect_gt(lookup_choose(&l, LOOKUP_MATCH, LOOKUP_MAX), 0);
    cr_expect_leq(lookup_choose(&l, LOOKUP_MATCH, 3), 3);
    cr_expect_eq(lookup_choose(&l, LOOKUP_MATCH, 0), 0);
}

Test(lookup, one_slow_call_does_not_count_in_full) {
    struct lookup l;
    lookup_begin(&l);
    lookup_timed(&l, 2, 0.1);
    lookup_timed(&l, 2, 1000);
    cr_assert_float_eq(l.seconds[2], 0.125, 1e-12);
}

/* A length whose first call was slow by bad luck is tried again. */
Test(lookup, a_slow_call_is_forgotten) {
    struct lookup l;
    lookup_begin(&l);
    lookup_timed(&l, 1, 0.1);
    for (size_t n = 2; n <= LOOKUP_MAX + 1; n++)
        lookup_timed(&l, n, 10);
    cr_expect_eq(lookup_choose(&l, LOOKUP_MATCH, LOOKUP_MAX), 0);
    int calls = 0;
    while (!lookup_choose(&l, LOOKUP_MATCH, LOOKUP_MAX) && calls < 5000)
        calls++;
    cr_expect_lt(calls, 5000);
}
