#include "tools/common/text_out.h"

#include "tools/common/output.h"
#include "tools/common/width.h"

#include <unistd.h>

#define PORTION 512

static void write_bytes(struct text_out *out, const char *bytes, size_t n) {
    if (!out->failed && n)
        out->failed = !write_whole(out->fd, bytes, n);
}

/* Writes whole characters; what would steer the terminal is shown as ^[ and the like, words are not
 * cut by its edge. */
static void write_shown(struct text_out *out, const char *text, size_t n) {
    char shown[CHAR_SHOWN_MAX], bytes[PORTION + WRAP_OUT_BYTES];
    size_t n_bytes = 0;
    for (size_t at = 0, len; at < n; at += len) {
        len = char_length(text + at, n - at);
        const uint32_t code = utf8_code_point(text + at, len);
        const bool control = code_is_control(code) && code != '\n' && code != '\t';
        const char *from = text + at;
        size_t n_from = len, width = code == '\t' ? 8 - out->wrap.col % 8 : 0;
        if (control)
            width = char_shown(from, len, shown, &n_from);
        else if (code != '\n' && code != '\t')
            width = (size_t)code_width(code);
        n_bytes += wrap_char(&out->wrap, control ? shown : from, n_from, width, bytes + n_bytes);
        if (n_bytes >= PORTION) {
            write_bytes(out, bytes, n_bytes);
            n_bytes = 0;
        }
    }
    write_bytes(out, bytes, n_bytes);
}

static void write_out(struct text_out *out, const char *text, size_t n) {
    if (out->terminal)
        write_shown(out, text, n);
    else
        write_bytes(out, text, n);
}

static void write_all(struct text_out *out, const char *text, size_t n) {
    if (n)
        out->last = text[n - 1];
    if (out->hold)
        buffer_put(out->hold, text, n);
    else
        write_out(out, text, n);
}

void text_out_begin(struct text_out *out) {
    out->utf8 = (struct utf8_stream){.n_tail = 0};
    out->n_bytes = out->n_shown = 0;
    out->last = 0;
    out->failed = false;
    out->terminal = isatty(out->fd);
    out->wrap = (struct wrap){.cols = out->terminal ? wrap_columns(out->fd) : 0};
    if (out->stop)
        stop_begin(out->stop);
}

static void put_portion(struct text_out *out, const char *bytes, size_t n) {
    char shown[PORTION + STOP_MAX_BYTES], text[UTF8_STREAM_ROOM(sizeof shown)];
    if (out->stop && out->stop->n) {
        n = stop_put(out->stop, bytes, n, shown);
        bytes = shown;
    }
    out->n_shown += n;
    write_all(out, text, utf8_stream_put(&out->utf8, bytes, n, text));
}

void text_out_put(struct text_out *out, const char *bytes, size_t n) {
    if (n && !out->n_bytes && out->strip_space && bytes[0] == ' ') {
        out->n_bytes = out->n_shown = 1;
        bytes++;
        n--;
    }
    out->n_bytes += n;
    for (size_t at = 0; at < n; at += PORTION)
        put_portion(out, bytes + at, n - at < PORTION ? n - at : PORTION);
}

void text_out_end(struct text_out *out) {
    char held[STOP_MAX_BYTES], text[UTF8_STREAM_ROOM(sizeof held)];
    if (out->stop) {
        const size_t n = stop_end(out->stop, held);
        write_all(out, text, utf8_stream_put(&out->utf8, held, n, text));
    }
    write_all(out, text, utf8_stream_end(&out->utf8, text));
}

void text_out_release(struct text_out *out) {
    write_out(out, out->hold->bytes, out->hold->len);
    buffer_clear(out->hold);
}
