#include "tools/report/page.h"

#include "tools/report/parts.h"
#include "tools/report/plot.h"

#include <string.h>

static const char page_style[] =
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:0 auto;padding:0 .7rem;background:#fff;"
    "color:#222}h1{font-size:1.5rem}h2{font-size:1.25rem;margin-top:2rem}h3{font-size:1rem}"
    ".wide{overflow-x:auto;margin-bottom:1rem}table{border-collapse:collapse;font-size:.85rem}"
    "th,td{padding:.15rem .5rem;text-align:right;border-bottom:1px solid #bbb;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}code{overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}th,td{border-color:#555}}"
    "@media print{body{background:#fff;color:#000}h2,h3{break-after:avoid}"
    "svg,tr{break-inside:avoid}svg:not(.grid){max-height:92vh}.wide{overflow:visible}}";

/* Text of a file, as the form has it: HTML and Markdown take the same escapes. */
void part_sentence(struct buffer *b, const struct run_facts *r) {
    plot_text(b, part_known(r->cpu, "An unknown CPU"));
    buffer_text(b, " (");
    plot_text(b, part_known(r->architecture, "unknown architecture"));
    buffer_print(b, "%s): %.0f CPUs, %.0f of them for bise, %.1f GiB of memory, kernel ",
                 r->is_virtual ? ", virtual" : "", r->cores, r->threads, r->memory / 1073741824.0);
    plot_text(b, part_known(r->kernel, "unknown"));
    buffer_text(b, ", governor ");
    plot_text(b, part_known(r->governor, "unknown"));
    buffer_text(b, ", huge pages ");
    plot_text(b, part_known(r->pages, "unknown"));
    buffer_text(b, "; bise ");
    plot_text(b, r->version);
    buffer_text(b, " of ");
    plot_text(b, part_known(r->commit, "unknown commit"));
    buffer_text(b, ", ");
    plot_text(b, r->compiler);
    buffer_text(b, ".");
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Whether an odd number of backslashes stands in front of text[i]. */
static bool is_escaped(const char *text, size_t i) {
    size_t n = 0;
    while (n < i && text[i - 1 - n] == '\\')
        n++;
    return n % 2 == 1;
}

/* Without what stands between values. '<' can stand in strings alone, where it may be written so:
 * nothing in it ends the element. */
static void put_json(struct buffer *b, const char *text, size_t len) {
    buffer_text(b, RUN_OPEN);
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' && (i == 0 || !in_string || !is_escaped(text, i)))
            in_string = !in_string;
        if (text[i] == '<')
            buffer_text(b, "\\u003c");
        else if (in_string || !strchr(" \t\r\n", text[i]))
            buffer_put(b, text + i, 1);
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

static void put_rounds(struct buffer *b, const struct run *r) {
    if (r->n_rows)
        buffer_print(b, "Medians of %.0f round%s.", r->rounds, r->rounds == 1 ? "" : "s");
}

static void put_title(struct buffer *b, const char *title, bool html) {
    buffer_print(b, html ? "<h3>%s</h3>\n" : "### %s\n", title);
}

/* Tables, and in a page their plots. */
static void put_run(struct buffer *b, const struct run *r, bool html) {
    for (int decode = 0; decode < 2; decode++) {
        bool any = false;
        for (size_t i = 0; i < r->n_rows; i++)
            any = any || part_speed(&r->rows[i], decode)->rate > 0;
        if (!any)
            continue;
        put_title(b, decode ? "Decode" : "Prefill", html);
        if (html)
            part_bars(b, r, decode, false);
        part_speeds(b, r, decode, html);
    }
    if (html) {
        part_roofline(b, r);
        part_curve(b, r, true);
        part_curve(b, r, false);
        part_machine(b, r, true);
        part_machine(b, r, false);
    }
    if (r->n_rows) {
        put_title(b, "Memory, as planned and as it was", html);
        part_memory(b, r, html);
    }
    if (part_has_quality(r)) {
        put_title(b, "Quality beside speed", html);
        if (html)
            part_quality_plot(b, r);
        part_quality(b, r, html);
    }
    if (r->n_kernels) {
        put_title(b, "Kernels, one thread", html);
        if (html)
            part_heat(b, r);
        part_kernels(b, r, html);
    }
}

static const char study_note[] = "What bise study found.";
static const char notes[] =
    "Marks: ~ the interval is wider than 2 %, t throttled, s fewer tokens, ! not repeatable. "
    "Limits are the best of the run; shares are of what the machine could do right before and "
    "behind each visit (in brackets: their interval); ratios against the baseline's first row "
    "after as many tokens (where it has none: the first one of all).";

void report_html(struct buffer *b, const struct runs *r) {
    buffer_print(b,
                 "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                 "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                 "<title>bise report</title>\n<style>%s%s</style></head>\n<body>"
                 "<h1>bise report</h1>\n<p>%s</p>\n",
                 page_style, plot_style, r->n ? notes : study_note);
    for (size_t k = 0; k < r->n; k++) {
        const struct run *const run = r->run[k];
        buffer_print(b, "<h2>Run %zu</h2>\n<p>", k + 1);
        part_sentence(b, &run->facts);
        buffer_text(b, "</p>\n<p>Models: ");
        put_models(b, run);
        put_rounds(b, run);
        buffer_text(b, "</p>\n");
        put_run(b, run, true);
    }
    for (size_t k = 0; k < r->n_studies; k++)
        part_study(b, &r->study[k], true);
    if (r->n) {
        buffer_text(b, "<h2>The same answer</h2>\n");
        part_hashes(b, r, true);
    }
    for (size_t k = 0; k < r->n; k++)
        put_json(b, r->run[k]->text, r->run[k]->len);
    for (size_t k = 0; k < r->n_studies; k++)
        put_json(b, r->study[k].text, r->study[k].len);
    buffer_text(b, "</body></html>\n");
}

void report_md(struct buffer *b, const struct runs *r) {
    buffer_print(b, "# bise report\n\n%s\n", r->n ? notes : study_note);
    for (size_t k = 0; k < r->n; k++) {
        buffer_print(b, "\n## Run %zu\n\n", k + 1);
        part_sentence(b, &r->run[k]->facts);
        buffer_text(b, "\n\nModels: ");
        put_models(b, r->run[k]);
        put_rounds(b, r->run[k]);
        buffer_text(b, "\n\n");
        put_run(b, r->run[k], false);
    }
    for (size_t k = 0; k < r->n_studies; k++)
        part_study(b, &r->study[k], false);
    if (r->n) {
        buffer_text(b, "\n## The same answer\n");
        part_hashes(b, r, false);
    }
}

bool report_svg(struct buffer *b, const struct runs *r) {
    bool decode = false;
    if (r->n == 0)
        return part_study_svg(b, &r->study[0]);
    for (size_t i = 0; i < r->run[0]->n_rows; i++)
        decode = decode || r->run[0]->rows[i].decode.rate > 0;
    part_bars(b, r->run[0], decode, true);
    return b->len > 0;
}
