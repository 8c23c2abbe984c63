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

struct layout {
    size_t width[TABLE_COLUMNS];
    bool hidden[TABLE_COLUMNS];
};

/* Characters of a line. */
static size_t line_width(const struct table *t, const struct layout *l, bool md) {
    size_t all = md ? 1 : 0, n = 0;
    for (size_t c = 0; c < t->n_columns; c++)
        if (!l->hidden[c]) {
            all += l->width[c] + (md ? 3 : n ? 2 : 0);
            n++;
        }
    return all;
}

static void put_line(struct buffer *b, const struct table *t, const struct layout *l, size_t row,
                     bool md) {
    for (size_t c = 0; c < t->n_columns; c++) {
        const bool is_last = c + 1 == t->n_columns;
        if (!l->hidden[c])
            buffer_print(b, c < t->n_left || is_last ? "%s%-*s" : "%s%*s",
                         md ? (c ? " | " : "| ") : (c ? "  " : ""),
                         is_last && !md ? 0 : (int)l->width[c], cell(t, row, c));
    }
    buffer_text(b, md ? " |\n" : "\n");
}

static void put_rule(struct buffer *b, const struct table *t, const struct layout *l) {
    for (size_t c = 0; c < t->n_columns; c++) {
        buffer_text(b, "|-");
        for (size_t k = 0; k < l->width[c]; k++)
            buffer_text(b, "-");
        buffer_text(b, c < t->n_left || c + 1 == t->n_columns ? "-" : ":");
    }
    buffer_text(b, "|\n");
}

void table_print(struct buffer *b, const struct table *t, bool md) {
    struct layout l = {0};
    b->failed = b->failed || t->failed;
    for (size_t i = 0; i <= t->n_rows; i++)
        for (size_t c = 0; c < t->n_columns; c++)
            if (strlen(cell(t, i, c)) > l.width[c])
                l.width[c] = strlen(cell(t, i, c));
    md = md && (t->wide == 0 || line_width(t, &l, true) <= t->wide);
    for (const char *c = t->spare; t->wide && c && *c && line_width(t, &l, md) > t->wide; c++)
        l.hidden[*c - 'a'] = true;
    for (size_t i = 0; i <= t->n_rows; i++) {
        put_line(b, t, &l, i, md);
        if (i == 0 && md)
            put_rule(b, t, &l);
    }
}

void table_free(struct table *t) {
    free(t->cells);
    *t = (struct table){0};
}
