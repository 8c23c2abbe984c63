/* The tables of a report. */
#include "tools/report/parts.h"

#include "tools/report/plot.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- words ----------------------------------------------------------------------------------- */

const char *part_known(const char *text, const char *instead) {
    return *text ? text : instead;
}

void part_name(char out[96], const struct run_row *row, bool decode) {
    char model[32] = "";
    if (row->model > 0)
        snprintf(model, sizeof model, ", model %zu", row->model);
    if (decode)
        snprintf(out, 96, "%s, %.0f threads, %.0f at once, after %.0f%s", row->isa, row->threads,
                 row->sequences, row->depth + row->prompt, model);
    else
        snprintf(out, 96, "%s, %.0f threads, prompt %.0f after %.0f%s", row->isa, row->threads,
                 row->prompt, row->depth, model);
}

const char *part_marks(const struct run_row *row, const struct run_speed *s) {
    static char out[5];
    snprintf(out, sizeof out, "%s%s%s%s", s->noisy ? "~" : "", row->throttled ? "t" : "",
             row->shortened ? "s" : "", row->repeatable ? "" : "!");
    return out;
}

const struct run_speed *part_speed(const struct run_row *row, bool decode) {
    return decode ? &row->decode : &row->prefill;
}

bool part_shown_before(const struct run *r, size_t i, bool decode) {
    const struct run_row *const row = &r->rows[i];
    bool before = false;
    for (size_t k = 0; k < i && !decode && !before; k++)
        before = r->rows[k].model == row->model && strcmp(r->rows[k].isa, row->isa) == 0 &&
                 r->rows[k].threads == row->threads && r->rows[k].depth == row->depth &&
                 r->rows[k].prompt == row->prompt;
    return before;
}

/* ---- tables: the same cells in both forms -------------------------------------------------- */

void part_head(struct buffer *b, const char *const *names, size_t n, bool html) {
    buffer_text(b, html ? "<div class=\"wide\"><table><thead><tr>" : "\n");
    for (size_t i = 0; i < n; i++)
        buffer_print(b, html ? "<th scope=\"col\">%s</th>" : "| %s ", names[i]);
    buffer_text(b, html ? "</tr></thead><tbody>\n" : "|\n|");
    for (size_t i = 0; i < n && !html; i++)
        buffer_text(b, i ? "---:|" : "---|");
    buffer_text(b, html ? "" : "\n");
}

void part_end(struct buffer *b, bool html) {
    buffer_text(b, html ? "</tbody></table></div>\n" : "\n");
}

void part_first(struct buffer *b, const char *text, bool html) {
    buffer_text(b, html ? "<tr><td>" : "| ");
    plot_text(b, text);
}

void part_cell(struct buffer *b, bool html, const char *format, ...) {
    char text[64];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buffer_text(b, html ? "</td><td>" : " | ");
    plot_text(b, text);
}

void part_last(struct buffer *b, bool html) {
    buffer_text(b, html ? "</td></tr>\n" : " |\n");
}

/* What a row's speed is shown against: the baseline's first row after as many tokens, of the same
 * prompt where neither was shortened; where the baseline has none, the first of any. */
static const struct run_row *base_of(const struct run *r, const struct run_row *row) {
    const struct run_row *first = NULL;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct run_row *const base = &r->rows[i];
        if (base->depth != row->depth ||
            (base->prompt != row->prompt && !base->shortened && !row->shortened))
            continue;
        if (!*r->baseline || strcmp(base->isa, r->baseline) == 0)
            return base;
        first = first ? first : base;
    }
    return first;
}

static void put_share(struct buffer *b, const struct run_speed *s, bool html) {
    if (s->limit > 0) {
        part_cell(b, html, "%.4g", s->limit);
        if (s->share_high > s->share_low)
            part_cell(b, html, "%.0f %% (%.0f to %.0f)", 100 * s->share, 100 * s->share_low,
                      100 * s->share_high);
        else
            part_cell(b, html, "%.0f %%", 100 * s->share);
    } else {
        part_cell(b, html, "-");
        part_cell(b, html, "-");
    }
}

void part_speeds(struct buffer *b, const struct run *r, bool decode, bool html) {
    static const char *const prefill_names[] = {"ISA",    "model",    "threads", "after",
                                                "prompt", "tokens/s", "+- %",    "rate",
                                                "limit",  "share",    "ratio",   "marks"};
    static const char *const decode_names[] = {"ISA",      "model", "threads", "after", "at once",
                                               "tokens/s", "each",  "+- %",    "rate",  "limit",
                                               "share",    "ratio", "marks"};
    part_head(b, decode ? decode_names : prefill_names, decode ? 13 : 12, html);
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct run_row *const row = &r->rows[i];
        const struct run_speed *const s = part_speed(row, decode);
        const double base = part_speed(base_of(r, row), decode)->rate;
        if (s->rate == 0 || part_shown_before(r, i, decode))
            continue;
        part_first(b, row->isa, html);
        part_cell(b, html, "%zu", row->model);
        part_cell(b, html, "%.0f", row->threads);
        part_cell(b, html, "%.0f", row->depth + (decode ? row->prompt : 0));
        part_cell(b, html, "%.0f", decode ? row->sequences : row->prompt);
        part_cell(b, html, "%.6g", s->rate);
        if (decode)
            part_cell(b, html, "%.6g", row->sequences > 0 ? s->rate / row->sequences : 0);
        if (s->high > s->low)
            part_cell(b, html, "%.1f", 50 * (s->high - s->low) / s->rate);
        else
            part_cell(b, html, "-");
        part_cell(b, html, "%.4g %s", s->amount, decode ? "GB/s" : "GMAC/s");
        put_share(b, s, html);
        part_cell(b, html, "%.3g", base > 0 ? s->rate / base : 0);
        part_cell(b, html, "%s", part_marks(row, s));
        part_last(b, html);
    }
    part_end(b, html);
}

void part_memory(struct buffer *b, const struct run *r, bool html) {
    static const char *const names[] = {"row", "weights MB", "cache MB", "scratch MB",
                                        "resident MB"};
    part_head(b, names, sizeof names / sizeof *names, html);
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct run_row *const row = &r->rows[i];
        char name[96];
        part_name(name, row, true);
        part_first(b, name, html);
        part_cell(b, html, "%.1f", r->models[row->model].weights / 1e6);
        part_cell(b, html, "%.1f", row->cache / 1e6);
        part_cell(b, html, "%.1f", row->scratch / 1e6);
        part_cell(b, html, "%.1f", row->resident / 1e6);
        part_last(b, html);
    }
    part_end(b, html);
}

const struct run_row *part_fastest(const struct run *r, size_t model, bool decode) {
    const struct run_row *best = NULL;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct run_row *const row = &r->rows[i];
        const double rate = part_speed(row, decode)->rate;
        if (row->model == model && rate > 0 && (!decode || row->sequences == 1) &&
            (!best || rate > part_speed(best, decode)->rate))
            best = row;
    }
    return best;
}

bool part_same_kernel(const struct run_kernel *a, const struct run_kernel *b) {
    return strcmp(a->kernel, b->kernel) == 0 && strcmp(a->shape, b->shape) == 0;
}

size_t part_isas(const struct run *r, const char **isas) {
    size_t n = 0;
    for (size_t i = 0; i < r->n_kernels; i++) {
        size_t k = 0;
        while (k < n && strcmp(isas[k], r->kernels[i].isa) != 0)
            k++;
        if (k == n && k < RUN_MAX_ISAS)
            isas[n++] = r->kernels[i].isa;
    }
    return n;
}

bool part_has_quality(const struct run *r) {
    bool any = false;
    for (size_t i = 0; i < r->n_models; i++)
        any = any || r->models[i].quality.is_known;
    return any;
}

void part_quality(struct buffer *b, const struct run *r, bool html) {
    static const char *const names[] = {"model",      "type",     "bits",    "MB",
                                        "perplexity", "+-",       "before",  "KL",
                                        "+-",         "same top", "prefill", "decode"};
    part_head(b, names, sizeof names / sizeof *names, html);
    for (size_t i = 0; i < r->n_models; i++) {
        const struct run_model *const m = &r->models[i];
        const struct run_quality *const q = &m->quality;
        part_first(b, m->name, html);
        part_cell(b, html, "%.60s", m->type);
        part_cell(b, html, "%.2f", m->bits);
        part_cell(b, html, "%.1f", m->weights / 1e6);
        const double shown[] = {q->after[0], q->after[1], q->before[0], q->kl[0], q->kl[1]};
        for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
            if (q->is_known)
                part_cell(b, html, "%.6g", shown[k]);
            else
                part_cell(b, html, "-");
        if (q->is_known)
            part_cell(b, html, "%.6g %%", q->same_top);
        else
            part_cell(b, html, "-");
        for (int decode = 0; decode < 2; decode++) {
            const struct run_row *const row = part_fastest(r, i, decode);
            part_cell(b, html, "%.6g", row ? part_speed(row, decode)->rate : 0.0);
        }
        part_last(b, html);
    }
    part_end(b, html);
}

/* A row for each kernel and shape, a column for each instruction set: time and rate. (Shares and
 * what is gained on scalar stand in the heat map, and here where there is none.) */
void part_kernels(struct buffer *b, const struct run *r, bool html) {
    const char *names[RUN_MAX_ISAS + 1] = {"kernel"};
    const size_t n = part_isas(r, names + 1);
    part_head(b, names, n + 1, html);
    for (size_t i = 0, next; i < r->n_kernels; i = next) {
        const struct run_kernel *const first = &r->kernels[i];
        char name[96];
        snprintf(name, sizeof name, "%s, %s (us, %s)", first->kernel, first->shape,
                 first->gmacs > 0 ? "GMAC/s" : "GB/s");
        part_first(b, name, html);
        for (next = i; next < r->n_kernels && part_same_kernel(first, &r->kernels[next]);)
            next++;
        for (size_t c = 0; c < n; c++) {
            const struct run_kernel *k = first;
            while (k < &r->kernels[next] && strcmp(k->isa, names[c + 1]) != 0)
                k++;
            if (k == &r->kernels[next]) {
                part_cell(b, html, "-");
                continue;
            }
            const double us = k->seconds * 1e6, rate = k->gmacs > 0 ? k->gmacs : k->gbs;
            if (strcmp(k->of, k->isa) != 0)
                part_cell(b, html, "= %s", k->of);
            else if (html)
                part_cell(b, html, us < 1000 ? "%.4g, %.3g" : "%.0f, %.3g", us, rate);
            else if (k->over_scalar > 0)
                part_cell(b, html, "%.6g, %.3g, %.0f %%, %.3gx", us, rate, 100 * k->share,
                          k->over_scalar);
            else
                part_cell(b, html, "%.6g, %.3g, %.0f %%", us, rate, 100 * k->share);
        }
        part_last(b, html);
    }
    part_end(b, html);
}

/* ---- the same work ------------------------------------------------------------------------- */

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

void part_hashes(struct buffer *b, const struct runs *r, bool html) {
    static const char *const names[] = {"row", "run", "tokens", "logits", "verdict"};
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
    part_head(b, names, sizeof names / sizeof *names, html);
    for (size_t k = 0; k < r->n; k++)
        for (size_t i = 0; i < r->run[k]->n_rows; i++) {
            const struct run_row *const row = &r->run[k]->rows[i], *const first = first_of(r, k, i);
            const bool same =
                strcmp(first->tokens, row->tokens) == 0 && strcmp(first->logits, row->logits) == 0;
            char name[96];
            part_name(name, row, true);
            part_first(b, name, html);
            part_cell(b, html, "%zu", k + 1);
            part_cell(b, html, "%.12s", row->tokens);
            part_cell(b, html, "%.12s", row->logits);
            part_cell(b, html, "%s", first == row ? "first" : same ? "equal" : "NOT EQUAL");
            part_last(b, html);
        }
    part_end(b, html);
}
