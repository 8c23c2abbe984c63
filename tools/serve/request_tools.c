/* The tools of a request, and which of them the answer may or must call. */
#include "tools/serve/request.h"

#include <stdio.h>
#include <string.h>

static bool is_name(const struct json_value *v) {
    if (!v || v->kind != JSON_STRING || !v->len || v->len > 64)
        return false;
    for (size_t i = 0; i < v->len; i++) {
        const char c = v->string[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return false;
    }
    return true;
}

static bool add_tool(struct request *r, const struct json_value *tool, struct fault *f) {
    const struct json_value *function = json_get(tool, "function"),
                            *parameters = request_get(function, "parameters"),
                            *type = json_get(tool, "type");
    char name[32];
    snprintf(name, sizeof name, "tools[%zu]", r->n_tools);
    if (type && !json_is(type, "function"))
        return fault_set(f, 400, name, NULL, "%s.type: expected function, found another", name);
    if (!is_name(json_get(function, "name")))
        return fault_set(f, 400, name, NULL,
                         "%s.function.name: expected 1 to 64 letters, digits, _, - or .", name);
    if (parameters && parameters->kind != JSON_OBJECT)
        return request_expected(f, name, "an object as function.parameters", parameters);
    for (size_t i = 0; i < r->n_tools; i++)
        if (json_is(json_get(r->tools[i], "name"), json_get(function, "name")->string))
            return fault_set(f, 400, name, NULL, "%s.function.name: expected a name of its own",
                             name);
    r->tools[r->n_tools++] = function;
    return true;
}

static bool read_named(struct request *r, const struct json_value *choice, struct fault *f) {
    const struct json_value *function = json_get(choice, "function"),
                            *name = json_get(function ? function : choice, "name");
    for (size_t i = 0; i < r->n_tools && name && name->kind == JSON_STRING; i++)
        if (json_is(json_get(r->tools[i], "name"), name->string)) {
            r->tool_choice = TOOLS_NAMED;
            r->named = i;
            return true;
        }
    return fault_set(f, 400, "tool_choice", NULL,
                     "tool_choice: expected none, auto, required or a function among the tools");
}

static bool read_choice(struct request *r, const struct json_value *choice, struct fault *f) {
    r->tool_choice = r->n_tools ? TOOLS_AUTO : TOOLS_NONE;
    if (!choice || json_is(choice, "auto"))
        return true;
    if (json_is(choice, "none")) {
        r->tool_choice = TOOLS_NONE;
        return true;
    }
    if (!json_is(choice, "required") && !json_is(choice, "any"))
        return read_named(r, choice, f);
    if (!r->n_tools)
        return fault_set(f, 400, "tool_choice", NULL, "tool_choice: expected tools beside it");
    r->tool_choice = TOOLS_REQUIRED;
    return true;
}

bool request_read_tools(struct request *r, const struct json_value *root, struct fault *f) {
    const struct json_value *tools = request_get(root, "tools"),
                            *parallel = request_get(root, "parallel_tool_calls");
    if (tools && (tools->kind != JSON_ARRAY || tools->len > REQUEST_MAX_TOOLS))
        return request_expected(f, "tools", "a list of at most 128 tools", tools);
    for (const struct json_value *t = json_first(tools); t; t = json_next(tools, t))
        if (!add_tool(r, t, f))
            return false;
    if (parallel && parallel->kind != JSON_BOOL)
        return request_expected(f, "parallel_tool_calls", "true or false", parallel);
    r->parallel_calls = !parallel || parallel->boolean;
    if (!read_choice(r, request_get(root, "tool_choice"), f))
        return false;
    if (r->tool_choice >= TOOLS_REQUIRED && r->format != REPLY_TEXT)
        return fault_set(f, 400, "tool_choice", NULL,
                         "tool_choice: expected no grammar or response_format where a call is "
                         "required");
    return true;
}
