/* Strings of a schema: lengths, formats, and patterns in the part of ECMA-262's regular expressions
 * that a grammar can follow. Every character stands there as JSON writes it. */
#include "src/constraint/json_schema_impl.h"

#include "src/base/utf8.h"

#include <string.h>

#define MAX_NESTING 50

struct regex {
    struct schema *s;
    const struct json_value *at; /* whose fault a fault is */
    const char *text;
    size_t i, len;
    unsigned nesting;
};

/* ---- characters ---- */

static bool class_has(const struct char_class *c, uint32_t code) {
    bool in = false;
    for (size_t i = 0; i < c->n; i++)
        in |= code >= c->ranges[i].lo && code <= c->ranges[i].hi;
    return in != c->negated;
}

/* The characters of c that stand for themselves in a JSON string. False if there is no room. */
static bool raw_part(const struct char_class *c, struct char_class *raw) {
    static const struct char_range special[] = {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}};
    if (c->negated) {
        *raw = *c;
        for (size_t i = 0; i < 3; i++)
            if (!class_add(raw, special[i].lo, special[i].hi))
                return false;
        return true;
    }
    *raw = (struct char_class){.n = 0};
    for (size_t i = 0; i < c->n; i++) {
        uint32_t lo = c->ranges[i].lo;
        const uint32_t hi = c->ranges[i].hi;
        for (size_t j = 0; j < 3; j++) {
            if (special[j].hi < lo || special[j].lo > hi)
                continue;
            if (special[j].lo > lo && !class_add(raw, lo, special[j].lo - 1))
                return false;
            lo = special[j].hi + 1;
        }
        if (lo <= hi && !class_add(raw, lo, hi))
            return false;
    }
    return true;
}

void schema_put_class(struct schema *s, const struct json_value *at, const struct char_class *c) {
    static const char codes[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    struct char_class raw;
    bool any = false;
    if (!raw_part(c, &raw)) {
        schema_fail(s, at, "expected fewer ranges in a class");
        return;
    }
    const bool has_raw = raw.negated || raw.n;
    for (const char *p = codes; *p; p++)
        any |= class_has(c, (uint8_t)*p);
    if (!has_raw && !any) {
        schema_fail(s, at, "a class holds no character that can be written");
        return;
    }
    if (!any) {
        builder_put_class(&s->b, &raw);
        return;
    }
    const uint32_t rule = builder_rule(&s->b);
    const size_t mark = builder_mark(&s->b);
    if (has_raw) {
        builder_put_class(&s->b, &raw);
        builder_alternative(&s->b, rule, mark);
    }
    for (size_t i = 0; codes[i]; i++) {
        if (!class_has(c, (uint8_t)codes[i]))
            continue;
        schema_put_bytes(s, (const char[]){'\\', letters[i]}, 2);
        builder_alternative(&s->b, rule, mark);
    }
    schema_put_rule(s, rule);
}

/* ---- regular expressions ---- */

static bool unsupported(struct regex *r, const char *what) {
    schema_fail(r->s, r->at, "pattern, byte %zu: %s is not supported", r->i, what);
    return false;
}

static int peek(const struct regex *r) {
    return r->i < r->len ? (uint8_t)r->text[r->i] : -1;
}

static bool skip(struct regex *r, char c) {
    if (peek(r) != c)
        return false;
    r->i++;
    return true;
}

/* The characters of \d \w \s, or those that \D \W \S exclude. Where validators differ, ECMA-262's
 * ASCII against the Unicode of Python's, a character belongs to neither a set nor its opposite. */
static bool add_shorthand(struct char_class *c, int letter) {
    static const struct char_range digit[] = {{'0', '9'}};
    static const struct char_range word[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    static const struct char_range some_space[] = {{'\t', '\n'}, {'\r', '\r'}, {' ', ' '}};
    static const struct char_range all_space[] = {
        {'\t', '\r'},     {0x1c, 0x1f},     {' ', ' '},       {0x85, 0x85},
        {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029},
        {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
    static const struct char_range all_digit[] = {{'0', '9'}, {0x80, 0x10ffff}};
    static const struct char_range all_word[] = {
        {'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}, {0x80, 0x10ffff}};
    static const struct {
        char letter;
        const struct char_range *ranges;
        size_t n;
    } sets[] = {{'d', digit, 1},    {'D', all_digit, 2},  {'w', word, 4},
                {'W', all_word, 5}, {'s', some_space, 3}, {'S', all_space, 12}};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        if (sets[i].letter != letter)
            continue;
        for (size_t j = 0; j < sets[i].n; j++)
            if (!class_add(c, sets[i].ranges[j].lo, sets[i].ranges[j].hi))
                return false;
        return true;
    }
    return false;
}

static bool parse_hex(struct regex *r, size_t digits, uint32_t *code) {
    *code = 0;
    for (size_t i = 0; i < digits; i++, r->i++) {
        const int c = peek(r);
        const char *const all = "0123456789abcdef";
        const char *at = c > 0 ? strchr(all, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
        if (!at)
            return unsupported(r, "an escape without its hexadecimal digits");
        *code = *code << 4 | (uint32_t)(at - all);
    }
    return (*code < 0xd800 || *code > 0xdfff) || unsupported(r, "half of a character");
}

/* The one character of an escape, behind its backslash. */
static bool parse_escape(struct regex *r, uint32_t *code) {
    static const char letters[] = "nrtfv", meanings[] = "\n\r\t\f\v";
    const int c = peek(r);
    const char *letter = c > 0 ? strchr(letters, c) : NULL;
    if (c == 'x' || c == 'u') {
        r->i++;
        return parse_hex(r, c == 'x' ? 2 : 4, code);
    }
    if (letter)
        *code = (uint8_t)meanings[letter - letters];
    else if (c > 0x20 && c < 0x7f && !strchr("0123456789", c) &&
             !((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
        *code = (uint32_t)c;
    else
        return unsupported(r, "this escape");
    r->i++;
    return true;
}

static bool parse_char(struct regex *r, uint32_t *code) {
    if (skip(r, '\\'))
        return parse_escape(r, code);
    const size_t len = utf8_char_len(r->text + r->i, r->len - r->i);
    *code = utf8_code_point(r->text + r->i, len);
    r->i += len;
    return true;
}

/* A class, behind its bracket. */
static bool parse_class(struct regex *r) {
    struct char_class c = {.negated = skip(r, '^')};
    while (!skip(r, ']')) {
        uint32_t lo, hi;
        if (peek(r) < 0)
            return unsupported(r, "a class without its end");
        if (peek(r) == '\\' && r->i + 1 < r->len && strchr("dwsDWS", r->text[r->i + 1])) {
            const char letter = r->text[r->i + 1];
            const int found = c.negated ? letter - 'a' + 'A' : letter; /* what is excluded */
            if (strchr("DWS", letter) || !add_shorthand(&c, found))
                return unsupported(r, "\\D, \\W or \\S in a class");
            r->i += 2;
            continue;
        }
        if (!parse_char(r, &lo))
            return false;
        hi = lo;
        if (peek(r) == '-' && r->i + 1 < r->len && r->text[r->i + 1] != ']') {
            r->i++;
            if (!parse_char(r, &hi))
                return false;
        }
        if (hi < lo || !class_add(&c, lo, hi))
            return unsupported(r, "this range of a class");
    }
    if (!c.n && !c.negated)
        return unsupported(r, "an empty class");
    schema_put_class(r->s, r->at, &c);
    return schema_ok(r->s);
}

static bool parse_number(struct regex *r, uint32_t *n) {
    const size_t start = r->i;
    for (*n = 0; peek(r) >= '0' && peek(r) <= '9'; r->i++) {
        *n = *n * 10 + (uint32_t)(peek(r) - '0');
        if (*n > SCHEMA_MAX_COUNT)
            return unsupported(r, "a repetition beyond 10000");
    }
    return r->i > start || unsupported(r, "a brace without a number");
}

static bool parse_repetition(struct regex *r, size_t mark) {
    uint32_t min = 0, max = REPEAT_FOREVER;
    if (skip(r, '+'))
        min = 1;
    else if (skip(r, '?'))
        max = 1;
    else if (skip(r, '{')) {
        if (!parse_number(r, &min))
            return false;
        if (!skip(r, ','))
            max = min;
        else if (peek(r) != '}' && !parse_number(r, &max))
            return false;
        if (!skip(r, '}') || max < min)
            return unsupported(r, "this repetition");
    } else if (!skip(r, '*'))
        return true;
    skip(r, '?'); /* which match is found first does not matter here */
    if (peek(r) >= 0 && strchr("*+?{", peek(r)))
        return unsupported(r, "a repetition of a repetition");
    builder_repeat(&r->s->b, mark, min, max);
    return schema_ok(r->s);
}

static bool parse_alternatives(struct regex *r, uint32_t rule, size_t *n);

static bool parse_group(struct regex *r) {
    size_t n;
    if (skip(r, '?') && !skip(r, ':'))
        return unsupported(r, "a group of this kind");
    if (++r->nesting > MAX_NESTING)
        return unsupported(r, "so many groups inside each other");
    const uint32_t rule = builder_rule(&r->s->b);
    if (!parse_alternatives(r, rule, &n))
        return false;
    if (!skip(r, ')'))
        return unsupported(r, "a group without its end");
    r->nesting--;
    schema_put_rule(r->s, rule);
    return schema_ok(r->s);
}

static bool parse_item(struct regex *r) {
    struct char_class c = {.n = 0};
    const int next = peek(r);
    uint32_t code;
    if (strchr("^$*+?{}])", next))
        return unsupported(r, next == '^' || next == '$' ? "an anchor inside of the pattern"
                                                         : "this character");
    if (skip(r, '('))
        return parse_group(r);
    if (skip(r, '['))
        return parse_class(r);
    if (skip(r, '.')) {
        c = (struct char_class){
            .negated = true, .n = 3, .ranges = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}};
    } else if (next == '\\' && r->i + 1 < r->len && add_shorthand(&c, r->text[r->i + 1])) {
        c.negated = strchr("DWS", r->text[r->i + 1]) != NULL;
        r->i += 2;
    } else {
        if (!parse_char(r, &code))
            return false;
        (void)class_add(&c, code, code);
    }
    schema_put_class(r->s, r->at, &c);
    return schema_ok(r->s);
}

/* Up to a closing bracket or the end; *n: how many alternatives. */
static bool parse_alternatives(struct regex *r, uint32_t rule, size_t *n) {
    *n = 0;
    do {
        const size_t start = builder_mark(&r->s->b);
        while (peek(r) >= 0 && peek(r) != '|' && peek(r) != ')') {
            const size_t mark = builder_mark(&r->s->b);
            if (!parse_item(r) || !parse_repetition(r, mark))
                return false;
        }
        builder_alternative(&r->s->b, rule, start);
        ++*n;
    } while (skip(r, '|'));
    return schema_ok(r->s);
}

static void put_anything(struct schema *s) {
    const size_t mark = builder_mark(&s->b);
    schema_put_rule(s, s->character);
    builder_repeat(&s->b, mark, 0, REPEAT_FOREVER);
}

void schema_put_pattern(struct schema *s, const struct json_value *at, const char *text,
                        size_t len) {
    struct regex r = {.s = s, .at = at, .text = text, .len = len};
    size_t n;
    const bool from_start = skip(&r, '^');
    size_t slashes = 0;
    while (len >= 2 + slashes && text[len - 2 - slashes] == '\\')
        slashes++;
    const bool to_end = len > r.i && text[len - 1] == '$' && slashes % 2 == 0;
    r.len -= to_end;
    if (!from_start)
        put_anything(s);
    const uint32_t rule = builder_rule(&s->b);
    if (!parse_alternatives(&r, rule, &n))
        return;
    if (r.i < r.len)
        unsupported(&r, "this character");
    else if (n > 1 && (from_start || to_end))
        unsupported(&r, "an anchor beside | outside of a group");
    schema_put_rule(s, rule);
    if (!to_end)
        put_anything(s);
}

/* ---- strings ---- */

#define HOUR "(?:[01]\\d|2[0-3])"
#define DATE                                                                                       \
    "[1-9]\\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|"  \
    "30)|02-(?:0[1-9]|1\\d|2[0-8]))"
#define TIME   HOUR ":[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-]" HOUR ":[0-5]\\d)"
#define BYTE   "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define LABELS "[a-z0-9]{1,30}(?:-[a-z0-9]{1,30})?(?:\\.[a-z0-9]{1,30}(?:-[a-z0-9]{1,30})?){0,4}"

/* Not all that a format allows, but nothing that it does not. */
static const struct {
    const char *name, *pattern;
} formats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
    {"ipv4", "^" BYTE "(?:\\." BYTE "){3}$"},
    {"email", "^[a-z0-9]{1,30}(?:[._-][a-z0-9]{1,30}){0,2}@" LABELS "\\.[a-z]{2,10}$"},
    {"uri", "^https?://" LABELS "(?:/[A-Za-z0-9._~-]{0,60}){0,8}$"},
};

static void put_format(struct schema *s, const struct json_value *format) {
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (json_is(format, formats[i].name)) {
            schema_put_pattern(s, format, formats[i].pattern, strlen(formats[i].pattern));
            return;
        }
    schema_fail(s, format, "format \"%.60s\" is not supported",
                format->kind == JSON_STRING ? format->string : json_describe(format));
}

void schema_put_text_schema(struct schema *s, const struct json_value *v) {
    const struct json_value *pattern = json_get(v, "pattern"), *format = json_get(v, "format");
    const bool counted = json_get(v, "minLength") || json_get(v, "maxLength");
    const uint32_t min = schema_count(s, v, "minLength", 0);
    const uint32_t max = schema_count(s, v, "maxLength", REPEAT_FOREVER);
    if (max < min)
        schema_fail(s, v, "expected minLength of at most %u", max);
    if ((pattern != NULL) + (format != NULL) + counted > 1)
        schema_fail(s, v, "two of pattern, format and lengths together are not supported");
    if (pattern && pattern->kind != JSON_STRING)
        schema_fail(s, pattern, "expected a string, found %s", json_describe(pattern));
    if (!schema_ok(s))
        return;
    schema_put_text(s, "\"");
    const size_t mark = builder_mark(&s->b);
    if (pattern) {
        schema_put_pattern(s, pattern, pattern->string, pattern->len);
    } else if (format) {
        put_format(s, format);
    } else {
        schema_put_rule(s, s->character);
        builder_repeat(&s->b, mark, min, max);
    }
    schema_put_text(s, "\"");
}
