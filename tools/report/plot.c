#include "tools/report/plot.h"

#include "src/base/shown.h"

#include <math.h>
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
    "svg text{fill:#222}.axis{stroke:#888;stroke-width:1;fill:none}.limit{fill:#d9d9d9}"
    ".whisker{stroke:#222;stroke-width:1.5}"
    ".c0{--c:#0072b2}.c1{--c:#d55e00}.c2{--c:#009e73}.c3{--c:#cc79a7}.c4{--c:#b8860b}"
    ".c5{--c:#56b4e9}.bar,.dot{fill:var(--c)}.line{stroke:var(--c);stroke-width:2;fill:none}"
    "@media(prefers-color-scheme:dark){svg text{fill:#eee}.limit{fill:#444}"
    ".whisker{stroke:#fff}.c0{--c:#4aa8e0}.c1{--c:#f28a3c}.c2{--c:#2fc79b}}"
    "@media print{svg text{fill:#000}.limit{fill:#d9d9d9}.whisker{stroke:#000}}";

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

static void begin(struct buffer *b, const char *title, const char *what, size_t height,
                  bool alone) {
    buffer_print(b,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" role=\"img\">"
                 "<title>",
                 WIDTH, height);
    plot_text(b, title);
    buffer_text(b, "</title><desc>");
    buffer_text(b, what);
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
    buffer_print(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%.*f</text>", x, y, anchor,
                 value >= 1 || value == 0 ? 0 : 3, value);
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
          bottom + 20, alone);
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

struct axis {
    double low, high, from, to; /* values, and where these lie */
    bool logarithmic;
};

static double place(const struct axis *a, double v) {
    const double share = a->logarithmic
                             ? (log10(v) - log10(a->low)) / (log10(a->high) - log10(a->low))
                             : v / a->high;
    return a->from + (a->to - a->from) * share;
}

static void stretch(struct axis *a, const double *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        a->high = v[i] > a->high ? v[i] : a->high;
        if (v[i] > 0 && (a->low == 0 || v[i] < a->low))
            a->low = v[i];
    }
}

static void close_axis(struct axis *a) {
    a->high = round_up(a->high);
    if (a->logarithmic) {
        const double below = round_up(a->low);
        a->low = below > a->low ? below / 10 : below / 2;
        if (!(a->low > 0 && a->low < a->high))
            a->low = a->high / 10;
    } else {
        a->low = 0;
    }
}

static void draw_series(struct buffer *b, const struct plot_series *s, size_t index,
                        const struct axis *x, const struct axis *y) {
    const size_t color = index % N_COLORS;
    if (!s->points) {
        buffer_print(b, "<path class=\"line c%zu\" d=\"", color);
        for (size_t k = 0; k < s->n; k++)
            buffer_print(b, "%s%.1f %.1f", k ? "L" : "M", place(x, s->x[k]), place(y, s->y[k]));
        buffer_text(b, "\"/>");
    }
    for (size_t k = 0; k < s->n; k++)
        buffer_print(b, "<circle class=\"dot c%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", color,
                     place(x, s->x[k]), place(y, s->y[k]));
    buffer_text(b, "\n");
}

void plot_lines(struct buffer *b, const char *title, const char *x_name, const char *y_name,
                const struct plot_series *series, size_t n, bool logarithmic) {
    struct axis x = {.from = LEFT, .to = RIGHT, .logarithmic = logarithmic};
    struct axis y = {.from = TOP + 24 + PLOT_H, .to = TOP + 24, .logarithmic = logarithmic};
    const int bottom = TOP + 24 + PLOT_H;
    for (size_t i = 0; i < n; i++) {
        stretch(&x, series[i].x, series[i].n);
        stretch(&y, series[i].y, series[i].n);
    }
    close_axis(&x);
    close_axis(&y);
    begin(b, title, logarithmic ? "Both axes are logarithmic." : "Both axes begin at 0.",
          (size_t)bottom + 30 + n * 13, false);
    buffer_print(b, "<text x=\"4\" y=\"%d\" font-weight=\"bold\">", TOP + 4);
    plot_text(b, title);
    buffer_print(b, "</text><text x=\"4\" y=\"%d\">", TOP + 17);
    plot_text(b, y_name);
    buffer_print(b, "%s</text>\n<path class=\"axis\" d=\"M%d %d V%d H%d\"/>",
                 logarithmic ? " (both axes logarithmic)" : "", LEFT, TOP + 24, bottom, RIGHT);
    label(b, LEFT - 4, TOP + 32, "end", y.high);
    label(b, LEFT - 4, bottom, "end", y.low);
    label(b, LEFT, bottom + 13, "middle", x.low);
    label(b, RIGHT, bottom + 13, "end", x.high);
    buffer_print(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", (LEFT + RIGHT) / 2,
                 bottom + 13);
    plot_text(b, x_name);
    buffer_text(b, "</text>\n");
    for (size_t i = 0; i < n; i++) {
        const double at = bottom + 28.0 + 13.0 * (double)i;
        draw_series(b, &series[i], i, &x, &y);
        buffer_print(b,
                     "<circle class=\"dot c%zu\" cx=\"%d\" cy=\"%.0f\" r=\"4\"/>"
                     "<text x=\"%d\" y=\"%.0f\">",
                     i % N_COLORS, LEFT, at - 3, LEFT + 10, at);
        plot_text(b, series[i].name);
        buffer_text(b, "</text>\n");
    }
    buffer_text(b, "</svg>\n");
}
