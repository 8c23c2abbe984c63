#include "tools/common/text_out.h"

#include "tools/common/output.h"
#include "tools/common/width.h"

#include <unistd.h>

#define PORTION 512

static void write_bytes(struct text_out *out, const char *bytes, size_t n) {
    if (!out->failed && n)
        out->failed = !write_whole(out->fd, bytes, n);
}

/* Writes whole characters; what would steer the terminal is shown as ^[ and the like. */
static void write_shown(struct text_out *out, const char *text, size_t n) {
    char shown[CHAR_SHOWN_MAX];
    size_t from = 0, len, n_shown;
    for (size_t at = 0; at < n; at += len) {
        len = char_length(text + at, n - at);
        if (text[at] == '\n' || text[at] == '\t' ||
            !code_is_control(utf8_code_point(text + at, len)))
            continue;
        char_shown(text + at, len, shown, &n_shown);
        write_bytes(out, text + from, at - from);
        write_bytes(out, shown, n_shown);
        from = at + len;
    }
    write_bytes(out, text + from, n - from);
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
