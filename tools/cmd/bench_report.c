/* What bise bench has measured, in its forms. */
#include "src/base/shown.h"
#include "src/os/file.h"
#include "tools/cmd/bench.h"

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

static const char *const prefill_head[] = {"isa",  "threads", "after", "prompt", "tokens/s",
                                           "+- %", "GMAC/s",  "share", "x",      ""};
static const char *const decode_head[] = {"isa",  "threads", "after", "at once", "tokens/s",
                                          "+- %", "GB/s",    "share", "x",       ""};
#define N_COLUMNS (sizeof prefill_head / sizeof *prefill_head)

struct table {
    char cells[BENCH_MAX_ROWS + 1][N_COLUMNS][24];
    size_t n_rows;
};

static void put_cells(const struct bench_run *r, const struct bench_row *row, bool decode,
                      char cells[N_COLUMNS][24]) {
    const struct bench_row *const base = bench_base(r, row);
    const struct bench_stat s = decode ? bench_decode(r, row) : bench_prefill(r, row);
    const double base_rate =
        base ? (decode ? bench_decode(r, base) : bench_prefill(r, base)).median : 0;
    const double rate = decode ? bench_gbs(r, row) : bench_gmacs(r, row);
    const double limit = decode ? row->limit_gbs : row->limit_gmacs;
    snprintf(cells[0], 24, "%s", isa_name(row->isa));
    snprintf(cells[1], 24, "%d", row->threads);
    snprintf(cells[2], 24, "%zu", row->depth + (decode ? row->n_prompt : 0));
    snprintf(cells[3], 24, "%zu", decode ? row->n_seqs : row->n_prompt);
    snprintf(cells[4], 24, "%.2f", s.median);
    snprintf(cells[5], 24, "%s", "-");
    if (s.has_interval)
        snprintf(cells[5], 24, "%.1f", half_width(&s));
    snprintf(cells[6], 24, "%.1f", rate);
    snprintf(cells[7], 24, "%s", "-");
    if (limit > 0)
        snprintf(cells[7], 24, "%.0f %%", 100 * over(rate, limit));
    snprintf(cells[8], 24, "%s", "-");
    if (base_rate > 0)
        snprintf(cells[8], 24, "%.3g", s.median / base_rate);
    snprintf(cells[9], 24, "%s%s%s%s", s.has_interval && !bench_is_settled(&s) ? "~" : "",
             bench_was_throttled(r, row) ? "t" : "", row->shortened ? "s" : "",
             row->differs ? "!" : "");
}

static void put_table(struct buffer *b, const struct table *t, bool md) {
    size_t width[N_COLUMNS] = {0};
    for (size_t i = 0; i < t->n_rows; i++)
        for (size_t c = 0; c < N_COLUMNS; c++)
            if (strlen(t->cells[i][c]) > width[c])
                width[c] = strlen(t->cells[i][c]);
    for (size_t i = 0; i < t->n_rows; i++) {
        for (size_t c = 0; c < N_COLUMNS; c++)
            buffer_print(b, c == 0 || c + 1 == N_COLUMNS ? "%s%-*s" : "%s%*s",
                         md ? (c ? " | " : "| ") : (c ? "  " : ""),
                         (c + 1 < N_COLUMNS || md) ? (int)width[c] : 0, t->cells[i][c]);
        buffer_text(b, md ? " |\n" : "\n");
        for (size_t c = 0; c < N_COLUMNS && i == 0 && md; c++) {
            buffer_text(b, "|-");
            for (size_t k = 0; k < width[c]; k++)
                buffer_text(b, "-");
            buffer_text(b, c == 0 || c + 1 == N_COLUMNS ? "-" : ":");
        }
        if (i == 0 && md)
            buffer_text(b, "|\n");
    }
}

static void put_tables(struct buffer *b, const struct bench_run *r, size_t model, bool md) {
    static struct table t;
    for (int decode = 0; decode < 2; decode++) {
        t.n_rows = 1;
        for (size_t c = 0; c < N_COLUMNS; c++)
            snprintf(t.cells[0][c], 24, "%s", (decode ? decode_head : prefill_head)[c]);
        for (size_t i = 0; i < r->n_rows; i++) {
            const struct bench_row *const row = &r->rows[i];
            bool again = false; /* the same prompt is read for each number of sequences */
            for (size_t j = 0; j < i && !decode; j++)
                again = again ||
                        (r->rows[j].model == row->model && r->rows[j].isa == row->isa &&
                         r->rows[j].threads == row->threads && r->rows[j].depth == row->depth &&
                         r->rows[j].n_prompt == row->n_prompt);
            if (row->model == model && !again && (decode ? row->n_gen : row->n_prompt))
                put_cells(r, row, decode, t.cells[t.n_rows++]);
        }
        if (t.n_rows == 1)
            continue;
        buffer_print(b, "\n%s\n%s",
                     decode ? "Decode (share: of the limit of reading as many bytes)"
                            : "Prefill (share: of the limit of the instructions on registers)",
                     md ? "\n" : "");
        put_table(b, &t, md);
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
    buffer_print(b, "\nMedians of %zu rounds in %.0f s, all rows in turn%s.\n", r->n_rounds,
                 r->seconds, r->n_rounds < 6 ? "; fewer than 6 have no interval" : "");
    if (noisy)
        buffer_text(b, "~ noisy: the interval of 95 % is wider than +- 2 %.\n");
    if (throttled)
        buffer_text(b, "t throttled: heat has slowed the CPUs down.\n");
    if (shortened)
        buffer_text(b, "s shortened: scalar is slow; fewer tokens than the other rows.\n");
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
}

void bench_print_csv(struct buffer *b, const struct bench_run *r) {
    buffer_text(b, "model,isa,threads,sequences,depth,prompt,gen,rounds,prefill_tps,prefill_low,"
                   "prefill_high,prefill_gmacs,limit_gmacs,prefill_share,decode_tps,decode_low,"
                   "decode_high,decode_gbs,limit_gbs,share,resident_bytes,throttled,tokens,"
                   "logits\n");
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct bench_row *const row = &r->rows[i];
        const struct bench_stat p = bench_prefill(r, row), d = bench_decode(r, row);
        const double gmacs = bench_gmacs(r, row), gbs = bench_gbs(r, row);
        buffer_print(b, "%zu,%s,%d,%zu,%zu,%zu,%zu,%zu,", row->model, isa_name(row->isa),
                     row->threads, row->n_seqs, row->depth, row->n_prompt, row->n_gen, r->n_rounds);
        buffer_print(b, "%.4f,%.4f,%.4f,%.2f,%.2f,%.4f,", p.median, p.low, p.high, gmacs,
                     row->limit_gmacs, over(gmacs, row->limit_gmacs));
        buffer_print(b, "%.4f,%.4f,%.4f,%.3f,%.3f,%.4f,", d.median, d.low, d.high, gbs,
                     row->limit_gbs, over(gbs, row->limit_gbs));
        buffer_print(b, "%.0f,%d,%s,%s\n", row->resident, bench_was_throttled(r, row),
                     row->token_hash, row->logit_hash);
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_string(struct buffer *b, const char *name, const char *text) {
    buffer_print(b, "\"%s\": ", name);
    buffer_json(b, text, strlen(text));
}

static void put_models(struct buffer *b, const struct bench_run *r) {
    buffer_text(b, "  \"models\": [");
    for (size_t i = 0; i < r->n_models; i++) {
        const struct bench_model *const m = &r->models[i];
        const struct bise_model_info *const info = bise_model_info(m->model);
        buffer_text(b, i ? ",\n    {" : "\n    {");
        put_string(b, "name", file_base(m->path));
        buffer_text(b, ", ");
        put_string(b, "held", info->memory);
        buffer_print(
            b,
            ", \"hash\": \"%s\", \"load_seconds\": %.4f,\n     \"type\": \"%s\", "
            "\"file_bytes\": %llu, \"weight_bytes\": %llu, \"parameters\": %llu, "
            "\"bits_per_weight\": %.4f,\n     \"decode_bytes\": %.0f, "
            "\"prefill_macs\": %.0f,\n     ",
            m->hash, m->load_seconds, info->weight_type, (unsigned long long)info->file_bytes,
            (unsigned long long)info->weight_bytes, (unsigned long long)info->n_params,
            8 * over((double)info->weight_bytes, (double)info->n_params), m->weight_bytes, m->macs);
        buffer_print(b,
                     "\"shape\": {\"dim\": %u, \"ffn_dim\": %u, \"n_layers\": %u, \"n_heads\": %u, "
                     "\"n_kv_heads\": %u, \"head_dim\": %u, \"vocab_size\": %u, \"window\": %u, "
                     "\"n_experts\": %u, \"n_experts_used\": %u}}",
                     info->dim, info->ffn_dim, info->n_layers, info->n_heads, info->n_kv_heads,
                     info->head_dim, info->vocab_size, info->window, info->n_experts,
                     info->n_experts_used);
    }
    buffer_text(b, "\n  ],\n");
}

/* null where nothing was asked for. */
static void put_speed(struct buffer *b, const char *name, const struct bench_run *r,
                      const struct bench_row *row, bool decode) {
    const struct bench_stat s = decode ? bench_decode(r, row) : bench_prefill(r, row);
    const double rate = decode ? bench_gbs(r, row) : bench_gmacs(r, row);
    const double limit = decode ? row->limit_gbs : row->limit_gmacs;
    const char *const unit = decode ? "gbs" : "gmacs";
    buffer_print(b, "     \"%s\": ", name);
    if (s.median == 0) {
        buffer_text(b, "null,\n");
        return;
    }
    buffer_print(b, "{\"tokens_per_second\": %.6g, \"interval\": ", s.median);
    if (s.has_interval)
        buffer_print(b, "[%.6g, %.6g]", s.low, s.high);
    else
        buffer_text(b, "null");
    buffer_print(b, ", \"noisy\": %s, \"%s\": %.6g, ",
                 s.has_interval && !bench_is_settled(&s) ? "true" : "false", unit, rate);
    if (limit > 0)
        buffer_print(b, "\"limit_%s\": %.6g, \"share\": %.4f,\n      ", unit, limit,
                     over(rate, limit));
    else
        buffer_print(b, "\"limit_%s\": null, \"share\": null,\n      ", unit);
    buffer_text(b, "\"samples\": [");
    for (size_t i = 0; i < r->n_rounds; i++)
        buffer_print(b, "%s%.6g", i ? ", " : "",
                     decode ? row->visits[i].decode : row->visits[i].prefill);
    buffer_text(b, "]},\n");
}

/* One figure of all visits; 0 is null where that means unknown. */
static void put_visits(struct buffer *b, const char *name, const struct bench_run *r,
                       const struct bench_row *row, size_t offset, bool zero_is_null) {
    buffer_print(b, "     \"%s\": [", name);
    for (size_t i = 0; i < r->n_rounds; i++) {
        double x;
        memcpy(&x, (const char *)&row->visits[i] + offset, sizeof x);
        buffer_text(b, i ? ", " : "");
        if (x == 0 && zero_is_null)
            buffer_text(b, "null");
        else
            buffer_print(b, "%.6g", x);
    }
    buffer_text(b, "],\n");
}

static void put_row(struct buffer *b, const struct bench_run *r, const struct bench_row *row) {
    buffer_print(b,
                 "    {\"model\": %zu, \"isa\": \"%s\", \"threads\": %d, \"sequences\": %zu, "
                 "\"depth\": %zu, \"prompt\": %zu, \"gen\": %zu, \"shortened\": %s,\n",
                 row->model, isa_name(row->isa), row->threads, row->n_seqs, row->depth,
                 row->n_prompt, row->n_gen, row->shortened ? "true" : "false");
    put_speed(b, "prefill", r, row, false);
    put_speed(b, "decode", r, row, true);
    put_visits(b, "clock_mhz", r, row, offsetof(struct bench_visit, mhz), true);
    put_visits(b, "celsius", r, row, offsetof(struct bench_visit, celsius), true);
    put_visits(b, "load", r, row, offsetof(struct bench_visit, load), false);
    buffer_print(b,
                 "     \"throttled\": %s, \"kv\": \"%s\", \"cache_bytes\": %llu, "
                 "\"scratch_bytes\": %llu, \"resident_bytes\": %.0f,\n"
                 "     \"tokens\": \"%s\", \"logits\": \"%s\", \"repeatable\": %s}",
                 bench_was_throttled(r, row) ? "true" : "false", row->kv,
                 (unsigned long long)row->cache, (unsigned long long)row->scratch, row->resident,
                 row->token_hash, row->logit_hash, row->differs ? "false" : "true");
}

void bench_print_json(struct buffer *b, const struct bench_run *r) {
    buffer_text(b, "{\n  \"format\": \"bise-bench\",\n  \"version\": 1,\n");
    bench_print_facts(b);
    put_models(b, r);
    buffer_print(b, "  \"settings\": {\"suite\": ");
    if (r->suite)
        buffer_json(b, r->suite, strlen(r->suite));
    else
        buffer_text(b, "null");
    buffer_print(b,
                 ", \"kv\": \"%s\", \"chunk\": %lld, \"repeats\": %lld, \"max_seconds\": %.6g, "
                 "\"baseline\": \"%s\"},\n",
                 bise_kv_name(r->kv), (long long)r->chunk, (long long)r->repeats, r->max_seconds,
                 isa_name(r->baseline == ISA_COUNT ? r->rows[0].isa : r->baseline));
    buffer_print(b, "  \"rounds\": %zu,\n  \"seconds\": %.3f,\n  \"rows\": [\n", r->n_rounds,
                 r->seconds);
    for (size_t i = 0; i < r->n_rows; i++) {
        buffer_text(b, i ? ",\n" : "");
        put_row(b, r, &r->rows[i]);
    }
    buffer_text(b, "\n  ]\n}\n");
}
