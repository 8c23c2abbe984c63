/* What bise bench makes of its samples: medians and their intervals, and shares of what the machine
 * could do, which is measured right before and behind every visit. */
#include "bench/limits/bandwidth.h"
#include "src/model/model.h"
#include "tools/cmd/bench.h"

#include <string.h>

#define LIMIT_S    1e-2 /* a limit is measured for that long at least, */
#define LIMIT_PART 0.1  /* or for this part of what it is the limit of */
#define MIN_SAMPLE 6    /* fewer have no interval of 95 % */
#define MAX_PARTS  9

/* ---- samples --------------------------------------------------------------------------------- */

/* How many of n sorted samples may be left out at either end so that the true median is between
 * the rest with a probability of 95 %; n / 2: there is no such number. */
static size_t outside(size_t n) {
    double probability = 1, below = 0;
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        probability *= 0.5;
    for (; k < n / 2; k++) {
        below += probability; /* that exactly k are below the true median */
        if (below > 0.025)
            break;
        probability *= (double)(n - k) / (double)(k + 1);
    }
    return k;
}

struct bench_stat bench_stat(const double *samples, size_t n) {
    const size_t n_parts = n < MAX_PARTS ? n : MAX_PARTS;
    double x[BENCH_MAX_ROUNDS], parts[MAX_PARTS];
    struct bench_stat s = {0};
    if (n == 0)
        return s;
    memcpy(x, samples, n * sizeof *x);
    for (size_t i = 0; i < n_parts; i++) {
        const size_t from = n * i / n_parts, to = n * (i + 1) / n_parts;
        parts[i] = bench_median(x + from, to - from);
    }
    s.median = s.low = s.high = bench_median(x, n);
    if (n >= MIN_SAMPLE) {
        const size_t k = outside(n_parts);
        (void)bench_median(parts, n_parts); /* sorts them */
        s.low = parts[k - 1] < s.median ? parts[k - 1] : s.median;
        s.high = parts[n_parts - k] > s.median ? parts[n_parts - k] : s.median;
        s.has_interval = true;
    }
    return s;
}

/* ---- speeds of a row ------------------------------------------------------------------------- */

static struct bench_stat speed(const struct bench_run *r, const struct bench_row *row,
                               bool decode) {
    double x[BENCH_MAX_ROUNDS];
    for (size_t i = 0; i < r->n_rounds; i++)
        x[i] = decode ? row->visits[i].decode : row->visits[i].prefill;
    return bench_stat(x, r->n_rounds);
}

struct bench_stat bench_prefill(const struct bench_run *r, const struct bench_row *row) {
    return speed(r, row, false);
}

struct bench_stat bench_decode(const struct bench_run *r, const struct bench_row *row) {
    return speed(r, row, true);
}

/* GB/s or GMAC/s that so many tokens per second come to. */
static double work(const struct bench_run *r, const struct bench_row *row, double rate,
                   bool decode) {
    return 1e-9 * rate *
           (decode ? row->step_bytes / (double)row->n_seqs : r->models[row->model].macs);
}

double bench_gbs(const struct bench_run *r, const struct bench_row *row) {
    return work(r, row, bench_decode(r, row).median, true);
}

double bench_gmacs(const struct bench_run *r, const struct bench_row *row) {
    return work(r, row, bench_prefill(r, row).median, false);
}

struct bench_stat bench_share(const struct bench_run *r, const struct bench_row *row, bool decode) {
    double x[BENCH_MAX_ROUNDS];
    bool known = true;
    for (size_t i = 0; i < r->n_rounds && known; i++) {
        const struct bench_visit *const v = &row->visits[i];
        const double limit = decode ? v->gbs : v->gmacs;
        const double done = work(r, row, decode ? v->decode : v->prefill, decode);
        known = limit > 0 && done > 0;
        x[i] = done < limit ? done / limit : 1;
    }
    return known ? bench_stat(x, r->n_rounds) : (struct bench_stat){0};
}

bool bench_is_settled(const struct bench_stat *s) {
    return s->median == 0 ||
           (s->has_interval && 0.5 * (s->high - s->low) <= BENCH_SETTLED * s->median);
}

bool bench_was_throttled(const struct bench_run *r, const struct bench_row *row) {
    bool throttled = false;
    for (size_t i = 0; i < r->n_rounds; i++)
        throttled = throttled || row->visits[i].throttled;
    return throttled;
}

const struct bench_row *bench_base(const struct bench_run *r, const struct bench_row *row) {
    const enum isa isa = r->baseline == ISA_COUNT ? r->rows[0].isa : r->baseline;
    const struct bench_row *first = NULL;
    for (size_t i = 0; i < r->n_rows; i++) {
        if (r->rows[i].asked != row->asked)
            continue;
        if (r->rows[i].isa == isa)
            return &r->rows[i];
        first = first ? first : &r->rows[i];
    }
    return first;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static double long_enough(double seconds) {
    return seconds * LIMIT_PART > LIMIT_S ? seconds * LIMIT_PART : LIMIT_S;
}

double bench_limit_gbs(struct pool *pool, const struct bise_model *m, struct bench_row *row,
                       double seconds) {
    const size_t len = row->step_bytes < (double)m->map_len ? (size_t)row->step_bytes : m->map_len;
    double bytes = 0, took = 0;
    (void)bandwidth_read(pool, m->map, len);
    for (double once; took < long_enough(seconds); took += once) {
        once = bandwidth_read(pool, m->map, len);
        bytes += (double)len;
        if (1e-9 * (double)len / once > row->best_gbs)
            row->best_gbs = 1e-9 * (double)len / once;
    }
    return 1e-9 * bytes / took;
}

double bench_limit_gmacs(struct pool *pool, enum peak_op op, struct bench_row *row,
                         double seconds) {
    if (row->isa == ISA_SCALAR)
        return 0;
    if (row->n_sums == 0)
        row->best_gmacs = peak_gmacs(pool, row->isa, op, &row->n_sums);
    return peak_average(pool, row->isa, op, row->n_sums, long_enough(seconds), &row->best_gmacs);
}

void bench_settle_limits(struct bench_run *r) {
    for (size_t i = 0; i < r->n_rows; i++)
        for (size_t v = 0; v < r->n_rounds; v++) {
            struct bench_row *const row = &r->rows[i];
            const double gbs = work(r, row, row->visits[v].decode, true);
            const double gmacs = work(r, row, row->visits[v].prefill, false);
            if (gbs > row->best_gbs)
                row->best_gbs = gbs;
            if (row->isa != ISA_SCALAR && gmacs > row->best_gmacs)
                row->best_gmacs = gmacs;
        }
    for (size_t i = 0; i < r->n_rows; i++)
        for (size_t j = 0; j < r->n_rows; j++) {
            struct bench_row *const a = &r->rows[i];
            const struct bench_row *const b = &r->rows[j];
            if (a->threads != b->threads)
                continue;
            if (a->model == b->model && a->step_bytes == b->step_bytes &&
                b->best_gbs > a->limit_gbs)
                a->limit_gbs = b->best_gbs;
            if (a->isa == b->isa && r->models[a->model].op == r->models[b->model].op &&
                b->best_gmacs > a->limit_gmacs)
                a->limit_gmacs = b->best_gmacs;
        }
}
