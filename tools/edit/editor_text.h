/* The text being edited: UTF-8 and a cursor in it. Nothing here knows of a terminal. */
#ifndef BISE_TOOLS_EDIT_EDITOR_TEXT_H
#define BISE_TOOLS_EDIT_EDITOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Starts zeroed. Always well-formed UTF-8 without NULs, NUL-terminated once anything was put into
 * it; offsets lie at beginnings of characters. A character comes with the marks that join it. */
struct edit_text {
    char *bytes; /* [len] */
    size_t len, cap, cursor;
};

/* What is there, never NULL. */
const char *edit_bytes(const struct edit_text *t);
void edit_free(struct edit_text *t);
/* Puts well-formed UTF-8 without NULs at the cursor, which then stands behind it. False: no memory,
 * nothing done. */
bool edit_insert(struct edit_text *t, const char *s, size_t n);
/* The whole text, the cursor at its end. */
bool edit_set(struct edit_text *t, const char *s, size_t n);
/* Takes away from <= to; the cursor stays at the character it is on, or goes to from. */
void edit_delete(struct edit_text *t, size_t from, size_t to);

/* From offset at: one character on or back; to the end or beginning of a word, as emacs has it
 * (letters and digits) and as a shell's Ctrl-W does (up to a space); of the line. */
size_t edit_next(const struct edit_text *t, size_t at);
size_t edit_previous(const struct edit_text *t, size_t at);
size_t edit_word_next(const struct edit_text *t, size_t at);
size_t edit_word_previous(const struct edit_text *t, size_t at);
size_t edit_space_previous(const struct edit_text *t, size_t at);
size_t edit_line_start(const struct edit_text *t, size_t at);
size_t edit_line_end(const struct edit_text *t, size_t at);
/* As many characters into the line above (or below) as at is into its own, as far as that has as
 * many; at itself where there is no such line. */
size_t edit_line_above(const struct edit_text *t, size_t at);
size_t edit_line_below(const struct edit_text *t, size_t at);
/* Swaps the characters around the cursor, at the end of a line the two before it. */
void edit_transpose(struct edit_text *t);

#endif
