#include "tools/common/wrap.h"

#include "src/base/utf8.h"
#include "tools/common/width.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define MIN_COLS 16 /* narrower terminals cut words */

size_t wrap_columns(int fd) {
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static void begin_row(struct wrap *w) {
    w->col = w->n_word = w->word_cols = 0;
}

/* Three backquotes at the beginning of a line open and close code. */
static void look_for_fence(struct wrap *w, char c) {
    if (c == '\n')
        w->n_ticks = 0;
    else if (c != '`' || w->n_ticks == SIZE_MAX)
        w->n_ticks = SIZE_MAX;
    else if (++w->n_ticks == 3)
        w->in_code = !w->in_code;
}

/* The word moves to a row of its own; length of what does so, to out. */
static size_t move_word(struct wrap *w, char *out) {
    size_t n = 0;
    if (w->word_cols)
        n = (size_t)snprintf(out, WRAP_OUT_BYTES, "\033[%zuD\033[K", w->word_cols);
    out[n++] = '\n';
    memcpy(out + n, w->word, w->n_word);
    w->col = w->word_cols;
    return n + w->n_word;
}

size_t wrap_char(struct wrap *w, const char *s, size_t n, size_t width, char out[WRAP_OUT_BYTES]) {
    const bool space = n == 1 && (*s == ' ' || *s == '\t');
    const size_t room = w->cols < MIN_COLS ? SIZE_MAX : w->cols - 1; /* the last column waits */
    size_t at = 0;
    look_for_fence(w, *s);
    if (*s == '\n') {
        out[at++] = '\n';
        begin_row(w);
        return at;
    }
    if (!w->in_code && w->col + width > room) {
        if (!space && w->n_word < WRAP_WORD_BYTES && w->word_cols < w->col) {
            at = move_word(w, out);
        } else {
            out[at++] = '\n';
            begin_row(w);
        }
        if (space) /* the row's end stands for it */
            return at;
    }
    memcpy(out + at, s, n);
    w->col += width;
    if (space) {
        w->n_word = w->word_cols = 0;
    } else if (w->n_word + n <= WRAP_WORD_BYTES) {
        memcpy(w->word + w->n_word, s, n);
        w->n_word += n;
        w->word_cols += width;
    } else {
        w->n_word = WRAP_WORD_BYTES; /* no longer known as a whole */
    }
    return at + n;
}

/* Columns of n bytes; sequences that set colours have none. */
static size_t columns(const char *text, size_t n) {
    size_t cols = 0;
    for (size_t at = 0, len; at < n; at += len) {
        len = text[at] == '\033' ? strcspn(text + at, "m") + 1 : char_length(text + at, n - at);
        if (text[at] != '\033')
            cols += (size_t)code_width(utf8_code_point(text + at, len));
    }
    return cols;
}

void wrap_text(FILE *to, const char *text, size_t cols, size_t indent, size_t *col) {
    bool alone = cols < MIN_COLS || (*col == 0 && *text == ' ');
    while (*text) {
        const size_t n_space = strspn(text, " "), n = strcspn(text + n_space, " \r\n");
        const size_t width = columns(text + n_space, n);
        if (!alone && n && *col > indent && *col + n_space + width >= cols) {
            fputc('\n', to);
            for (*col = 0; *col < indent; ++*col)
                fputc(' ', to);
        } else {
            fwrite(text, 1, n_space, to);
            *col += n_space;
        }
        fwrite(text + n_space, 1, n, to);
        *col += width;
        text += n_space + n;
        if (*text == '\n' || *text == '\r') {
            fputc(*text++, to);
            *col = 0;
            alone = cols < MIN_COLS || *text == ' ';
        }
    }
}
