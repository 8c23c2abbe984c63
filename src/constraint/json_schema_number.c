/* Numbers of a schema: ranges of integers become patterns of digits. */
#include "src/constraint/json_schema_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LARGEST 999999999999999 /* SCHEMA_MAX_DIGITS nines */

static void put_digits(struct schema *s, unsigned lo, unsigned hi, uint32_t min, uint32_t max) {
    const struct char_class digits = {.n = 1, .ranges = {{'0' + lo, '0' + hi}}};
    const size_t mark = builder_mark(&s->b);
    builder_put_class(&s->b, &digits);
    builder_repeat(&s->b, mark, min, max);
}

static bool all_digits(const char *digits, char digit) {
    return strspn(digits, (const char[]){digit, 0}) == strlen(digits);
}

/* Alternatives of rule: numbers from lo to hi, digit strings of one length. */
static void put_same_length(struct schema *s, uint32_t rule, const char *lo, const char *hi) {
    struct builder *b = &s->b;
    const size_t n = strlen(lo), mark = builder_mark(b);
    const unsigned first = (unsigned)(*lo - '0'), last = (unsigned)(*hi - '0');
    char edge[24] = "";
    if (n <= 1 || (all_digits(lo + 1, '0') && all_digits(hi + 1, '9'))) {
        put_digits(s, first, last, 1, 1);
        put_digits(s, 0, 9, (uint32_t)n - 1, (uint32_t)n - 1);
        builder_alternative(b, rule, mark);
        return;
    }
    uint32_t rest = builder_rule(b);
    put_digits(s, first, first, 1, 1);
    if (first == last) {
        put_same_length(s, rest, lo + 1, hi + 1);
    } else {
        memset(edge, '9', n - 1);
        put_same_length(s, rest, lo + 1, edge);
    }
    schema_put_rule(s, rest);
    builder_alternative(b, rule, mark);
    if (first == last)
        return;
    if (first + 1 < last) {
        put_digits(s, first + 1, last - 1, 1, 1);
        put_digits(s, 0, 9, (uint32_t)n - 1, (uint32_t)n - 1);
        builder_alternative(b, rule, mark);
    }
    rest = builder_rule(b);
    memset(edge, '0', n - 1);
    put_digits(s, last, last, 1, 1);
    put_same_length(s, rest, edge, hi + 1);
    schema_put_rule(s, rest);
    builder_alternative(b, rule, mark);
}

/* Alternatives of rule: integers from lo to hi, neither negative. */
static void put_range(struct schema *s, uint32_t rule, int64_t lo, int64_t hi) {
    int64_t power = 10; /* the first number with one digit more */
    for (; lo <= hi; power *= 10) {
        char from[24], to[24];
        if (lo >= power)
            continue;
        const int64_t end = hi < power ? hi : power - 1;
        snprintf(from, sizeof from, "%" PRId64, lo);
        snprintf(to, sizeof to, "%" PRId64, end);
        put_same_length(s, rule, from, to);
        lo = end + 1;
    }
}

/* Magnitudes from lo to hi with a sign in front, or none, as alternatives of rule. */
static void put_magnitudes(struct schema *s, uint32_t rule, const char *sign, int64_t lo,
                           int64_t hi, bool integer) {
    struct builder *b = &s->b;
    const size_t mark = builder_mark(b);
    if (integer || lo == hi) {
        const uint32_t all = builder_rule(b);
        put_range(s, all, lo, hi);
        schema_put_text(s, sign);
        schema_put_rule(s, all);
        builder_alternative(b, rule, mark);
        return;
    }
    put_magnitudes(s, rule, sign, hi, hi, true);
    const uint32_t whole = builder_rule(b);
    put_range(s, whole, lo, hi - 1);
    schema_put_text(s, sign);
    schema_put_rule(s, whole);
    const size_t fraction = builder_mark(b);
    schema_put_text(s, ".");
    put_digits(s, 0, 9, 1, 16);
    builder_repeat(b, fraction, 0, 1);
    builder_alternative(b, rule, mark);
}

/* A bound as an integer, step further inside where it is exclusive. False where it is absent. */
static bool read_bound(struct schema *s, const struct json_value *v, const char *keyword,
                       bool integer, int step, int64_t *bound) {
    const struct json_value *x = json_get(v, keyword);
    if (!x || !schema_ok(s))
        return false;
    const double inside = step < 0 ? floor(x->number) : ceil(x->number);
    if (x->kind != JSON_NUMBER || fabs(x->number) > LARGEST)
        schema_fail(s, x, "expected a number of at most %d digits", SCHEMA_MAX_DIGITS);
    else if (!integer && (inside != x->number || keyword[0] == 'e'))
        schema_fail(s, v, "%s of numbers is not supported, but for whole minimum and maximum",
                    keyword);
    else
        *bound = (int64_t)inside;
    if (keyword[0] == 'e' && inside == x->number)
        *bound += step;
    return schema_ok(s);
}

static void put_any_number(struct schema *s, bool integer) {
    struct builder *b = &s->b;
    size_t mark = builder_mark(b);
    schema_put_text(s, "-");
    builder_repeat(b, mark, 0, 1);
    mark = builder_mark(b);
    const uint32_t whole = builder_rule(b);
    schema_put_text(s, "0");
    builder_alternative(b, whole, mark);
    put_digits(s, 1, 9, 1, 1);
    put_digits(s, 0, 9, 0, SCHEMA_MAX_DIGITS - 1);
    builder_alternative(b, whole, mark);
    schema_put_rule(s, whole);
    if (integer)
        return;
    mark = builder_mark(b);
    schema_put_text(s, ".");
    put_digits(s, 0, 9, 1, 16);
    builder_repeat(b, mark, 0, 1);
    mark = builder_mark(b);
    builder_put_class(b, &(struct char_class){.n = 2, .ranges = {{'e', 'e'}, {'E', 'E'}}});
    const size_t sign = builder_mark(b);
    builder_put_class(b, &(struct char_class){.n = 2, .ranges = {{'+', '+'}, {'-', '-'}}});
    builder_repeat(b, sign, 0, 1);
    put_digits(s, 0, 9, 1, 2);
    builder_repeat(b, mark, 0, 1);
}

void schema_put_number(struct schema *s, const struct json_value *v, bool integer) {
    int64_t lo = -LARGEST, hi = LARGEST, bound = 0;
    bool bounded = false;
    if (read_bound(s, v, "minimum", integer, 1, &bound) && (bounded = true))
        lo = bound;
    if (read_bound(s, v, "exclusiveMinimum", integer, 1, &bound) && (bounded = true))
        lo = bound > lo ? bound : lo;
    if (read_bound(s, v, "maximum", integer, -1, &bound) && (bounded = true))
        hi = bound;
    if (read_bound(s, v, "exclusiveMaximum", integer, -1, &bound) && (bounded = true))
        hi = bound < hi ? bound : hi;
    if (lo > hi)
        schema_fail(s, v, "no number lies between its bounds");
    if (!schema_ok(s))
        return;
    if (!bounded) {
        put_any_number(s, integer);
        return;
    }
    const uint32_t rule = builder_rule(&s->b);
    if (hi >= 0)
        put_magnitudes(s, rule, "", lo > 0 ? lo : 0, hi, integer);
    if (lo < 0)
        put_magnitudes(s, rule, "-", hi < 0 ? -hi : integer ? 1 : 0, -lo, integer);
    schema_put_rule(s, rule);
}
