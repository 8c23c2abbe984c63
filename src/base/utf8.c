#include "src/base/utf8.h"

#include <stdbool.h>
#include <string.h>

/* Length a character beginning with this byte must have, and the range of its second byte (which
 * excludes overlong forms, surrogates and what lies beyond U+10FFFF); 0 for a byte none begins
 * with. */
static size_t lead(uint8_t first, uint8_t *lo, uint8_t *hi) {
    *lo = 0x80;
    *hi = 0xbf;
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    if (first < 0xe0)
        return 2;
    if (first < 0xf0) {
        if (first == 0xe0)
            *lo = 0xa0;
        if (first == 0xed)
            *hi = 0x9f;
        return 3;
    }
    if (first == 0xf0)
        *lo = 0x90;
    if (first == 0xf4)
        *hi = 0x8f;
    return 4;
}

/* How many bytes at s belong together: *whole if they are a character. Otherwise they are the
 * longest beginning of one (1 where nothing begins), and *more tells that the end of s cut it. */
static size_t scan(const char *s, size_t n, bool *whole, bool *more) {
    uint8_t lo, hi;
    const size_t need = lead((uint8_t)s[0], &lo, &hi);
    *whole = *more = false;
    if (!need)
        return 1;
    for (size_t i = 1; i < need; i++) {
        if (i == n) {
            *more = true;
            return i;
        }
        const uint8_t byte = (uint8_t)s[i];
        if (byte < lo || byte > hi)
            return i;
        lo = 0x80;
        hi = 0xbf;
    }
    *whole = true;
    return need;
}

size_t utf8_char_len(const char *s, size_t n) {
    bool whole, more;
    const size_t len = scan(s, n, &whole, &more);
    return whole ? len : 0;
}

size_t utf8_invalid_at(const char *s, size_t n) {
    size_t at = 0;
    while (at < n) {
        const size_t len = utf8_char_len(s + at, n - at);
        if (!len)
            return at;
        at += len;
    }
    return n;
}

uint32_t utf8_code_point(const char *s, size_t len) {
    static const uint8_t lead_mask[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (uint8_t)s[0] & lead_mask[len];
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((uint8_t)s[i] & 0x3f);
    return code;
}

size_t utf8_put(uint32_t code, char *out) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

static size_t put_replacement(char *out) {
    memcpy(out, "\xef\xbf\xbd", 3);
    return 3;
}

/* Moves what is decided in s [n] to out; *rest is how many bytes at the end are still open. */
static size_t drain(const char *s, size_t n, char *out, size_t *rest) {
    size_t at = 0, n_out = 0;
    *rest = 0;
    while (at < n) {
        bool whole, more;
        const size_t len = scan(s + at, n - at, &whole, &more);
        if (more) {
            *rest = len;
            break;
        }
        if (whole) {
            memcpy(out + n_out, s + at, len);
            n_out += len;
        } else {
            n_out += put_replacement(out + n_out);
        }
        at += len;
    }
    return n_out;
}

size_t utf8_stream_put(struct utf8_stream *u, const char *bytes, size_t n, char *out) {
    size_t n_out = 0, taken = 0, rest;
    while (u->n_tail && taken < n) { /* one byte at a time until the open character is decided */
        u->tail[u->n_tail++] = bytes[taken++];
        const size_t n_tail = u->n_tail;
        n_out += drain(u->tail, n_tail, out + n_out, &rest);
        memmove(u->tail, u->tail + n_tail - rest, rest);
        u->n_tail = rest;
    }
    n_out += drain(bytes + taken, n - taken, out + n_out, &rest);
    if (rest) {
        memcpy(u->tail, bytes + n - rest, rest);
        u->n_tail = rest;
    }
    return n_out;
}

size_t utf8_stream_end(struct utf8_stream *u, char *out) {
    const bool open = u->n_tail > 0;
    u->n_tail = 0;
    return open ? put_replacement(out) : 0;
}

bool code_in(uint32_t code, const struct code_range *ranges, size_t n) {
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (code > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && code >= ranges[low].first;
}
