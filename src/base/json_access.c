/* Walking a parsed JSON text, and writing strings. */
#include "src/base/json.h"

#include "src/base/utf8.h"
#include <stdio.h>
#include <string.h>

const struct json_value *json_first(const struct json_value *v) {
    const bool parent = v && (v->kind == JSON_ARRAY || v->kind == JSON_OBJECT);
    return parent && v->len > 0 ? v + 1 : NULL;
}

const struct json_value *json_next(const struct json_value *parent,
                                   const struct json_value *child) {
    const struct json_value *next = child + child->span;
    return next < parent + parent->span ? next : NULL;
}

const struct json_value *json_get(const struct json_value *v, const char *key) {
    return json_member(v, key, strlen(key));
}

const struct json_value *json_member(const struct json_value *v, const char *key, size_t len) {
    const struct json_value *found = NULL;
    if (!v || v->kind != JSON_OBJECT)
        return NULL;
    for (const struct json_value *m = json_first(v); m; m = json_next(v, m))
        if (m->key_len == len && memcmp(m->key, key, len) == 0)
            found = m;
    return found;
}

bool json_is(const struct json_value *v, const char *string) {
    return v && v->kind == JSON_STRING && v->len == strlen(string) &&
           memcmp(v->string, string, v->len) == 0;
}

const char *json_describe(const struct json_value *v) {
    if (!v)
        return "nothing";
    switch (v->kind) {
    case JSON_NULL:
        return "null";
    case JSON_BOOL:
        return v->boolean ? "true" : "false";
    case JSON_NUMBER:
        return "a number";
    case JSON_STRING:
        return "a string";
    case JSON_ARRAY:
        return "an array";
    default:
        return "an object";
    }
}

/* The escaped form of the character at s into form [8]; returns its length there, and how many
 * bytes of s it stands for in *taken. */
static size_t escape_char(char *form, const char *s, size_t len, size_t *taken) {
    static const char letters[] = "\"\\bfnrt", meanings[] = "\"\\\b\f\n\r\t";
    const size_t n = utf8_char_len(s, len);
    *taken = n ? n : 1;
    if (n == 0)
        return utf8_put(0xFFFD, form);
    if (n > 1 || ((unsigned char)*s >= ' ' && *s != '"' && *s != '\\' && *s != 0x7F)) {
        memcpy(form, s, n);
        return n;
    }
    const char *short_form = *s ? strchr(meanings, *s) : NULL;
    if (!short_form)
        return (size_t)snprintf(form, 8, "\\u%04x", (unsigned char)*s);
    form[0] = '\\';
    form[1] = letters[short_form - meanings];
    return 2;
}

struct text {
    char *out;
    size_t room, len; /* room: bytes before the NUL; len: of the whole text, fitting or not */
};

static void append(struct text *t, const char *form, size_t n) {
    if (t->len + n <= t->room)
        memcpy(t->out + t->len, form, n);
    else if (t->len < t->room)
        t->room = t->len; /* nothing goes behind what did not fit */
    t->len += n;
}

size_t json_escape(char *out, size_t cap, const char *string, size_t len) {
    struct text t = {.out = out, .room = cap > 0 ? cap - 1 : 0};
    append(&t, "\"", 1);
    for (size_t at = 0, taken; at < len; at += taken) {
        char form[8];
        const size_t n = escape_char(form, string + at, len - at, &taken);
        append(&t, form, n);
    }
    append(&t, "\"", 1);
    if (cap > 0)
        out[t.len < t.room ? t.len : t.room] = 0;
    return t.len;
}
