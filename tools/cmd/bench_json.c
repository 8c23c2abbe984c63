/* bise bench's JSON: docs/bench-format.md. */
#include "src/os/file.h"
#include "tools/cmd/bench.h"

#include <stddef.h>
#include <string.h>

static double over(double x, double limit) {
    return limit > 0 ? x / limit : 0;
}

static void put_string(struct buffer *b, const char *name, const char *text) {
    buffer_print(b, "\"%s\": ", name);
    buffer_json(b, text, strlen(text));
}

/* Text or null, and a comma. */
static void put_given(struct buffer *b, const char *name, const char *text) {
    if (text)
        put_string(b, name, text);
    else
        buffer_print(b, "\"%s\": null", name);
    buffer_text(b, ", ");
}

/* What was measured when the file was made. */
static void put_evaluation(struct buffer *b, const struct bench_model *m) {
    const struct bench_evaluation *const e = &m->evaluation;
    buffer_text(b, "\"evaluation\": ");
    if (!e->is_known) {
        buffer_text(b, "null");
        return;
    }
    buffer_text(b, "{");
    put_string(b, "text", e->text);
    buffer_print(b,
                 ", \"perplexity_before\": [%.6g, %.6g], \"perplexity\": [%.6g, %.6g], "
                 "\"kl\": [%.6g, %.6g], \"same_top_percent\": %.6g}",
                 e->before[0], e->before[1], e->after[0], e->after[1], e->kl[0], e->kl[1],
                 e->same_top);
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
                     "\"n_experts\": %u, \"n_experts_used\": %u},\n     ",
                     info->dim, info->ffn_dim, info->n_layers, info->n_heads, info->n_kv_heads,
                     info->head_dim, info->vocab_size, info->window, info->n_experts,
                     info->n_experts_used);
        put_evaluation(b, m);
        buffer_text(b, "}");
    }
    buffer_text(b, "\n  ],\n");
}

/* One figure of all visits. zero_is_null: 0 is unknown, and so is all where all are. */
static void put_visits(struct buffer *b, const char *name, const struct bench_run *r,
                       const struct bench_row *row, size_t offset, int digits, bool zero_is_null) {
    double x[BENCH_MAX_ROUNDS];
    bool known = !zero_is_null;
    for (size_t i = 0; i < r->n_rounds; i++) {
        memcpy(&x[i], (const char *)&row->visits[i] + offset, sizeof x[i]);
        known = known || x[i] != 0;
    }
    buffer_print(b, known ? "\"%s\": [" : "\"%s\": null", name);
    for (size_t i = 0; i < r->n_rounds && known; i++)
        if (x[i] == 0 && zero_is_null)
            buffer_text(b, i ? ", null" : "null");
        else
            buffer_print(b, i ? ", %.*g" : "%.*g", digits, x[i]);
    buffer_text(b, known ? "]" : "");
}

/* null where nothing was asked for. */
static void put_speed(struct buffer *b, const char *name, const struct bench_run *r,
                      const struct bench_row *row, bool decode) {
    const struct bench_stat s = decode ? bench_decode(r, row) : bench_prefill(r, row);
    const double rate = decode ? bench_gbs(r, row) : bench_gmacs(r, row);
    const struct bench_stat share = bench_share(r, row, decode);
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
    if (limit > 0) {
        buffer_print(b, "\"limit_%s\": %.6g, \"share\": %.4f, ", unit, limit, share.median);
        if (share.has_interval)
            buffer_print(b, "\"share_interval\": [%.4f, %.4f],\n      ", share.low, share.high);
        else
            buffer_text(b, "\"share_interval\": null,\n      ");
        put_visits(b, "limits", r, row,
                   decode ? offsetof(struct bench_visit, gbs) : offsetof(struct bench_visit, gmacs),
                   4, false);
    } else {
        buffer_print(b,
                     "\"limit_%s\": null, \"share\": null, \"share_interval\": null,\n"
                     "      \"limits\": null",
                     unit);
    }
    buffer_text(b, ",\n      ");
    put_visits(b, "samples", r, row,
               decode ? offsetof(struct bench_visit, decode)
                      : offsetof(struct bench_visit, prefill),
               5, false);
    buffer_text(b, "},\n");
}

static void put_row(struct buffer *b, const struct bench_run *r, const struct bench_row *row) {
    buffer_print(b,
                 "    {\"model\": %zu, \"isa\": \"%s\", \"threads\": %d, \"sequences\": %zu, "
                 "\"depth\": %zu, \"prompt\": %zu, \"gen\": %zu, \"shortened\": %s,\n",
                 row->model, isa_name(row->isa), row->threads, row->n_seqs, row->depth,
                 row->n_prompt, row->n_gen, row->shortened ? "true" : "false");
    put_speed(b, "prefill", r, row, false);
    put_speed(b, "decode", r, row, true);
    buffer_text(b, "     ");
    put_visits(b, "clock_mhz", r, row, offsetof(struct bench_visit, mhz), 4, true);
    buffer_text(b, ",\n     ");
    put_visits(b, "celsius", r, row, offsetof(struct bench_visit, celsius), 4, true);
    buffer_text(b, ",\n     ");
    put_visits(b, "load", r, row, offsetof(struct bench_visit, load), 4, false);
    buffer_text(b, ",\n     \"throttled\": [");
    for (size_t i = 0; i < r->n_rounds; i++)
        buffer_print(b, "%s%s", i ? ", " : "", row->visits[i].throttled ? "true" : "false");
    buffer_print(b,
                 "],\n     \"kv\": \"%s\", \"cache_bytes\": %llu, "
                 "\"scratch_bytes\": %llu, \"resident_bytes\": %.0f,\n"
                 "     \"tokens\": \"%s\", \"logits\": \"%s\", \"repeatable\": %s}",
                 row->kv, (unsigned long long)row->cache, (unsigned long long)row->scratch,
                 row->resident, row->token_hash, row->logit_hash, row->differs ? "false" : "true");
}

void bench_print_json(struct buffer *b, const struct bench_run *r) {
    buffer_text(b, "{\n  \"format\": \"bise-bench\",\n  \"version\": 3,\n");
    bench_print_facts(b);
    put_models(b, r);
    buffer_text(b, "  \"settings\": {");
    put_given(b, "suite", r->suite);
    put_given(b, "mem", r->memory);
    put_given(b, "slot", r->slot);
    buffer_print(b,
                 "\"kv\": \"%s\", \"chunk\": %lld, \"repeats\": %lld, \"max_seconds\": %.6g, "
                 "\"baseline\": \"%s\", \"kernels\": %s},\n",
                 bise_kv_name(r->kv), (long long)r->chunk, (long long)r->repeats, r->max_seconds,
                 isa_name(r->baseline == ISA_COUNT ? r->rows[0].isa : r->baseline),
                 r->kernels ? "true" : "false");
    buffer_print(b, "  \"rounds\": %zu,\n  \"seconds\": %.3f,\n  \"rows\": [\n", r->n_rounds,
                 r->seconds);
    for (size_t i = 0; i < r->n_rows; i++) {
        buffer_text(b, i ? ",\n" : "");
        put_row(b, r, &r->rows[i]);
    }
    buffer_text(b, "\n  ],\n");
    bench_json_kernels(b, r->kernels);
    buffer_text(b, "}\n");
}
