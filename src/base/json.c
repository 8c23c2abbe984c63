#include "src/base/json.h"

#include "src/base/array.h"
#include "src/base/utf8.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 511 /* characters */
#define POINT_MAX  8   /* bytes of a locale's decimal point */

struct json {
    struct json_value *values;
    size_t n, cap;
    char *strings; /* strings and numbers, each with its NUL: no longer than the text and one */
};

struct parser {
    struct json *j;
    const char *name, *text;
    size_t len, at;      /* at: next byte of text */
    size_t strings_used; /* of j->strings */
    unsigned depth;
    char number[NUMBER_MAX + 1 + POINT_MAX]; /* not on the stack of values inside values */
    struct bise_error *err;
};

static enum bise_status expected(struct parser *p, const char *what) {
    if (p->at >= p->len)
        return bise_fail(p->err, BISE_ERR_FORMAT, "%s: byte %zu: expected %s, found the end",
                         p->name, p->at, what);
    const unsigned char c = (unsigned char)p->text[p->at];
    if (c > ' ' && c < 0x7F)
        return bise_fail(p->err, BISE_ERR_FORMAT, "%s: byte %zu: expected %s, found '%c'", p->name,
                         p->at, what, c);
    return bise_fail(p->err, BISE_ERR_FORMAT, "%s: byte %zu: expected %s, found byte 0x%02x",
                     p->name, p->at, what, c);
}

static int peek(const struct parser *p) {
    return p->at < p->len ? (unsigned char)p->text[p->at] : -1;
}

static void skip_space(struct parser *p) {
    while (p->at < p->len && strchr(" \t\r\n", p->text[p->at]) && p->text[p->at])
        p->at++;
}

/* Adds a value and puts its index into *index; pointers into the array move when it grows. */
static enum bise_status add_value(struct parser *p, size_t *index) {
    struct json *j = p->j;
    if (j->n == JSON_MAX_VALUES)
        return bise_fail(p->err, BISE_ERR_FORMAT, "%s: byte %zu: more than %u values", p->name,
                         p->at, JSON_MAX_VALUES);
    if (!array_grow(&j->values, &j->cap, j->n + 1, sizeof *j->values))
        return bise_fail(p->err, BISE_ERR_MEMORY, "%s: no memory for %zu JSON values", p->name,
                         j->n + 1);
    *index = j->n++;
    j->values[*index] = (struct json_value){.span = 1};
    return BISE_OK;
}

/* Four hexadecimal digits at p->at; -1 if they are not. */
static int32_t hex4(struct parser *p) {
    int32_t code = 0;
    for (int i = 0; i < 4; i++) {
        const int c = peek(p);
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
        p->at++;
    }
    return code;
}

/* What follows "\u": one code point, of two escapes where it is beyond U+FFFF. */
static enum bise_status parse_unicode(struct parser *p, char *out, size_t *n) {
    const size_t start = p->at - 2;
    int32_t code = hex4(p);
    if (code < 0)
        return expected(p, "four hexadecimal digits");
    if (code >= 0xD800 && code < 0xE000) {
        int32_t low = -1;
        if (code < 0xDC00 && peek(p) == '\\' && p->at + 1 < p->len && p->text[p->at + 1] == 'u') {
            p->at += 2;
            low = hex4(p);
        }
        if (low < 0xDC00 || low > 0xDFFF)
            return bise_fail(p->err, BISE_ERR_FORMAT,
                             "%s: byte %zu: expected a pair of surrogates, found half of one",
                             p->name, start);
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    *n += utf8_put((uint32_t)code, out + *n);
    return BISE_OK;
}

static enum bise_status parse_escape(struct parser *p, char *out, size_t *n) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const int c = peek(p);
    if (c == 'u') {
        p->at++;
        return parse_unicode(p, out, n);
    }
    const char *letter = c > 0 ? strchr(letters, c) : NULL;
    if (!letter)
        return expected(p, "an escape (one of \"\\/bfnrtu)");
    out[(*n)++] = meanings[letter - letters];
    p->at++;
    return BISE_OK;
}

/* A string at its opening quote; the text's UTF-8 has been checked. */
static enum bise_status parse_string(struct parser *p, const char **string, size_t *len) {
    char *out = p->j->strings + p->strings_used;
    size_t n = 0;
    p->at++;
    while (peek(p) != '"') {
        const int c = peek(p);
        enum bise_status s = BISE_OK;
        if (c < ' ') {
            s = expected(p, "a character of a string or its closing quote");
        } else if (c == '\\') {
            p->at++;
            s = parse_escape(p, out, &n);
        } else {
            out[n++] = (char)c;
            p->at++;
        }
        if (s)
            return s;
    }
    p->at++;
    out[n] = 0;
    p->strings_used += n + 1;
    *string = out;
    *len = n;
    return BISE_OK;
}

static bool skip_digits(struct parser *p) {
    const size_t start = p->at;
    while (peek(p) >= '0' && peek(p) <= '9')
        p->at++;
    return p->at > start;
}

/* JSON's '.' is what the program's locale reads as a decimal point. text has POINT_MAX bytes to
 * spare. */
static double read_double(char *text) {
    const char *const point = localeconv()->decimal_point;
    char *const dot = strchr(text, '.');
    const size_t n = strlen(point);
    if (dot && n > 0 && n <= POINT_MAX) {
        memmove(dot + n, dot + 1, strlen(dot)); /* with the NUL */
        memcpy(dot, point, n);
    }
    return strtod(text, NULL);
}

static enum bise_status parse_number(struct parser *p, struct json_value *v) {
    const size_t start = p->at;
    char *const copy = p->number;
    bool whole = true;
    p->at += peek(p) == '-';
    if (peek(p) == '0')
        p->at++;
    else if (!skip_digits(p))
        return expected(p, "a value");
    if (peek(p) == '.') {
        whole = false;
        p->at++;
        if (!skip_digits(p))
            return expected(p, "a digit");
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        whole = false;
        p->at++;
        p->at += peek(p) == '+' || peek(p) == '-';
        if (!skip_digits(p))
            return expected(p, "a digit");
    }
    const size_t n = p->at - start;
    if (n <= NUMBER_MAX) {
        memcpy(copy, p->text + start, n);
        copy[n] = 0;
        v->number = read_double(copy);
    }
    if (n > NUMBER_MAX || !isfinite(v->number))
        return bise_fail(p->err, BISE_ERR_FORMAT, "%s: byte %zu: a number beyond double's range",
                         p->name, start);
    v->kind = JSON_NUMBER;
    errno = 0;
    v->integer = whole ? strtoll(copy, NULL, 10) : 0;
    v->is_integer = whole && errno == 0;
    char *const kept = p->j->strings + p->strings_used; /* what ends it makes room for a NUL */
    memcpy(kept, copy, n + 1);
    p->strings_used += n + 1;
    v->digits = kept;
    return BISE_OK;
}

static enum bise_status parse_word(struct parser *p, struct json_value *v) {
    static const struct {
        const char *word;
        enum json_kind kind;
        bool boolean;
    } words[] = {
        {"null", JSON_NULL, false}, {"true", JSON_BOOL, true}, {"false", JSON_BOOL, false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t n = strlen(words[i].word);
        if (p->len - p->at >= n && memcmp(p->text + p->at, words[i].word, n) == 0) {
            v->kind = words[i].kind;
            v->boolean = words[i].boolean;
            p->at += n;
            return BISE_OK;
        }
    }
    return expected(p, "a value");
}

static enum bise_status parse_value(struct parser *p, const char *key, size_t key_len);

/* "key": value */
static enum bise_status parse_member(struct parser *p) {
    const char *key;
    size_t key_len;
    if (peek(p) != '"')
        return expected(p, "a key in quotes");
    enum bise_status s = parse_string(p, &key, &key_len);
    if (s)
        return s;
    skip_space(p);
    if (peek(p) != ':')
        return expected(p, "':'");
    p->at++;
    return parse_value(p, key, key_len);
}

/* The inside of the array or object at `index`, from its opening bracket on. */
static enum bise_status parse_children(struct parser *p, size_t index) {
    const bool object = peek(p) == '{';
    const char close = object ? '}' : ']';
    size_t n = 0;
    if (p->depth == JSON_MAX_DEPTH)
        return bise_fail(p->err, BISE_ERR_FORMAT, "%s: byte %zu: nested deeper than %d levels",
                         p->name, p->at, JSON_MAX_DEPTH);
    p->depth++;
    p->at++;
    skip_space(p);
    while (n > 0 || peek(p) != close) {
        const enum bise_status s = object ? parse_member(p) : parse_value(p, NULL, 0);
        if (s)
            return s;
        n++;
        skip_space(p);
        if (peek(p) == close)
            break;
        if (peek(p) != ',')
            return expected(p, object ? "',' or '}'" : "',' or ']'");
        p->at++;
        skip_space(p);
    }
    p->at++;
    p->depth--;
    struct json_value *v = &p->j->values[index];
    v->kind = object ? JSON_OBJECT : JSON_ARRAY;
    v->len = n;
    v->span = p->j->n - index;
    return BISE_OK;
}

static enum bise_status parse_value(struct parser *p, const char *key, size_t key_len) {
    size_t index = 0;
    enum bise_status s = add_value(p, &index);
    if (s)
        return s;
    skip_space(p);
    struct json_value *v = &p->j->values[index];
    v->key = key;
    v->key_len = key_len;
    const int c = peek(p);
    if (c == '{' || c == '[')
        return parse_children(p, index);
    if (c == '"') {
        v->kind = JSON_STRING;
        return parse_string(p, &v->string, &v->len);
    }
    if (c == '-' || (c >= '0' && c <= '9'))
        return parse_number(p, v);
    return parse_word(p, v);
}

enum bise_status json_parse(struct json **out, const char *text, size_t len, const char *name,
                            struct bise_error *err) {
    struct parser p = {.name = name, .text = text, .len = len, .err = err};
    enum bise_status s = BISE_ERR_MEMORY;
    const size_t bad = utf8_invalid_at(text, len);
    *out = NULL;
    if (bad < len)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: byte %zu: invalid UTF-8", name, bad);
    p.j = calloc(1, sizeof *p.j);
    if (p.j)
        p.j->strings = malloc(len + 1);
    if (!p.j || !p.j->strings) {
        bise_fail(err, s, "%s: no memory to read %zu bytes of JSON", name, len);
        goto done;
    }
    s = parse_value(&p, NULL, 0);
    skip_space(&p);
    if (!s && p.at < p.len)
        s = expected(&p, "the end");
done:
    if (s)
        json_close(&p.j);
    *out = p.j;
    return s;
}

void json_close(struct json **j) {
    if (!j || !*j)
        return;
    free((*j)->values);
    free((*j)->strings);
    free(*j);
    *j = NULL;
}

const struct json_value *json_root(const struct json *j) {
    return j ? j->values : NULL;
}

/* ---- reading what was parsed ---- */

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

bool json_flag(const struct json_value *object, const char *key, bool absent) {
    const struct json_value *const v = json_get(object, key);
    return v && v->kind == JSON_BOOL ? v->boolean : absent;
}
