#include "tools/edit/editor_text.h"

#include "src/base/utf8.h"
#include "tools/common/buffer.h"
#include "tools/common/width.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define JOINER 0x200d /* zero width joiner: what follows belongs to what is before it */

const char *edit_bytes(const struct edit_text *t) {
    return t->bytes ? t->bytes : "";
}

void edit_free(struct edit_text *t) {
    free(t->bytes);
    *t = (struct edit_text){.len = 0};
}

static bool reserve(struct edit_text *t, size_t n) {
    struct buffer b = {.bytes = t->bytes, .len = 0, .cap = t->cap};
    const bool good = buffer_reserve(&b, n);
    t->bytes = b.bytes;
    t->cap = b.cap;
    return good;
}

bool edit_insert(struct edit_text *t, const char *s, size_t n) {
    if (n > SIZE_MAX - t->len || !reserve(t, t->len + n))
        return false;
    memmove(t->bytes + t->cursor + n, t->bytes + t->cursor, t->len - t->cursor);
    memcpy(t->bytes + t->cursor, s, n);
    t->cursor += n;
    t->len += n;
    t->bytes[t->len] = 0;
    return true;
}

bool edit_set(struct edit_text *t, const char *s, size_t n) {
    if (!reserve(t, n))
        return false;
    memcpy(t->bytes, s, n);
    t->bytes[n] = 0;
    t->len = t->cursor = n;
    return true;
}

void edit_delete(struct edit_text *t, size_t from, size_t to) {
    if (from >= to)
        return;
    memmove(t->bytes + from, t->bytes + to, t->len - to);
    t->len -= to - from;
    t->bytes[t->len] = 0;
    if (t->cursor >= to)
        t->cursor -= to - from;
    else if (t->cursor > from)
        t->cursor = from;
}

/* The character at offset at < len; its length in *len. */
static uint32_t char_at(const struct edit_text *t, size_t at, size_t *len) {
    *len = utf8_char_len(t->bytes + at, t->len - at);
    return utf8_code_point(t->bytes + at, *len);
}

static size_t char_before(const struct edit_text *t, size_t at) {
    do
        at--;
    while (at && ((unsigned char)t->bytes[at] & 0xc0) == 0x80);
    return at;
}

static bool joins(uint32_t code) {
    return !code_is_control(code) && code_width(code) == 0;
}

size_t edit_next(const struct edit_text *t, size_t at) {
    size_t len;
    if (at >= t->len)
        return t->len;
    uint32_t code = char_at(t, at, &len);
    at += len;
    while (at < t->len && code != '\n') {
        const uint32_t next = char_at(t, at, &len);
        if (!joins(next) && (code != JOINER || code_is_control(next)))
            break;
        code = next;
        at += len;
    }
    return at;
}

size_t edit_previous(const struct edit_text *t, size_t at) {
    /* Back to a character that surely begins one, then on. */
    size_t from = at;
    while (from) {
        size_t len;
        from = char_before(t, from);
        const uint32_t code = char_at(t, from, &len);
        if (!joins(code) && (!from || char_at(t, char_before(t, from), &len) != JOINER))
            break;
    }
    for (size_t next = edit_next(t, from); next < at; next = edit_next(t, from))
        from = next;
    return from;
}

static bool in_word(const struct edit_text *t, size_t at) {
    size_t len;
    const uint32_t code = char_at(t, at, &len);
    if (code < 0x80)
        return isalnum((int)code);
    /* Spaces, punctuation and symbols of other scripts, coarsely. */
    return code >= 0xaa && !(code >= 0x2000 && code < 0x2c00) && !(code >= 0x3000 && code < 0x3041);
}

size_t edit_word_next(const struct edit_text *t, size_t at) {
    while (at < t->len && !in_word(t, at))
        at = edit_next(t, at);
    while (at < t->len && in_word(t, at))
        at = edit_next(t, at);
    return at;
}

size_t edit_word_previous(const struct edit_text *t, size_t at) {
    while (at && !in_word(t, edit_previous(t, at)))
        at = edit_previous(t, at);
    while (at && in_word(t, edit_previous(t, at)))
        at = edit_previous(t, at);
    return at;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n';
}

size_t edit_space_previous(const struct edit_text *t, size_t at) {
    while (at && is_space(t->bytes[at - 1]))
        at--;
    while (at && !is_space(t->bytes[at - 1]))
        at--;
    return at;
}

size_t edit_line_start(const struct edit_text *t, size_t at) {
    while (at && t->bytes[at - 1] != '\n')
        at--;
    return at;
}

size_t edit_line_end(const struct edit_text *t, size_t at) {
    while (at < t->len && t->bytes[at] != '\n')
        at++;
    return at;
}

/* As far into the line that begins at line as at is into its own. */
static size_t same_place(const struct edit_text *t, size_t at, size_t line) {
    const size_t end = edit_line_end(t, line);
    for (size_t i = edit_line_start(t, at); i < at && line < end; i = edit_next(t, i))
        line = edit_next(t, line);
    return line;
}

size_t edit_line_above(const struct edit_text *t, size_t at) {
    const size_t start = edit_line_start(t, at);
    return start ? same_place(t, at, edit_line_start(t, start - 1)) : at;
}

size_t edit_line_below(const struct edit_text *t, size_t at) {
    const size_t end = edit_line_end(t, at);
    return end < t->len ? same_place(t, at, end + 1) : at;
}

static void reverse(char *s, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        const char c = s[i];
        s[i] = s[n - 1 - i];
        s[n - 1 - i] = c;
    }
}

void edit_transpose(struct edit_text *t) {
    size_t middle = t->cursor;
    if (middle == edit_line_end(t, middle))
        middle = edit_previous(t, middle);
    if (middle <= edit_line_start(t, t->cursor))
        return;
    const size_t from = edit_previous(t, middle), to = edit_next(t, middle);
    reverse(t->bytes + from, middle - from);
    reverse(t->bytes + middle, to - middle);
    reverse(t->bytes + from, to - from);
    t->cursor = to;
}
