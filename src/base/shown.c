#include "src/base/shown.h"

#include "src/base/utf8.h"

#include <stdio.h>
#include <string.h>

/* Text that may not have room: len counts on. */
struct out {
    char *text;
    size_t cap, len;
};

/* All of it or, once there is no room, nothing. */
static void put(struct out *o, const char *text, size_t n) {
    if (o->len + n < o->cap)
        memcpy(o->text + o->len, text, n);
    else if (o->len < o->cap) { /* the end of what is there */
        o->text[o->len] = 0;
        o->cap = o->len;
    }
    o->len += n;
}

/* As much of it as there is room for. */
static void put_plain(struct out *o, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        put(o, text + i, 1);
}

static void put_repeated(struct out *o, char c, size_t n) {
    for (size_t i = 0; i < n; i++)
        put(o, &c, 1);
}

bool code_is_control(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029;
}

/* U+200E, U+200F, U+061C: marks of direction; U+202A to U+202E, U+2066 to U+2069: embeddings,
 * overrides, isolates. */
static bool misleads(uint32_t code) {
    return code == 0x61c || code == 0x200e || code == 0x200f ||
           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static void put_shown(struct out *o, const char *text, size_t n) {
    char escape[16];
    for (size_t at = 0; at < n;) {
        const size_t len = utf8_char_len(text + at, n - at);
        const uint32_t code = len ? utf8_code_point(text + at, len) : (uint8_t)text[at];
        if (len && !code_is_control(code) && !misleads(code)) {
            put(o, text + at, len);
        } else {
            if (code == '\n' || code == '\r' || code == '\t')
                snprintf(escape, sizeof escape, "\\%c",
                         code == '\n'   ? 'n'
                         : code == '\r' ? 'r'
                                        : 't');
            else if (code < 0x80 || !len)
                snprintf(escape, sizeof escape, "\\x%02x", (unsigned)code);
            else
                snprintf(escape, sizeof escape, "\\u%04x", (unsigned)code);
            put(o, escape, strlen(escape));
        }
        at += len ? len : 1;
    }
}

static size_t finish(struct out *o) {
    if (o->len < o->cap)
        o->text[o->len] = 0;
    return o->len;
}

size_t show_text(char *out, size_t cap, const char *text, size_t n) {
    struct out o = {out, cap, 0};
    put_shown(&o, text, n);
    return finish(&o);
}

/* ---- formats ----------------------------------------------------------------------------- */

/* One conversion: the flags that stand behind '%', width and precision as numbers. */
struct conversion {
    char flags[8];
    int width, precision; /* precision -1: none */
    char length[3];
    char kind;
};

struct arguments {
    va_list list;
};

static int read_number(const char **at, struct arguments *args) {
    int n = 0;
    if (**at == '*') {
        (*at)++;
        return va_arg(args->list, int);
    }
    for (; **at >= '0' && **at <= '9'; (*at)++)
        n = n < 100000 ? 10 * n + (**at - '0') : n;
    return n;
}

/* Reads what follows a '%'; returns the place behind it. */
static const char *read_conversion(const char *at, struct conversion *c, struct arguments *args) {
    size_t n = strspn(at, "-+ #0");
    *c = (struct conversion){.precision = -1};
    memcpy(c->flags, at, n < sizeof c->flags ? n : sizeof c->flags - 1);
    at += n;
    c->width = read_number(&at, args);
    if (c->width < 0) { /* by '*': to the left */
        c->width = -c->width;
        c->flags[0] = '-';
    }
    if (*at == '.') {
        at++;
        c->precision = read_number(&at, args);
    }
    n = strspn(at, "hljztL");
    memcpy(c->length, at, n < sizeof c->length ? n : sizeof c->length - 1);
    at += n;
    c->kind = *at;
    return *at ? at + 1 : at;
}

static void put_padded(struct out *o, const struct conversion *c, const char *text, size_t n) {
    const size_t shown_len = show_text(NULL, 0, text, n);
    const size_t pad = (size_t)c->width > shown_len ? (size_t)c->width - shown_len : 0;
    const bool left = strchr(c->flags, '-') != NULL;
    put_repeated(o, ' ', left ? 0 : pad);
    put_shown(o, text, n);
    put_repeated(o, ' ', left ? pad : 0);
}

/* Up to precision bytes of text; a character that this would cut is left out. */
static size_t text_length(const char *text, int precision) {
    if (precision < 0)
        return strlen(text);
    const size_t n = strnlen(text, (size_t)precision);
    for (size_t back = 1; n == (size_t)precision && back <= 3 && back <= n; back++) {
        const uint8_t byte = (uint8_t)text[n - back];
        if ((byte & 0xc0) == 0x80)
            continue;
        return byte >= 0xc2 && utf8_char_len(text + n - back, back) == 0 ? n - back : n;
    }
    return n;
}

static long long take_signed(const struct conversion *c, struct arguments *a) {
    if (c->length[0] == 'l')
        return c->length[1] ? va_arg(a->list, long long) : va_arg(a->list, long);
    if (c->length[0] == 'z' || c->length[0] == 't')
        return va_arg(a->list, ptrdiff_t);
    if (c->length[0] == 'j')
        return va_arg(a->list, intmax_t);
    const int value = va_arg(a->list, int);
    return c->length[0] == 0 ? value : c->length[1] == 'h' ? (signed char)value : (short)value;
}

static unsigned long long take_unsigned(const struct conversion *c, struct arguments *a) {
    if (c->length[0] == 'l')
        return c->length[1] ? va_arg(a->list, unsigned long long) : va_arg(a->list, unsigned long);
    if (c->length[0] == 'z' || c->length[0] == 't')
        return va_arg(a->list, size_t);
    if (c->length[0] == 'j')
        return va_arg(a->list, uintmax_t);
    const unsigned value = va_arg(a->list, unsigned);
    return c->length[0] == 0     ? value
           : c->length[1] == 'h' ? (unsigned char)value
                                 : (unsigned short)value;
}

static void put_number(struct out *o, const struct conversion *c, struct arguments *a) {
    char format[32], text[512];
    const char *length = strchr("di", c->kind) || strchr("uoxX", c->kind) ? "ll" : "";
    if (c->precision >= 0)
        snprintf(format, sizeof format, "%%%s*.*%s%c", c->flags, length, c->kind);
    else
        snprintf(format, sizeof format, "%%%s*%s%c", c->flags, length, c->kind);
    const int w = c->width < 400 ? c->width : 400, p = c->precision < 100 ? c->precision : 100;
    int n;
    if (strchr("di", c->kind)) {
        const long long v = take_signed(c, a);
        n = p >= 0 ? snprintf(text, sizeof text, format, w, p, v)
                   : snprintf(text, sizeof text, format, w, v);
    } else if (strchr("uoxX", c->kind)) {
        const unsigned long long v = take_unsigned(c, a);
        n = p >= 0 ? snprintf(text, sizeof text, format, w, p, v)
                   : snprintf(text, sizeof text, format, w, v);
    } else if (c->kind == 'p') {
        n = snprintf(text, sizeof text, "%p", va_arg(a->list, void *));
    } else {
        const double v = va_arg(a->list, double);
        n = p >= 0 ? snprintf(text, sizeof text, format, w, p, v)
                   : snprintf(text, sizeof text, format, w, v);
    }
    put_plain(o, text, n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

int show_vformat(char *out, size_t cap, const char *format, va_list args) {
    struct out o = {out, cap, 0};
    struct arguments a;
    struct conversion c;
    va_copy(a.list, args);
    for (const char *at = format; *at;) {
        const size_t n = strcspn(at, "%");
        put_plain(&o, at, n);
        at += n;
        if (*at == 0)
            break;
        at = read_conversion(at + 1, &c, &a);
        if (c.kind == '%') {
            put(&o, "%", 1);
        } else if (c.kind == 's') {
            const char *const text = va_arg(a.list, const char *);
            put_padded(&o, &c, text ? text : "(none)",
                       text_length(text ? text : "(none)", c.precision));
        } else if (c.kind == 'c') {
            const char byte = (char)va_arg(a.list, int);
            put_padded(&o, &c, &byte, 1);
        } else if (c.kind) {
            put_number(&o, &c, &a);
        }
    }
    va_end(a.list);
    return (int)finish(&o);
}
