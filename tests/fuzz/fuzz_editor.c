/* Any bytes as keys: the text stays well-formed, and what is written to the terminal is text and
 * the editor's own sequences, never a control character that was typed or pasted. The first two
 * bytes are the terminal's size; 0xfe and 0xff among the keys draw and change it. */
#include "src/base/utf8.h"
#include "tools/edit/editor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int condition) {
    if (!condition)
        abort();
}

static void offer(struct completion *c, const char *line, size_t *start) {
    *start = strcspn(line, " ");
    *start += line[*start] == ' ';
    completion_offer(c, line + *start, "/read");
    completion_offer(c, line + *start, "/regen");
    completion_offer(c, line + *start, "größe");
    completion_offer(c, line + *start, "grüße");
}

static void check_text(const struct edit_text *t) {
    const char *s = edit_bytes(t);
    demand(t->cursor <= t->len && strlen(s) == t->len);
    demand(utf8_invalid_at(s, t->len) == t->len);
    demand(t->cursor == t->len || ((unsigned char)s[t->cursor] & 0xc0) != 0x80);
}

/* Text, "\r\n" and sequences ESC [ digits letter. */
static void check_output(struct buffer *out) {
    for (size_t i = 0; i < out->len; i++) {
        const unsigned char c = (unsigned char)out->bytes[i];
        if (c == 0x1b) {
            demand(out->bytes[++i] == '[');
            for (i++; out->bytes[i] >= '0' && out->bytes[i] <= '9';)
                i++;
            demand(strchr("ABCDHJK", out->bytes[i]) != NULL);
        } else {
            demand(c >= 0x20 || c == '\r' || c == '\n');
            demand(c != 0x7f);
        }
    }
    demand(utf8_invalid_at(out->bytes ? out->bytes : "", out->len) == out->len);
    buffer_clear(out);
}

static void feed(struct editor *e, unsigned char byte) {
    const enum editor_event event = editor_feed(e, byte);
    check_text(&e->text);
    check_text(&e->killed);
    check_text(&e->draft);
    check_text(&e->search.query);
    if (event != EDITOR_MESSAGE)
        return;
    size_t len;
    editor_leave(e);
    const char *message = editor_message(e, &len);
    demand(strlen(message) == len);
    history_add(e->history, message, NULL);
    editor_begin(e, len % 7 == 3 ? "\"\"\"\n" : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct history history = {.n = 0};
    struct editor e = {
        .prompt = "> ", .prompt_on = "", .prompt_off = "", .history = &history, .complete = offer};
    if (size < 2)
        return 0;
    history_add(&history, "größer als\nzwei Zeilen", NULL);
    history_add(&history, "/read notes", NULL);
    editor_begin(&e, "");
    editor_resize(&e, data[0], data[1]);
    for (size_t i = 2; i < size; i++) {
        if (data[i] == 0xff)
            editor_resize(&e, data[i - 1], i);
        if (data[i] == 0xff && keys_waiting(&e.keys))
            editor_timeout(&e);
        if (data[i] >= 0xfe)
            editor_draw(&e);
        else
            feed(&e, data[i]);
        check_output(&e.out);
    }
    editor_draw(&e);
    editor_leave(&e);
    check_output(&e.out);
    editor_free(&e);
    history_close(&history);
    return 0;
}
