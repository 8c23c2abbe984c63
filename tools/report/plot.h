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
    bool points; /* no line between them */
};

/* Series over one x. Linear axes begin at zero; logarithmic ones (both; values above 0) say what
 * they are. */
void plot_lines(struct buffer *b, const char *title, const char *x_name, const char *y_name,
                const struct plot_series *series, size_t n, bool logarithmic);

#endif
