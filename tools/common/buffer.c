#include "tools/common/buffer.h"

#include "src/base/array.h"
#include "src/base/json.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool buffer_reserve(struct buffer *b, size_t n) {
    if (n < b->cap - b->len)
        return true;
    if (n > SIZE_MAX / 4 - b->len) {
        b->failed = true;
        return false;
    }
    const bool grown = array_grow(&b->bytes, &b->cap, b->len + n + 1, 1);
    b->failed = b->failed || !grown;
    return grown;
}

void buffer_put(struct buffer *b, const char *bytes, size_t n) {
    if (!buffer_reserve(b, n))
        return;
    if (n)
        memcpy(b->bytes + b->len, bytes, n);
    b->len += n;
    b->bytes[b->len] = 0;
}

void buffer_text(struct buffer *b, const char *text) {
    buffer_put(b, text, strlen(text));
}

void buffer_print(struct buffer *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !buffer_reserve(b, (size_t)n))
        return;
    va_start(args, format);
    vsnprintf(b->bytes + b->len, (size_t)n + 1, format, args);
    va_end(args);
    b->len += (size_t)n;
}

void buffer_json(struct buffer *b, const char *text, size_t n) {
    const size_t len = json_escape(NULL, 0, text, n);
    if (!buffer_reserve(b, len))
        return;
    json_escape(b->bytes + b->len, len + 1, text, n);
    b->len += len;
}

void buffer_clear(struct buffer *b) {
    b->len = 0;
    b->failed = false;
}

void buffer_free(struct buffer *b) {
    free(b->bytes);
    *b = (struct buffer){.len = 0};
}
