#include "tools/cmd/bench_report.h"
#include "bench/limits/bandwidth.h"
#include "tools/common/output.h"

#include <stdio.h>
#include <string.h>

/* Median and half the range of n samples. */
struct summary {
    double median, spread;
};

static struct summary summarize(const double *samples, size_t n) {
    double x[50];
    memcpy(x, samples, n * sizeof *x);
    const double median = bench_median(x, n); /* sorts x */
    return (struct summary){median, 0.5 * (x[n - 1] - x[0])};
}

/* What every format shows of a row. */
struct shown {
    struct summary prefill, decode;
    double gbs, share, gmacs, prefill_share;
};

static struct shown show(const struct bench_report *r, const struct bench_row *row) {
    struct shown s = {
        .prefill = summarize(row->prefill, r->repeats),
        .decode = summarize(row->decode, r->repeats),
        .gbs = summarize(row->decode_gbs, r->repeats).median,
    };
    s.share = row->limit_gbs > 0 ? s.gbs / row->limit_gbs : 0;
    s.gmacs = s.prefill.median * r->prefill_macs / 1e9;
    s.prefill_share = row->limit_gmacs > 0 ? s.gmacs / row->limit_gmacs : 0;
    return s;
}

void bench_print_md(const struct bench_report *r) {
    print("%s: %s; loaded in %.2f s; medians of %zu, +- half the range; depth %lld\n\n", r->model,
          r->memory, r->load_seconds, r->repeats, (long long)r->depth);
    print("| isa | threads | prompt | prefill tokens/s | GMAC/s | limit | share | "
          "decode tokens/s (%lld) | GB/s | limit | share | resident MB |\n"
          "|---|---|---|---|---|---|---|---|---|---|---|---|\n",
          (long long)r->n_gen);
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct bench_row *row = &r->rows[i];
        const struct shown s = show(r, row);
        print("| %s | %d | %lld | %.2f +- %.2f | %.1f | ", isa_name(row->isa), row->threads,
              (long long)row->n_prompt, s.prefill.median, s.prefill.spread, s.gmacs);
        if (row->limit_gmacs > 0)
            print("%.0f | %.0f %% | ", row->limit_gmacs, 100 * s.prefill_share);
        else
            print("- | - | ");
        print("%.2f +- %.2f | %.1f | %.1f | %.0f %% | %.0f |\n", s.decode.median, s.decode.spread,
              s.gbs, row->limit_gbs, 100 * s.share, row->resident / 1e6);
    }
    print("\nLimits, measured in turn with the rows: prefill's instructions on registers, the "
          "weights' memory read by a plain loop.\n");
}

void bench_print_csv(const struct bench_report *r) {
    print("isa,threads,prompt,depth,prefill_tps,prefill_spread,prefill_gmacs,gen,decode_tps,"
          "decode_spread,decode_gbs,limit_gbs,share,resident_bytes,load_seconds,limit_gmacs,"
          "prefill_share\n");
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct bench_row *row = &r->rows[i];
        const struct shown s = show(r, row);
        print("%s,%d,%lld,%lld,%.4f,%.4f,%.2f,%lld,%.4f,%.4f,%.3f,%.3f,%.4f,%.0f,%.4f,%.2f,%.4f\n",
              isa_name(row->isa), row->threads, (long long)row->n_prompt, (long long)r->depth,
              s.prefill.median, s.prefill.spread, s.gmacs, (long long)r->n_gen, s.decode.median,
              s.decode.spread, s.gbs, row->limit_gbs, s.share, row->resident, r->load_seconds,
              row->limit_gmacs, s.prefill_share);
    }
}

void bench_print_json(const struct bench_report *r) {
    print("{\"load_seconds\": %.4f, \"depth\": %lld, \"gen\": %lld, \"repeats\": %zu, \"rows\": [",
          r->load_seconds, (long long)r->depth, (long long)r->n_gen, r->repeats);
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct bench_row *row = &r->rows[i];
        const struct shown s = show(r, row);
        print("%s\n  {\"isa\": \"%s\", \"threads\": %d, \"prompt\": %lld, \"prefill_tps\": %.4f, "
              "\"prefill_spread\": %.4f, \"prefill_gmacs\": %.2f, \"decode_tps\": %.4f, "
              "\"decode_spread\": %.4f, \"decode_gbs\": %.3f, \"limit_gbs\": %.3f, "
              "\"share\": %.4f, \"limit_gmacs\": %.2f, \"prefill_share\": %.4f, "
              "\"resident_bytes\": %.0f}",
              i ? "," : "", isa_name(row->isa), row->threads, (long long)row->n_prompt,
              s.prefill.median, s.prefill.spread, s.gmacs, s.decode.median, s.decode.spread, s.gbs,
              row->limit_gbs, s.share, row->limit_gmacs, s.prefill_share, row->resident);
    }
    print("\n]}\n");
}
