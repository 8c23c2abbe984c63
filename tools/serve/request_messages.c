/* The messages of a request as parts of a conversation: roles, content, calls and results. */
#include "tools/common/guard.h"
#include "tools/serve/request.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP "\n\n" /* between messages of one role */

static bool no_memory(struct fault *f) {
    return fault_set(f, 503, NULL, NULL, "no memory for the conversation");
}

static bool add_text_part(const struct json_value *part, const char *name, struct tool_text *t,
                          bool first, struct fault *f) {
    const struct json_value *type = json_get(part, "type"), *text = json_get(part, "text");
    if (!json_is(type, "text"))
        return fault_set(f, 400, name, NULL,
                         "%s: expected parts of type text, found one of another type", name);
    if (!text || text->kind != JSON_STRING)
        return request_expected(f, name, "a part's text", text);
    if (!first)
        tool_text_put(t, GAP, strlen(GAP));
    tool_text_put(t, text->string, text->len);
    return true;
}

bool request_read_content(const struct json_value *content, const char *name, struct tool_text *t,
                          struct fault *f) {
    tool_text_put(t, "", 0);
    if (!content || content->kind == JSON_NULL)
        return !t->failed || no_memory(f);
    if (content->kind == JSON_STRING) {
        tool_text_put(t, content->string, content->len);
    } else if (content->kind == JSON_ARRAY) {
        for (const struct json_value *p = json_first(content); p; p = json_next(content, p))
            if (!add_text_part(p, name, t, p == json_first(content), f))
                return false;
    } else {
        return request_expected(f, name, "a string or a list of parts", content);
    }
    return !t->failed || no_memory(f);
}

/* The text becomes a part of its own, or goes behind the last one if that is of the same kind. */
static bool add_part(struct request *r, enum chat_part_kind kind, struct tool_text *t,
                     struct fault *f) {
    struct chat_part *last = r->n_parts ? &r->parts[r->n_parts - 1] : NULL;
    if (last && last->kind == kind && (kind == PART_USER || kind == PART_ANSWER)) {
        struct tool_text joined = {.len = 0};
        tool_text_put(&joined, last->text, last->len);
        tool_text_put(&joined, GAP, strlen(GAP));
        tool_text_put(&joined, t->text, t->len);
        free(t->text);
        if (joined.failed) {
            free(joined.text);
            return no_memory(f);
        }
        free((char *)last->text);
        last->text = joined.text;
        last->len = joined.len;
        return true;
    }
    assert(r->parts); /* room for every message */
    r->parts[r->n_parts++] = (struct chat_part){kind, t->text, t->len};
    return true;
}

/* ---- calls and results ---- */

static bool add_call(const struct json_value *call, const char *name, struct tool_text *t,
                     struct fault *f) {
    const struct json_value *function = json_get(call, "function"),
                            *called = json_get(function, "name"),
                            *arguments = json_get(function, "arguments"),
                            *id = json_get(call, "id");
    struct bise_error err = {0};
    if (!called || called->kind != JSON_STRING)
        return request_expected(f, name, "a call's function.name", called);
    if (!arguments)
        return request_expected(f, name, "a call's function.arguments", arguments);
    if (id && (id->kind != JSON_STRING || !id->len || json_is(id, "null")))
        id = NULL;
    const enum bise_status status = tool_text_call(t, called, arguments, id, &err);
    return !status || fault_of_status(f, name, status, &err);
}

static bool add_calls(struct request *r, const struct json_value *calls, const char *name,
                      struct fault *f) {
    struct tool_text t = {.len = 0};
    bool good = calls->kind == JSON_ARRAY || request_expected(f, name, "a list of calls", calls);
    for (const struct json_value *c = good ? json_first(calls) : NULL; c && good;
         c = json_next(calls, c))
        good = add_call(c, name, &t, f);
    if (!good) {
        free(t.text);
        return false;
    }
    tool_text_put(&t, "]", 1);
    if (t.failed) {
        free(t.text);
        return no_memory(f);
    }
    r->has_calls = true;
    return add_part(r, PART_CALLS, &t, f);
}

static bool add_result(struct request *r, const struct json_value *message, const char *name,
                       struct fault *f) {
    const struct json_value *id = json_get(message, "tool_call_id");
    struct tool_text content = {.len = 0}, t = {.len = 0};
    struct bise_error err = {0};
    enum bise_status status = BISE_OK;
    if (!id || id->kind != JSON_STRING)
        return request_expected(f, name, "a string as tool_call_id", id);
    if (!r->n_parts || (r->parts[r->n_parts - 1].kind != PART_CALLS &&
                        r->parts[r->n_parts - 1].kind != PART_RESULT))
        return fault_set(f, 400, name, NULL,
                         "%s: expected an assistant's message with tool_calls before it", name);
    bool good = request_read_content(request_get(message, "content"), name, &content, f);
    if (good) {
        status = tool_text_result(&t, content.text, content.len, id, &err);
        good = !status || fault_of_status(f, name, status, &err);
    }
    free(content.text);
    r->has_calls = true;
    if (good)
        return add_part(r, PART_RESULT, &t, f);
    free(t.text);
    return false;
}

/* ---- messages ---- */

static bool add_assistant(struct request *r, const struct json_value *message, const char *name,
                          struct fault *f) {
    const struct json_value *calls = request_get(message, "tool_calls");
    struct tool_text t = {.len = 0};
    if (!r->n_parts)
        return fault_set(f, 400, name, NULL,
                         "%s: expected a user's message first, found an assistant's", name);
    if (!request_read_content(request_get(message, "content"), name, &t, f)) {
        free(t.text);
        return false;
    }
    if (calls && json_first(calls)) {
        const bool both = t.len > 0;
        free(t.text);
        if (both)
            return fault_set(f, 400, name, NULL,
                             "%s: expected content or tool_calls, found both, which the model's "
                             "format does not have",
                             name);
        return add_calls(r, calls, name, f);
    }
    return add_part(r, PART_ANSWER, &t, f);
}

static bool add_system(struct request *r, const struct json_value *message, const char *name,
                       struct fault *f) {
    if (r->system.len)
        tool_text_put(&r->system, GAP, strlen(GAP));
    return request_read_content(request_get(message, "content"), name, &r->system, f);
}

static bool add_message(struct request *r, const struct json_value *message, size_t i,
                        struct fault *f) {
    const struct json_value *role = json_get(message, "role");
    char name[40];
    snprintf(name, sizeof name, "messages[%zu]", i);
    if (message->kind != JSON_OBJECT)
        return request_expected(f, name, "an object", message);
    if (json_is(role, "system") || json_is(role, "developer"))
        return add_system(r, message, name, f);
    if (json_is(role, "assistant"))
        return add_assistant(r, message, name, f);
    if (json_is(role, "tool"))
        return add_result(r, message, name, f);
    if (!json_is(role, "user"))
        return fault_set(f, 400, name, NULL,
                         "%s.role: expected system, developer, user, assistant or tool, found %s",
                         name, role && role->kind == JSON_STRING ? "another" : json_describe(role));
    struct tool_text t = {.len = 0};
    if (request_read_content(request_get(message, "content"), name, &t, f))
        return add_part(r, PART_USER, &t, f);
    free(t.text);
    return false;
}

bool request_read_messages(struct request *r, const struct json_value *messages, bool guard,
                           struct fault *f) {
    size_t i = 0;
    if (!messages || messages->kind != JSON_ARRAY || !messages->len)
        return fault_set(
            f, 400, "messages", NULL, "messages: expected a list of at least one message, found %s",
            messages && messages->kind == JSON_ARRAY ? "an empty one" : json_describe(messages));
    r->parts = calloc(messages->len, sizeof *r->parts);
    if (!r->parts)
        return no_memory(f);
    if (guard)
        tool_text_put(&r->system, GUARD_PROMPT, strlen(GUARD_PROMPT));
    for (const struct json_value *m = json_first(messages); m; m = json_next(messages, m))
        if (!add_message(r, m, i++, f))
            return false;
    if (!r->n_parts)
        return fault_set(f, 400, "messages", NULL,
                         "messages: expected a user's message, found none");
    const enum chat_part_kind last = r->parts[r->n_parts - 1].kind;
    r->goes_on = last == PART_ANSWER;
    if (last == PART_CALLS)
        return fault_set(f, 400, "messages", NULL,
                         "messages: expected the results of the last tool_calls, found none");
    return !r->system.failed || no_memory(f);
}
