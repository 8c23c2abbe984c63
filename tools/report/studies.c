/* What bise study has found, as tables and plots. Members that are missing are 0 or empty. */
#include "tools/report/parts.h"

#include "tools/report/plot.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_POINTS 64
#define MAX_CELLS  (1u << 15) /* of a cache drawn among others */
#define MOST_CELLS (1u << 21) /* and alone */
#define MEBIBYTE   1048576.0

/* ---- series of a study's arrays ------------------------------------------------------------- */

struct curves {
    struct plot_series series[PLOT_MAX_SERIES];
    double x[PLOT_MAX_SERIES][MAX_POINTS], y[PLOT_MAX_SERIES][MAX_POINTS];
    char names[PLOT_MAX_SERIES][48];
    size_t n;
};

/* There is room for one more. */
__attribute__((format(printf, 2, 3))) static void begin_curve(struct curves *c, const char *format,
                                                              ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(c->names[c->n], sizeof c->names[c->n], format, args);
    va_end(args);
    c->series[c->n] =
        (struct plot_series){.name = c->names[c->n], .x = c->x[c->n], .y = c->y[c->n]};
    c->n++;
}

static void add_point(struct curves *c, double x, double y) {
    struct plot_series *const s = &c->series[c->n - 1];
    if (s->n == MAX_POINTS)
        return;
    c->x[c->n - 1][s->n] = x;
    c->y[c->n - 1][s->n++] = y;
}

/* A curve of the members x and y, which is divided by unit, of an array's objects. */
static void add_members(struct curves *c, const struct json_value *array, const char *x,
                        const char *y, double unit) {
    for (const struct json_value *v = json_first(array); v; v = json_next(array, v))
        add_point(c, run_number(v, x), run_number(v, y) / unit);
}

static void draw(struct buffer *b, const char *title, const struct plot_axes *axes,
                 struct curves *c) {
    if (c->n)
        plot_lines(b, title, axes, c->series, c->n);
    c->n = 0;
}

static const struct json_value *element(const struct json_value *array, size_t i) {
    const struct json_value *v = json_first(array);
    while (v && i--)
        v = json_next(array, v);
    return v;
}

/* ---- grouped queries ------------------------------------------------------------------------ */

static void gqa_memory(struct buffer *b, const struct json_value *kinds, double budget, bool html) {
    char longest[64], conversations[64];
    const double most = run_number(json_first(kinds), "token_bytes"), gib = 1024 * MEBIBYTE;
    snprintf(longest, sizeof longest, "longest in %.3g GiB", budget / gib);
    snprintf(conversations, sizeof conversations, "conversations of 4096 there");
    const char *const names[] = {"KV heads",   "bytes a token", "less",       "GiB at 8k",
                                 "GiB at 32k", longest,         conversations};
    part_head(b, names, sizeof names / sizeof *names, html);
    for (const struct json_value *k = json_first(kinds); k; k = json_next(kinds, k)) {
        const double bytes = run_number(k, "token_bytes");
        char name[24];
        snprintf(name, sizeof name, "%.0f", run_number(k, "kv_heads"));
        part_first(b, name, html);
        part_cell(b, html, "%.0f", bytes);
        part_cell(b, html, "%.2fx", bytes > 0 ? most / bytes : 0);
        part_cell(b, html, "%.3f", bytes * 8192 / gib);
        part_cell(b, html, "%.3f", bytes * 32768 / gib);
        part_cell(b, html, "%.0f", run_number(k, "longest_context"));
        part_cell(b, html, "%.0f", run_number(k, "conversations"));
        part_last(b, html);
    }
    part_end(b, html);
}

/* The columns are the first kind's. */
static void gqa_speeds(struct buffer *b, const struct json_value *kinds, bool html) {
    char heads[2 * MAX_POINTS + 2][40] = {"KV heads", "reading"};
    const char *names[2 * MAX_POINTS + 2];
    const struct json_value *const first = json_first(kinds);
    const struct json_value *const arrays[] = {json_get(first, "write"),
                                               json_get(first, "together")};
    size_t n = 2;
    for (size_t i = 0; i < 2; i++)
        for (const struct json_value *v = json_first(arrays[i]); v && n < (i + 1) * MAX_POINTS;
             v = json_next(arrays[i], v), n++) {
            if (i)
                snprintf(heads[n], sizeof *heads, "%.0f x %.0f", run_number(v, "sequences"),
                         run_number(v, "depth"));
            else
                snprintf(heads[n], sizeof *heads, "at %.0f", run_number(v, "depth"));
        }
    for (size_t i = 0; i < n; i++)
        names[i] = heads[i];
    part_head(b, names, n, html);
    for (const struct json_value *k = json_first(kinds); k; k = json_next(kinds, k)) {
        char name[24];
        snprintf(name, sizeof name, "%.0f", run_number(k, "kv_heads"));
        part_first(b, name, html);
        part_cell(b, html, "%.6g", run_number(k, "read"));
        const struct json_value *const of[] = {json_get(k, "write"), json_get(k, "together")};
        for (size_t i = 0; i < 2; i++)
            for (const struct json_value *v = json_first(of[i]); v; v = json_next(of[i], v))
                part_cell(b, html, "%.6g", run_number(v, "tokens_per_second"));
        part_last(b, html);
    }
    part_end(b, html);
}

static void put_gqa(struct buffer *b, const struct json_value *root, bool html) {
    static struct curves c;
    static char labels[MAX_POINTS][32];
    struct plot_bar bars[MAX_POINTS];
    const struct json_value *const kinds = json_get(root, "kinds");
    size_t n = 0;
    c.n = 0;
    for (const struct json_value *k = json_first(kinds); k && n < MAX_POINTS;
         k = json_next(kinds, k)) {
        const double bytes = run_number(k, "token_bytes");
        snprintf(labels[n], sizeof labels[n], "%.0f KV heads", run_number(k, "kv_heads"));
        bars[n] =
            (struct plot_bar){.label = labels[n], .value = bytes, .low = bytes, .high = bytes};
        n++;
    }
    if (html && n)
        plot_bars(b, "Cache of a token, bytes", "bytes", bars, n, false);
    gqa_memory(b, kinds, run_number(root, "budget_bytes"), html);
    for (int together = 0; together < 2 && html; together++) {
        for (const struct json_value *k = json_first(kinds); k && c.n < PLOT_MAX_SERIES;
             k = json_next(kinds, k)) {
            begin_curve(&c, "%.0f KV heads", run_number(k, "kv_heads"));
            add_members(&c, json_get(k, together ? "together" : "write"),
                        together ? "sequences" : "depth", "tokens_per_second", 1);
        }
        draw(b, together ? "Writing side by side" : "Writing by depth",
             &(struct plot_axes){.x = together ? "conversations" : "tokens in the cache",
                                 .y = together ? "tokens/s of all" : "tokens/s"},
             &c);
    }
    gqa_speeds(b, kinds, html);
}

/* ---- windows -------------------------------------------------------------------------------- */

static void window_name(char out[24], const struct json_value *window) {
    const double w = run_number(window, "window");
    if (w > 0)
        snprintf(out, 24, "%.0f", w);
    else
        snprintf(out, 24, "none");
}

/* What carries a distance of that much to a token. */
static const char *reach_mark(const struct json_value *window, double far, double layers) {
    const double w = run_number(window, "window");
    return w == 0 || far < w ? "" : far < w * layers ? " *" : " ~";
}

/* Rows of buckets, a column for each window; values with their errors. reach: marks
 * what is beyond a window. */
static void put_buckets(struct buffer *b, const struct json_value *root, const char *member,
                        bool reach, bool html) {
    const double layers = run_number(root, "layers");
    const struct json_value *const windows = json_get(root, "windows");
    const struct json_value *const rows = json_get(root, member);
    char heads[MAX_POINTS][24] = {"tokens"};
    const char *names[MAX_POINTS] = {heads[0]};
    size_t n = 1;
    for (const struct json_value *w = json_first(windows); w && n < MAX_POINTS - 1;
         w = json_next(windows, w)) {
        window_name(heads[n], w);
        names[n] = heads[n];
        n++;
    }
    names[n++] = "how many";
    part_head(b, names, n, html);
    for (const struct json_value *row = json_first(rows); row; row = json_next(rows, row)) {
        const struct json_value *const nats = json_get(row, "nats"),
                                       *errors = json_get(row, "error");
        char name[64];
        snprintf(name, sizeof name, "%.0f .. %.0f", run_number(row, "from"), run_number(row, "to"));
        part_first(b, name, html);
        for (size_t i = 0; i + 2 < n; i++)
            part_cell(b, html, "%.3f +- %.3f%s", run_signed(element(nats, i)),
                      run_signed(element(errors, i)),
                      reach ? reach_mark(element(windows, i), run_number(row, "from"), layers)
                            : "");
        part_cell(b, html, "%.0f", run_number(row, "n"));
        part_last(b, html);
    }
    part_end(b, html);
}

static void draw_buckets(struct buffer *b, const struct json_value *root, const char *member,
                         const char *title, const struct plot_axes *axes) {
    static struct curves c;
    const struct json_value *const windows = json_get(root, "windows");
    const struct json_value *const rows = json_get(root, member);
    size_t i = 0;
    c.n = 0;
    for (const struct json_value *w = json_first(windows); w && c.n < PLOT_MAX_SERIES;
         w = json_next(windows, w), i++) {
        char name[24];
        window_name(name, w);
        begin_curve(&c, "window %s", name);
        for (const struct json_value *row = json_first(rows); row; row = json_next(rows, row))
            add_point(&c, run_number(row, "from"), run_signed(element(json_get(row, "nats"), i)));
    }
    draw(b, title, axes, &c);
}

static void window_table(struct buffer *b, const struct json_value *windows, bool html) {
    static const char *const names[] = {"window",    "perplexity", "+-",
                                        "cache MiB", "reading",    "writing"};
    part_head(b, names, sizeof names / sizeof *names, html);
    for (const struct json_value *w = json_first(windows); w; w = json_next(windows, w)) {
        char name[24];
        window_name(name, w);
        part_first(b, name, html);
        part_cell(b, html, "%.6g", run_number(w, "perplexity"));
        part_cell(b, html, "%.3g", run_number(w, "perplexity") * run_number(w, "nll_error"));
        part_cell(b, html, "%.2f", run_number(w, "cache_bytes") / MEBIBYTE);
        part_cell(b, html, "%.6g", run_number(w, "read_tokens_per_second"));
        part_cell(b, html, "%.6g", run_number(w, "write_tokens_per_second"));
        part_last(b, html);
    }
    part_end(b, html);
}

static void put_window(struct buffer *b, const struct json_value *root, bool html) {
    static struct curves c;
    static const char *const members[][2] = {{"perplexity", "Perplexity by window"},
                                             {"cache_bytes", "Cache by window"}};
    const struct json_value *const windows = json_get(root, "windows");
    const double all = run_number(root, "tokens");
    c.n = 0;
    for (size_t i = 0; i < 2 && html; i++) {
        begin_curve(&c, "%s", i ? "cache" : "the text");
        for (const struct json_value *w = json_first(windows); w; w = json_next(windows, w))
            add_point(&c, run_number(w, "window") > 0 ? run_number(w, "window") : all,
                      run_number(w, members[i][0]) / (i ? MEBIBYTE : 1));
        draw(b, members[i][1],
             &(struct plot_axes){.x = "window (none: the text's length)",
                                 .y = i ? "MiB" : "perplexity",
                                 .log_x = true,
                                 .y_from_least = i == 0},
             &c);
    }
    window_table(b, windows, html);
    if (html)
        draw_buckets(b, root, "loss_by_position", "Loss by position",
                     &(struct plot_axes){
                         .x = "position, from", .y = "nats", .log_x = true, .y_from_least = true});
    buffer_text(b, html ? "<p>Nats lost, by position.</p>\n" : "\nNats lost, by position.\n");
    put_buckets(b, root, "loss_by_position", false, html);
    if (html)
        draw_buckets(
            b, root, "recall_by_distance", "Recall by distance",
            &(struct plot_axes){.x = "tokens ago, from", .y = "nats gained", .log_x = true});
    buffer_print(
        b,
        "%sNats that a rare pair's having occurred so many tokens ago gains (&#42; beyond the "
        "window, ~ beyond %.0f layers x window).%s\n",
        html ? "<p>" : "\n", run_number(root, "layers"), html ? "</p>" : "");
    put_buckets(b, root, "recall_by_distance", true, html);
}

/* ---- the rolling cache ---------------------------------------------------------------------- */

struct drawn {
    char (*rows)[48], (*columns)[24], (*tokens)[12];
    const char **row_names, **column_names;
    double *from; /* [n_steps]: lowest position that a step sees */
    size_t *held; /* [ring]: step + 1 whose token lies there; 0: none */
    struct plot_cell *cells;
};

/* A row of cells: what lies in each slot behind step i, which wrote slot `own`. */
static void draw_step(const struct drawn *d, size_t i, size_t own, size_t ring) {
    if (own < ring)
        d->held[own] = i + 1;
    for (size_t slot = 0; slot < ring; slot++) {
        struct plot_cell *const cell = &d->cells[i * ring + slot];
        const size_t held = d->held[slot];
        const char *kind = "n";
        if (held)
            kind = held == i + 1 ? "w" : (double)(held - 1) >= d->from[i] ? "s" : "o";
        snprintf(cell->kind, sizeof cell->kind, "%s", kind);
        snprintf(cell->text, sizeof cell->text, "%s", held ? d->tokens[held - 1] : "");
    }
}

static bool take_drawn(struct drawn *d, size_t n_steps, size_t ring) {
    d->rows = calloc(n_steps, sizeof *d->rows);
    d->columns = calloc(ring, sizeof *d->columns);
    d->tokens = calloc(n_steps, sizeof *d->tokens);
    d->row_names = calloc(n_steps, sizeof *d->row_names);
    d->column_names = calloc(ring, sizeof *d->column_names);
    d->from = calloc(n_steps, sizeof *d->from);
    d->held = calloc(ring, sizeof *d->held);
    d->cells = calloc(n_steps * ring, sizeof *d->cells);
    return d->rows && d->columns && d->tokens && d->row_names && d->column_names && d->from &&
           d->held && d->cells;
}

static void free_drawn(struct drawn *d) {
    free(d->rows);
    free(d->columns);
    free(d->tokens);
    free(d->row_names);
    free(d->column_names);
    free(d->from);
    free(d->held);
    free(d->cells);
}

/* A row for each step, a cell for each slot with the token that lies there. Colours and borders say
 * which is written, seen and held: neither alone is needed to tell them apart. */
static void draw_cache(struct buffer *b, const struct json_value *root, bool alone) {
    const struct json_value *const steps = json_get(root, "steps");
    const double slots = run_number(root, "ring");
    const size_t n = steps && steps->kind == JSON_ARRAY ? steps->len : 0;
    struct drawn d = {0};
    char title[96];
    size_t i = 0;
    const double most = alone ? MOST_CELLS : MAX_CELLS;
    if (n == 0 || slots < 1 || slots * (double)n > most) {
        buffer_text(b, alone ? "" : "<p>Too much to be drawn.</p>\n");
        return;
    }
    const size_t ring = (size_t)slots;
    if (!take_drawn(&d, n, ring)) {
        b->failed = true;
        free_drawn(&d);
        return;
    }
    for (const struct json_value *s = json_first(steps); s; s = json_next(steps, s), i++) {
        const double own = run_number(s, "slot");
        run_text(d.tokens[i], sizeof *d.tokens, s, "token");
        snprintf(d.rows[i], sizeof *d.rows, "%zu  %s", i, d.tokens[i]);
        d.row_names[i] = d.rows[i];
        d.from[i] = run_number(s, "sees_from");
        draw_step(&d, i, own < slots ? (size_t)own : ring, ring);
    }
    for (size_t k = 0; k < ring; k++) {
        snprintf(d.columns[k], sizeof *d.columns, "%zu", k);
        d.column_names[k] = d.columns[k];
    }
    snprintf(title, sizeof title, "Rolling cache: window %.0f, %zu slots, %zu tokens",
             run_number(root, "window"), ring, n);
    const struct plot_grid g = {.title = title,
                                .what = "Each slot's token, step by step: thick border written, "
                                        "black border seen, grey held and not seen",
                                .columns = d.column_names,
                                .rows = d.row_names,
                                .n_columns = ring,
                                .n_rows = n,
                                .cells = d.cells,
                                .wide = true};
    plot_grid(b, &g, alone);
    free_drawn(&d);
}

static void put_cache(struct buffer *b, const struct json_value *root, bool html) {
    static const char *const names[] = {"promised", "holds", "fault"};
    const struct json_value *const checks = json_get(root, "checks");
    if (html) {
        buffer_text(b, "<div class=\"wide\">");
        draw_cache(b, root, false);
        buffer_text(b, "</div>\n");
    }
    part_head(b, names, sizeof names / sizeof *names, html);
    for (const struct json_value *c = json_first(checks); c; c = json_next(checks, c)) {
        const struct json_value *const holds = json_get(c, "holds");
        char text[RUN_TEXT];
        run_text(text, sizeof text, c, "check");
        part_first(b, text, html);
        part_cell(b, html, "%s",
                  holds && holds->kind == JSON_BOOL && holds->boolean ? "yes" : "NO");
        run_text(text, sizeof text, c, "fault");
        part_cell(b, html, "%.60s", text);
        part_last(b, html);
    }
    part_end(b, html);
}

/* ---- chunks, a text without end ------------------------------------------------------------- */

static void put_chunk(struct buffer *b, const struct json_value *root, bool html) {
    static struct curves c;
    static const char *const names[] = {"chunk", "reading", "cache MiB", "scratch MiB",
                                        "last logits"};
    const struct json_value *const chunks = json_get(root, "chunks");
    c.n = 0;
    if (html) {
        begin_curve(&c, "reading");
        add_members(&c, chunks, "chunk", "tokens_per_second", 1);
        draw(b, "Reading by chunk",
             &(struct plot_axes){.x = "tokens at once", .y = "tokens/s", .log_x = true}, &c);
        begin_curve(&c, "cache");
        add_members(&c, chunks, "chunk", "cache_bytes", MEBIBYTE);
        begin_curve(&c, "scratch");
        add_members(&c, chunks, "chunk", "scratch_bytes", MEBIBYTE);
        draw(b, "Memory by chunk",
             &(struct plot_axes){.x = "tokens at once", .y = "MiB", .log_x = true}, &c);
    }
    part_head(b, names, sizeof names / sizeof *names, html);
    for (const struct json_value *v = json_first(chunks); v; v = json_next(chunks, v)) {
        char text[24];
        snprintf(text, sizeof text, "%.0f", run_number(v, "chunk"));
        part_first(b, text, html);
        part_cell(b, html, "%.6g", run_number(v, "tokens_per_second"));
        part_cell(b, html, "%.2f", run_number(v, "cache_bytes") / MEBIBYTE);
        part_cell(b, html, "%.2f", run_number(v, "scratch_bytes") / MEBIBYTE);
        run_text(text, sizeof text, v, "logits");
        part_cell(b, html, "%s", text);
        part_last(b, html);
    }
    part_end(b, html);
}

static void put_long(struct buffer *b, const struct json_value *root, bool html) {
    static struct curves c;
    static const char *const names[] = {"position", "resident MiB", "reading", "writing"};
    const struct json_value *const points = json_get(root, "points");
    c.n = 0;
    if (html) {
        begin_curve(&c, "resident memory");
        add_members(&c, points, "position", "resident_bytes", MEBIBYTE);
        draw(b, "Memory over the text", &(struct plot_axes){.x = "position", .y = "MiB"}, &c);
        begin_curve(&c, "reading");
        add_members(&c, points, "position", "read_tokens_per_second", 1);
        begin_curve(&c, "writing");
        add_members(&c, points, "position", "write_tokens_per_second", 1);
        draw(b, "Speed over the text", &(struct plot_axes){.x = "position", .y = "tokens/s"}, &c);
    }
    part_head(b, names, sizeof names / sizeof *names, html);
    for (const struct json_value *p = json_first(points); p; p = json_next(points, p)) {
        char text[24];
        snprintf(text, sizeof text, "%.0f", run_number(p, "position"));
        part_first(b, text, html);
        part_cell(b, html, "%.2f", run_number(p, "resident_bytes") / MEBIBYTE);
        part_cell(b, html, "%.6g", run_number(p, "read_tokens_per_second"));
        part_cell(b, html, "%.6g", run_number(p, "write_tokens_per_second"));
        part_last(b, html);
    }
    part_end(b, html);
}

/* ---- the five ------------------------------------------------------------------------------- */

static const struct {
    const char *name, *title;
    void (*put)(struct buffer *b, const struct json_value *root, bool html);
} kinds[] = {{"gqa", "Grouped queries", put_gqa},
             {"window", "Windows", put_window},
             {"cache", "The rolling cache", put_cache},
             {"chunk", "Chunks", put_chunk},
             {"long", "A text without end", put_long}};

void part_study(struct buffer *b, const struct study_file *s, bool html) {
    const struct json_value *const root = json_root(s->json);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!json_is(json_get(root, "study"), kinds[i].name))
            continue;
        char model[RUN_TEXT];
        run_text(model, sizeof model, root, "model");
        buffer_print(b, html ? "<h2>%s</h2>\n<p>" : "\n## %s\n\n", kinds[i].title);
        part_sentence(b, &s->facts);
        buffer_text(b, *model ? " Model: " : "");
        plot_text(b, model);
        buffer_text(b, html ? "</p>\n" : "\n");
        kinds[i].put(b, root, html);
    }
}

bool part_study_svg(struct buffer *b, const struct study_file *s) {
    const struct json_value *const root = json_root(s->json);
    if (json_is(json_get(root, "study"), "cache"))
        draw_cache(b, root, true);
    return b->len > 0;
}
