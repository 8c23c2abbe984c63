/* Calls read out of answers, and which sequence a prompt goes to. */
#include "tools/serve/calls.h"
#include "tools/serve/sequences.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The calls of a text that comes in pieces of so many bytes, as "NAME ARGUMENTS;". */
static void read_calls(const char *text, size_t step, char *out, size_t cap) {
    struct calls_reader c = {.at = 0};
    struct call_read r;
    size_t n = 0;
    out[0] = 0;
    for (size_t at = 0; at < strlen(text); at += step) {
        const size_t left = strlen(text) - at;
        calls_put(&c, text + at, left < step ? left : step);
        while (calls_next(&c, &r)) {
            n += (size_t)snprintf(out + n, cap - n, "%s %s;", r.name->string, r.arguments.text);
            free(r.arguments.text);
            json_close(&r.json);
        }
    }
    free(c.text.text);
}

Test(calls, come_whole_whatever_the_pieces) {
    static const char text[] = " [{\"name\":\"f\",\"arguments\":{\"a\":\"}]\\\"{[\"}} ,\n"
                               "{\"name\": \"g\", \"arguments\": {\"b\": [1, {\"c\": 2.50}]}}]";
    char out[256];
    for (size_t step = 1; step <= sizeof text; step++) {
        read_calls(text, step, out, sizeof out);
        cr_assert_str_eq(out, "f {\"a\": \"}]\\\"{[\"};g {\"b\": [1, {\"c\": 2.50}]};");
    }
    read_calls("[{\"name\":\"f\",\"arguments\":{\"a\":", 3, out, sizeof out);
    cr_assert_str_eq(out, "");
}

Test(calls, ids_follow_from_what_was_asked) {
    static const int32_t ids[] = {1, 2, 3}, others[] = {1, 2, 4};
    char a[10], b[10];
    calls_id(ids, 3, 7, 0, a);
    calls_id(ids, 3, 7, 0, b);
    cr_assert_str_eq(a, b);
    cr_assert_eq(strlen(a), CALLS_ID_LENGTH);
    cr_assert_eq(strspn(a, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), 9);
    calls_id(ids, 3, 7, 1, b);
    cr_assert_str_neq(a, b);
    calls_id(ids, 3, 8, 0, b);
    cr_assert_str_neq(a, b);
    calls_id(others, 3, 7, 0, b);
    cr_assert_str_neq(a, b);
}

/* The schema's text for a request. */
static char *schema_of(const char *body) {
    const struct request_facts facts = {.vocab_size = 100};
    struct request r;
    struct fault f = {.status = 0};
    struct tool_text t = {.len = 0};
    cr_assert(request_read(&r, ENDPOINT_CHAT, body, strlen(body), &facts, &f), "%s", f.message);
    cr_assert(calls_schema(&r, &t));
    request_free(&r);
    return t.text;
}

Test(calls, references_point_into_the_tools_own_schema) {
    char *one = schema_of(
        "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{\"type\":\"function\","
        "\"function\":{\"name\":\"f\",\"parameters\":{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{"
        "\"type\":\"object\"}}}}}]}");
    cr_assert_not_null(strstr(one, "\"#/items/properties/arguments/$defs/a\""), "%s", one);
    free(one);
    char *two = schema_of(
        "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"parallel_tool_calls\":false,"
        "\"tools\":[{\"function\":{\"name\":\"f\"}},{\"function\":{\"name\":\"g\",\"parameters\":{"
        "\"$ref\":\"#\"}}}]}");
    cr_assert_not_null(strstr(two, "\"#/items/anyOf/1/properties/arguments\""), "%s", two);
    cr_assert_not_null(strstr(two, "\"maxItems\": 1"));
    free(two);
}

/* ---- sequences ---- */

static void hold(struct sequence *q, const char *text, size_t n_prompt, size_t n_stable,
                 uint64_t used) {
    int32_t ids[64];
    for (size_t i = 0; text[i]; i++)
        ids[i] = text[i];
    cr_assert(sequence_set(q, ids, strlen(text), strlen(text)));
    q->n_prompt = n_prompt;
    q->used = used;
    q->stable = malloc(64 * sizeof *ids);
    memcpy(q->stable, ids, n_stable * sizeof *ids);
    q->n_stable = n_stable;
}

static struct placement place(const struct sequence *s, const char *text) {
    int32_t ids[64];
    struct placement p;
    for (size_t i = 0; text[i]; i++)
        ids[i] = text[i];
    cr_assert(sequences_place(s, 3, ids, strlen(text), 0, &p));
    return p;
}

Test(sequences, where_a_prompt_goes) {
    struct sequence s[3] = {{.choice = NULL}};
    hold(&s[0], "systemAanswer", 7, 7, 5);
    hold(&s[1], "systemBother", 7, 7, 6);
    struct placement p = place(s, "systemAanswerC"); /* goes on */
    cr_assert(p.to == 0 && p.from == 0 && p.common == 13);
    p = place(s, "systemB"); /* asks again: the last id is run again */
    cr_assert(p.to == 1 && p.from == 1 && p.common == 6);
    p = place(s, "systemC"); /* a new one: the empty sequence, with what they share */
    cr_assert(p.to == 2 && p.from != 2 && p.common == 6);
    p = place(s, "x");
    cr_assert(p.to == 2 && p.from == 2 && p.common == 0);
    hold(&s[2], "zzz", 3, 3, 9);
    p = place(s, "systemC"); /* the one unused for longest */
    cr_assert(p.to == 0 && p.common == 6);
    s[1].key = 1; /* another's */
    p = place(s, "systemB");
    cr_assert(p.to == 0 && p.from == 0 && p.common == 6);
    for (int i = 0; i < 3; i++) {
        sequence_forget(&s[i]);
        free(s[i].ids.ids);
    }
}
