#include "src/text/chat_tools.h"

#include "src/base/array.h"
#include "src/base/utf8.h"
#include "src/text/tokenizer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts ---- */

void tool_text_put(struct tool_text *t, const char *bytes, size_t n) {
    t->failed =
        t->failed || n > SIZE_MAX / 2 - t->len || !array_grow(&t->text, &t->cap, t->len + n + 1, 1);
    if (t->failed)
        return;
    if (n)
        memcpy(t->text + t->len, bytes, n);
    t->len += n;
    t->text[t->len] = 0;
}

static void put(struct tool_text *t, const char *literal) {
    tool_text_put(t, literal, strlen(literal));
}

void tool_text_string(struct tool_text *t, const char *string, size_t len) {
    static const char letters[] = "\"\\bfnrt", meanings[] = "\"\\\b\f\n\r\t";
    put(t, "\"");
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)string[i];
        const char *known = c ? strchr(meanings, c) : NULL;
        char form[8];
        if (known) {
            const char escape[2] = {'\\', letters[known - meanings]};
            tool_text_put(t, escape, 2);
        } else if (c < ' ') {
            tool_text_put(t, form, (size_t)snprintf(form, sizeof form, "\\u%04x", c));
        } else {
            tool_text_put(t, string + i, 1);
        }
    }
    put(t, "\"");
}

static void put_children(struct tool_text *t, const struct json_value *v) {
    const bool object = v->kind == JSON_OBJECT;
    put(t, object ? "{" : "[");
    for (const struct json_value *c = json_first(v); c; c = json_next(v, c)) {
        if (c != json_first(v))
            put(t, ", ");
        if (object) {
            tool_text_string(t, c->key, c->key_len);
            put(t, ": ");
        }
        tool_text_json(t, c);
    }
    put(t, object ? "}" : "]");
}

void tool_text_json(struct tool_text *t, const struct json_value *v) {
    switch (v->kind) {
    case JSON_NULL:
        put(t, "null");
        break;
    case JSON_BOOL:
        put(t, v->boolean ? "true" : "false");
        break;
    case JSON_NUMBER:
        put(t, v->digits);
        break;
    case JSON_STRING:
        tool_text_string(t, v->string, v->len);
        break;
    default:
        put_children(t, v);
    }
}

static enum bise_status finished(const struct tool_text *t, struct bise_error *err) {
    return t->failed ? bise_fail(err, BISE_ERR_MEMORY, "no memory for the conversation") : BISE_OK;
}

enum bise_status tool_text_call(struct tool_text *t, const struct json_value *name,
                                const struct json_value *arguments, const struct json_value *id,
                                struct bise_error *err) {
    struct json *parsed = NULL;
    if (arguments->kind == JSON_STRING) {
        const enum bise_status status =
            json_parse(&parsed, arguments->string, arguments->len, "a call's arguments", err);
        if (status)
            return status;
        arguments = json_root(parsed);
    }
    enum bise_status status = BISE_OK;
    if (arguments->kind == JSON_OBJECT) {
        put(t, t->len ? ", {\"name\": " : "[{\"name\": ");
        tool_text_json(t, name);
        put(t, ", \"arguments\": ");
        tool_text_json(t, arguments);
        if (id) {
            put(t, ", \"id\": ");
            tool_text_json(t, id);
        }
        put(t, "}");
        status = finished(t, err);
    } else {
        status = bise_fail(err, BISE_ERR_FORMAT, "a call's arguments: expected an object, found %s",
                           json_describe(arguments));
    }
    json_close(&parsed);
    return status;
}

enum bise_status tool_text_result(struct tool_text *t, const char *content, size_t len,
                                  const struct json_value *call_id, struct bise_error *err) {
    struct json *parsed = NULL;
    put(t, "{\"content\": ");
    if (json_parse(&parsed, content, len, "content", NULL) == BISE_OK)
        tool_text_json(t, json_root(parsed));
    else
        tool_text_string(t, content, len);
    json_close(&parsed);
    put(t, ", \"call_id\": ");
    tool_text_json(t, call_id);
    put(t, "}");
    return finished(t, err);
}

void tool_text_tool(struct tool_text *t, const struct json_value *function) {
    const struct json_value *description = json_get(function, "description"),
                            *parameters = json_get(function, "parameters");
    put(t, t->len ? ", {\"type\": \"function\", \"function\": {\"name\": "
                  : "[{\"type\": \"function\", \"function\": {\"name\": ");
    tool_text_json(t, json_get(function, "name"));
    put(t, ", \"description\": ");
    if (description && description->kind == JSON_STRING)
        tool_text_json(t, description);
    else
        put(t, "\"\"");
    put(t, ", \"parameters\": ");
    if (parameters)
        tool_text_json(t, parameters);
    else
        put(t, "{}");
    put(t, "}}");
}

/* ---- ids ---- */

enum bise_status chat_tools_open(struct chat_tools *c, const struct tokenizer *tokenizer,
                                 int32_t bos, int32_t eos, struct bise_error *err) {
    *c = (struct chat_tools){
        .tokenizer = tokenizer,
        .bos = bos,
        .eos = eos,
        .inst = tokenizer_find_control(tokenizer, "[INST]"),
        .inst_end = tokenizer_find_control(tokenizer, "[/INST]"),
        .tools = tokenizer_find_control(tokenizer, "[AVAILABLE_TOOLS]"),
        .tools_end = tokenizer_find_control(tokenizer, "[/AVAILABLE_TOOLS]"),
        .calls = tokenizer_find_control(tokenizer, "[TOOL_CALLS]"),
        .results = tokenizer_find_control(tokenizer, "[TOOL_RESULTS]"),
        .results_end = tokenizer_find_control(tokenizer, "[/TOOL_RESULTS]"),
    };
    if (c->inst < 0 || c->inst_end < 0)
        return bise_fail(err, BISE_ERR_UNSUPPORTED,
                         "chat format v3: expected the control pieces [INST] and [/INST] in the "
                         "tokenizer, found none");
    return BISE_OK;
}

bool chat_tools_known(const struct chat_tools *c) {
    return c->tools >= 0 && c->tools_end >= 0 && c->calls >= 0 && c->results >= 0 &&
           c->results_end >= 0;
}

struct rendering {
    const struct chat_tools *c;
    int32_t *ids; /* [n] */
    size_t n, cap;
    enum bise_status status;
    struct bise_error *err;
};

static bool reserve(struct rendering *r, size_t more) {
    if (r->status)
        return false;
    if (more <= SIZE_MAX / 2 - r->n && array_grow(&r->ids, &r->cap, r->n + more, sizeof *r->ids))
        return true;
    r->status = bise_fail(r->err, BISE_ERR_MEMORY, "no memory for the conversation's tokens");
    return false;
}

/* An id that the model may lack (-1) is left out. */
static void put_id(struct rendering *r, int32_t id) {
    if (id < 0 || !reserve(r, 1))
        return;
    assert(r->ids);
    r->ids[r->n++] = id;
}

/* A segment of its own. */
static void put_text(struct rendering *r, const char *text, size_t len) {
    const size_t most = 3 * len + 4; /* no text has more ids: three bytes for a space, a prefix */
    size_t n;
    if (!len || !reserve(r, most))
        return;
    r->status = tokenizer_encode(r->c->tokenizer, text, len, true, r->ids + r->n, most, &n, r->err);
    r->n += r->status ? 0 : n;
}

static void put_last_user(struct rendering *r, const struct chat_part *p,
                          const struct chat_frame *frame) {
    struct tool_text whole = {.len = 0};
    if (frame->tools) {
        put_id(r, r->c->tools);
        put_text(r, frame->tools, frame->tools_len);
        put_id(r, r->c->tools_end);
    }
    put_id(r, r->c->inst);
    if (frame->system) {
        tool_text_put(&whole, frame->system, frame->system_len);
        put(&whole, "\n\n");
    }
    tool_text_put(&whole, p->text, p->len);
    if (!r->status)
        r->status = finished(&whole, r->err);
    put_text(r, whole.text, whole.len);
    put_id(r, r->c->inst_end);
    free(whole.text);
}

static void put_part(struct rendering *r, const struct chat_part *p, bool open) {
    size_t len = p->len;
    switch (p->kind) {
    case PART_USER:
        put_id(r, r->c->inst);
        put_text(r, p->text, len);
        put_id(r, r->c->inst_end);
        break;
    case PART_ANSWER:
        while (len && p->text[len - 1] == ' ')
            len--;
        put_text(r, p->text, len);
        put_id(r, open ? -1 : r->c->eos);
        break;
    case PART_CALLS:
        put_id(r, r->c->calls);
        put_text(r, p->text, len);
        put_id(r, r->c->eos);
        break;
    case PART_RESULT:
        put_id(r, r->c->results);
        put_text(r, p->text, len);
        put_id(r, r->c->results_end);
        break;
    }
}

enum bise_status chat_tools_ids(const struct chat_tools *c, const struct chat_part *parts, size_t n,
                                const struct chat_frame *frame, int32_t **ids, size_t *n_ids,
                                struct bise_error *err) {
    struct rendering r = {.c = c, .err = err};
    size_t last = n; /* the last of the users' messages */
    *ids = NULL;
    *n_ids = 0;
    for (size_t i = 0; i < n && !frame->more_follows; i++)
        last = parts[i].kind == PART_USER ? i : last;
    put_id(&r, c->bos);
    for (size_t i = 0; i < n && !r.status; i++) {
        const size_t invalid = utf8_invalid_at(parts[i].text, parts[i].len);
        if (invalid < parts[i].len)
            r.status = bise_fail(err, BISE_ERR_ARG,
                                 "message %zu is not valid UTF-8: byte 0x%02x at offset %zu", i + 1,
                                 (unsigned)(uint8_t)parts[i].text[invalid], invalid);
        else if (i == last)
            put_last_user(&r, &parts[i], frame);
        else
            put_part(&r, &parts[i], frame->last_is_open && i + 1 == n);
    }
    if (r.status) {
        free(r.ids);
        return r.status;
    }
    *ids = r.ids;
    *n_ids = r.n;
    return BISE_OK;
}
