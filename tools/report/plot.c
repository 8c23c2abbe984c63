#include "tools/report/plot.h"

#include "src/base/shown.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH    360
#define ROW      30 /* of a bar: its label above it */
#define TOP      8
#define LEFT     44
#define RIGHT    350
#define PLOT_H   170
#define N_COLORS 6

const char plot_style[] =
    "svg{max-width:640px;width:100%;height:auto;display:block;font:10px sans-serif}"
    "svg.grid{max-width:none;width:auto}"
    "svg text{fill:#222}.axis{stroke:#888;stroke-width:1;fill:none}.limit{fill:#d9d9d9}"
    ".tick{stroke:#888;stroke-width:.3;fill:none}.whisker{stroke:#222;stroke-width:1.5}"
    ".mark{fill:none;stroke:#222;stroke-width:1.5}"
    ".c0{--c:#0072b2}.c1{--c:#d55e00}.c2{--c:#009e73}.c3{--c:#cc79a7}.c4{--c:#b8860b}"
    ".c5{--c:#56b4e9}.bar,.dot{fill:var(--c)}.line{stroke:var(--c);stroke-width:2;fill:none}"
    ".h0,.h1,.h2,.h3,.h4,.h5,.w,.s,.o,.n{stroke:#888;stroke-width:.5}"
    ".h0{fill:#f2f7fc}.h1{fill:#d0e1f2}.h2{fill:#9cc4e4}.h3{fill:#5c9fce}.h4{fill:#2a6fae}"
    ".h5{fill:#08417c}.w{fill:#fdae6b;stroke:#000;stroke-width:2}"
    ".s{fill:#9ecae1;stroke:#000;stroke-width:1}.o{fill:#eee}.n{fill:none}"
    ".line.d1{stroke-dasharray:6 3}.line.d2{stroke-dasharray:2 3}"
    ".dot.d1,.dot.d2{fill:none;stroke:var(--c);stroke-width:2}"
    ".h0+text,.h1+text,.h2+text,.h3+text,.h4+text,.h5+text,.n+text,.w+text,.s+text,.o+text"
    "{text-anchor:middle}"
    "@media(prefers-color-scheme:dark){svg text{fill:#eee}.limit{fill:#444}"
    ".whisker,.mark{stroke:#fff}.c0{--c:#4aa8e0}.c1{--c:#f28a3c}.c2{--c:#2fc79b}}"
    ".h0+text,.h1+text,.h2+text,.h3+text,.w+text,.s+text,.o+text{fill:#111!important}"
    ".h4+text,.h5+text{fill:#fff!important}"
    "@media print{svg.grid{width:100%;height:auto}svg "
    "text{fill:#000}.limit{fill:#d9d9d9}.whisker,.mark{stroke:#000}"
    ".c0{--c:#0072b2}.c1{--c:#d55e00}.c2{--c:#009e73}}";

void plot_text(struct buffer *b, const char *text) {
    const size_t len = strlen(text), need = show_text(NULL, 0, text, len);
    char *const shown = malloc(need + 1);
    if (!shown) {
        b->failed = true;
        return;
    }
    show_text(shown, need + 1, text, len);
    for (const char *p = shown; *p; p++) {
        if (strchr("<>&\"'|`[*", *p))
            buffer_print(b, "&#%d;", *p);
        else
            buffer_put(b, p, 1);
    }
    free(shown);
}

static void begin(struct buffer *b, const char *title, const char *what, size_t width,
                  size_t height, bool alone) {
    buffer_print(b,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %zu %zu\" role=\"img\"",
                 width, height);
    if (width > WIDTH)
        buffer_print(b, " class=\"grid\" width=\"%zu\" height=\"%zu\"", width, height);
    buffer_text(b, "><title>");
    plot_text(b, title);
    buffer_text(b, "</title><desc>");
    plot_text(b, what);
    buffer_text(b, "</desc>\n");
    if (alone)
        buffer_print(b, "<style>%s</style>\n", plot_style);
}

/* The least 1, 2 or 5 times a power of ten that is not below x. */
static double round_up(double x) {
    double power = 1;
    if (!(x > 0))
        return 1;
    while (power < x)
        power *= 10;
    while (power / 10 >= x)
        power /= 10;
    return power / 5 >= x ? power / 5 : power / 2 >= x ? power / 2 : power;
}

static void label(struct buffer *b, double x, double y, const char *anchor, double value) {
    buffer_print(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%.6g</text>", x, y, anchor,
                 value);
}

void plot_bars(struct buffer *b, const char *title, const char *unit, const struct plot_bar *bars,
               size_t n, bool alone) {
    const size_t bottom = TOP + 16 + n * ROW;
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        most = bars[i].value > most ? bars[i].value : most;
        most = bars[i].high > most ? bars[i].high : most;
    }
    /* A limit far away would leave nothing to see of the bars: it then goes through the edge. */
    for (size_t i = 0; i < n; i++)
        if (bars[i].limit > most && bars[i].limit <= 4 * most)
            most = bars[i].limit;
    const double scale = (RIGHT - 8) / round_up(most);
    begin(b, title, "Bars with the limit of the machine in grey behind them; the axis begins at 0.",
          WIDTH, bottom + 20, alone);
    buffer_print(b, "<text x=\"4\" y=\"%d\" font-weight=\"bold\">", TOP + 4);
    plot_text(b, title);
    buffer_text(b, "</text>\n");
    for (size_t i = 0; i < n; i++) {
        const double y = TOP + 16.0 + (double)i * ROW, limit = bars[i].limit * scale;
        buffer_print(b, "<text x=\"4\" y=\"%.0f\">", y + 8);
        plot_text(b, bars[i].label);
        buffer_print(b, ": %.6g</text>", bars[i].value);
        if (limit > 0)
            buffer_print(b,
                         "<rect class=\"limit\" x=\"4\" y=\"%.0f\" width=\"%.1f\" height=\"14\"/>",
                         y + 11, limit < WIDTH - 4 ? limit : WIDTH - 4);
        buffer_print(b, "<rect class=\"bar c0\" x=\"4\" y=\"%.0f\" width=\"%.1f\" height=\"8\"/>",
                     y + 14, bars[i].value * scale);
        if (bars[i].high > bars[i].low)
            buffer_print(b, "<path class=\"whisker\" d=\"M%.1f %.0fH%.1f\"/>",
                         4 + bars[i].low * scale, y + 18, 4 + bars[i].high * scale);
        buffer_text(b, "\n");
    }
    buffer_print(b, "<path class=\"axis\" d=\"M4 %d V%zu H%d\"/>", TOP + 16, bottom, RIGHT - 4);
    label(b, 4, (double)bottom + 12, "start", 0);
    label(b, RIGHT - 4, (double)bottom + 12, "end", round_up(most));
    buffer_print(b, "<text x=\"%d\" y=\"%zu\" text-anchor=\"middle\">", WIDTH / 2, bottom + 12);
    plot_text(b, unit);
    buffer_text(b, "</text>\n</svg>\n");
}

/* ---- lines --------------------------------------------------------------------------------- */

struct axis {
    double low, high, from, to; /* values, and where these lie */
    bool logarithmic, from_least, any;
};

static double place(const struct axis *a, double v) {
    const double share = a->logarithmic
                             ? (log10(v) - log10(a->low)) / (log10(a->high) - log10(a->low))
                             : (v - a->low) / (a->high - a->low);
    return a->from + (a->to - a->from) * share;
}

/* Whether there is a place for it. */
static bool has_place(const struct axis *a, double v) {
    return !a->logarithmic || v > 0;
}

static void stretch(struct axis *a, const double *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!has_place(a, v[i]))
            continue;
        a->high = !a->any || v[i] > a->high ? v[i] : a->high;
        a->low = !a->any || v[i] < a->low ? v[i] : a->low;
        a->any = true;
    }
}

static double step_of(const struct axis *a) {
    return round_up((a->high - a->low) / 5);
}

static void close_axis(struct axis *a) {
    if (a->logarithmic) {
        const double below = round_up(a->low);
        a->high = round_up(a->high);
        a->low = below <= a->low || below / 2 <= a->low ? below / 2 : below / 2.5;
        if (!(a->low > a->high * 1e-12 && a->low < a->high))
            a->low = a->high / (below < a->high ? 1e12 : 10); /* nobody measures more than that */
        return;
    }
    if (!a->from_least && a->low > 0)
        a->low = 0;
    if (!(a->high - a->low > 1e-6 * fabs(a->high)))
        a->high = a->low + (a->low > 0 ? a->low : 1);
    const double step = step_of(a);
    a->low = floor(a->low / step) * step;
    a->high = ceil(a->high / step) * step;
}

/* The next tick above v, which is one or the axis' beginning. */
static double next_tick(const struct axis *a, double v) {
    return a->logarithmic ? round_up(v * 1.01 * (a->high / a->low > 1000 ? 5 : 1)) : v + step_of(a);
}

static void draw_ticks(struct buffer *b, const struct axis *x, const struct axis *y) {
    for (double v = y->low; v <= y->high * (1 + 1e-9); v = next_tick(y, v)) {
        v = fabs(v) < 1e-9 * (y->high - y->low) ? 0 : v;
        const double at = place(y, v);
        buffer_print(b, "<path class=\"tick\" d=\"M%.1f %.1fH%.1f\"/>", x->from, at, x->to);
        label(b, x->from - 4, at + 3, "end", v);
    }
    for (double v = x->low; v <= x->high * (1 + 1e-9); v = next_tick(x, v)) {
        const double at = place(x, v);
        buffer_print(b, "<path class=\"tick\" d=\"M%.1f %.1fV%.1f\"/>", at, y->from, y->to);
        label(b, at, y->from + 12, at > x->to - 20 ? "end" : "middle", v);
    }
    buffer_text(b, "\n");
}

/* Colours that come again are told apart by dashes and hollow points. */
static size_t kind_of(size_t index) {
    const size_t kind = index / N_COLORS;
    return kind < 2 ? kind : 2;
}

static void draw_series(struct buffer *b, const struct plot_series *s, size_t index,
                        const struct plot_axes *axes, const struct axis *x, const struct axis *y) {
    const size_t color = index % N_COLORS, kind = kind_of(index);
    bool begun = false;
    for (size_t k = 0; k < s->n && !s->points; k++) {
        if (!has_place(x, s->x[k]) || !has_place(y, s->y[k]))
            continue;
        if (!begun)
            buffer_print(b, "<path class=\"line c%zu d%zu\" d=\"", color, kind);
        buffer_print(b, "%s%.1f %.1f", begun ? "L" : "M", place(x, s->x[k]), place(y, s->y[k]));
        begun = true;
    }
    buffer_text(b, begun ? "\"/>" : "");
    for (size_t k = 0; k < s->n; k++) {
        if (!has_place(x, s->x[k]) || !has_place(y, s->y[k]))
            continue;
        const double px = place(x, s->x[k]), py = place(y, s->y[k]);
        buffer_print(b, "<circle class=\"dot c%zu d%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", color,
                     kind, px, py);
        if (s->marked && s->marked[k])
            buffer_print(
                b,
                "<circle class=\"mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"6\"><title>%s: %.6g at "
                "%.6g</title></circle>",
                px, py, axes->mark, s->y[k], s->x[k]);
    }
    buffer_text(b, "\n");
}

static void draw_legend(struct buffer *b, const struct plot_series *s, size_t index, double at) {
    buffer_print(b,
                 "<circle class=\"dot c%zu d%zu\" cx=\"%d\" cy=\"%.0f\" r=\"4\"/>"
                 "<text x=\"%d\" y=\"%.0f\">",
                 index % N_COLORS, kind_of(index), LEFT, at - 3, LEFT + 10, at);
    plot_text(b, s->name);
    buffer_text(b, "</text>\n");
}

/* How the axes run, in words. */
static void describe_axes(char out[128], const struct plot_axes *axes, const struct axis *x,
                          const struct axis *y) {
    if (axes->log_x && axes->log_y)
        snprintf(out, 128, "Both axes are logarithmic.");
    else if (axes->log_x || axes->log_y)
        snprintf(out, 128, "The %s axis is logarithmic, the other begins at %.6g.",
                 axes->log_x ? "horizontal" : "vertical", axes->log_x ? y->low : x->low);
    else if (x->low == 0 && y->low == 0)
        snprintf(out, 128, "Both axes begin at 0.");
    else
        snprintf(out, 128, "The axes begin at %.6g and %.6g.", x->low, y->low);
}

void plot_lines(struct buffer *b, const char *title, const struct plot_axes *axes,
                const struct plot_series *series, size_t n) {
    struct axis x = {.from = LEFT, .to = RIGHT, .logarithmic = axes->log_x};
    struct axis y = {.from = TOP + 34 + PLOT_H, .to = TOP + 34, .logarithmic = axes->log_y};
    const int bottom = TOP + 34 + PLOT_H;
    bool marked = false;
    char how[128];
    y.from_least = axes->y_from_least;
    for (size_t i = 0; i < n; i++) {
        stretch(&x, series[i].x, series[i].n);
        stretch(&y, series[i].y, series[i].n);
        for (size_t k = 0; k < series[i].n && series[i].marked; k++)
            marked = marked || series[i].marked[k];
    }
    if (!x.any || !y.any)
        return;
    close_axis(&x);
    close_axis(&y);
    describe_axes(how, axes, &x, &y);
    begin(b, title, how, WIDTH, (size_t)bottom + 42 + (n + marked) * 13, false);
    buffer_print(b, "<text x=\"4\" y=\"%d\" font-weight=\"bold\">", TOP + 4);
    plot_text(b, title);
    buffer_print(b, "</text><text x=\"4\" y=\"%d\">", TOP + 17);
    plot_text(b, axes->y);
    buffer_text(b, axes->log_x && axes->log_y ? " (both axes logarithmic)"
                   : axes->log_y              ? " (logarithmic)"
                   : y.low > 0                ? " (the axis does not begin at 0)"
                                              : "");
    buffer_print(b, "</text>\n<path class=\"axis\" d=\"M%d %d V%d H%d\"/>", LEFT, TOP + 34, bottom,
                 RIGHT);
    draw_ticks(b, &x, &y);
    buffer_print(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", (LEFT + RIGHT) / 2,
                 bottom + 24);
    plot_text(b, axes->x);
    buffer_text(b, axes->log_x && !axes->log_y ? " (logarithmic)</text>\n" : "</text>\n");
    for (size_t i = 0; i < n; i++) {
        draw_series(b, &series[i], i, axes, &x, &y);
        draw_legend(b, &series[i], i, bottom + 40.0 + 13.0 * (double)i);
    }
    if (marked) {
        const double at = bottom + 40.0 + 13.0 * (double)n;
        buffer_print(b,
                     "<circle class=\"mark\" cx=\"%d\" cy=\"%.0f\" r=\"5\"/><text x=\"%d\" "
                     "y=\"%.0f\">%s</text>\n",
                     LEFT, at - 3, LEFT + 10, at, axes->mark);
    }
    buffer_text(b, "</svg>\n");
}

/* ---- grids --------------------------------------------------------------------------------- */

const char *plot_share_kind(double share) {
    static const char *const kinds[] = {"h0", "h1", "h2", "h3", "h4", "h5"};
    if (!(share >= 0))
        return "n";
    const size_t k = (size_t)(share * 6);
    return kinds[k < 5 ? k : 5];
}

/* The text's place and colour follow from the rectangle's class, by plot_style. */
static void draw_cell(struct buffer *b, const struct plot_cell *c, double x, double y, double width,
                      double height) {
    buffer_print(b, "<rect class=\"%s\" x=\"%.4g\" y=\"%.6g\" width=\"%.3g\" height=\"%.3g\"/>",
                 c->kind, x + 1, y + 1, width - 2, height - 2);
    if (!*c->text)
        return;
    buffer_print(b, "<text x=\"%.5g\" y=\"%.6g\">", x + width / 2, y + height - 5);
    plot_text(b, c->text);
    buffer_text(b, "</text>");
}

void plot_grid(struct buffer *b, const struct plot_grid *g, bool alone) {
    enum { HEAD = 46, CELL = 56, NAMES = 120 };
    const double left = g->wide ? NAMES : 4, row = g->wide ? 20 : ROW;
    const double cell = g->wide ? CELL : (WIDTH - 8.0) / (double)g->n_columns;
    const size_t width = g->wide ? NAMES + g->n_columns * CELL + 8 : WIDTH;
    begin(b, g->title, g->what, width, HEAD + g->n_rows * (size_t)row + 8, alone);
    buffer_print(b, "<text x=\"4\" y=\"%d\" font-weight=\"bold\">", TOP + 4);
    plot_text(b, g->title);
    buffer_print(b, "</text><text x=\"4\" y=\"%d\">", TOP + 17);
    plot_text(b, g->what);
    buffer_text(b, "</text>\n");
    for (size_t k = 0; k < g->n_columns; k++) {
        buffer_print(b, "<text x=\"%.5g\" y=\"%d\" text-anchor=\"middle\">",
                     left + cell * ((double)k + 0.5), HEAD - 6);
        plot_text(b, g->columns[k]);
        buffer_text(b, "</text>\n");
    }
    for (size_t i = 0; i < g->n_rows; i++) {
        const double y = HEAD + row * (double)i;
        buffer_print(b, "<text x=\"4\" y=\"%.6g\">", y + (g->wide ? 14 : 9));
        plot_text(b, g->rows[i]);
        buffer_text(b, "</text>");
        for (size_t k = 0; k < g->n_columns; k++)
            draw_cell(b, &g->cells[i * g->n_columns + k], left + cell * (double)k,
                      y + (g->wide ? 0 : 12), cell, g->wide ? 20 : 18);
        buffer_text(b, "\n");
    }
    buffer_text(b, "</svg>\n");
}
