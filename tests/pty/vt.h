/* A small terminal for tests: what a program writes becomes a screen that can be compared. It knows
 * what the editor uses, breaks full rows, breaks them anew when its size changes, and asks the C
 * library, not the program under test, how wide a character is. Needs a UTF-8 locale. */
#ifndef BISE_TESTS_PTY_VT_H
#define BISE_TESTS_PTY_VT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define VT_ROWS 400 /* of all that was ever shown; the screen is the last of them */
#define VT_COLS 200
#define VT_CELL 24 /* bytes of a character and its marks */

struct vt_row {
    char cells[VT_COLS][VT_CELL]; /* "" : blank, or the right half of a wide character */
    bool wrapped;                 /* the next row goes on with this one's line */
};

struct vt {
    size_t cols, rows;
    struct vt_row *all; /* [VT_ROWS] */
    size_t n_all;       /* rows in use */
    size_t row, col;    /* the cursor, in all */
    bool pending;       /* the cursor's row is full: the next character breaks it */
    char sequence[32];  /* since an Escape */
    size_t n_sequence;
    char character[4]; /* UTF-8 that is not whole yet */
    size_t n_character;
    bool bracketed, unknown; /* pastes are bracketed; a sequence came that is not known here */
};

static inline void vt_open(struct vt *v, size_t cols, size_t rows) {
    *v = (struct vt){.cols = cols, .rows = rows, .n_all = 1};
    v->all = calloc(VT_ROWS, sizeof *v->all);
    if (!v->all)
        abort();
}

static inline void vt_close(struct vt *v) {
    free(v->all);
    v->all = NULL;
}

/* First row of the screen. */
static inline size_t vt_top(const struct vt *v) {
    return v->n_all > v->rows ? v->n_all - v->rows : 0;
}

static inline void vt_down(struct vt *v) {
    if (v->row + 1 == VT_ROWS) {
        memmove(v->all, v->all + 1, (VT_ROWS - 1) * sizeof *v->all);
        memset(&v->all[VT_ROWS - 1], 0, sizeof *v->all);
    } else {
        v->row++;
    }
    if (v->row == v->n_all)
        v->n_all++;
}

static inline void vt_clear_row(struct vt *v, size_t row, size_t from) {
    for (size_t col = from; col < VT_COLS; col++)
        v->all[row].cells[col][0] = 0;
    v->all[row].wrapped = false;
}

/* A whole character of this width. */
static inline void vt_put(struct vt *v, const char *bytes, size_t n, int width) {
    if (width <= 0) { /* joins the one before */
        size_t col = v->pending ? v->cols - 1 : v->col ? v->col - 1 : 0;
        while (col && !v->all[v->row].cells[col][0])
            col--;
        char *cell = v->all[v->row].cells[col];
        if (strlen(cell) + n < VT_CELL)
            strncat(cell, bytes, n);
        return;
    }
    if (v->pending || v->col + (size_t)width > v->cols) {
        v->all[v->row].wrapped = true;
        vt_down(v);
        v->col = 0;
        v->pending = false;
    }
    snprintf(v->all[v->row].cells[v->col], VT_CELL, "%.*s", (int)n, bytes);
    for (int i = 1; i < width; i++)
        v->all[v->row].cells[v->col + (size_t)i][0] = 0;
    v->col += (size_t)width;
    v->pending = v->col == v->cols;
    if (v->pending)
        v->col--;
}

static inline void vt_sequence(struct vt *v) {
    const char last = v->sequence[v->n_sequence - 1];
    const size_t n = v->n_sequence > 3 ? strtoul(v->sequence + 2, NULL, 10) : 1;
    const size_t top = vt_top(v);
    if (last != 'm')
        v->pending = false;
    if (last == 'A')
        v->row = v->row - top > n ? v->row - n : top;
    else if (last == 'B')
        v->row = v->row + n < v->n_all ? v->row + n : v->n_all - 1;
    else if (last == 'C')
        v->col = v->col + n < v->cols ? v->col + n : v->cols - 1;
    else if (last == 'D')
        v->col = v->col > n ? v->col - n : 0;
    else if (last == 'H') {
        v->row = top;
        v->col = 0;
    } else if (last == 'K')
        vt_clear_row(v, v->row, v->col);
    else if (last == 'J') {
        const bool whole = v->sequence[2] == '2';
        vt_clear_row(v, whole ? top : v->row, whole ? 0 : v->col);
        for (size_t row = (whole ? top : v->row) + 1; row < v->n_all; row++)
            vt_clear_row(v, row, 0);
    } else if (last == 'h' || last == 'l')
        v->bracketed = last == 'h' && strstr(v->sequence, "2004");
    else if (last != 'm')
        v->unknown = true;
}

static inline void vt_byte(struct vt *v, char byte) {
    const unsigned char b = (unsigned char)byte;
    if (v->n_sequence) {
        v->sequence[v->n_sequence++] = byte;
        v->sequence[v->n_sequence] = 0;
        const bool ends = v->n_sequence > 2 && b >= 0x40;
        if (ends)
            vt_sequence(v);
        if (ends || v->n_sequence + 1 == sizeof v->sequence)
            v->n_sequence = 0;
        return;
    }
    if (b >= 0x20 && b != 0x7f) {
        wchar_t wide;
        mbstate_t state = {0};
        v->character[v->n_character++] = byte;
        const size_t n = mbrtowc(&wide, v->character, v->n_character, &state);
        if (n == (size_t)-2 && v->n_character < 4)
            return;
        if (n == (size_t)-1 || n == (size_t)-2)
            v->unknown = true; /* a broken character */
        else
            vt_put(v, v->character, v->n_character, wcwidth(wide));
        v->n_character = 0;
        return;
    }
    if (v->n_character)
        v->unknown = true;
    v->n_character = 0;
    if (byte == '\033') {
        v->sequence[v->n_sequence++] = byte;
    } else if (byte == '\r') {
        v->col = 0;
        v->pending = false;
    } else if (byte == '\n') {
        vt_down(v);
        v->pending = false;
    } else if (byte != '\a') {
        v->unknown = true;
    }
}

static inline void vt_write(struct vt *v, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        vt_byte(v, bytes[i]);
}

/* Text of a row, without the blanks at its end; out [cap]. */
static inline void vt_row_text(const struct vt *v, size_t row, char *out, size_t cap) {
    size_t n = 0, end = v->cols;
    while (end && !v->all[row].cells[end - 1][0])
        end--;
    for (size_t col = 0; col < end; col++) {
        const char *cell = v->all[row].cells[col];
        if (cell[0]) {
            n += (size_t)snprintf(out + n, cap - n, "%s", cell);
        } else {
            wchar_t wide = 0;
            mbstate_t state = {0};
            if (col)
                mbrtowc(&wide, v->all[row].cells[col - 1], VT_CELL, &state);
            if (!col || wcwidth(wide) < 2)
                n += (size_t)snprintf(out + n, cap - n, " ");
        }
        if (n >= cap)
            abort();
    }
    while (n && out[n - 1] == ' ' && !v->all[row].wrapped)
        n--;
    out[n] = 0;
}

/* The whole of it, rows that the terminal broke put together again, a line break behind each line;
 * blank ones at the end left out; malloc'd. */
static inline char *vt_text(const struct vt *v) {
    const size_t cap = VT_ROWS * VT_COLS * 4;
    char *out = calloc(1, cap), *row = calloc(1, VT_COLS * VT_CELL);
    size_t n = 0;
    if (!out || !row)
        abort();
    for (size_t i = 0; i < v->n_all; i++) {
        vt_row_text(v, i, row, VT_COLS * VT_CELL);
        n += (size_t)snprintf(out + n, cap - n, "%s%s", row, v->all[i].wrapped ? "" : "\n");
        if (n >= cap)
            abort();
    }
    while (n && out[n - 1] == '\n')
        out[--n] = 0;
    free(row);
    return out;
}

/* Another size: lines are broken anew, the cursor stays with its character. */
static inline void vt_resize(struct vt *v, size_t cols, size_t rows) {
    const struct vt old = *v;
    vt_open(v, cols, rows);
    v->bracketed = old.bracketed;
    size_t row = 0, col = 0;
    for (size_t i = 0; i < old.n_all; i++) {
        size_t end = old.cols;
        while (end && !old.all[i].cells[end - 1][0])
            end--;
        if (i == old.row && end < old.col + old.pending)
            end = old.col;
        for (size_t j = 0; j <= end; j++) {
            const bool here = i == old.row && j == old.col + old.pending;
            if (here) {
                row = v->row + v->pending;
                col = v->pending ? 0 : v->col;
            }
            if (j == end)
                break;
            const char *cell = old.all[i].cells[j];
            wchar_t wide = L' ';
            mbstate_t state = {0};
            if (cell[0])
                mbrtowc(&wide, cell, VT_CELL, &state);
            vt_put(v, cell[0] ? cell : " ", cell[0] ? strlen(cell) : 1, wcwidth(wide));
            if (here && v->row > row) { /* it did not fit into its row any more */
                row = v->row;
                col = 0;
            }
            j += wcwidth(wide) == 2;
        }
        if (!old.all[i].wrapped && i + 1 < old.n_all) {
            vt_down(v);
            v->col = 0;
            v->pending = false;
        }
    }
    v->row = row;
    v->col = col;
    v->pending = false;
    free(old.all);
}

#endif
