/*
 * bise study window: one text, read as one sequence by windows of different widths.
 *
 * - perplexity, the cache's memory, tokens per second of reading (logits of every token among it)
 *   and of writing behind the text
 * - loss by position: what a longer past is worth
 * - recall by distance: a rare pair of neighbouring tokens that occurs again is foreseen better
 *   than the first time. By how much, beside how many tokens ago it was: within the window, within
 *   what layers x window may carry on, or beyond. Each pair is compared with itself.
 */
#include "tools/cmd/study.h"

#include "kernels/dmath.h"
#include "quant/measure/statistics.h"
#include "src/os/clock.h"
#include "tools/common/buffer.h"
#include "tools/common/interrupt.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TOKENS 2048
#define CALL           128 /* tokens read at once */
#define WRITTEN        32  /* tokens */
#define FIRST_BUCKET   16  /* positions, distances; then doubled */
#define MAX_BUCKETS    24
#define MAX_WINDOWS    24
#define RARE           4 /* occurrences of a pair at most */

struct width {
    uint32_t window; /* 0: none */
    struct tally nll, by_position[MAX_BUCKETS], recall[MAX_BUCKETS];
    uint64_t cache_bytes, total_bytes;
    double read_rate, write_rate; /* tokens per second */
    float *losses;                /* [n]: of id i, foreseen at i - 1; 0 unused */
};

struct window_study {
    const struct study *s;
    const int32_t *ids; /* [n] */
    size_t n, vocab, n_widths, n_buckets;
    struct width widths[MAX_WINDOWS];
    uint32_t *before, *first; /* [n] where the rare pair that ends at i occurred last, and first;
                                 0: it did not, or is not rare */
    float *logits;            /* [CALL][vocab] */
    struct progress progress;
};

/* 0: below FIRST_BUCKET; bucket b ends below FIRST_BUCKET * 2^b. */
static size_t bucket_of(size_t x) {
    size_t b = 0;
    while (x >= (size_t)FIRST_BUCKET << b)
        b++;
    return b;
}

static size_t bucket_from(size_t b) {
    return b ? (size_t)FIRST_BUCKET << (b - 1) : 1;
}

/* ---- pairs ---------------------------------------------------------------------------------- */

struct pair {
    int32_t a, b;
    uint32_t at; /* of b */
};

static int by_pair_and_place(const void *x, const void *y) {
    const struct pair *const p = x, *const q = y;
    if (p->a != q->a)
        return p->a < q->a ? -1 : 1;
    if (p->b != q->b)
        return p->b < q->b ? -1 : 1;
    return (p->at > q->at) - (p->at < q->at);
}

static bool find_pairs(struct window_study *w) {
    struct pair *const pairs = malloc(w->n * sizeof *pairs);
    w->before = calloc(w->n, sizeof *w->before);
    w->first = calloc(w->n, sizeof *w->first);
    if (!pairs || !w->before || !w->first) {
        free(pairs);
        return false;
    }
    for (size_t i = 1; i < w->n; i++)
        pairs[i - 1] = (struct pair){w->ids[i - 1], w->ids[i], (uint32_t)i};
    const size_t n = w->n - 1;
    qsort(pairs, n, sizeof *pairs, by_pair_and_place);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && pairs[to].a == pairs[from].a && pairs[to].b == pairs[from].b;)
            to++;
        for (size_t i = from + 1; i < to && to - from <= RARE; i++) {
            w->before[pairs[i].at] = pairs[i - 1].at;
            w->first[pairs[i].at] = pairs[from].at;
        }
    }
    free(pairs);
    return true;
}

/* ---- one window ----------------------------------------------------------------------------- */

static void count(const struct window_study *w, struct width *width) {
    for (size_t i = 1; i < w->n; i++) {
        const double loss = (double)width->losses[i];
        tally_add(&width->nll, loss);
        tally_add(&width->by_position[bucket_of(i)], loss);
        if (w->before[i])
            tally_add(&width->recall[bucket_of(i - w->before[i])],
                      (double)width->losses[w->first[i]] - loss);
    }
}

static enum bise_status read_text_by(struct window_study *w, struct width *width,
                                     struct bise_session *session, size_t done,
                                     struct bise_error *err) {
    double seconds = 0;
    for (size_t at = 0; at < w->n; at += CALL) {
        const size_t left = w->n - at, len = left < CALL ? left : CALL;
        const double begun = seconds_now();
        const enum bise_status s = bise_prefill_logits(session, w->ids + at, len, w->logits, err);
        seconds += seconds_now() - begun;
        for (size_t i = 0; i < len && !s && at + i + 1 < w->n; i++) {
            const struct softmax p = softmax_of(w->logits + i * w->vocab, w->vocab);
            width->losses[at + i + 1] = (float)softmax_nll(&p, w->ids[at + i + 1]);
        }
        if (s)
            return s;
        progress_show(&w->progress, done + at + len, w->n * w->n_widths);
    }
    width->read_rate = (double)w->n / seconds;
    return BISE_OK;
}

static enum bise_status measure(struct window_study *w, struct width *width, size_t done,
                                struct bise_error *err) {
    struct bise_engine_params params = w->s->params;
    struct bise_session *session = NULL;
    params.window = width->window;
    params.n_ctx = (uint32_t)(w->n + WRITTEN);
    params.chunk = CALL;
    params.spare = BISE_SPARE_NONE;
    enum bise_status s = bise_session_open(&session, w->s->e.model, &params, err);
    if (!s) {
        bise_session_stop_on(session, interrupt_word());
        width->cache_bytes = bise_session_plan(session)->cache;
        width->total_bytes = bise_session_plan(session)->total;
        s = read_text_by(w, width, session, done, err);
    }
    const double begun = seconds_now();
    for (size_t i = 0; i < WRITTEN && !s; i++) {
        const struct softmax p = softmax_of(bise_logits(session), w->vocab);
        s = bise_decode(session, (int32_t)p.top, err);
    }
    width->write_rate = WRITTEN / (seconds_now() - begun);
    bise_session_close(&session);
    if (!s)
        count(w, width);
    return s;
}

/* ---- which windows -------------------------------------------------------------------------- */

static void usual_windows(struct window_study *w) {
    const uint32_t own = w->s->e.info->window;
    uint32_t window = FIRST_BUCKET;
    for (; window < w->n && (own == 0 || window < own) && w->n_widths < MAX_WINDOWS - 2;
         window *= 2)
        w->widths[w->n_widths++].window = window;
    if (own && own < w->n)
        w->widths[w->n_widths++].window = own;
    w->widths[w->n_widths++].window = 0;
}

static bool parse_windows(struct window_study *w, const char *list) {
    for (const char *p = list;;) {
        char *end;
        errno = 0;
        const long long x = strtoll(p, &end, 10);
        if (end == p || errno || x < 0 || x > INT32_MAX || (*end && *end != ',') ||
            w->n_widths == MAX_WINDOWS) {
            complain("--windows: expected up to %d numbers with commas between them, found \"%s\"",
                     MAX_WINDOWS, list);
            return false;
        }
        w->widths[w->n_widths++].window = (uint32_t)x;
        if (!*end)
            return true;
        p = end + 1;
    }
}

/* ---- what is shown -------------------------------------------------------------------------- */

static void print_window(const struct width *width, int columns) {
    if (width->window)
        print("%*u", columns, width->window);
    else
        print("%*s", columns, "none");
}

static void print_heads(const struct window_study *w, const char *what) {
    print("\n%s\n%-15s", what, "");
    for (size_t i = 0; i < w->n_widths; i++)
        print_window(&w->widths[i], 8);
    print("\n");
}

/* What carries a distance of that much to a token. */
static const char *reach_mark(const struct window_study *w, const struct width *width, size_t far) {
    if (width->window == 0 || far < width->window)
        return " ";
    return far < (size_t)width->window * w->s->e.info->n_layers ? "*" : "~";
}

static void print_tables(const struct window_study *w) {
    print("%s: %u layers, %zu tokens\n\n", w->s->e.path, w->s->e.info->n_layers, w->n);
    print("%12s  %20s  %10s  %14s  %14s\n", "window", "perplexity", "cache", "reading", "writing");
    for (size_t i = 0; i < w->n_widths; i++) {
        const struct width *const width = &w->widths[i];
        const struct estimate nll = tally_mean(&width->nll);
        const double ppl = exp64(nll.value);
        print_window(width, 12);
        print("  %10.3f +- %6.3f  %6.1f MiB  %10.1f t/s  %10.1f t/s\n", ppl, ppl * nll.error,
              (double)width->cache_bytes / (1 << 20), width->read_rate, width->write_rate);
    }
    print_heads(w, "nats lost, by position; columns are windows");
    for (size_t b = 0; b < w->n_buckets; b++) {
        if (w->widths[0].by_position[b].n == 0)
            continue;
        print("%6zu ..%6zu ", bucket_from(b), ((size_t)FIRST_BUCKET << b) - 1);
        for (size_t i = 0; i < w->n_widths; i++)
            print("%8.4f", tally_mean(&w->widths[i].by_position[b]).value);
        print("\n");
    }
    print_heads(w, "nats gained by a rare pair's past (* past the window, ~ past layers x window)");
    for (size_t b = 0; b < w->n_buckets; b++) {
        if (w->widths[0].recall[b].n < 2)
            continue;
        print("%6zu ..%6zu ", bucket_from(b), ((size_t)FIRST_BUCKET << b) - 1);
        for (size_t i = 0; i < w->n_widths; i++)
            print("%7.3f%s", tally_mean(&w->widths[i].recall[b]).value,
                  reach_mark(w, &w->widths[i], bucket_from(b)));
        print("  +- %.3f, %llu pairs\n", tally_mean(&w->widths[0].recall[b]).error,
              (unsigned long long)w->widths[0].recall[b].n);
    }
}

/* Rows of a table by bucket: means and errors of every window. */
static void json_buckets(const struct window_study *w, struct buffer *b, bool recall) {
    bool any = false;
    for (size_t k = 0; k < w->n_buckets; k++) {
        const struct width *const all = w->widths;
        const uint64_t n = recall ? all[0].recall[k].n : all[0].by_position[k].n;
        if (n == 0)
            continue;
        buffer_print(b, "%s{\"from\":%zu,\"to\":%zu,\"n\":%llu,\"nats\":[", any ? "," : "",
                     bucket_from(k), ((size_t)FIRST_BUCKET << k) - 1, (unsigned long long)n);
        any = true;
        for (int errors = 0; errors < 2; errors++) {
            for (size_t i = 0; i < w->n_widths; i++) {
                const struct estimate e =
                    tally_mean(recall ? &all[i].recall[k] : &all[i].by_position[k]);
                buffer_print(b, "%s%.6g", i ? "," : "", errors ? e.error : e.value);
            }
            buffer_text(b, errors ? "]}" : "],\"error\":[");
        }
    }
}

static void print_json(const struct window_study *w) {
    struct buffer b = {0};
    study_begin_json(&b, "window", w->s->e.path);
    buffer_print(&b, ",\"layers\":%u,\"tokens\":%zu,\"windows\":[", w->s->e.info->n_layers, w->n);
    for (size_t i = 0; i < w->n_widths; i++) {
        const struct width *const width = &w->widths[i];
        const struct estimate nll = tally_mean(&width->nll);
        buffer_print(&b,
                     "%s{\"window\":%u,\"nll\":%.9g,\"nll_error\":%.9g,\"perplexity\":%.9g,"
                     "\"cache_bytes\":%llu,\"total_bytes\":%llu,\"read_tokens_per_second\":%.6g,"
                     "\"write_tokens_per_second\":%.6g}",
                     i ? "," : "", width->window, nll.value, nll.error, exp64(nll.value),
                     (unsigned long long)width->cache_bytes, (unsigned long long)width->total_bytes,
                     width->read_rate, width->write_rate);
    }
    buffer_text(&b, "],\"loss_by_position\":[");
    json_buckets(w, &b, false);
    buffer_text(&b, "],\"recall_by_distance\":[");
    json_buckets(w, &b, true);
    buffer_text(&b, "]");
    study_end_json(&b);
}

/* ---- the experiment ------------------------------------------------------------------------- */

int study_window(struct study *s) {
    struct window_study w = {.s = s, .ids = s->ids, .n = s->n, .vocab = s->e.info->vocab_size};
    const size_t most = s->tokens ? (size_t)s->tokens : DEFAULT_TOKENS;
    struct bise_error err = {0};
    enum bise_status status = BISE_OK;
    w.n = w.n < most ? w.n : most;
    if (w.n < 64)
        return refuse(EXIT_INPUT, "expected a text of at least 64 tokens, found %zu", w.n);
    if (!s->windows)
        usual_windows(&w);
    else if (!parse_windows(&w, s->windows))
        return EXIT_USAGE;
    w.n_buckets = bucket_of(w.n) + 1;
    w.logits = malloc(CALL * w.vocab * sizeof *w.logits);
    if (!w.logits || !find_pairs(&w))
        status = BISE_ERR_MEMORY;
    progress_begin(&w.progress, "reading");
    w.progress.no_rate = true;
    for (size_t i = 0; i < w.n_widths && !status; i++) {
        w.widths[i].losses = calloc(w.n, sizeof *w.widths[i].losses);
        status = w.widths[i].losses ? measure(&w, &w.widths[i], i * w.n, &err) : BISE_ERR_MEMORY;
    }
    progress_end(&w.progress);
    const int code = status ? report(status, &err) : EXIT_DONE;
    if (!code && s->json)
        print_json(&w);
    else if (!code)
        print_tables(&w);
    for (size_t i = 0; i < w.n_widths; i++)
        free(w.widths[i].losses);
    free(w.before);
    free(w.first);
    free(w.logits);
    return code;
}
