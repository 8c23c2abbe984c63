/*
 * bise perplexity: how well a model foresees a text.
 *
 * --text: the protocol usual for wikitext-2 (llama.cpp's). The text is tokenized as a whole and cut
 * into windows of -c tokens; what is left over is dropped. In each window, run from an empty cache,
 * the first token is replaced by BOS (the very first window begins with it) and the tokens of the
 * second half are predicted: c - 1 - c/2 of them, each seeing at least c/2 tokens.
 * --ids: one sequence as it is, nothing added; all tokens but the first are predicted.
 */
#include "engine.h"
#include "kernels/dmath.h"
#include "progress.h"
#include "read_text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_WINDOW 512
#define DEFAULT_CALL   256
#define OWN_OPTIONS    5

struct perplexity_options {
    struct engine_options engine;
    const char *text, *ids, *logits;
    int64_t start_pos;
    bool json;
};

/* Sums over predicted tokens, in nats. */
struct totals {
    double nll, nll2;
    uint64_t n;
};

struct work {
    struct engine e;
    int32_t *ids; /* [n] */
    size_t n;
    size_t window, first; /* tokens run from an empty cache; the first position that predicts */
    size_t call;          /* tokens of one call to the model */
    float *logits;        /* [call][vocab] */
    FILE *out;            /* of --logits, NULL if not asked for */
    struct totals totals;
};

static bool parse(struct perplexity_options *o, int argc, char **argv, int *code) {
    struct option_def defs[ENGINE_OPTIONS + OWN_OPTIONS] = {
        {"--text", OPT_STRING, &o->text, "FILE", "a text, in windows of -c tokens (default 512)", 0,
         0},
        {"--ids", OPT_STRING, &o->ids, "FILE", "token ids, as one sequence", 0, 0},
        {"--start-pos", OPT_INT, &o->start_pos, "N", "position of the first token (0)", 0, 1e14},
        {"--logits", OPT_STRING, &o->logits, "FILE", "write all logits as float32 [n][vocab]", 0,
         0},
        {"--json", OPT_FLAG, &o->json, NULL, "the result as JSON", 0, 0},
    };
    size_t n_positional;
    engine_option_defs(&o->engine, defs + OWN_OPTIONS);
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                       "bise perplexity -m FILE --text FILE | --ids FILE [options]\n\n"
                       "--chunk N is the length of each call to the model (256)",
                       NULL, 0, &n_positional, code))
        return false;
    if (o->text && o->engine.n_ctx > 0 && o->engine.n_ctx < 4) {
        fprintf(stderr, "bise: -c: windows of a text have at least 4 tokens\n");
        *code = EXIT_USAGE;
        return false;
    }
    if (!o->text == !o->ids) {
        fprintf(stderr, "bise: perplexity: expected either --text FILE or --ids FILE\n");
        *code = EXIT_USAGE;
        return false;
    }
    return true;
}

/* ---- tokens --------------------------------------------------------------------------------- */

/* Ids separated by white space or commas, of any number; vocab checked by the session. */
static int parse_ids(const char *path, const char *text, struct work *w) {
    w->ids = malloc((strlen(text) / 2 + 1) * sizeof *w->ids);
    if (!w->ids) {
        fprintf(stderr, "bise: %s: no memory for its ids\n", path);
        return EXIT_MEMORY;
    }
    for (;;) {
        text += strspn(text, " ,\t\r\n");
        if (!*text)
            return EXIT_DONE;
        char *end;
        errno = 0;
        const long long id = strtoll(text, &end, 10);
        if (end == text || errno || id < 0 || id > INT32_MAX || !strchr(" ,\t\r\n", *end)) {
            fprintf(stderr, "bise: %s: expected token ids, found \"%.20s\" after %zu of them\n",
                    path, text, w->n);
            return EXIT_INPUT;
        }
        w->ids[w->n++] = (int32_t)id;
        text = end;
    }
}

/* Opens model and session and reads the tokens; ids come first, since the context is their number.
 */
static int prepare(struct perplexity_options *o, struct work *w) {
    const char *const path = o->text ? o->text : o->ids;
    char *text = NULL;
    size_t len;
    int code = read_text(path, &text, &len);
    if (!code && o->ids)
        code = parse_ids(path, text, w);
    if (code)
        goto done;
    if (o->engine.n_ctx == 0)
        o->engine.n_ctx = o->ids ? (int64_t)w->n : DEFAULT_WINDOW;
    w->window = o->ids ? w->n : (size_t)o->engine.n_ctx;
    w->first = o->ids ? 0 : w->window / 2;
    w->call = o->engine.chunk > 0 ? (size_t)o->engine.chunk : DEFAULT_CALL;
    w->call = w->call < w->window ? w->call : w->window;
    o->engine.chunk = (int64_t)w->call;
    o->engine.start_pos = (uint64_t)o->start_pos;
    code = engine_open(&w->e, &o->engine);
    if (!code && o->text)
        code = engine_tokenize(&w->e, text, len, true, &w->ids, &w->n);
    const size_t least = o->text ? w->window : 2;
    if (!code && w->n < least) {
        fprintf(stderr, "bise: %s: expected at least %zu tokens, found %zu\n", path, least, w->n);
        code = EXIT_INPUT;
    }
done:
    free(text);
    return code;
}

/* ---- running -------------------------------------------------------------------------------- */

/* -log of the probability that softmax(logits) gives to id; in double. */
static double nll_of(const float *logits, size_t vocab, int32_t id) {
    double max = (double)logits[0], sum = 0;
    for (size_t i = 1; i < vocab; i++)
        max = (double)logits[i] > max ? (double)logits[i] : max;
    for (size_t i = 0; i < vocab; i++)
        sum += exp64((double)logits[i] - max);
    return max + log64(sum) - (double)logits[id];
}

static double standard_error(const struct totals *t) {
    const double n = (double)t->n, mean = t->nll / n, var = t->nll2 / n - mean * mean;
    return t->n > 1 && var > 0 ? sqrt(var / (n - 1)) : 0;
}

/* Runs tokens at .. at + len - 1 of the window that begins at `begin`, counting predictions. */
static int run_call(struct work *w, size_t begin, size_t at, size_t len) {
    struct bise_error err = {0};
    const size_t vocab = w->e.info->vocab_size;
    const enum bise_status status =
        bise_prefill_logits(w->e.session, w->ids + begin + at, len, w->logits, &err);
    if (status)
        return report(status, &err);
    if (w->out && fwrite(w->logits, vocab * sizeof(float), len, w->out) != len) {
        fprintf(stderr, "bise: writing the logits failed: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < len; i++) {
        if (at + i < w->first || at + i + 1 >= w->window)
            continue;
        const int32_t next = w->ids[begin + at + i + 1];
        const double nll = nll_of(w->logits + i * vocab, vocab, next);
        w->totals.nll += nll;
        w->totals.nll2 += nll * nll;
        w->totals.n++;
    }
    return EXIT_DONE;
}

static void say_progress(const struct work *w, size_t done, size_t total, double started) {
    const double mean = w->totals.n > 0 ? w->totals.nll / (double)w->totals.n : 0;
    fprintf(stderr, "%zu of %zu tokens, perplexity %.4f, %.1f tokens/s\n", done, total, exp64(mean),
            (double)done / (seconds_now() - started));
}

static int run_windows(struct work *w, bool replace_first) {
    const double started = seconds_now();
    const size_t n_windows = w->n / w->window, total = n_windows * w->window;
    double said = started;
    for (size_t i = 0; i < n_windows; i++) {
        const size_t begin = i * w->window;
        if (replace_first && w->e.info->bos_id >= 0)
            w->ids[begin] = w->e.info->bos_id;
        bise_reset(w->e.session);
        for (size_t at = 0; at < w->window; at += w->call) {
            const size_t left = w->window - at, len = left < w->call ? left : w->call;
            const int code = run_call(w, begin, at, len);
            if (code)
                return code;
            if (interrupted())
                return EXIT_INTERRUPTED;
            if (seconds_now() - said > 10) {
                said = seconds_now();
                say_progress(w, begin + at + len, total, started);
            }
        }
    }
    say_progress(w, total, total, started);
    return EXIT_DONE;
}

static void print_result(const struct work *w, bool json) {
    const double n = (double)w->totals.n, mean = w->totals.nll / n;
    const double error = standard_error(&w->totals), ppl = exp64(mean);
    if (json)
        printf("{\"tokens\": %zu, \"windows\": %zu, \"window\": %zu, \"predicted\": %llu, "
               "\"nll\": %.9g, \"nll_error\": %.9g, \"perplexity\": %.9g, "
               "\"perplexity_error\": %.9g, \"isa\": \"%s\"}\n",
               w->n, w->n / w->window, w->window, (unsigned long long)w->totals.n, mean, error, ppl,
               ppl * error, bise_session_isa(w->e.session));
    else
        printf("perplexity %.4f +- %.4f, nll %.6f +- %.6f nats, %llu tokens predicted in %zu "
               "windows of %zu\n",
               ppl, ppl * error, mean, error, (unsigned long long)w->totals.n, w->n / w->window,
               w->window);
}

static int measure(const struct perplexity_options *o, struct work *w) {
    w->logits = malloc(w->call * w->e.info->vocab_size * sizeof *w->logits);
    if (!w->logits) {
        fprintf(stderr, "bise: no memory for the logits of %zu tokens\n", w->call);
        return EXIT_MEMORY;
    }
    if (o->logits && !(w->out = fopen(o->logits, "wb"))) {
        fprintf(stderr, "bise: %s: %s\n", o->logits, strerror(errno));
        return EXIT_FAILED;
    }
    int code = run_windows(w, o->text != NULL);
    if (w->out && fclose(w->out) != 0 && !code) {
        fprintf(stderr, "bise: %s: %s\n", o->logits, strerror(errno));
        code = EXIT_FAILED;
    }
    if (!code)
        print_result(w, o->json);
    return code;
}

int cmd_perplexity(int argc, char **argv) {
    struct perplexity_options o = {.engine = ENGINE_DEFAULTS};
    struct work w = {.n = 0};
    int code;
    if (!parse(&o, argc, argv, &code))
        return code;
    interrupt_catch();
    code = prepare(&o, &w);
    if (!code) {
        engine_print_plan(&w.e, stderr);
        code = measure(&o, &w);
    }
    free(w.ids);
    free(w.logits);
    engine_close(&w.e);
    return code;
}
