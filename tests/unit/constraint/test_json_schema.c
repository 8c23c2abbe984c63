/* JSON Schema as a grammar: what it lets through, what it stops, what it refuses by name. */
#include "src/base/json.h"
#include "src/base/random.h"
#include "src/constraint/grammar.h"
#include "src/constraint/json_schema.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static bool matches(struct matcher *m, const char *text) {
    matcher_begin(m, false);
    return matcher_accept(m, text, strlen(text)) && matcher_may_end(m);
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

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(json_schema, simple_types) {
    expect_values("{\"type\":\"null\"}", LIST("null"), LIST("", "nul", "nulll", "0"));
    expect_values("{\"type\":\"boolean\"}", LIST("true", "false"), LIST("\"true\"", "1"));
    expect_values("{\"type\":\"integer\"}", LIST("0", "-1", "42", "999999999999999"),
                  LIST("01", "1.0", "1e3", "+1", "-", "1000000000000000"));
    expect_values("{\"type\":\"number\"}", LIST("0", "-1.5", "1e3", "2.5E-10", "7"),
                  LIST(".5", "1.", "1e", "1e999", "00", "\"1\""));
    expect_values("{\"type\":[\"integer\",\"null\"]}", LIST("3", "null"), LIST("3.5", "\"\""));
    expect_values("{\"type\":\"number\",\"title\":\"t\",\"default\":0}", LIST("1"), LIST("t"));
}

Test(json_schema, strings) {
    expect_values("{\"type\":\"string\"}",
                  LIST("\"\"", "\"a\"", "\"\\n\\u00e9\\\"\"", "\"\xc3\xa9\xf0\x9f\x98\x80\""),
                  LIST("\"", "\"\n\"", "\"\\x\"", "\"\\ud800\"", "a", "\"\xc3\""));
    expect_values("{\"minLength\":1,\"maxLength\":2}", LIST("\"a\"", "\"\xc3\xa9\\n\""),
                  LIST("\"\"", "\"abc\""));
    expect_values("{\"type\":\"string\",\"maxLength\":0}", LIST("\"\""), LIST("\"a\""));
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
    expect_values("{\"pattern\":\"^\\\\W[^\\\\w]\\\\D[^\\\\d]$\"}", LIST("\"-+a_\""),
                  LIST("\"\xc3\xa9+a_\"", "\"-+\xd9\xa1_\"",
                       "\"-\xc3\xa9"
                       "a_\""));
    expect_refused("{\"pattern\":\"(a)\\\\1\"}", "this escape is not supported");
    expect_refused("{\"pattern\":\"a(?=b)\"}", "a group of this kind");
    expect_refused("{\"pattern\":\"^a|b$\"}", "an anchor beside |");
    expect_refused("{\"pattern\":\"a^\"}", "an anchor inside");
    expect_refused("{\"pattern\":\"\\\\bx\"}", "this escape");
    expect_refused("{\"pattern\":\"[z-a]\"}", "this range");
    expect_refused("{\"pattern\":\"(a\"}", "a group without its end");
    expect_refused("{\"pattern\":\"a)\"}", "this character");
    expect_refused("{\"pattern\":\"a\",\"minLength\":1}", "together are not supported");
}

Test(json_schema, formats) {
    expect_values("{\"format\":\"date\"}", LIST("\"2024-02-28\"", "\"1999-12-31\""),
                  LIST("\"2024-02-30\"", "\"2024-13-01\"", "\"2023-04-31\"", "\"0\""));
    expect_values("{\"format\":\"date-time\"}",
                  LIST("\"2024-01-31T23:59:59Z\"", "\"2024-01-31T00:00:00.5+01:30\""),
                  LIST("\"2024-01-31 00:00:00Z\"", "\"2024-01-31T24:00:00Z\""));
    expect_values("{\"format\":\"ipv4\"}", LIST("\"0.255.10.1\""),
                  LIST("\"256.1.1.1\"", "\"1.1.1\"", "\"01.1.1.1\""));
    expect_values("{\"format\":\"uuid\"}", LIST("\"12345678-9abc-def0-1234-56789abcdef0\""),
                  LIST("\"12345678\""));
    expect_values("{\"format\":\"email\"}", LIST("\"a.b@c-d.example.org\""),
                  LIST("\"@b.c\"", "\"a@b\"", "\".a@b.cd\""));
    expect_values("{\"format\":\"uri\"}", LIST("\"https://a.bc/d/e.html\""), LIST("\"a.bc\""));
    expect_refused("{\"format\":\"iri\"}", "#/format: format \"iri\" is not supported");
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
    expect_values("{\"type\":\"integer\",\"minimum\":98}", LIST("98", "100", "999999999999999"),
                  LIST("97", "0", "-98", "1000000000000000"));
    expect_refused("{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", "no number lies between");
}

Test(json_schema, bounds_of_numbers) {
    expect_values("{\"type\":\"number\",\"minimum\":0,\"maximum\":1}",
                  LIST("0", "0.25", "1", "0.0"), LIST("1.5", "-0.5", "2", "1.01", "1e1"));
    expect_values("{\"type\":\"number\",\"minimum\":-2}", LIST("-2", "-1.75", "-0.5", "12.25"),
                  LIST("-2.5", "-3"));
    expect_values("{\"type\":\"number\",\"minimum\":-12,\"maximum\":-10}",
                  LIST("-10", "-10.5", "-12"), LIST("-9.5", "-12.5", "0", "10", "11"));
    expect_refused("{\"type\":\"number\",\"minimum\":0.5}", "minimum of numbers");
    expect_refused("{\"type\":\"number\",\"exclusiveMinimum\":0}", "exclusiveMinimum of numbers");
}

Test(json_schema, objects) {
    const char *const schema = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},"
                               "\"b\":{\"type\":\"null\"},\"c\":{\"type\":\"boolean\"}},"
                               "\"required\":[\"b\"]}";
    expect_values(schema,
                  LIST("{\"b\":null}", "{ \"a\": 1, \"b\": null }", "{\"b\":null,\"c\":true}",
                       "{\n    \"a\":-3,\n    \"b\":null,\n    \"c\": false\n}"),
                  LIST("{}", "{\"a\":1}", "{\"b\":null,}", "{\"b\":null,\"a\":1}",
                       "{\"b\":null \"c\":true}", "{\"b\":null,\"d\":1}", "{,\"b\":null}"));
    expect_values("{\"properties\":{\"a\":{},\"b\":{}}}",
                  LIST("{}", "{\"a\":[1,\"x\"]}", "{\"b\":{\"c\":{}}}", "{\"a\":1,\"b\":2}"),
                  LIST("{\"b\":1,\"a\":2}", "[]"));
    expect_values("{\"type\":\"object\",\"additionalProperties\":false}", LIST("{}", "{ }"),
                  LIST("{\"a\":1}"));
    expect_values("{\"type\":\"object\"}", LIST("{}", "{\"x\":{\"y\":[1,2]}}", "{\"\":null}"),
                  LIST("[]", "{x:1}"));
    expect_refused("{\"required\":[\"a\"]}", "expected names of properties, found a");
    expect_refused("{\"properties\":{\"a\":false}}", "#/properties/a: false");
}

Test(json_schema, properties_that_are_not_declared) {
    const char *const schema =
        "{\"properties\":{\"ab\":{\"type\":\"null\"},\"ac\":{\"type\":\"null\"},\"a\":{},"
        "\"\\\"q\":{},\"\xc3\xa9\":{}},\"required\":[\"ab\"],"
        "\"additionalProperties\":{\"type\":\"integer\"}}";
    expect_values(schema,
                  LIST("{\"ab\":null}", "{\"ab\":null,\"abc\":1}", "{\"ab\":null,\"ad\":1,\"\":2}",
                       "{\"ab\":null,\"ac\":null,\"x\":3}", "{\"ab\":null,\"\xc3\xa8\":3}"),
                  LIST("{\"ab\":null,\"ab\":1}", "{\"ab\":null,\"ac\":1}", "{\"abc\":1}",
                       "{\"ab\":null,\"\\u0061b\":1}", "{\"ab\":null,\"x\":null}",
                       "{\"ab\":null,\"a\\\"\":1}"));
    expect_values("{\"additionalProperties\":{\"type\":\"integer\"}}",
                  LIST("{}", "{\"a\":1,\"b\":2}"), LIST("{\"a\":\"\"}"));
}

Test(json_schema, arrays) {
    expect_values("{\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}",
                  LIST("[1]", "[1,2]", "[ 1, 2, 3 ]"), LIST("[]", "[1,2,3,4]", "[1,]", "[,1]"));
    expect_values("{\"type\":\"array\",\"items\":{\"const\":1}}", LIST("[]", "[1,1,1,1,1]"),
                  LIST("[2]", "[1 1]"));
    expect_values("{\"type\":\"array\",\"maxItems\":0}", LIST("[]"), LIST("[1]"));
    expect_values("{\"type\":\"array\",\"minItems\":2}", LIST("[1,{}]", "[1,2,3]"), LIST("[1]"));
    expect_values("{\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"null\"}],\"items\":false}",
                  LIST("[\"a\",null]"), LIST("[\"a\"]", "[null,\"a\"]", "[\"a\",null,1]"));
    expect_refused("{\"type\":\"array\",\"minItems\":3,\"maxItems\":2}", "minItems of at most 2");
    expect_refused("{\"items\":[{}]}", "#/items: expected a schema");
    expect_refused("{\"minItems\":1000000}", "#/minItems: expected a whole number from 0 to 10000");
}

Test(json_schema, values_and_choices) {
    expect_values("{\"enum\":[\"a\\n\",1,1.5,null,{\"k\":[true]}]}",
                  LIST("\"a\\n\"", "1", "1.5", "null", "{\"k\":[true]}"), LIST("2", "\"a\""));
    expect_values("{\"type\":\"string\",\"enum\":[\"a\",1]}", LIST("\"a\""), LIST("1"));
    expect_values("{\"const\":\"x\"}", LIST("\"x\""), LIST("\"y\""));
    expect_values("{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", LIST("1", "1.5"),
                  LIST("\"\""));
    expect_values("{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"},{\"const\":null}]}",
                  LIST("1", "\"\"", "null"), LIST("1.5"));
    expect_values("{\"oneOf\":[{\"properties\":{\"kind\":{\"const\":\"a\"},\"x\":{}},"
                  "\"type\":\"object\",\"required\":[\"kind\"]},{\"type\":\"object\","
                  "\"properties\":{\"kind\":{\"enum\":[\"b\",\"c\"]}},\"required\":[\"kind\"]}]}",
                  LIST("{\"kind\":\"a\",\"x\":1}", "{\"kind\":\"c\"}"), LIST("{\"kind\":\"d\"}"));
    expect_values("{\"allOf\":[{\"type\":\"null\"}],\"description\":\"d\"}", LIST("null"),
                  LIST("1"));
    expect_refused("{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}",
                   "may match branches 0 and 1 of oneOf");
    expect_refused("{\"allOf\":[{},{}]}", "allOf of several");
    expect_refused("{\"anyOf\":[{}],\"type\":\"string\"}", "\"type\" beside \"anyOf\"");
    expect_refused("{\"anyOf\":[]}", "expected an array of schemas");
    expect_refused("{\"type\":\"string\",\"enum\":[1]}", "expected a value of the schema's type");
}

Test(json_schema, references) {
    const char *const tree =
        "{\"$ref\":\"#/$defs/tree\",\"$defs\":{\"tree\":{\"type\":\"object\",\"properties\":{"
        "\"v\":{\"type\":\"integer\"},\"kids\":{\"type\":\"array\",\"items\":{\"$ref\":"
        "\"#/$defs/tree\"}}},\"required\":[\"v\"]}}}";
    expect_values(tree, LIST("{\"v\":1}", "{\"v\":1,\"kids\":[{\"v\":2},{\"v\":3,\"kids\":[]}]}"),
                  LIST("{\"kids\":[]}", "{\"v\":1,\"kids\":[1]}"));
    expect_values("{\"anyOf\":[{\"$ref\":\"#/definitions/a~1b\"}],\"definitions\":{\"a/b\":"
                  "{\"const\":1}}}",
                  LIST("1"), LIST("2"));
    expect_refused("{\"$ref\":\"#\"}", "expected fewer references");
    expect_refused("{\"anyOf\":[{\"$ref\":\"#\"}]}", "a rule begins with itself");
    expect_refused("{\"$ref\":\"#/$defs/x\"}", "there is no #/$defs/x");
    expect_refused("{\"$ref\":\"http://x/y\"}", "only references within");
    expect_refused("{\"$ref\":\"#/$defs/x\",\"minimum\":1,\"$defs\":{\"x\":{}}}",
                   "\"minimum\" beside \"$ref\"");
}

Test(json_schema, what_is_not_supported_is_refused_by_name) {
    static const char *const names[] = {
        "not",      "if",          "patternProperties", "propertyNames", "minProperties",
        "contains", "uniqueItems", "multipleOf",        "$dynamicRef",   "dependentRequired",
        "$anchor",  "nullable",    "contentEncoding",   "then",          "unevaluatedItems"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char schema[100], text[64];
        snprintf(schema, sizeof schema, "{\"properties\":{\"a\":{\"%s\":1}}}", names[i]);
        snprintf(text, sizeof text, "#/properties/a: \"%s\" is not supported", names[i]);
        expect_refused(schema, text);
    }
    expect_refused("[]", "#: expected a schema");
    expect_refused("{\"type\":\"int\"}", "#/type: expected a type's name");
    expect_refused("{", "byte 1: expected");
    expect_refused("{\"type\":\"null\",\"type\":\"string\"}", "\"type\" comes twice");
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
