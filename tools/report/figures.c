/* The plots of bench's runs. */
#include "tools/report/parts.h"

#include "tools/report/plot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void part_bars(struct buffer *b, const struct run *r, bool decode, bool alone) {
    static char labels[PLOT_MAX_BARS][96];
    struct plot_bar bars[PLOT_MAX_BARS];
    size_t n = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct run_speed *const s = part_speed(&r->rows[i], decode);
        if (s->rate == 0 || part_shown_before(r, i, decode))
            continue;
        part_name(labels[n], &r->rows[i], decode);
        bars[n] = (struct plot_bar){.label = labels[n],
                                    .value = s->rate,
                                    .low = s->low,
                                    .high = s->high,
                                    .limit = s->amount > 0 ? s->rate * s->limit / s->amount : 0};
        n++;
    }
    if (n)
        plot_bars(b, decode ? "Decode, tokens per second" : "Prefill, tokens per second",
                  "tokens/s", bars, n, alone);
}

/* Work for a byte of weights, and speed, for each instruction set and thread count: decode of what
 * runs side by side, prefill of a chunk (256 tokens at most), and the roof above both. */
void part_roofline(struct buffer *b, const struct run *r) {
    static double x[PLOT_MAX_SERIES][3], y[PLOT_MAX_SERIES][3];
    static char names[PLOT_MAX_SERIES][96];
    struct plot_series series[PLOT_MAX_SERIES];
    size_t n = 0;
    for (size_t i = 0; i < r->n_rows && n + 2 <= PLOT_MAX_SERIES; i++) {
        const struct run_row *const row = &r->rows[i];
        const struct run_model *const m = &r->models[row->model];
        const double macs = m->decode_bytes > 0 ? m->macs / m->decode_bytes : 0;
        const double from = macs * row->sequences;
        const double to = macs * (row->prompt < 256 ? row->prompt : 256);
        bool again = false;
        for (size_t k = 0; k < i; k++)
            again = again ||
                    (strcmp(r->rows[k].isa, row->isa) == 0 && r->rows[k].threads == row->threads);
        if (again || !(from > 0 && to > from && row->prefill.amount > 0 && row->decode.rate > 0))
            continue;
        x[n][0] = from;
        y[n][0] = row->decode.rate * m->macs / 1e9;
        x[n][1] = to;
        y[n][1] = row->prefill.amount;
        snprintf(names[n], 96, "%s, %.0f threads: decode, prefill", row->isa, row->threads);
        series[n] = (struct plot_series){names[n], x[n], y[n], 2, true, NULL};
        n++;
        const double flat = row->prefill.limit, slope = row->decode.limit;
        if (!(flat > 0 && slope > 0 && flat / slope > from && flat / slope < to))
            continue;
        x[n][0] = from;
        y[n][0] = from * slope;
        x[n][1] = flat / slope;
        x[n][2] = to;
        y[n][1] = y[n][2] = flat;
        snprintf(names[n], 96, "the roof: %.4g GB/s, %.4g GMAC/s", slope, flat);
        series[n] = (struct plot_series){names[n], x[n], y[n], 3, false, NULL};
        n++;
    }
    if (n)
        plot_lines(b, "Roofline",
                   &(struct plot_axes){.x = "multiply-adds for a byte of weights",
                                       .y = "GMAC/s",
                                       .log_x = true,
                                       .log_y = true},
                   series, n);
}

/* A series for what else differs; one of a single row would be no curve. */
void part_curve(struct buffer *b, const struct run *r, bool by_depth) {
    static double x[PLOT_MAX_SERIES][RUN_MAX_ROWS], y[PLOT_MAX_SERIES][RUN_MAX_ROWS];
    static char names[PLOT_MAX_SERIES][96];
    struct plot_series series[PLOT_MAX_SERIES];
    size_t n = 0, n_curves = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct run_row *const row = &r->rows[i];
        char name[96];
        size_t k = 0;
        if (row->decode.rate == 0 || row->shortened)
            continue;
        snprintf(name, sizeof name, "%s, %.0f threads, prompt %.0f, %s %.0f, model %zu", row->isa,
                 row->threads, row->prompt, by_depth ? "at once" : "depth",
                 by_depth ? row->sequences : row->depth, row->model);
        while (k < n && strcmp(names[k], name) != 0)
            k++;
        if (k == PLOT_MAX_SERIES)
            continue;
        if (k == n) {
            memcpy(names[k], name, sizeof name);
            series[n++] = (struct plot_series){names[k], x[k], y[k], 0, false, NULL};
        }
        x[k][series[k].n] = by_depth ? row->depth : row->sequences;
        y[k][series[k].n++] = row->decode.rate;
    }
    for (size_t k = 0; k < n; k++)
        if (series[k].n > 1)
            series[n_curves++] = series[k];
    if (n_curves)
        plot_lines(b, by_depth ? "Decode by depth" : "Decode by conversations side by side",
                   &(struct plot_axes){.x = by_depth ? "tokens in the cache before the prompt"
                                                     : "conversations",
                                       .y = "tokens/s of all"},
                   series, n_curves);
}

/* Rounds that were throttled are ringed, one by one; what is noisy says so by its name. */
void part_machine(struct buffer *b, const struct run *r, bool clock) {
    static double x[PLOT_MAX_SERIES][RUN_MAX_ROUNDS], y[PLOT_MAX_SERIES][RUN_MAX_ROUNDS];
    static bool hot[PLOT_MAX_SERIES][RUN_MAX_ROUNDS];
    static char names[PLOT_MAX_SERIES][112];
    struct plot_series series[PLOT_MAX_SERIES];
    size_t n = 0;
    for (size_t i = 0; i < r->n_rows && n < PLOT_MAX_SERIES; i++) {
        const struct run_row *const row = &r->rows[i];
        const size_t n_samples = clock ? row->n_clock : row->n_celsius;
        const double *const samples = clock ? row->clock : row->celsius;
        size_t k = 0;
        for (size_t at = 0; at < n_samples; at++) {
            if (samples[at] == 0)
                continue;
            x[n][k] = (double)at + 1;
            y[n][k] = samples[at];
            hot[n][k++] = at < row->n_hot && row->hot[at];
        }
        if (k == 0)
            continue;
        char name[96];
        part_name(name, row, true);
        snprintf(names[n], sizeof names[n], "%s%s", name,
                 row->prefill.noisy || row->decode.noisy ? " ~ noisy" : "");
        series[n] =
            (struct plot_series){.name = names[n], .x = x[n], .y = y[n], .n = k, .marked = hot[n]};
        n++;
    }
    if (n)
        plot_lines(b, clock ? "Clock over the run" : "Temperature over the run",
                   &(struct plot_axes){
                       .x = "round", .y = clock ? "MHz" : "degrees Celsius", .mark = "throttled"},
                   series, n);
    else if (r->n_rows)
        buffer_print(b, "<p>%s over the run: this system does not tell it.</p>\n",
                     clock ? "Clock" : "Temperature");
}

/* Divergence from what a file was made from, by the speed that its size allows. */
void part_quality_plot(struct buffer *b, const struct run *r) {
    static double x[RUN_MAX_MODELS], y[RUN_MAX_MODELS];
    static char names[RUN_MAX_MODELS][RUN_TEXT];
    struct plot_series series[RUN_MAX_MODELS];
    size_t n = 0;
    for (size_t i = 0; i < r->n_models; i++) {
        const struct run_row *const row = part_fastest(r, i, true);
        if (!r->models[i].quality.is_known || !row)
            continue;
        x[n] = row->decode.rate;
        y[n] = r->models[i].quality.kl[0];
        memcpy(names[n], r->models[i].name, sizeof names[n]);
        series[n] = (struct plot_series){names[n], &x[n], &y[n], 1, true, NULL};
        n++;
    }
    plot_lines(b, "Quality beside speed",
               &(struct plot_axes){.x = "decode, tokens/s of one conversation",
                                   .y = "KL divergence from the source, nats"},
               series, n);
}

#define HEAT_ROWS 25 /* of one picture: it stands on a printed page */

/* Kernels and shapes from above, instruction sets from the left. */
void part_heat(struct buffer *b, const struct run *r) {
    const size_t most = r->n_kernels;
    struct {
        char text[72];
    } *const names = calloc(most + 1, sizeof *names), name;
    const char **const rows = calloc(most + 1, sizeof *rows);
    const char *isas[RUN_MAX_ISAS];
    struct plot_cell *const cells = calloc(RUN_MAX_ISAS * most + 1, sizeof *cells);
    struct plot_grid g = {.title = "Kernels by instruction set",
                          .what = "Share of the limit (the darker, the more), and times scalar",
                          .columns = isas,
                          .rows = rows,
                          .cells = cells};
    b->failed = b->failed || !names || !rows || !cells;
    g.n_columns = part_isas(r, isas);
    for (size_t i = 0; i < r->n_kernels && !b->failed; i++) {
        const struct run_kernel *const kernel = &r->kernels[i];
        size_t k = 0;
        snprintf(name.text, sizeof name.text, "%s, %s", kernel->kernel, kernel->shape);
        if (g.n_rows == 0 || strcmp(names[g.n_rows - 1].text, name.text) != 0) {
            names[g.n_rows] = name;
            rows[g.n_rows] = names[g.n_rows].text;
            for (size_t c = 0; c < g.n_columns; c++)
                cells[g.n_rows * g.n_columns + c] = (struct plot_cell){.kind = "n"};
            g.n_rows++;
        }
        while (k < g.n_columns && strcmp(isas[k], kernel->isa) != 0)
            k++;
        if (k == g.n_columns)
            continue;
        struct plot_cell *const cell = &cells[(g.n_rows - 1) * g.n_columns + k];
        snprintf(cell->kind, sizeof cell->kind, "%s",
                 plot_share_kind(kernel->share > 0 ? kernel->share : -1));
        size_t len = 0;
        if (kernel->share > 0)
            len = (size_t)snprintf(cell->text, sizeof cell->text, "%.0f %%", 100 * kernel->share);
        if (kernel->over_scalar > 0 && len < 8)
            snprintf(cell->text + len, sizeof cell->text - len, "%s%.3gx", len ? ", " : "",
                     kernel->over_scalar);
    }
    const size_t n = g.n_columns && !b->failed ? g.n_rows : 0;
    for (size_t i = 0; i < n; i += HEAT_ROWS) {
        g.n_rows = n - i < HEAT_ROWS ? n - i : HEAT_ROWS;
        g.rows = rows + i;
        g.cells = cells + i * g.n_columns;
        plot_grid(b, &g, false);
        g.title = "Kernels by instruction set, continued";
    }
    free(cells);
    free(rows);
    free(names);
}
