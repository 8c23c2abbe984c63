/* What bise bench has measured, in its forms. */
#include "src/base/shown.h"
#include "src/os/file.h"
#include "tools/cmd/bench.h"
#include "tools/cmd/table.h"

#include <stdio.h>
#include <string.h>

static double over(double x, double limit) {
    return limit > 0 ? x / limit : 0;
}

/* Half of the interval, in percent of the median. */
static double half_width(const struct bench_stat *s) {
    return 50 * over(s->high - s->low, s->median);
}

/* ---- tables for people ----------------------------------------------------------------------- */

static const char *const prefill_head[] = {
    "isa", "threads", "after", "prompt", "tokens/s", "+- %", "GMAC/s", "share", "+-", "x", ""};
static const char *const decode_head[] = {"isa",  "threads", "after", "at once", "tokens/s", "each",
                                          "+- %", "GB/s",    "share", "+-",      "x",        ""};

static void put_known(table_cell *cell, double x, bool is_known, const char *format) {
    if (is_known)
        snprintf(*cell, TABLE_CELL, format, x);
    else
        snprintf(*cell, TABLE_CELL, "-");
}

static void put_cells(const struct bench_run *r, const struct bench_row *row, bool decode,
                      table_cell *cell) {
    const struct bench_row *const base = bench_base(r, row);
    const struct bench_stat s = decode ? bench_decode(r, row) : bench_prefill(r, row);
    const double base_rate = (decode ? bench_decode(r, base) : bench_prefill(r, base)).median;
    const double rate = decode ? bench_gbs(r, row) : bench_gmacs(r, row);
    const struct bench_stat share = bench_share(r, row, decode);
    snprintf(*cell++, TABLE_CELL, "%s", isa_name(row->isa));
    snprintf(*cell++, TABLE_CELL, "%d", row->threads);
    snprintf(*cell++, TABLE_CELL, "%zu", row->depth + (decode ? row->n_prompt : 0));
    snprintf(*cell++, TABLE_CELL, "%zu", decode ? row->n_seqs : row->n_prompt);
    snprintf(*cell++, TABLE_CELL, "%.2f", s.median);
    if (decode)
        snprintf(*cell++, TABLE_CELL, "%.2f", s.median / (double)row->n_seqs);
    put_known(cell++, half_width(&s), s.has_interval, "%.1f");
    snprintf(*cell++, TABLE_CELL, "%.1f", rate);
    put_known(cell++, 100 * share.median, share.median > 0, "%.0f %%");
    put_known(cell++, 50 * (share.high - share.low), share.has_interval, "%.1f");
    put_known(cell++, over(s.median, base_rate), base_rate > 0, "%.3g");
    snprintf(*cell, TABLE_CELL, "%s%s%s%s", s.has_interval && !bench_is_settled(&s) ? "~" : "",
             bench_was_throttled(r, row) ? "t" : "", row->shortened ? "s" : "",
             row->differs ? "!" : "");
}

static void put_tables(struct buffer *b, const struct bench_run *r, size_t model, bool md) {
    for (int decode = 0; decode < 2; decode++) {
        struct table t = {.head = decode ? decode_head : prefill_head,
                          .n_columns = decode ? sizeof decode_head / sizeof *decode_head
                                              : sizeof prefill_head / sizeof *prefill_head,
                          .n_left = 1,
                          .wide = r->wide,
                          .spare = decode ? "fhj" : "gi"};
        for (size_t i = 0; i < r->n_rows; i++) {
            const struct bench_row *const row = &r->rows[i];
            bool again = false; /* the same prompt is read for each number of sequences */
            for (size_t j = 0; j < i && !decode; j++)
                again = again ||
                        (r->rows[j].model == row->model && r->rows[j].isa == row->isa &&
                         r->rows[j].threads == row->threads && r->rows[j].depth == row->depth &&
                         r->rows[j].n_prompt == row->n_prompt);
            if (row->model == model && !again && (decode ? row->n_gen : row->n_prompt))
                put_cells(r, row, decode, table_row(&t));
        }
        if (t.n_rows) {
            buffer_print(b, "\n%s\n%s",
                         decode
                             ? "Decode (share: of reading as many bytes, at that moment)"
                             : "Prefill (share: of the instructions on registers, at that moment)",
                         md ? "\n" : "");
            table_print(b, &t, md);
        }
        table_free(&t);
    }
}

/* Whether rows that were given the same tokens to compute have computed the same. */
static bool same_results(const struct bench_run *r, size_t *n_different) {
    *n_different = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct bench_row *const a = &r->rows[i];
        bool same = !a->differs;
        for (size_t j = 0; j < i && same; j++) {
            const struct bench_row *const b = &r->rows[j];
            if (a->model == b->model && a->depth == b->depth && a->n_prompt == b->n_prompt &&
                a->n_seqs == b->n_seqs && a->n_gen == b->n_gen)
                same = strcmp(a->logit_hash, b->logit_hash) == 0 &&
                       strcmp(a->token_hash, b->token_hash) == 0;
        }
        *n_different += !same;
    }
    return *n_different == 0;
}

static void put_notes(struct buffer *b, const struct bench_run *r) {
    bool noisy = false, throttled = false, shortened = false;
    size_t n_different;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct bench_stat prefill = bench_prefill(r, &r->rows[i]);
        const struct bench_stat decode = bench_decode(r, &r->rows[i]);
        noisy = noisy || (prefill.has_interval && !bench_is_settled(&prefill)) ||
                (decode.has_interval && !bench_is_settled(&decode));
        throttled = throttled || bench_was_throttled(r, &r->rows[i]);
        shortened = shortened || r->rows[i].shortened;
    }
    if (r->n_rows)
        buffer_print(b, "\nMedians of %zu round%s in %.0f s, all rows in turn%s.\n", r->n_rounds,
                     r->n_rounds == 1 ? "" : "s", r->seconds,
                     r->n_rounds < 6 ? "; fewer than 6 have no interval" : "");
    if (noisy)
        buffer_text(b, "~ noisy: the interval of 95 % is wider than +- 2 %.\n");
    if (throttled)
        buffer_text(b, "t throttled: heat has slowed the CPUs down.\n");
    if (shortened)
        buffer_text(b, "s shortened: this is slow; fewer tokens than the other rows.\n");
    if (r->n_rows == 0)
        return;
    if (same_results(r, &n_different))
        buffer_text(b, "Rows of the same tokens have computed the same, bit by bit.\n");
    else
        buffer_print(b, "! %zu rows have computed something else than others before them.\n",
                     n_different);
}

void bench_print_table(struct buffer *b, const struct bench_run *r, bool md) {
    for (size_t i = 0; i < r->n_models; i++) {
        const struct bench_model *const m = &r->models[i];
        const struct bise_model_info *const info = bise_model_info(m->model);
        char name[256];
        show_text(name, sizeof name, file_base(m->path), strlen(file_base(m->path)));
        buffer_print(b, "%s%s: %s, %.0f MB; loaded in %.2f s\n%s\n", i ? "\n" : "", name,
                     info->weight_type, (double)info->weight_bytes / 1e6, m->load_seconds,
                     info->memory);
        put_tables(b, r, i, md);
    }
    put_notes(b, r);
    if (r->kernels)
        bench_table_kernels(b, r->kernels, md, r->wide);
}

void bench_print_csv(struct buffer *b, const struct bench_run *r) {
    buffer_text(b,
                "model,isa,threads,sequences,depth,prompt,gen,rounds,prefill_tps,prefill_low,"
                "prefill_high,prefill_gmacs,limit_gmacs,prefill_share,prefill_share_low,"
                "prefill_share_high,decode_tps,decode_low,decode_high,decode_gbs,limit_gbs,share,"
                "share_low,share_high,resident_bytes,throttled,tokens,logits\n");
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct bench_row *const row = &r->rows[i];
        const struct bench_stat p = bench_prefill(r, row), d = bench_decode(r, row);
        const struct bench_stat q = bench_share(r, row, false), share = bench_share(r, row, true);
        buffer_print(b, "%zu,%s,%d,%zu,%zu,%zu,%zu,%zu,", row->model, isa_name(row->isa),
                     row->threads, row->n_seqs, row->depth, row->n_prompt, row->n_gen, r->n_rounds);
        buffer_print(b, "%.4f,%.4f,%.4f,%.2f,%.2f,%.4f,%.4f,%.4f,", p.median, p.low, p.high,
                     bench_gmacs(r, row), row->limit_gmacs, q.median, q.low, q.high);
        buffer_print(b, "%.4f,%.4f,%.4f,%.3f,%.3f,%.4f,%.4f,%.4f,", d.median, d.low, d.high,
                     bench_gbs(r, row), row->limit_gbs, share.median, share.low, share.high);
        buffer_print(b, "%.0f,%d,%s,%s\n", row->resident, bench_was_throttled(r, row),
                     row->token_hash, row->logit_hash);
    }
    if (r->kernels)
        bench_csv_kernels(b, r->kernels);
}
