#include "tools/cmd/table.h"

#include "src/base/array.h"

#include <stdlib.h>
#include <string.h>

table_cell *table_row(struct table *t) {
    static table_cell spare[TABLE_COLUMNS];
    if (!array_grow(&t->cells, &t->cap, t->n_rows + 1, TABLE_COLUMNS * sizeof *t->cells)) {
        t->failed = true;
        return spare;
    }
    table_cell *const row = t->cells + t->n_rows++ * TABLE_COLUMNS;
    memset(row, 0, TABLE_COLUMNS * sizeof *row);
    return row;
}

static const char *cell(const struct table *t, size_t row, size_t column) {
    return row ? t->cells[(row - 1) * TABLE_COLUMNS + column] : t->head[column];
}

void table_print(struct buffer *b, const struct table *t, bool md) {
    size_t width[TABLE_COLUMNS] = {0};
    b->failed = b->failed || t->failed;
    for (size_t i = 0; i <= t->n_rows; i++)
        for (size_t c = 0; c < t->n_columns; c++)
            if (strlen(cell(t, i, c)) > width[c])
                width[c] = strlen(cell(t, i, c));
    for (size_t i = 0; i <= t->n_rows; i++) {
        for (size_t c = 0; c < t->n_columns; c++) {
            const bool is_last = c + 1 == t->n_columns;
            buffer_print(b, c < t->n_left || is_last ? "%s%-*s" : "%s%*s",
                         md ? (c ? " | " : "| ") : (c ? "  " : ""),
                         is_last && !md ? 0 : (int)width[c], cell(t, i, c));
        }
        buffer_text(b, md ? " |\n" : "\n");
        for (size_t c = 0; c < t->n_columns && i == 0 && md; c++) {
            buffer_text(b, "|-");
            for (size_t k = 0; k < width[c]; k++)
                buffer_text(b, "-");
            buffer_text(b, c < t->n_left || c + 1 == t->n_columns ? "-" : ":");
        }
        if (i == 0 && md)
            buffer_text(b, "|\n");
    }
}

void table_free(struct table *t) {
    free(t->cells);
    *t = (struct table){0};
}
