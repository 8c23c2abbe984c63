/* Tables in aligned columns, plain or as Markdown. */
#ifndef BISE_TOOLS_CMD_TABLE_H
#define BISE_TOOLS_CMD_TABLE_H

#include "tools/common/buffer.h"

#define TABLE_COLUMNS 12
#define TABLE_CELL    28

typedef char table_cell[TABLE_CELL];

/* Starts zeroed but for these: */
struct table {
    const char *const *head; /* [n_columns] */
    size_t n_columns;
    size_t n_left;     /* columns from the left that begin at the left, as the last one does */
    size_t wide;       /* characters of a terminal's line; 0: any number of them */
    const char *spare; /* columns, a the first, that are left out in turn where it is wider */

    table_cell *cells; /* [n_rows][TABLE_COLUMNS] */
    size_t n_rows, cap;
    bool failed; /* there was no memory for a row */
};

/* The cells of one more row, empty; never NULL: without memory the last row is used again. */
table_cell *table_row(struct table *t);
/* As Markdown only where that is no wider than t->wide. */
void table_print(struct buffer *b, const struct table *t, bool md);
void table_free(struct table *t);

#endif
