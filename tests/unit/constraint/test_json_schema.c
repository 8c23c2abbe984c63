/* JSON Schema as a grammar: what it lets through, what it stops, what it refuses by name. */
#include "src/base/json.h"
#include "src/base/random.h"
#include "src/constraint/grammar.h"
#include "src/constraint/json_schema.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool matches(struct matcher *m, const char *text) {
    size_t len = strlen(text);
    matcher_begin(m, false);
    for (size_t n; len; text += n, len -= n) {
        n = len < 100 ? len : 100;
        if (!matcher_accept(m, text, n))
            return false;
    }
    return matcher_may_end(m);
}

static void expect_values(const char *schema, const char *const *yes, const char *const *no) {
    struct grammar g = {.n_rules = 0};
    struct matcher *m;
    struct bise_error err = {0};
    cr_assert_eq(json_schema_parse(&g, schema, strlen(schema), &err), BISE_OK, "%s: %s", schema,
                 err.detail);
    cr_assert_eq(matcher_open(&m, &g, NULL), BISE_OK);
    for (; *yes; yes++)
        cr_expect(matches(m, *yes), "%s by %s", *yes, schema);
    for (; *no; no++)
        cr_expect_not(matches(m, *no), "%s by %s", *no, schema);
    matcher_close(&m);
    grammar_free(&g);
}

static void expect_refused(const char *schema, const char *text) {
    struct grammar g = {.n_rules = 0};
    struct bise_error err = {0};
    cr_expect_eq(json_schema_parse(&g, schema, strlen(schema), &err), BISE_ERR_ARG, "%s", schema);
    cr_expect(strstr(err.detail, text) != NULL, "\"%s\" not in: %s", text, err.detail);
    grammar_free(&g);
}

static void expect_refused_text(const char *schema, const char *text) {
    expect_values(schema, (const char *const[]){"0.5", NULL}, (const char *const[]){text, NULL});
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(json_schema, simple_types) {
    expect_values("{\"type\":\"null\"}", LIST("null"), LIST("", "nul", "nulll", "0"));
    expect_values("{\"type\":\"boolean\"}", LIST("true", "false"), LIST("\"true\"", "1"));
    expect_values("{\"type\":\"integer\"}", LIST("0", "-1", "42", "12345678901234567890"),
                  LIST("01", "1.0", "1e3", "+1", "-", "-0", "123456789012345678901"));
    expect_values("{\"type\":\"number\"}", LIST("0", "-1.5", "1e3", "2.5E-10", "7"),
                  LIST(".5", "1.", "1e", "1e999", "00", "\"1\""));
    expect_values("{\"type\":[\"integer\",\"null\"]}", LIST("3", "null"), LIST("3.5", "\"\""));
    expect_values("{\"type\":\"string\",\"nullable\":true}", LIST("\"a\"", "null"), LIST("1"));
    expect_values("{}", LIST("3", "null", "[{\"a\":[]}]", "\"\\u00e9\""), LIST("", "[", "\"\n\""));
    expect_values("{\"properties\":{\"a\":{\"minLength\":1}}}",
                  LIST("{}", "{\"a\":\"x\"}", "{\"a\":3}"), LIST("{\"a\":\"\"}", "3"));
}

Test(json_schema, strings) {
    expect_values("{\"type\":\"string\"}",
                  LIST("\"\"", "\"a\"", "\"\\n\\u00e9\\\"\"", "\"\xc3\xa9\xf0\x9f\x98\x80\""),
                  LIST("\"", "\"\n\"", "\"\\x\"", "\"\\ud800\"", "a", "\"\xc3\"", "\"\xc3\x28\"",
                       "\"\xed\xa0\x80\"", "\"\xe0\x80\x80\"", "\"\xf4\x90\x80\x80\""));
    expect_values("{\"minLength\":1,\"maxLength\":2}", LIST("\"a\"", "\"\xc3\xa9\\n\""),
                  LIST("\"\"", "\"abc\""));
    expect_values("{\"type\":\"string\",\"maxLength\":0}", LIST("\"\""), LIST("\"a\""));
    expect_values("{\"type\":\"string\",\"pattern\":\"^(aa)*$\",\"minLength\":3,\"maxLength\":5}",
                  LIST("\"aaaa\""), LIST("\"aa\"", "\"aaa\"", "\"aaaaaa\""));
    expect_refused("{\"type\":\"string\",\"pattern\":\"^(aa)*$\",\"minLength\":3,\"maxLength\":3}",
                   "no value matches");
    expect_values("{\"type\":\"string\",\"not\":{\"enum\":[\"a\",\"b\",1]}}",
                  LIST("\"c\"", "\"ab\""), LIST("\"a\"", "\"b\"", "\"\\u0061\"", "1"));
    expect_values("{\"type\":\"string\",\"not\":{\"pattern\":\"^a\"}}", LIST("\"\"", "\"ba\""),
                  LIST("\"a\"", "\"ab\""));
}

/* A million characters or items are counted, not written out. */
Test(json_schema, large_counts) {
    static const char *const schemas[] = {
        "{\"type\":\"string\",\"minLength\":999,\"maxLength\":1000000}",
        "{\"type\":\"array\",\"items\":{\"const\":1},\"minItems\":"
        "999,\"maxItems\":1000000}"};
    static char text[2100];
    for (int array = 0; array < 2; array++)
        for (int n = 998; n <= 1001; n++) {
            char *t = text;
            *t++ = array ? '[' : '"';
            for (int i = 0; i < n; i++) {
                if (array && i)
                    *t++ = ',';
                *t++ = array ? '1' : 'x';
            }
            *t++ = array ? ']' : '"';
            *t = 0;
            if (n == 998)
                expect_values(schemas[array], LIST(NULL), LIST(text));
            else
                expect_values(schemas[array], LIST(text), LIST(NULL));
        }
}

Test(json_schema, patterns) {
    expect_values("{\"pattern\":\"^[a-c]+-\\\\d{2,3}$\"}", LIST("\"a-12\"", "\"cab-123\""),
                  LIST("\"-12\"", "\"a-1\"", "\"a-1234\"", "\"xa-12\""));
    expect_values("{\"pattern\":\"b\"}", LIST("\"b\"", "\"abc\"", "\"\\nb\""),
                  LIST("\"ac\"", "\"\""));
    expect_values("{\"pattern\":\"^(?:yes|(no)?)\\\\.$\"}", LIST("\"yes.\"", "\".\"", "\"no.\""),
                  LIST("\"yes\"", "\"nono.\""));
    expect_values("{\"pattern\":\"^[^a]\\\\s\\\\S\\\\\\\\$\"}",
                  LIST("\"b x\\\\\"", "\"\\\"\\ny\\\\\""),
                  LIST("\"a x\\\\\"", "\"b  \\\\\"", "\"b x\\\"", "\"b x\""));
    expect_values("{\"pattern\":\"^[\\\"\\\\\\\\]\\\\u00e9?$\"}",
                  LIST("\"\\\"\"", "\"\\\\\xc3\xa9\""), LIST("\"\"\"", "\"\\\"", "\"x\""));
    /* Where validators differ about other letters, a character is on neither side. */
    expect_values("{\"pattern\":\"^\\\\W[^\\\\w]\\\\D[^\\\\d]$\"}", LIST("\"-+a_\""),
                  LIST("\"\xc3\xa9+a_\"", "\"-+\xd9\xa1_\"",
                       "\"-\xc3\xa9"
                       "a_\""));
    expect_values("{\"pattern\":\"^a|b$\"}", LIST("\"ax\"", "\"xb\""), LIST("\"xa\"", "\"bx\""));
    expect_values("{\"pattern\":\"(^|,)a(,|$)\"}", LIST("\"a\"", "\"b,a,c\""),
                  LIST("\"ba\"", "\"ab\""));
    expect_values("{\"pattern\":\"^(?!ab)(?=.{3})[a-z]*$\"}", LIST("\"aab\"", "\"xab\""),
                  LIST("\"abc\"", "\"xy\""));
    expect_values("{\"pattern\":\"a\",\"minLength\":2,\"maxLength\":3}", LIST("\"ab\"", "\"xxa\""),
                  LIST("\"a\"", "\"xx\"", "\"aaaa\""));
    expect_values("{\"allOf\":[{\"pattern\":\"a\"},{\"pattern\":\"b\"}],\"type\":\"string\"}",
                  LIST("\"ab\"", "\"b-a\""), LIST("\"a\"", "\"b\""));
    expect_refused("{\"pattern\":\"a^\"}", "no value matches");
    expect_refused("{\"pattern\":\"(a)\\\\1\"}", "this escape is not supported");
    expect_refused("{\"pattern\":\"a(?=b)\"}", "a group of this kind");
    expect_refused("{\"pattern\":\"(?<=a)b\"}", "look-behind");
    expect_refused("{\"pattern\":\"\\\\bx\"}", "this escape");
    expect_refused("{\"pattern\":\"[z-a]\"}", "this range");
    expect_refused("{\"pattern\":\"(a\"}", "expected ) at the end of a group");
    expect_refused("{\"pattern\":\"a)\"}", "this character");
    expect_refused("{\"pattern\":3}", "expected a regular expression, found a number");
}

Test(json_schema, formats) {
    static const struct {
        const char *name, *yes[10], *no[10];
    } formats[] = {
        {"date",
         {"2024-02-29", "2000-02-29", "1999-12-31"},
         {"2023-02-29", "1900-02-29", "2024-02-30", "2024-13-01", "2023-04-31", "0000-01-01"}},
        {"time", {"12:00:00Z", "23:59:59.25+05:30"}, {"24:00:00Z", "12:00", "12:60:00Z"}},
        {"date-time",
         {"2024-01-31T23:59:59Z", "2024-02-29T00:00:00.5+01:30"},
         {"2024-01-31 00:00:00Z", "2024-01-31T24:00:00Z", "2023-02-29T00:00:00Z"}},
        {"duration", {"P3D", "PT1H30M", "P1Y2M3DT4H", "P2W"}, {"P", "PT", "3D", "P1D2W"}},
        {"email", {"first.last+tag@x-y.org", "a@b.cd"}, {"@b.c", "a@", ".a@b.cd", "a@-b.c"}},
        {"hostname", {"localhost", "a-b.example.org"}, {"-a", "a..b", "a_b", ""}},
        {"ipv4", {"0.255.10.1"}, {"256.1.1.1", "1.1.1", "01.1.1.1"}},
        {"ipv6",
         {"::1", "::", "fe80::1:2", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1::8"},
         {"1::2::3", ":1", "1:2:3:4:5:6:7", "12345::", "1:2:3:4:5:6:7:8:9"}},
        {"uri",
         {"http://localhost:7070", "https://a.bc/d/e.html?q=1&r=%20#f", "file:///a",
          "mailto:a@b.cd", "urn:isbn:0451450523", "ftp://u:p@[::1]:21/x"},
         {"a.bc", "/a", "http://a b", "http://[::1", "1a:b", "http://a/%2"}},
        {"uri-reference", {"../a/b#c", "/x?y", "//h/p", "", "http://a"}, {"a b", "%", "\\\\x"}},
        {"uuid",
         {"12345678-9abc-DEF0-1234-56789abcdef0"},
         {"12345678", "12345678-9abc-def0-1234-56789abcdeg0"}},
        {"json-pointer", {"", "/a/b~0~1", "/"}, {"a", "/~2", "/~"}},
        {"regex", {"^[a-z]+(b|c)*\\\\d$", "a{2}"}, {"(", "[z", "*"}},
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        char schema[80], yes[12][80], no[12][80];
        const char *y[13], *n[13];
        size_t n_yes = 0, n_no = 0;
        snprintf(schema, sizeof schema, "{\"type\":\"string\",\"format\":\"%s\"}", formats[i].name);
        for (; formats[i].yes[n_yes]; n_yes++) {
            snprintf(yes[n_yes], sizeof yes[0], "\"%s\"", formats[i].yes[n_yes]);
            y[n_yes] = yes[n_yes];
        }
        for (; formats[i].no[n_no]; n_no++) {
            snprintf(no[n_no], sizeof no[0], "\"%s\"", formats[i].no[n_no]);
            n[n_no] = no[n_no];
        }
        y[n_yes] = n[n_no] = NULL;
        expect_values(schema, y, n);
    }
    expect_values("{\"type\":\"integer\",\"format\":\"int32\"}", LIST("2147483647", "-5"),
                  LIST("2147483648"));
    expect_values(
        "{\"type\":\"string\",\"format\":\"email\",\"maxLength\":8,\"pattern\":\"^[a-c]\"}",
        LIST("\"a@b.cd\"", "\"cc@b.com\""), LIST("\"d@b.cd\"", "\"abcd@b.cd\""));
}

Test(json_schema, bounds_of_integers) {
    static const int bounds[][2] = {{0, 0},   {0, 9},     {1, 10},     {-5, 140},   {7, 1234},
                                    {99, 99}, {100, 101}, {-120, -99}, {-10, 10},   {-3, -3},
                                    {0, 999}, {90, 110},  {-1, 0},     {1000, 1002}};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        char schema[100], text[24];
        struct grammar g = {.n_rules = 0};
        struct matcher *m;
        snprintf(schema, sizeof schema, "{\"type\":\"integer\",\"minimum\":%d,\"maximum\":%d}",
                 bounds[i][0], bounds[i][1]);
        cr_assert_eq(json_schema_parse(&g, schema, strlen(schema), NULL), BISE_OK);
        cr_assert_eq(matcher_open(&m, &g, NULL), BISE_OK);
        for (int n = -1300; n <= 1300; n++) {
            snprintf(text, sizeof text, "%d", n);
            cr_expect_eq(matches(m, text), n >= bounds[i][0] && n <= bounds[i][1], "%d in %s", n,
                         schema);
        }
        matcher_close(&m);
        grammar_free(&g);
    }
    expect_values("{\"type\":\"integer\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":2.5}",
                  LIST("1", "2"), LIST("0", "3", "-1"));
    expect_values(
        "{\"type\":\"integer\",\"minimum\":-9007199254740991,\"maximum\":9007199254740991}",
        LIST("9007199254740991", "-9007199254740991", "0"),
        LIST("9007199254740992", "-9007199254740992"));
    expect_values("{\"type\":\"integer\",\"minimum\":9223372036854775807,\"maximum\":"
                  "18446744073709551615}",
                  LIST("9223372036854775807", "18446744073709551615"),
                  LIST("9223372036854775806", "18446744073709551616", "0"));
    expect_values("{\"type\":\"integer\",\"minimum\":5,\"exclusiveMinimum\":true}", LIST("6"),
                  LIST("5"));
    expect_refused("{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", "no value matches");
    expect_refused("{\"type\":\"integer\",\"minimum\":\"3\"}", "expected a number, found a string");
}

Test(json_schema, multiples) {
    struct grammar g = {.n_rules = 0};
    struct matcher *m;
    const char *const schema = "{\"type\":\"number\",\"multipleOf\":7,\"maximum\":900}";
    cr_assert_eq(json_schema_parse(&g, schema, strlen(schema), NULL), BISE_OK);
    cr_assert_eq(matcher_open(&m, &g, NULL), BISE_OK);
    for (int n = -1000; n <= 1000; n++) {
        char text[24];
        snprintf(text, sizeof text, "%d", n);
        cr_expect_eq(matches(m, text), n % 7 == 0 && n <= 900, "%d", n);
    }
    matcher_close(&m);
    grammar_free(&g);
    expect_refused("{\"type\":\"number\",\"multipleOf\":0.01}", "multipleOf of other than");
    expect_refused("{\"multipleOf\":0}", "expected a positive number");
}

/* Decimals of up to three digits on either side, against what doubles say. */
Test(json_schema, bounds_of_numbers) {
    static const char *const bounds[][2] = {{"0", "1"},        {"-2", "10"},     {"0.5", "1.25"},
                                            {"-1.5", "-0.05"}, {"-0.75", "0.3"}, {"1e1", "12.5e0"},
                                            {"9.95", "10.05"}};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
        for (int strict = 0; strict < 2; strict++) {
            char schema[160], text[24];
            struct grammar g = {.n_rules = 0};
            struct matcher *m;
            const double lo = strtod(bounds[i][0], NULL), hi = strtod(bounds[i][1], NULL);
            snprintf(schema, sizeof schema,
                     strict
                         ? "{\"type\":\"number\",\"exclusiveMinimum\":%s,\"exclusiveMaximum\":%s}"
                         : "{\"type\":\"number\",\"minimum\":%s,\"maximum\":%s}",
                     bounds[i][0], bounds[i][1]);
            cr_assert_eq(json_schema_parse(&g, schema, strlen(schema), NULL), BISE_OK);
            cr_assert_eq(matcher_open(&m, &g, NULL), BISE_OK);
            for (int n = -2100; n <= 13000; n += n > 1500 && n < 9000 ? 37 : 1) {
                const double x = strtod((snprintf(text, sizeof text, "%s%d.%03d", n < 0 ? "-" : "",
                                                  abs(n) / 1000, abs(n) % 1000),
                                         text),
                                        NULL);
                const bool in = strict ? x > lo && x < hi : x >= lo && x <= hi;
                cr_expect_eq(matches(m, text), in, "%s in %s", text, schema);
            }
            matcher_close(&m);
            grammar_free(&g);
        }
    expect_values("{\"type\":\"number\",\"exclusiveMinimum\":0}", LIST("0.1", "3", "0.00000001"),
                  LIST("0", "0.0", "-1", "1e5"));
    expect_values("{\"type\":\"number\",\"not\":{\"enum\":[1.5,2,-3]}}",
                  LIST("1.51", "20", "3", "-2"),
                  LIST("1.5", "1.50", "2", "2.0", "2.00", "-3", "-3.0"));
    expect_values("{\"type\":\"number\",\"not\":{\"type\":\"integer\"}}", LIST("1.5", "-0.25"),
                  LIST("1", "1.0", "0", "-0.0"));
    /* What a double would round to a number that it must not be. */
    expect_refused_text("{\"type\":\"number\",\"not\":{\"type\":\"integer\"}}",
                        "73973135062685162327.975");
    expect_refused_text("{\"type\":\"number\",\"not\":{\"const\":0.1}}", "0.10000000000000001");
    expect_refused_text("{\"type\":\"number\",\"exclusiveMaximum\":1}", "0.99999999999999999");
}

Test(json_schema, objects) {
    const char *const schema = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},"
                               "\"b\":{\"type\":\"null\"},\"c\":{\"type\":\"boolean\"}},"
                               "\"required\":[\"b\"],\"additionalProperties\":false}";
    expect_values(schema,
                  LIST("{\"b\":null}", "{ \"a\": 1, \"b\": null }", "{\"b\":null,\"c\":true}",
                       "{\n    \"a\":-3,\n    \"b\":null,\n    \"c\": false\n}"),
                  LIST("{}", "{\"a\":1}", "{\"b\":null,}", "{\"b\":null,\"a\":1}",
                       "{\"b\":null \"c\":true}", "{\"b\":null,\"d\":1}", "{,\"b\":null}"));
    expect_values("{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}}}",
                  LIST("{}", "{\"a\":[1,\"x\"]}", "{\"b\":{\"c\":{}}}", "{\"a\":1,\"b\":2}",
                       "{\"a\":1,\"x\":3,\"y\":4}"),
                  LIST("{\"b\":1,\"a\":2}", "[]", "{\"x\":1,\"a\":2}"));
    expect_values("{\"type\":\"object\",\"additionalProperties\":false}", LIST("{}", "{ }"),
                  LIST("{\"a\":1}"));
    expect_values("{\"type\":\"object\"}", LIST("{}", "{\"x\":{\"y\":[1,2]}}", "{\"\":null}"),
                  LIST("[]", "{x:1}"));
    expect_values("{\"type\":\"object\",\"required\":[\"a\"]}",
                  LIST("{\"a\":1}", "{\"a\":1,\"b\":2}"), LIST("{}", "{\"b\":1}"));
    expect_values("{\"type\":\"object\",\"properties\":{\"a\":false,\"b\":{}}}",
                  LIST("{}", "{\"b\":1}"), LIST("{\"a\":1}"));
    expect_refused("{\"type\":\"object\",\"properties\":{\"a\":false},\"required\":[\"a\"]}",
                   "no value matches");
    expect_refused("{\"properties\":3}", "#/properties: expected an object");
    expect_refused("{\"patternProperties\":[]}", "#/patternProperties: expected an object");
}

Test(json_schema, properties_that_are_not_declared) {
    const char *const schema = "{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"null\"},"
                               "\"ac\":{\"type\":\"null\"},"
                               "\"a\":{},\"\\\"q\":{},\"\xc3\xa9\":{}},\"required\":[\"ab\"],"
                               "\"additionalProperties\":{\"type\":\"integer\"}}";
    expect_values(schema,
                  LIST("{\"ab\":null}", "{\"ab\":null,\"abc\":1}", "{\"ab\":null,\"ad\":1,\"\":2}",
                       "{\"ab\":null,\"ac\":null,\"x\":3}", "{\"ab\":null,\"\xc3\xa8\":3}",
                       "{\"ab\":null,\"a\\\"\":1}"),
                  LIST("{\"ab\":null,\"ab\":1}", "{\"ab\":null,\"ac\":1}", "{\"abc\":1}",
                       "{\"ab\":null,\"\\u0061b\":1}", "{\"ab\":null,\"x\":null}",
                       "{\"ab\":null,\"\\u00e9\":1}"));
    expect_values("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
                  LIST("{}", "{\"a\":1,\"b\":2}"), LIST("{\"a\":\"\"}"));
    expect_values(
        "{\"type\":\"object\",\"properties\":{\"n1\":{}},\"patternProperties\":{\"^n\":"
        "{\"type\":\"integer\"},\"1$\":{\"minimum\":5}},\"additionalProperties\":{\"type\":"
        "\"null\"}}",
        LIST("{\"n1\":7,\"n\":1,\"x1\":5,\"n31\":9,\"y\":null,\"x1\":\"s\"}"),
        LIST("{\"n1\":3}", "{\"n1\":\"\"}", "{\"n\":null}", "{\"n31\":4}", "{\"x1\":4}",
             "{\"y\":1}"));
    expect_values(
        "{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[a-c]+$\",\"maxLength\":2},"
        "\"properties\":{\"a\":{},\"d\":{}}}",
        LIST("{}", "{\"a\":1,\"bc\":2}"), LIST("{\"d\":1}", "{\"abc\":1}", "{\"\":1}"));
    expect_values("{\"type\":\"object\",\"propertyNames\":{\"enum\":[\"x\",\"y\"]}}",
                  LIST("{\"x\":1}", "{\"y\":1,\"x\":2}"), LIST("{\"z\":1}"));
}

Test(json_schema, numbers_of_properties) {
    expect_values("{\"type\":\"object\",\"minProperties\":1}", LIST("{\"a\":1}"), LIST("{}"));
    expect_values(
        "{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{},\"c\":{}},\"minProperties\":2,"
        "\"additionalProperties\":false}",
        LIST("{\"a\":1,\"c\":1}", "{\"a\":1,\"b\":1,\"c\":1}"), LIST("{}", "{\"b\":1}"));
    expect_values(
        "{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{},\"c\":{}},\"maxProperties\":2}",
        LIST("{}", "{\"a\":1,\"c\":1}", "{\"b\":1,\"x\":1}", "{\"x\":1,\"y\":1}"),
        LIST("{\"a\":1,\"b\":1,\"c\":1}", "{\"a\":1,\"b\":1,\"x\":1}",
             "{\"x\":1,\"y\":1,\"z\":1}"));
    /* A key may come twice, and then counts once. */
    expect_values("{\"type\":\"object\",\"properties\":{\"a\":{}},\"minProperties\":2}",
                  LIST("{\"a\":1,\"x\":1}"), LIST("{\"x\":1,\"x\":2}", "{\"a\":1}"));
    expect_refused("{\"type\":\"object\",\"minProperties\":2}", "minProperties");
}

Test(json_schema, dependent_properties) {
    static const char *const schemas[] = {
        "{\"type\":\"object\",\"dependentRequired\":{\"a\":[\"b\"]}}",
        "{\"type\":\"object\",\"dependencies\":{\"a\":[\"b\"]}}",
        "{\"type\":\"object\",\"dependencies\":{\"a\":{\"required\":[\"b\"]}}}",
        "{\"type\":\"object\",\"dependentSchemas\":{\"a\":{\"required\":[\"b\"]}}}",
        "{\"type\":\"object\",\"if\":{\"required\":[\"a\"]},\"then\":{\"required\":[\"b\"]}}"};
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++)
        expect_values(schemas[i], LIST("{}", "{\"b\":1}", "{\"a\":1,\"b\":2}", "{\"x\":1}"),
                      LIST("{\"a\":1}", "{\"a\":1,\"c\":2}"));
}

Test(json_schema, arrays) {
    expect_values(
        "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}",
        LIST("[1]", "[1,2]", "[ 1, 2, 3 ]"), LIST("[]", "[1,2,3,4]", "[1,]", "[,1]"));
    expect_values("{\"type\":\"array\",\"items\":{\"const\":1}}", LIST("[]", "[1,1,1,1,1]"),
                  LIST("[2]", "[1 1]"));
    expect_values("{\"type\":\"array\",\"maxItems\":0}", LIST("[]"), LIST("[1]"));
    expect_values("{\"type\":\"array\",\"minItems\":2}", LIST("[1,{}]", "[1,2,3]"), LIST("[1]"));
    expect_values("{\"type\":\"array\",\"items\":false}", LIST("[]"), LIST("[1]"));
    expect_values("{\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"null\"}],"
                  "\"items\":false}",
                  LIST("[]", "[\"a\"]", "[\"a\",null]"), LIST("[null,\"a\"]", "[\"a\",null,1]"));
    expect_values(
        "{\"type\":\"array\",\"items\":[{\"type\":\"string\"}],\"additionalItems\":{\"type\":"
        "\"integer\"},\"minItems\":1}",
        LIST("[\"a\"]", "[\"a\",1,2]"), LIST("[]", "[1]", "[\"a\",\"b\"]"));
    expect_values("{\"type\":\"array\",\"uniqueItems\":false,\"items\":{\"const\":1}}",
                  LIST("[1,1]"), LIST("[2]"));
    expect_values("{\"type\":\"array\",\"uniqueItems\":true,\"maxItems\":1}", LIST("[]", "[1]"),
                  LIST("[1,1]"));
    expect_refused("{\"type\":\"array\",\"minItems\":3,\"maxItems\":2}", "no value matches");
    expect_refused("{\"type\":\"array\",\"items\":3}", "#/items: expected a schema");
    expect_refused("{\"type\":\"array\",\"minItems\":-1}", "#/minItems: expected a whole number");
    expect_refused("{\"type\":\"array\",\"uniqueItems\":true}", "\"uniqueItems\" is not supported");
}

Test(json_schema, contained_items) {
    expect_values("{\"type\":\"array\",\"contains\":{\"type\":\"string\"}}",
                  LIST("[\"a\"]", "[1,\"a\",2]", "[\"a\",\"b\"]"), LIST("[]", "[1,2]"));
    expect_values("{\"type\":\"array\",\"contains\":{\"type\":\"string\"},\"minContains\":2,"
                  "\"maxContains\":3,\"maxItems\":5}",
                  LIST("[\"a\",1,\"b\"]", "[\"a\",\"b\",\"c\",1,2]"),
                  LIST("[\"a\"]", "[\"a\",\"b\",\"c\",\"d\"]", "[\"a\",1,1,1,1,\"b\"]"));
    expect_values(
        "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"contains\":{\"minimum\":5}}",
        LIST("[1,7]", "[5]"), LIST("[1,2]", "[7,\"a\"]"));
    expect_values("{\"type\":\"array\",\"not\":{\"items\":{\"type\":\"integer\"}}}",
                  LIST("[1,\"a\"]", "[null]"), LIST("[]", "[1,2]"));
}

Test(json_schema, values_and_choices) {
    expect_values("{\"enum\":[\"a\\n\",1,1.5,null,{\"k\":[true]}]}",
                  LIST("\"a\\n\"", "1", "1.5", "null", "{\"k\":[true]}", "{ \"k\": [ true ] }"),
                  LIST("2", "\"a\""));
    expect_values("{\"enum\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\\\"\",3]}",
                  LIST("\"a\"", "\"h\"", "\"i\\\"\"", "3"), LIST("\"j\"", "\"ab\"", "4"));
    expect_values("{\"type\":\"string\",\"enum\":[\"a\",1]}", LIST("\"a\""), LIST("1"));
    expect_values("{\"enum\":[\"a\",\"bb\",3,9],\"minLength\":2,\"maximum\":5}",
                  LIST("\"bb\"", "3"), LIST("\"a\"", "9"));
    expect_values("{\"allOf\":[{\"enum\":[[]]},{\"minProperties\":1}]}", LIST("[]"), LIST("{}"));
    expect_values("{\"const\":\"x\"}", LIST("\"x\""), LIST("\"y\""));
    expect_values("{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", LIST("1", "1.5"),
                  LIST("\"\""));
    expect_values("{\"anyOf\":[{\"minLength\":2},{\"pattern\":\"a\"}],\"type\":\"string\"}",
                  LIST("\"xy\"", "\"a\""), LIST("\"x\"", "1"));
    expect_values(
        "{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"anyOf\":[{\"required\":"
        "[\"a\"]},{\"required\":[\"b\"]}],\"additionalProperties\":false}",
        LIST("{\"a\":1}", "{\"b\":1}", "{\"a\":1,\"b\":2}"), LIST("{}"));
    expect_values("{\"allOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}},"
                  "{\"properties\":{\"a\":{\"minimum\":3},\"b\":{}},\"required\":[\"a\"]}]}",
                  LIST("{\"a\":3}", "{\"a\":4,\"b\":1}"), LIST("{}", "{\"a\":2}", "{\"a\":3.5}"));
    expect_values("{\"type\":[\"integer\",\"string\"],\"not\":{\"type\":\"string\"}}", LIST("1"),
                  LIST("\"a\"", "1.5"));
    expect_values(
        "{\"if\":{\"type\":\"string\"},\"then\":{\"maxLength\":1},\"else\":{\"const\":2}}",
        LIST("\"a\"", "2"), LIST("\"ab\"", "3"));
    expect_refused("{\"anyOf\":[]}", "expected an array of schemas");
    expect_refused("{\"type\":\"string\",\"enum\":[1]}", "no value matches");
    expect_refused("{\"enum\":3}", "expected an array of values");
}

/* One of them: where two could match, neither does. */
Test(json_schema, one_of) {
    expect_values("{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"},{\"const\":null}]}",
                  LIST("1", "\"\"", "null"), LIST("1.5"));
    expect_values("{\"oneOf\":[{\"properties\":{\"kind\":{\"const\":\"a\"},\"x\":{}},"
                  "\"type\":\"object\",\"required\":[\"kind\"]},{\"type\":\"object\","
                  "\"properties\":{\"kind\":{\"enum\":[\"b\",\"c\"]}},\"required\":[\"kind\"]}]}",
                  LIST("{\"kind\":\"a\",\"x\":1}", "{\"kind\":\"c\"}"), LIST("{\"kind\":\"d\"}"));
    expect_values("{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", LIST("1.5"),
                  LIST("1"));
    expect_values("{\"oneOf\":[{\"minLength\":3},{\"maximum\":5}]}", LIST("\"ab\"", "7"),
                  LIST("\"abc\"", "3", "null", "[]"));
    expect_values("{\"type\":\"object\",\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
                  LIST("{\"a\":1}", "{\"b\":1}", "{\"b\":1,\"c\":2}"),
                  LIST("{}", "{\"a\":1,\"b\":1}"));
    expect_refused(
        "{\"oneOf\":[{\"type\":\"string\",\"format\":\"email\"},{\"type\":\"string\",\"format\":"
        "\"uri\"}]}",
        "the opposite of \"format\"");
}

Test(json_schema, unevaluated_properties) {
    const char *const schema =
        "{\"type\":\"object\",\"allOf\":[{\"properties\":{\"a\":{}}}],\"properties\":{\"b\":{}},"
        "\"anyOf\":[{\"properties\":{\"c\":{}},\"required\":[\"c\"]},{\"maxProperties\":1}],"
        "\"unevaluatedProperties\":false}";
    expect_values(schema, LIST("{\"b\":1,\"a\":2,\"c\":3}", "{\"b\":1}", "{}"),
                  LIST("{\"d\":1}", "{\"b\":1,\"a\":1}", "{\"b\":1,\"c\":1,\"d\":1}"));
    expect_refused("{\"unevaluatedItems\":false}", "\"unevaluatedItems\" is not supported");
}

Test(json_schema, references) {
    const char *const tree =
        "{\"$ref\":\"#/$defs/tree\",\"$defs\":{\"tree\":{\"type\":\"object\",\"properties\":{"
        "\"v\":{\"type\":\"integer\"},\"kids\":{\"type\":\"array\",\"items\":{\"$ref\":"
        "\"#/$defs/tree\"}}},\"required\":[\"v\"],\"additionalProperties\":false}}}";
    expect_values(tree, LIST("{\"v\":1}", "{\"v\":1,\"kids\":[{\"v\":2},{\"v\":3,\"kids\":[]}]}"),
                  LIST("{\"kids\":[]}", "{\"v\":1,\"kids\":[1]}"));
    expect_values("{\"anyOf\":[{\"$ref\":\"#/definitions/a~1b\"}],\"definitions\":{\"a/b\":"
                  "{\"const\":1}}}",
                  LIST("1"), LIST("2"));
    expect_values("{\"$ref\":\"#/$defs/x\",\"minimum\":1,\"$defs\":{\"x\":{\"type\":\"integer\"}}}",
                  LIST("1"), LIST("0", "1.5"));
    expect_values("{\"$ref\":\"#one\",\"$defs\":{\"x\":{\"$anchor\":\"one\",\"const\":1}}}",
                  LIST("1"), LIST("2"));
    expect_values(
        "{\"$id\":\"http://x/y\",\"$ref\":\"http://x/y#/$defs/x\",\"$defs\":{\"x\":{\"const\":"
        "1}}}",
        LIST("1"), LIST("2"));
    expect_values(
        "{\"properties\":{\"a\":{\"$ref\":\"#/properties/b%20c\"},\"b c\":{\"const\":3}}}",
        LIST("{\"a\":3}"), LIST("{\"a\":4}"));
    expect_refused("{\"$ref\":\"#\"}", "fewer references");
    expect_refused("{\"anyOf\":[{\"$ref\":\"#\"}]}", "no value matches");
    expect_refused("{\"allOf\":[{\"$ref\":\"#\"}]}", "defined by itself");
    expect_refused(
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
        "no value matches");
    expect_refused("{\"$ref\":\"#/$defs/x\"}", "there is no #/$defs/x");
    expect_refused("{\"$ref\":\"http://x/y\"}", "only references within");
    expect_refused("{\"properties\":{\"a\":{\"$id\":\"http://x/z\",\"items\":{\"$ref\":\"#\"}}}}",
                   "below an \"$id\"");
}

Test(json_schema, what_is_passed_over_is_named) {
    static const char schema[] =
        "{\"$id\":\"http://x/"
        "y\",\"title\":\"t\",\"x-a\":1,\"type\":\"object\",\"properties\":{\"b\":"
        "{\"example\":3,\"x-a\":2,\"type\":\"string\",\"format\":\"phone\"}},\"discriminator\":{}}";
    struct grammar g = {.n_rules = 0};
    cr_assert_eq(json_schema_parse(&g, schema, sizeof schema - 1, NULL), BISE_OK);
    cr_assert_str_eq(g.note, "x-a, discriminator, example, format phone");
    grammar_free(&g);
    cr_assert_eq(json_schema_parse(&g, "{\"a\\u001b\\u0085b\":1}", 20, NULL), BISE_OK);
    cr_assert_str_eq(g.note, "a??b");
    grammar_free(&g);
    cr_assert_eq(json_schema_parse(&g, "{\"title\":\"\"}", 12, NULL), BISE_OK);
    cr_assert_null(g.note);
    grammar_free(&g);
}

Test(json_schema, what_is_no_schema_is_refused) {
    expect_refused("[]", "#: expected a schema");
    expect_refused("{\"type\":\"int\"}", "#/type: expected a type's name");
    expect_refused("{", "byte 1: expected");
    expect_refused("{\"type\":\"null\",\"type\":\"string\"}", "\"type\" comes twice");
    expect_refused("{\"properties\":{\"a\":{\"not\":1}}}", "#/properties/a/not: expected a schema");
    expect_refused("{\"$dynamicRef\":\"#a\"}", "\"$dynamicRef\" is not supported");
    expect_refused("false", "no value matches");
}

/* However a schema is made, it is compiled or refused soon: the budget is one of work. */
Test(json_schema, hostile_ones_are_refused) {
    static char schema[1 << 17];
    char *at = schema;
    at += sprintf(at, "{\"allOf\":[");
    for (int i = 0; i < 12; i++) {
        at += sprintf(at, "%s{\"anyOf\":[", i ? "," : "");
        for (int k = 0; k < 8; k++)
            at += sprintf(at, "%s{\"required\":[\"p%d%d\"]}", k ? "," : "", i, k);
        at += sprintf(at, "]}");
    }
    sprintf(at, "]}");
    expect_refused(schema, "combinations");
    expect_refused("{\"type\":\"string\",\"pattern\":\"((a{1,999}){1,999}){1,999}\"}", "simpler");
    expect_refused("{\"type\":\"string\",\"pattern\":\"(a|b)*a(a|b){20}$\"}", "simpler");
    at = schema + sprintf(schema, "{\"oneOf\":[");
    for (int i = 0; i < 100; i++)
        at +=
            sprintf(at, "%s{\"properties\":{\"a\":{\"minLength\":%d},\"b\":{\"pattern\":\"x%d\"}}}",
                    i ? "," : "", i, i);
    sprintf(at, "]}");
    struct grammar g = {.n_rules = 0};
    cr_expect_eq(json_schema_parse(&g, schema, strlen(schema), NULL), BISE_ERR_ARG);
    grammar_free(&g);
}

/* Random walks along the grammar always give what the JSON reader takes. */
Test(json_schema, random_texts_are_json) {
    struct grammar g = {.n_rules = 0};
    struct matcher *m;
    struct random_state random;
    random_seed(&random, 7);
    cr_assert_eq(json_schema_parse(&g, "true", 4, NULL), BISE_OK);
    cr_assert_eq(matcher_open(&m, &g, NULL), BISE_OK);
    size_t n_whole = 0;
    for (int i = 0; i < 3000; i++) {
        char text[200];
        size_t n = 0;
        matcher_begin(m, false);
        while (n < sizeof text) {
            static const char likely[] = "{}[]\"\"\"::,,01.-etrufalsn\\u0 \n";
            char c = likely[random_u64(&random) % (sizeof likely - 1)];
            if (matcher_accept(m, &c, 1))
                text[n++] = c;
            else if (matcher_may_end(m) && random_u64(&random) % 4 == 0)
                break;
        }
        struct json *json = NULL;
        struct bise_error err = {0};
        if (matcher_may_end(m)) {
            cr_expect_eq(json_parse(&json, text, n, "text", &err), BISE_OK, "%.*s: %s", (int)n,
                         text, err.detail);
            n_whole++;
        }
        json_close(&json);
    }
    cr_expect_gt(n_whole, 500);
    matcher_close(&m);
    grammar_free(&g);
}
