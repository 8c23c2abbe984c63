#include "tools/report/page.h"

#include "tools/report/plot.h"

#include <stdio.h>
#include <string.h>

static const char page_style[] =
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:0 auto;padding:0 .7rem;background:#fff;"
    "color:#222}h1{font-size:1.5rem}h2{font-size:1.25rem;margin-top:2rem}h3{font-size:1rem}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem}"
    "th,td{padding:.15rem .5rem;text-align:right;border-bottom:1px solid #bbb;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}code{overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}th,td{border-color:#555}}"
    "@media print{body{background:#fff;color:#000}h2{break-after:avoid}svg{break-inside:avoid}}";

/* ---- words ----------------------------------------------------------------------------------- */

static const char *known(const char *text, const char *instead) {
    return *text ? text : instead;
}

/* Text of a file, as the form has it: HTML and Markdown take the same escapes. */
static void put_sentence(struct buffer *b, const struct run *r) {
    plot_text(b, known(r->cpu, "An unknown CPU"));
    buffer_text(b, " (");
    plot_text(b, known(r->architecture, "unknown architecture"));
    buffer_print(b, "%s): %.0f CPUs, %.0f of them for bise, %.1f GiB of memory, kernel ",
                 r->is_virtual ? ", virtual" : "", r->cores, r->threads, r->memory / 1073741824.0);
    plot_text(b, known(r->kernel, "unknown"));
    buffer_text(b, ", governor ");
    plot_text(b, known(r->governor, "unknown"));
    buffer_text(b, ", huge pages ");
    plot_text(b, known(r->pages, "unknown"));
    buffer_text(b, "; bise ");
    plot_text(b, r->version);
    buffer_text(b, " of ");
    plot_text(b, known(r->commit, "unknown commit"));
    buffer_text(b, ", ");
    plot_text(b, r->compiler);
    buffer_print(b, "; medians of %.0f rounds.", r->rounds);
}

static void name_row(char out[96], const struct run_row *row, bool decode) {
    if (decode)
        snprintf(out, 96, "%s, %.0f threads, %.0f at once, after %.0f", row->isa, row->threads,
                 row->sequences, row->depth + row->prompt);
    else
        snprintf(out, 96, "%s, %.0f threads, prompt %.0f after %.0f", row->isa, row->threads,
                 row->prompt, row->depth);
}

static const char *marks(const struct run_row *row, const struct run_speed *s) {
    static char out[5];
    snprintf(out, sizeof out, "%s%s%s%s", s->noisy ? "~" : "", row->throttled ? "t" : "",
             row->shortened ? "s" : "", row->repeatable ? "" : "!");
    return out;
}

static const struct run_speed *speed_of(const struct run_row *row, bool decode) {
    return decode ? &row->decode : &row->prefill;
}

/* The same prompt is read for each number of sequences, and shown once. */
static bool shown_before(const struct run *r, size_t i, bool decode) {
    const struct run_row *const row = &r->rows[i];
    bool before = false;
    for (size_t k = 0; k < i && !decode && !before; k++)
        before = r->rows[k].model == row->model && strcmp(r->rows[k].isa, row->isa) == 0 &&
                 r->rows[k].threads == row->threads && r->rows[k].depth == row->depth &&
                 r->rows[k].prompt == row->prompt;
    return before;
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* What separates cells: a table is the same in both forms. */
struct form {
    const char *row, *first, *next, *end;
};
static const struct form html_form = {"<tr>", "<td>", "</td><td>", "</td></tr>\n"};
static const struct form md_form = {"", "| ", " | ", " |\n"};

static void put_head(struct buffer *b, const char *const *names, size_t n, bool html) {
    buffer_text(b, html ? "<div class=\"wide\"><table><thead><tr>" : "\n");
    for (size_t i = 0; i < n; i++)
        buffer_print(b, html ? "<th scope=\"col\">%s</th>" : "| %s ", names[i]);
    buffer_text(b, html ? "</tr></thead><tbody>\n" : "|\n|");
    for (size_t i = 0; i < n && !html; i++)
        buffer_text(b, i ? "---:|" : "---|");
    buffer_text(b, html ? "" : "\n");
}

static void put_end(struct buffer *b, bool html) {
    buffer_text(b, html ? "</tbody></table></div>\n" : "\n");
}

static void put_speeds(struct buffer *b, const struct run *r, bool decode, bool html) {
    static const char *const names[] = {"ISA",  "threads", "at once", "after", "prompt", "tokens/s",
                                        "+- %", "rate",    "limit",   "share", "ratio",  "marks"};
    const struct form *const f = html ? &html_form : &md_form;
    double first = 0;
    put_head(b, names, sizeof names / sizeof *names, html);
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct run_row *const row = &r->rows[i];
        const struct run_speed *const s = speed_of(row, decode);
        if (s->rate == 0 || shown_before(r, i, decode))
            continue;
        first = first > 0 ? first : s->rate;
        buffer_print(b, "%s%s", f->row, f->first);
        plot_text(b, row->isa);
        buffer_print(b, "%s%.0f%s%.0f%s%.0f%s%.0f%s%.6g%s", f->next, row->threads, f->next,
                     row->sequences, f->next, row->depth, f->next, row->prompt, f->next, s->rate,
                     f->next);
        if (s->high > s->low)
            buffer_print(b, "%.1f", 50 * (s->high - s->low) / s->rate);
        else
            buffer_text(b, "-");
        buffer_print(b, "%s%.4g %s%s", f->next, s->amount, decode ? "GB/s" : "GMAC/s", f->next);
        if (s->limit > 0)
            buffer_print(b, "%.4g%s%.0f %%", s->limit, f->next, 100 * s->share);
        else
            buffer_print(b, "-%s-", f->next);
        buffer_print(b, "%s%.3g%s%s%s", f->next, s->rate / first, f->next, marks(row, s), f->end);
    }
    put_end(b, html);
}

static void put_memory(struct buffer *b, const struct run *r, bool html) {
    static const char *const names[] = {"row", "weights MB", "cache MB", "scratch MB",
                                        "resident MB"};
    const struct form *const f = html ? &html_form : &md_form;
    put_head(b, names, sizeof names / sizeof *names, html);
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct run_row *const row = &r->rows[i];
        char name[96];
        name_row(name, row, true);
        buffer_print(b, "%s%s", f->row, f->first);
        plot_text(b, name);
        buffer_print(b, "%s%.1f%s%.1f%s%.1f%s%.1f%s", f->next, r->models[row->model].weights / 1e6,
                     f->next, row->cache / 1e6, f->next, row->scratch / 1e6, f->next,
                     row->resident / 1e6, f->end);
    }
    put_end(b, html);
}

static bool same_work(const struct run *ra, const struct run_row *a, const struct run *rb,
                      const struct run_row *b) {
    return strcmp(ra->models[a->model].hash, rb->models[b->model].hash) == 0 &&
           a->depth == b->depth && a->prompt == b->prompt && a->gen == b->gen &&
           a->sequences == b->sequences;
}

/* The first row of all that has done the same work as row i of run k: itself, where it is that. */
static const struct run_row *first_of(const struct runs *r, size_t k, size_t i) {
    const struct run_row *const row = &r->run[k]->rows[i];
    for (size_t n = 0; n <= k; n++)
        for (size_t j = 0; j < r->run[n]->n_rows && &r->run[n]->rows[j] != row; j++)
            if (same_work(r->run[n], &r->run[n]->rows[j], r->run[k], row))
                return &r->run[n]->rows[j];
    return row;
}

size_t report_differing(const struct runs *r, size_t *n_compared) {
    size_t n = 0;
    *n_compared = 0;
    for (size_t k = 0; k < r->n; k++)
        for (size_t i = 0; i < r->run[k]->n_rows; i++) {
            const struct run_row *const row = &r->run[k]->rows[i], *const first = first_of(r, k, i);
            *n_compared += first != row;
            n += strcmp(first->tokens, row->tokens) != 0 || strcmp(first->logits, row->logits) != 0;
        }
    return n;
}

static void put_hashes(struct buffer *b, const struct runs *r, bool html) {
    static const char *const names[] = {"row", "run", "tokens", "logits", "verdict"};
    const struct form *const f = html ? &html_form : &md_form;
    size_t n_compared;
    const size_t n = report_differing(r, &n_compared);
    buffer_print(b, "%s", html ? "<p>" : "\n");
    if (n)
        buffer_print(b, "%zu rows have computed something else than the first of the same work.",
                     n);
    else
        buffer_print(b,
                     "%zu rows were compared with the first one of the same work: all are equal, "
                     "bit by bit.",
                     n_compared);
    buffer_print(b, "%s\n", html ? "</p>" : "");
    put_head(b, names, sizeof names / sizeof *names, html);
    for (size_t k = 0; k < r->n; k++)
        for (size_t i = 0; i < r->run[k]->n_rows; i++) {
            const struct run_row *const row = &r->run[k]->rows[i], *const first = first_of(r, k, i);
            const bool same =
                strcmp(first->tokens, row->tokens) == 0 && strcmp(first->logits, row->logits) == 0;
            char name[96], hash[13];
            name_row(name, row, true);
            buffer_print(b, "%s%s", f->row, f->first);
            plot_text(b, name);
            buffer_print(b, "%s%zu%s", f->next, k + 1, f->next);
            snprintf(hash, sizeof hash, "%s", row->tokens);
            plot_text(b, hash);
            buffer_text(b, f->next);
            snprintf(hash, sizeof hash, "%s", row->logits);
            plot_text(b, hash);
            buffer_print(b, "%s%s%s", f->next,
                         first == row ? "first"
                         : same       ? "equal"
                                      : "NOT EQUAL",
                         f->end);
        }
    put_end(b, html);
}

/* ---- plots ----------------------------------------------------------------------------------- */

static void put_bars(struct buffer *b, const struct run *r, bool decode, bool alone) {
    static char labels[PLOT_MAX_BARS][96];
    struct plot_bar bars[PLOT_MAX_BARS];
    size_t n = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct run_speed *const s = speed_of(&r->rows[i], decode);
        if (s->rate == 0 || shown_before(r, i, decode))
            continue;
        name_row(labels[n], &r->rows[i], decode);
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
static void put_roofline(struct buffer *b, const struct run *r) {
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
        series[n] = (struct plot_series){names[n], x[n], y[n], 2, true};
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
        series[n] = (struct plot_series){names[n], x[n], y[n], 3, false};
        n++;
    }
    if (n)
        plot_lines(b, "Roofline", "multiply-adds for a byte of weights", "GMAC/s", series, n, true);
}

/* Decode by depth, or by sequences, where rows differ in it: a series for what else differs. */
static void put_curve(struct buffer *b, const struct run *r, bool by_depth) {
    static double x[PLOT_MAX_SERIES][RUN_MAX_ROWS], y[PLOT_MAX_SERIES][RUN_MAX_ROWS];
    static char names[PLOT_MAX_SERIES][96];
    struct plot_series series[PLOT_MAX_SERIES];
    size_t n = 0, most = 0;
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
            series[n++] = (struct plot_series){names[k], x[k], y[k], 0, false};
        }
        x[k][series[k].n] = by_depth ? row->depth : row->sequences;
        y[k][series[k].n++] = row->decode.rate;
        most = series[k].n > most ? series[k].n : most;
    }
    if (most > 1)
        plot_lines(b, by_depth ? "Decode by depth" : "Decode by conversations side by side",
                   by_depth ? "tokens in the cache before the prompt" : "conversations",
                   "tokens/s of all", series, n, false);
}

static void put_machine_state(struct buffer *b, const struct run *r, bool clock) {
    static double x[RUN_MAX_ROUNDS], y[PLOT_MAX_SERIES][RUN_MAX_ROUNDS];
    static char names[PLOT_MAX_SERIES][96];
    struct plot_series series[PLOT_MAX_SERIES];
    size_t n = 0;
    for (size_t i = 0; i < RUN_MAX_ROUNDS; i++)
        x[i] = (double)i + 1;
    for (size_t i = 0; i < r->n_rows && n < PLOT_MAX_SERIES; i++) {
        const struct run_row *const row = &r->rows[i];
        const size_t n_samples = clock ? row->n_clock : row->n_celsius;
        const double *const samples = clock ? row->clock : row->celsius;
        if (n_samples == 0 || samples[0] == 0)
            continue;
        name_row(names[n], row, true);
        memcpy(y[n], samples, n_samples * sizeof *samples);
        series[n] = (struct plot_series){names[n], x, y[n], n_samples, false};
        n++;
    }
    if (n)
        plot_lines(b, clock ? "Clock over the run" : "Temperature over the run", "round",
                   clock ? "MHz" : "degrees Celsius", series, n, false);
    else
        buffer_print(b, "<p>%s over the run: this system does not tell it.</p>\n",
                     clock ? "Clock" : "Temperature");
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* '<' can stand in strings alone, where it may be written so: nothing in it ends the element. */
static void put_json(struct buffer *b, const struct run *r) {
    buffer_text(b, RUN_OPEN);
    for (size_t i = 0; i < r->len; i++) {
        if (r->text[i] == '<')
            buffer_text(b, "\\u003c");
        else
            buffer_put(b, r->text + i, 1);
    }
    buffer_text(b, RUN_CLOSE "\n");
}

static void put_models(struct buffer *b, const struct run *r) {
    for (size_t i = 0; i < r->n_models; i++) {
        buffer_print(b, "%zu: ", i);
        plot_text(b, r->models[i].name);
        buffer_text(b, ", ");
        plot_text(b, r->models[i].type);
        buffer_print(b, ", %.1f MB. ", r->models[i].weights / 1e6);
    }
}

static const char notes[] =
    "Marks: ~ the interval is wider than 2 %, t throttled, s fewer tokens, ! not repeatable. "
    "Shares are of the limits measured in the same run; ratios against the first row.";

void report_html(struct buffer *b, const struct runs *r) {
    buffer_print(b,
                 "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                 "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                 "<title>bise bench: report</title>\n<style>%s%s</style></head>\n<body>"
                 "<h1>bise bench: report</h1>\n<p>%s</p>\n",
                 page_style, plot_style, notes);
    for (size_t k = 0; k < r->n; k++) {
        const struct run *const run = r->run[k];
        buffer_print(b, "<h2>Run %zu</h2>\n<p>", k + 1);
        put_sentence(b, run);
        buffer_text(b, "</p>\n<p>Models: ");
        put_models(b, run);
        buffer_text(b, "</p>\n<h3>Prefill</h3>\n");
        put_bars(b, run, false, false);
        put_speeds(b, run, false, true);
        buffer_text(b, "<h3>Decode</h3>\n");
        put_bars(b, run, true, false);
        put_speeds(b, run, true, true);
        put_roofline(b, run);
        put_curve(b, run, true);
        put_curve(b, run, false);
        put_machine_state(b, run, true);
        put_machine_state(b, run, false);
        buffer_text(b, "<h3>Memory, as planned and as it was</h3>\n");
        put_memory(b, run, true);
    }
    buffer_text(b, "<h2>The same answer</h2>\n");
    put_hashes(b, r, true);
    for (size_t k = 0; k < r->n; k++)
        put_json(b, r->run[k]);
    buffer_text(b, "</body></html>\n");
}

void report_md(struct buffer *b, const struct runs *r) {
    buffer_print(b, "# bise bench: report\n\n%s\n", notes);
    for (size_t k = 0; k < r->n; k++) {
        buffer_print(b, "\n## Run %zu\n\n", k + 1);
        put_sentence(b, r->run[k]);
        buffer_text(b, "\n\nModels: ");
        put_models(b, r->run[k]);
        buffer_text(b, "\n\n### Prefill\n");
        put_speeds(b, r->run[k], false, false);
        buffer_text(b, "\n### Decode\n");
        put_speeds(b, r->run[k], true, false);
        buffer_text(b, "\n### Memory, as planned and as it was\n");
        put_memory(b, r->run[k], false);
    }
    buffer_text(b, "\n## The same answer\n");
    put_hashes(b, r, false);
}

void report_svg(struct buffer *b, const struct runs *r) {
    bool decode = false;
    for (size_t i = 0; i < r->run[0]->n_rows; i++)
        decode = decode || r->run[0]->rows[i].decode.rate > 0;
    put_bars(b, r->run[0], decode, true);
}
