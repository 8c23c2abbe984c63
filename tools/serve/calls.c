#include "tools/serve/calls.h"

#include "src/base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PARALLEL 16

static void put(struct tool_text *t, const char *text) {
    tool_text_put(t, text, strlen(text));
}

/* ---- schema ---- */

static void put_schema(struct tool_text *t, const struct json_value *v, const char *place);

/* A reference within the tool's own schema, which now stands at place. */
static void put_reference(struct tool_text *t, const struct json_value *v, const char *place) {
    struct tool_text whole = {.len = 0};
    put(&whole, "#");
    put(&whole, place);
    tool_text_put(&whole, v->string + 1, v->len - 1);
    if (whole.failed)
        t->failed = true;
    else
        tool_text_string(t, whole.text, whole.len);
    free(whole.text);
}

static void put_member(struct tool_text *t, const struct json_value *m, const char *place) {
    tool_text_string(t, m->key, m->key_len);
    put(t, ": ");
    if (strcmp(m->key, "$ref") == 0 && m->kind == JSON_STRING && m->string[0] == '#')
        put_reference(t, m, place);
    else
        put_schema(t, m, place);
}

static void put_schema(struct tool_text *t, const struct json_value *v, const char *place) {
    if (v->kind != JSON_ARRAY && v->kind != JSON_OBJECT) {
        tool_text_json(t, v);
        return;
    }
    const bool object = v->kind == JSON_OBJECT;
    put(t, object ? "{" : "[");
    for (const struct json_value *c = json_first(v); c; c = json_next(v, c)) {
        if (c != json_first(v))
            put(t, ", ");
        if (object)
            put_member(t, c, place);
        else
            put_schema(t, c, place);
    }
    put(t, object ? "}" : "]");
}

static void put_tool(struct tool_text *t, const struct json_value *function, const char *place) {
    const struct json_value *parameters = request_get(function, "parameters");
    char arguments[64];
    snprintf(arguments, sizeof arguments, "%s/properties/arguments", place);
    put(t, "{\"type\": \"object\", \"properties\": {\"name\": {\"const\": ");
    tool_text_json(t, json_get(function, "name"));
    put(t, "}, \"arguments\": ");
    if (parameters && parameters->len)
        put_schema(t, parameters, arguments);
    else
        put(t, "{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}");
    put(t, "}, \"required\": [\"name\", \"arguments\"], \"additionalProperties\": false}");
}

bool calls_schema(const struct request *r, struct tool_text *out) {
    const bool one = r->tool_choice == TOOLS_NAMED || r->n_tools == 1;
    char text[96];
    snprintf(text, sizeof text,
             "{\"type\": \"array\", \"minItems\": 1, \"maxItems\": %d, \"items\": ",
             r->parallel_calls ? MAX_PARALLEL : 1);
    put(out, text);
    if (one) {
        put_tool(out, r->tools[r->tool_choice == TOOLS_NAMED ? r->named : 0], "/items");
    } else {
        put(out, "{\"anyOf\": [");
        for (size_t i = 0; i < r->n_tools; i++) {
            snprintf(text, sizeof text, "/items/anyOf/%zu", i);
            put(out, i ? ", " : "");
            put_tool(out, r->tools[i], text);
        }
        put(out, "]}");
    }
    put(out, "}");
    return !out->failed;
}

/* ---- reading ---- */

void calls_put(struct calls_reader *c, const char *bytes, size_t n) {
    tool_text_put(&c->text, bytes, n);
}

/* The next whole object inside of the list: *from and *to. */
static bool next_object(struct calls_reader *c, size_t *from, size_t *to) {
    for (; c->at < c->text.len; c->at++) {
        const char ch = c->text.text[c->at];
        if (c->quoted) {
            c->quoted = c->escaped || ch != '"';
            c->escaped = !c->escaped && ch == '\\';
        } else if (ch == '"') {
            c->quoted = true;
        } else if (ch == '{' || ch == '[') {
            if (++c->depth == 2)
                c->begin = c->at;
        } else if ((ch == '}' || ch == ']') && c->depth && --c->depth == 1) {
            *from = c->begin;
            *to = ++c->at;
            return true;
        }
    }
    return false;
}

bool calls_next(struct calls_reader *c, struct call_read *call) {
    size_t from, to;
    *call = (struct call_read){.json = NULL};
    if (c->text.failed || !next_object(c, &from, &to) ||
        json_parse(&call->json, c->text.text + from, to - from, "a call", NULL) != BISE_OK)
        return false;
    const struct json_value *root = json_root(call->json), *arguments = json_get(root, "arguments");
    call->name = json_get(root, "name");
    if (call->name && call->name->kind == JSON_STRING && arguments) {
        tool_text_json(&call->arguments, arguments);
        if (!call->arguments.failed)
            return true;
    }
    free(call->arguments.text);
    json_close(&call->json);
    return false;
}

void calls_id(const int32_t *ids, size_t n, uint64_t seed, size_t i, char *id) {
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint64_t state = seed;
    for (size_t k = 0; k < n; k++) {
        state ^= (uint32_t)ids[k];
        state = random_splitmix(&state);
    }
    state ^= (uint64_t)i;
    uint64_t bits = random_splitmix(&state);
    for (size_t k = 0; k < CALLS_ID_LENGTH; k++) {
        id[k] = letters[bits % 62];
        bits /= 62;
    }
    id[CALLS_ID_LENGTH] = 0;
}
