/* Plots as SVG, to stand in a page or alone: every one with a title and a description for those who
 * hear it, colours that differ in lightness too, and readable on dark and light ground, on paper,
 * and 360 pixels wide. */
#ifndef BISE_TOOLS_REPORT_PLOT_H
#define BISE_TOOLS_REPORT_PLOT_H

#include "tools/common/buffer.h"

#define PLOT_MAX_BARS   256
#define PLOT_MAX_SERIES 32

/* Text of whatever origin, for HTML and SVG: markup escaped, what steers a reader spelled out. */
void plot_text(struct buffer *b, const char *text);
/* Rules of style for plots, between <style> tags. */
extern const char plot_style[];

struct plot_bar {
    const char *label;
    double value, low, high; /* low == high: no interval */
    double limit;            /* drawn behind the bar; 0: none */
};

/* Bars from the left, the axis begins at zero. alone: a file of its own, with its style. */
void plot_bars(struct buffer *b, const char *title, const char *unit, const struct plot_bar *bars,
               size_t n, bool alone);

struct plot_series {
    const char *name;
    const double *x, *y; /* [n] */
    size_t n;
    bool points;        /* no line between them */
    const bool *marked; /* [n] drawn with a ring around them; NULL: none */
};

struct plot_axes {
    const char *x, *y;
    bool log_x, log_y; /* of values above 0 alone */
    bool y_from_least; /* begins below the least value instead of at 0, and says so */
    const char *mark;  /* what a ring means */
};

/* Series over one x. Linear axes begin at zero, or below it where values are negative; others say
 * what they are. */
void plot_lines(struct buffer *b, const char *title, const struct plot_axes *axes,
                const struct plot_series *series, size_t n);

struct plot_cell {
    char kind[4]; /* its class: h0 to h5 for shares, w, s, o, n for slots of a cache */
    char text[20];
};

struct plot_grid {
    const char *title, *what; /* what: the description, and a line below the title */
    const char *const *columns, *const *rows; /* names [n_columns], [n_rows] */
    size_t n_columns, n_rows;
    const struct plot_cell *cells; /* [n_rows][n_columns] */
    bool wide; /* rows' names at the left and cells of a fixed width; else above, as wide as fits */
};

void plot_grid(struct buffer *b, const struct plot_grid *g, bool alone);
/* The class of a share, 0 to 1; below 0: unknown. */
const char *plot_share_kind(double share);

#endif
