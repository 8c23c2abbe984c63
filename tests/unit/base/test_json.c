#include "src/base/json.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static struct bise_error err;

static struct json *parse(const char *text) {
    struct json *j = NULL;
    const enum bise_status s = json_parse(&j, text, strlen(text), "t.json", &err);
    cr_assert_eq(s, BISE_OK, "%s: %s", text, err.detail);
    return j;
}

static void refuse(const char *text, size_t len, const char *message) {
    struct json *j = NULL;
    cr_assert_eq(json_parse(&j, text, len, "t.json", &err), BISE_ERR_FORMAT, "%s", text);
    cr_assert_null(j);
    cr_assert(strstr(err.detail, message), "expected \"%s\" in \"%s\"", message, err.detail);
}

Test(json, values_in_order) {
    struct json *j =
        parse(" {\"a\": [1, true, null, \"x\", {}], \"b\" : {\"c\": -2.5e3}, \"d\":[]} ");
    const struct json_value *root = json_root(j), *a = json_get(root, "a");
    cr_assert_eq(root->kind, JSON_OBJECT);
    cr_assert_eq(root->len, 3);
    cr_assert_eq(a->kind, JSON_ARRAY);
    cr_assert_eq(a->len, 5);
    const struct json_value *v = json_first(a);
    cr_assert(v->kind == JSON_NUMBER && v->is_integer && v->integer == 1);
    v = json_next(a, v);
    cr_assert(v->kind == JSON_BOOL && v->boolean);
    v = json_next(a, v);
    cr_assert_eq(v->kind, JSON_NULL);
    v = json_next(a, v);
    cr_assert(json_is(v, "x") && !json_is(v, "xy"));
    v = json_next(a, v);
    cr_assert_eq(v->kind, JSON_OBJECT);
    cr_assert_null(json_first(v));
    cr_assert_null(json_next(a, v));
    v = json_get(json_get(root, "b"), "c");
    cr_assert(!v->is_integer && v->number == -2500.0);
    cr_assert_null(json_first(json_get(root, "d")));
    cr_assert_null(json_get(root, "e"));
    cr_assert_null(json_get(NULL, "e"));
    cr_assert_null(json_get(v, "e"));
    json_close(&j);
    cr_assert_null(j);
    json_close(&j);
    json_close(NULL);
}

Test(json, last_of_equal_keys) {
    struct json *j = parse("{\"k\": 1, \"k\": 2}");
    cr_assert_eq(json_get(json_root(j), "k")->integer, 2);
    json_close(&j);
}

Test(json, numbers) {
    static const struct {
        const char *text;
        double number;
        bool whole;
        int64_t integer;
    } cases[] = {
        {"0", 0, true, 0},
        {"-0", 0, true, 0},
        {"9007199254740993", 9007199254740992.0, true, 9007199254740993},
        {"9223372036854775807", 9223372036854775808.0, true, INT64_MAX},
        {"-9223372036854775808", -9223372036854775808.0, true, INT64_MIN},
        {"9223372036854775808", 9223372036854775808.0, false, 0},
        {"1.0", 1, false, 0},
        {"1e2", 100, false, 0},
        {"1E+2", 100, false, 0},
        {"0.1", 0.1, false, 0},
        {"1e-05", 1e-05, false, 0},
        {"4.9e-324", 4.9e-324, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json *j = parse(cases[i].text);
        const struct json_value *v = json_root(j);
        cr_assert_eq(v->kind, JSON_NUMBER);
        cr_assert_eq(v->number, cases[i].number, "%s", cases[i].text);
        cr_assert_eq(v->is_integer, cases[i].whole, "%s", cases[i].text);
        cr_assert_str_eq(v->digits, cases[i].text);
        if (cases[i].whole)
            cr_assert_eq(v->integer, cases[i].integer, "%s", cases[i].text);
        json_close(&j);
    }
}

Test(json, numbers_in_a_locale_with_commas) {
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8"))
        setlocale(LC_NUMERIC, "fr_FR.UTF-8"); /* neither: the test is as weak as the machine */
    struct json *j = parse("1.5");
    cr_assert_eq(json_root(j)->number, 1.5);
    json_close(&j);
}

Test(json, strings) {
    static const char text[] =
        "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\ude00 \xC3\xA9\"";
    static const char value[] = "a\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 \xC3\xA9";
    struct json *j = parse(text);
    cr_assert_eq(json_root(j)->len, sizeof value - 1);
    cr_assert_str_eq(json_root(j)->string, value);
    json_close(&j);
    j = parse("[\"\", \"a\\u0000b\"]");
    const struct json_value *v = json_first(json_root(j));
    cr_assert_eq(v->len, 0);
    v = json_next(json_root(j), v);
    cr_assert_eq(v->len, 3);
    cr_assert_eq(memcmp(v->string, "a\0b", 4), 0);
    json_close(&j);
}

Test(json, refused) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "byte 0: expected a value, found the end"},
        {"  ", "byte 2: expected a value"},
        {"{\"a\" 1}", "byte 5: expected ':', found '1'"},
        {"{\"a\": 1,}", "byte 8: expected a key in quotes, found '}'"},
        {"{a: 1}", "byte 1: expected a key"},
        {"[1 2]", "byte 3: expected ',' or ']'"},
        {"[1,]", "byte 3: expected a value"},
        {"[1", "byte 2: expected ',' or ']', found the end"},
        {"{\"a\":1", "expected ',' or '}', found the end"},
        {"1 2", "byte 2: expected the end"},
        {"nul", "expected a value"},
        {"NaN", "expected a value, found 'N'"},
        {"-", "expected a value"},
        {"01", "byte 1: expected the end"},
        {"1.", "expected a digit"},
        {"1e", "expected a digit"},
        {".5", "expected a value"},
        {"+1", "expected a value"},
        {"1e999", "byte 0: a number beyond double's range"},
        {"\"a", "closing quote, found the end"},
        {"\"a\nb\"",
         "byte 2: expected a character of a string or its closing quote, found byte 0x0a"},
        {"\"\\x\"", "byte 2: expected an escape"},
        {"\"\\u12g4\"", "four hexadecimal digits, found 'g'"},
        {"\"\\ud800\"", "byte 1: expected a pair of surrogates"},
        {"\"\\ud800\\u0041\"", "pair of surrogates"},
        {"\"\\udc00\"", "pair of surrogates"},
        {"\"\xC3\"", "byte 1: invalid UTF-8"},
        {"\"\xED\xA0\x80\"", "byte 1: invalid UTF-8"},
        {"\xEF\xBB\xBF{}", "byte 0: expected a value, found byte 0xef"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse(cases[i].text, strlen(cases[i].text), cases[i].message);
    refuse("[1]\0", 4, "byte 3: expected the end, found byte 0x00");
}

Test(json, nesting) {
    enum { DEPTH = 10000 };
    static char text[2 * DEPTH];
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    refuse(text, 2 * DEPTH, "byte 128: nested deeper than 128 levels");
    struct json *j = NULL;
    cr_assert_eq(json_parse(&j, text + DEPTH - 128, 256, "t.json", &err), BISE_OK);
    json_close(&j);
}

Test(json, long_numbers) {
    static char text[600];
    memset(text, '1', sizeof text);
    refuse(text, sizeof text, "beyond double's range");
}

/* Every text cut anywhere is refused or read, and never read beyond. */
Test(json, truncated_anywhere) {
    static const char text[] = "{\"a\": [1.5e3, \"\\ud83d\\ude00\", {\"b\": null}], \"c\": true}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        char *copy = malloc(n ? n : 1);
        struct json *j = NULL;
        memcpy(copy, text, n);
        cr_assert_eq(json_parse(&j, copy, n, "t.json", &err), BISE_ERR_FORMAT, "%zu", n);
        free(copy);
    }
}

Test(json, escape) {
    static const char text[] = "a\"\\\b\f\n\r\t\x01\x7F \xC3\xA9\xFF\xF0\x9F\x98\x80";
    static const char form[] =
        "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u007f \xC3\xA9\xEF\xBF\xBD\xF0\x9F\x98\x80\"";
    char out[100];
    cr_assert_eq(json_escape(out, sizeof out, text, sizeof text - 1), sizeof form - 1);
    cr_assert_str_eq(out, form);
    cr_assert_eq(json_escape(out, sizeof out, "", 0), 2);
    cr_assert_str_eq(out, "\"\"");
    cr_assert_eq(json_escape(out, sizeof out, "\0", 1), 8);
    cr_assert_str_eq(out, "\"\\u0000\"");
}

/* Too little room: the length in full, an unbroken beginning, a NUL. */
Test(json, escape_cut) {
    for (size_t cap = 0; cap < 16; cap++) {
        char out[20];
        memset(out, '#', sizeof out);
        cr_assert_eq(json_escape(out, cap, "\xC3\xA9\n\x01z", 5), 13);
        cr_assert_eq(out[cap], '#');
        if (cap > 0)
            cr_assert_eq(strncmp(out, "\"\xC3\xA9\\n\\u0001z\"", strlen(out)), 0);
        if (cap == 3)
            cr_assert_str_eq(out, "\"");
        if (cap == 14)
            cr_assert_eq(strlen(out), 13);
    }
}
