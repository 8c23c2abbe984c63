/* Text on its way to a terminal, broken between words instead of within them. Of an answer, what
 * comes is shown at once; a word that turns out not to fit into its row is taken back and begins
 * the next. Code between lines of three backquotes is left alone: the terminal cuts it. */
#ifndef BISE_TOOLS_COMMON_WRAP_H
#define BISE_TOOLS_COMMON_WRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define WRAP_WORD_BYTES 256 /* longer words are cut */
#define WRAP_OUT_BYTES  (WRAP_WORD_BYTES + 48)

/* Starts zeroed but for cols. */
struct wrap {
    size_t cols; /* of the terminal; 0: nothing is broken */
    size_t col;  /* where the next character stands */
    char word[WRAP_WORD_BYTES];
    size_t n_word, word_cols; /* of the word that is being written, as far as it is in this row */
    size_t n_ticks; /* backquotes at the line's beginning; SIZE_MAX: something else came */
    bool in_code;
};

/* The columns of the terminal that fd is; 0: it is none. */
size_t wrap_columns(int fd);
/* What shows the character at s (n bytes, at most 8), of width columns, to out; its length. */
size_t wrap_char(struct wrap *w, const char *s, size_t n, size_t width, char out[WRAP_OUT_BYTES]);

/* Writes text that is there as a whole to rows of fewer than cols columns (0: of any), those that
 * go on behind an indent. *col: where it begins, and where it has ended. Lines that begin with a
 * space are left alone: tables, and commands to be copied. */
void wrap_text(FILE *to, const char *text, size_t cols, size_t indent, size_t *col);

#endif
