#include "tools/edit/editor_screen.h"

#include "tools/common/width.h"

#include <string.h>

#define MIN_COLS 8 /* what is narrower is treated like this */

/* A walk over prompt and text that knows row and column. */
struct walk {
    size_t cols, row, col;
    size_t cursor_row, cursor_col;
    size_t from, to;    /* rows to be shown */
    struct buffer *out; /* NULL: only measured */
};

static bool shown(const struct walk *w) {
    return w->out && w->row >= w->from && w->row < w->to;
}

static void new_row(struct walk *w) {
    w->row++;
    w->col = 0;
}

/* A character of width columns, n bytes at s. The terminal breaks rows at the same places. */
static void step_char(struct walk *w, const char *s, size_t n, size_t width) {
    if (w->col + width > w->cols)
        new_row(w);
    if (shown(w))
        buffer_put(w->out, s, n);
    w->col += width;
}

/* Where a character of this width would stand; a line's end stays in the line's last row. */
static void mark_cursor(struct walk *w, size_t width, bool at_end_of_line) {
    const bool wraps = w->col + (width ? width : 1) > w->cols;
    w->cursor_row = w->row + (wraps && !at_end_of_line);
    w->cursor_col = !wraps ? w->col : at_end_of_line ? w->cols - 1 : 0;
}

static void line_break(struct walk *w) {
    if (shown(w) && w->row + 1 < w->to)
        buffer_text(w->out, "\r\n");
    new_row(w);
}

static void put_text(struct walk *w, const char *text, size_t len, size_t cursor) {
    char bytes[CHAR_SHOWN_MAX];
    for (size_t at = 0; at < len;) {
        const size_t n = char_length(text + at, len - at);
        size_t n_bytes, width = 0;
        const bool ends = text[at] == '\n';
        if (!ends)
            width = char_shown(text + at, n, bytes, &n_bytes);
        if (at == cursor)
            mark_cursor(w, width, ends);
        if (ends) {
            line_break(w);
            for (const char *p = SCREEN_INDENT; *p; p++)
                step_char(w, p, 1, 1);
        } else {
            step_char(w, bytes, n_bytes, width);
        }
        at += n;
    }
    if (cursor >= len)
        mark_cursor(w, 1, false);
}

static void walk_all(struct walk *w, const struct screen_text *t) {
    if (w->out && !w->from)
        buffer_text(w->out, t->prompt_on);
    put_text(w, t->prompt, strlen(t->prompt), SIZE_MAX);
    if (w->out && !w->from)
        buffer_text(w->out, t->prompt_off);
    put_text(w, t->text, t->len, t->cursor);
    /* A row that is full leaves the terminal's cursor on it: on to the next, if it is there. */
    if (w->cursor_row > w->row) {
        if (shown(w))
            buffer_text(w->out, w->row + 1 < w->to ? "\r\n" : "");
        new_row(w);
    }
}

/* Rows, and where the cursor is. */
static struct walk measure_text(const struct screen *s, const struct screen_text *t) {
    struct walk w = {.cols = s->cols < MIN_COLS ? MIN_COLS : s->cols};
    walk_all(&w, t);
    return w;
}

static void move_terminal_cursor(struct buffer *out, size_t n, char direction) {
    if (n)
        buffer_print(out, "\033[%zu%c", n, direction);
}

/* From where the cursor was left to the beginning of what is shown, all of it wiped. */
static void wipe_rows(const struct screen *s, struct buffer *out) {
    move_terminal_cursor(out, s->cursor_row, 'A');
    buffer_text(out, "\r\033[J");
}

void screen_resize(struct screen *s, const struct screen_text *t, size_t cols, size_t rows) {
    s->cols = cols;
    s->rows = rows;
    const struct walk w = measure_text(s, t);
    s->cursor_row = w.cursor_row > s->top ? w.cursor_row - s->top : 0;
    if (rows && s->cursor_row >= rows)
        s->cursor_row = rows - 1;
}

/* Shows rows [from, to) of the text. */
static struct walk show_rows(const struct screen *s, const struct screen_text *t, size_t from,
                             size_t to, struct buffer *out) {
    struct walk w = {
        .cols = s->cols < MIN_COLS ? MIN_COLS : s->cols, .from = from, .to = to, .out = out};
    walk_all(&w, t);
    return w;
}

void screen_draw(struct screen *s, const struct screen_text *t, struct buffer *out) {
    const struct walk all = measure_text(s, t);
    const size_t height = s->rows ? s->rows : 24, n_rows = all.row + 1;
    if (all.cursor_row < s->top || n_rows <= height)
        s->top = n_rows <= height ? 0 : all.cursor_row;
    if (all.cursor_row >= s->top + height)
        s->top = all.cursor_row - height + 1;
    if (n_rows > height && s->top + height > n_rows)
        s->top = n_rows - height;
    const size_t end = n_rows < s->top + height ? n_rows : s->top + height;
    wipe_rows(s, out);
    show_rows(s, t, s->top, end, out);
    move_terminal_cursor(out, end - 1 - all.cursor_row, 'A');
    buffer_text(out, "\r");
    move_terminal_cursor(out, all.cursor_col, 'C');
    s->cursor_row = all.cursor_row - s->top;
}

void screen_leave(struct screen *s, const struct screen_text *t, struct buffer *out) {
    struct screen_text end = *t;
    end.cursor = 0; /* no row for a cursor behind a full one */
    wipe_rows(s, out);
    show_rows(s, &end, 0, SIZE_MAX, out);
    buffer_text(out, "\r\n");
    screen_forget(s);
}

void screen_forget(struct screen *s) {
    s->cursor_row = s->top = 0;
}
