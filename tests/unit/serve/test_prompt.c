/* From requests to ids: Mistral's own tokenizer's vectors, tools included. */
#include "tests/unit/jsonl.h"
#include "tools/serve/request.h"

#include "src/text/tokenizer.h"

static struct tokenizer *open_tokenizer(const char *name) {
    size_t len;
    char *data = read_whole(shared_path(name), &len);
    struct tokenizer *t = NULL;
    if (!data)
        return NULL;
    cr_assert_eq(tokenizer_open(&t, data, len, name, NULL), BISE_OK);
    free(data);
    return t;
}

/* The request of a file as it would be posted. */
static void read_request(struct request *r, const char *name) {
    const struct request_facts facts = {.vocab_size = 32768};
    struct fault f = {.status = 0};
    size_t len;
    char *body = read_whole(shared_path(name), &len);
    cr_assert_not_null(body);
    cr_assert(request_read(r, ENDPOINT_CHAT, body, len, &facts, &f), "%s", f.message);
    free(body);
}

static void check_vector(const struct chat_tools *c, const char *name) {
    char path[128];
    struct request r;
    struct tool_text tools = {.len = 0};
    struct json *j = NULL;
    struct bise_error err = {0};
    int32_t *ids;
    size_t n, len, i = 0;
    snprintf(path, sizeof path, "data/golden/chat/%s.json", name);
    read_request(&r, path);
    for (size_t k = 0; k < r.n_tools; k++)
        tool_text_tool(&tools, r.tools[k]);
    if (r.n_tools)
        tool_text_put(&tools, "]", 1);
    const struct chat_frame frame = {.system = r.system.text,
                                     .system_len = r.system.len,
                                     .tools = tools.text,
                                     .tools_len = tools.len};
    cr_assert_eq(chat_tools_ids(c, r.parts, r.n_parts, &frame, &ids, &n, &err), BISE_OK, "%s",
                 err.detail);
    snprintf(path, sizeof path, "data/golden/chat/%s.v3.tokens.json", name);
    char *text = read_whole(shared_path(path), &len);
    cr_assert_not_null(text);
    cr_assert_eq(json_parse(&j, text, len, path, &err), BISE_OK, "%s", err.detail);
    const struct json_value *expected = json_get(json_root(j), "tokens");
    cr_assert_eq(expected->len, n, "%s: expected %zu ids, found %zu", name, expected->len, n);
    for (const struct json_value *v = json_first(expected); v; v = json_next(expected, v), i++)
        cr_assert_eq(v->integer, ids[i], "%s: id %zu: expected %lld, found %d", name, i,
                     (long long)v->integer, ids[i]);
    free(text);
    free(ids);
    free(tools.text);
    json_close(&j);
    request_free(&r);
}

Test(prompt, tools_of_v3_token_by_token) {
    struct tokenizer *t = open_tokenizer("data/tokenizers/mistral-v3.model");
    struct chat_tools c;
    if (!t)
        cr_skip_test("no ../shared/data/tokenizers");
    cr_assert_eq(chat_tools_open(&c, t, tokenizer_bos(t), tokenizer_eos(t), NULL), BISE_OK);
    cr_assert(chat_tools_known(&c));
    check_vector(&c, "tools_get_weather_full");
    check_vector(&c, "tools_get_weather_no_history");
    check_vector(&c, "no_tools");
    tokenizer_close(&t);
}

Test(prompt, json_is_written_as_python_writes_it) {
    static const char source[] =
        "{\"b\":1.0,\"a\":[1e5,-0,\"\\u00e9\\n\\u0001\\\"\\u007f\",null,true,{}],\"c\":[]}";
    struct json *j = NULL;
    struct tool_text t = {.len = 0};
    cr_assert_eq(json_parse(&j, source, strlen(source), "source", NULL), BISE_OK);
    tool_text_json(&t, json_root(j));
    cr_assert_str_eq(t.text, "{\"b\": 1.0, \"a\": [1e5, -0, \"\xc3\xa9\\n\\u0001\\\"\x7f\", null, "
                             "true, {}], \"c\": []}");
    free(t.text);
    json_close(&j);
}
