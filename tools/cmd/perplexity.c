/*
 * bise perplexity: how well a model foresees a text, and how far it is from a baseline.
 *
 * --text: the protocol usual for wikitext-2 (llama.cpp's). The text is tokenized as a whole and cut
 * into windows of -c tokens; what is left over is dropped. In each window, run from an empty cache,
 * the first token is replaced by BOS (the very first window begins with it) and the tokens of the
 * second half are predicted: c - 1 - c/2 of them, each seeing at least c/2 tokens.
 * --text --sequences N: N tokens after a BOS of their own, all of them predicted.
 * --ids: one sequence as it is, nothing added; all tokens but the first are predicted.
 * --kl FILE: the tokens that the baseline in the file was run with.
 */
#include "kernels/dmath.h"
#include "quant/measure/evaluate.h"
#include "tools/cmd/listening.h"
#include "tools/common/output.h"
#include "tools/common/read_text.h"
#include "tools/common/runtime.h"
#include "tools/common/write_file.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_WINDOW 512
#define DEFAULT_CALL   256
#define OWN_OPTIONS    9

struct perplexity_options {
    struct runtime_options runtime;
    const char *text, *ids, *logits, *kl_base, *kl;
    int64_t start_pos, sequences, tokens;
    bool json;
};

struct work {
    const struct perplexity_options *options;
    struct listening listening;
    struct runtime e;
    struct evaluation run;
    int32_t *ids, *windows; /* of the text; [n_windows][window] made of them, NULL with --kl */
    size_t n;
    struct kl_base *save, *base;
    struct new_file logits; /* of --logits */
};

static int check_options(const struct perplexity_options *o) {
    if ((o->logits && !*o->logits) || (o->kl_base && !*o->kl_base))
        return refuse(EXIT_USAGE, "--logits, --kl-base: expected the name of a file, found none");
    if (o->text && !o->sequences && o->runtime.n_ctx > 0 && o->runtime.n_ctx < 4)
        return refuse(EXIT_USAGE, "-c: windows of a text have at least 4 tokens");
    if (o->kl && (o->text || o->ids || o->sequences || o->tokens || o->runtime.n_ctx > 0))
        return refuse(EXIT_USAGE, "--kl FILE brings its own tokens: no --text, --ids, --sequences, "
                                  "--tokens or -c beside it");
    if (!o->kl && !o->text == !o->ids)
        return refuse(EXIT_USAGE, "expected either --text FILE, --ids FILE or --kl FILE");
    if (o->ids && o->sequences)
        return refuse(EXIT_USAGE, "--sequences: of a --text only");
    if (o->sequences && o->runtime.n_ctx > 0)
        return refuse(EXIT_USAGE,
                      "--sequences says how many tokens are run at once: no -c beside it");
    return EXIT_DONE;
}

static bool parse(struct perplexity_options *o, int argc, char **argv, int *code) {
    struct option_def defs[RUNTIME_OPTIONS + OWN_OPTIONS] = {
        {"-f|--file|--text", OPT_STRING(&o->text), "FILE",
         "a text, in windows of -c tokens (default 512)"},
        {"--sequences", OPT_INT(&o->sequences, 1, 1 << 24), "N",
         "predict all of the text, N tokens after every BOS"},
        {"--ids", OPT_STRING(&o->ids), "FILE", "token ids, as one sequence"},
        {"--tokens", OPT_INT(&o->tokens, 2, 1e12), "N", "only the first N tokens of it"},
        {"--start-pos", OPT_INT(&o->start_pos, 0, 1e14), "N", "position of the first token (0)"},
        {"--kl-base", OPT_STRING(&o->kl_base), "FILE", "write what is predicted, as a baseline"},
        {"--kl", OPT_STRING(&o->kl), "FILE",
         "KL divergence from the baseline in FILE, on its tokens"},
        {"--logits", OPT_STRING(&o->logits), "FILE", "write all logits as float32 [n][vocab]"},
        {"--json", OPT_FLAG(&o->json), "the result as JSON"},
    };
    const char *argument = NULL;
    runtime_option_defs(&o->runtime, defs + OWN_OPTIONS);
    if (!options_parse(argc, argv, defs, sizeof defs / sizeof defs[0],
                       "bise perplexity [MODEL] -f FILE | --ids FILE | --kl FILE [options]\n\n"
                       "--chunk N is the length of each call to the model (256)",
                       &argument, 1, code) ||
        !runtime_argument(&o->runtime, argument, code))
        return false;
    *code = check_options(o);
    return *code == EXIT_DONE;
}

/* ---- tokens --------------------------------------------------------------------------------- */

/* Ids of any number; vocab checked by the session. */
static int parse_ids(const char *path, const char *text, struct work *w) {
    struct id_list list = {.n = 0};
    const char *bad;
    const bool good = ids_from_text(text, INT32_MAX, &list, &bad);
    w->ids = list.ids;
    w->n = list.n;
    if (good)
        return EXIT_DONE;
    if (!bad)
        return refuse(EXIT_MEMORY, "%s: no memory for its ids", path);
    return refuse(EXIT_INPUT, "%s: expected token ids, found \"%.20s\" after %zu of them", path,
                  bad, w->n);
}

/* Tokens of a window, BOS among them: the context that is needed. */
static size_t window_of(const struct perplexity_options *o, const struct work *w) {
    if (o->kl)
        return kl_base_shape(w->base)->window;
    if (o->ids)
        return w->n;
    if (o->sequences)
        return (size_t)o->sequences + 1;
    return o->runtime.n_ctx > 0 ? (size_t)o->runtime.n_ctx : DEFAULT_WINDOW;
}

static int open_runtime(struct perplexity_options *o, struct work *w) {
    const size_t window = window_of(o, w);
    size_t call = o->runtime.chunk > 0 ? (size_t)o->runtime.chunk : DEFAULT_CALL;
    call = call < window ? call : window;
    o->runtime.n_ctx = (int64_t)window;
    o->runtime.chunk = (int64_t)call;
    o->runtime.start_pos = (uint64_t)o->start_pos;
    w->run.call = call;
    return runtime_open(&w->e, &o->runtime);
}

/* The tokens of the text or the list of ids, cut into windows. */
static int make_windows(const struct perplexity_options *o, struct work *w) {
    const char *const path = o->text ? o->text : o->ids;
    const size_t window = o->sequences ? (size_t)o->sequences : window_of(o, w);
    const size_t least = o->text ? window : 2;
    const int32_t bos = w->e.info->text_bos;
    struct bise_error err = {0};
    enum bise_status s;
    w->n = o->tokens && w->n > (size_t)o->tokens ? (size_t)o->tokens : w->n;
    if (w->n < least)
        return refuse(EXIT_INPUT, "%s: expected at least %zu tokens, found %zu", path, least, w->n);
    if (o->sequences)
        s = eval_whole(w->ids, w->n, window, bos, &w->windows, &w->run.shape, &err);
    else
        s = eval_usual(w->ids, w->n, window, o->text ? bos : -1, &w->windows, &w->run.shape, &err);
    if (o->ids)
        w->run.shape.first = 0;
    w->run.ids = w->windows;
    return s ? report(s, &err) : EXIT_DONE;
}

/* The baseline's tokens; the model must have its vocabulary. */
static int take_base(const struct perplexity_options *o, struct work *w) {
    w->run.shape = *kl_base_shape(w->base);
    w->run.ids = kl_base_ids(w->base);
    if (w->run.shape.vocab == w->e.info->vocab_size)
        return EXIT_DONE;
    return refuse(EXIT_INPUT, "%s: expected a vocabulary of %u, the model's, found %u", o->kl,
                  w->e.info->vocab_size, w->run.shape.vocab);
}

/* Opens model and session and reads the tokens; ids come first, since the context is their number.
 */
static int prepare(struct perplexity_options *o, struct work *w) {
    const char *const path = o->text ? o->text : o->ids;
    struct bise_error err = {0};
    char *text = NULL;
    size_t len = 0;
    int code = EXIT_DONE;
    if (o->kl) {
        const enum bise_status s = kl_base_open(&w->base, o->kl, &err);
        code = s ? report(s, &err) : EXIT_DONE;
    } else {
        code = read_text(path, ANY_LENGTH, &text, &len);
    }
    if (!code && o->ids && text)
        code = parse_ids(path, text, w);
    if (!code && o->ids && o->tokens && w->n > (size_t)o->tokens)
        w->n = (size_t)o->tokens;
    if (!code && o->logits)
        code = write_place(o->logits);
    if (!code && o->kl_base)
        code = write_place(o->kl_base);
    if (!code)
        code = open_runtime(o, w);
    if (!code && o->text)
        code = runtime_tokenize(&w->e, text, len, !o->sequences, &w->ids, &w->n);
    if (!code)
        code = o->kl ? take_base(o, w) : make_windows(o, w);
    free(text);
    return code;
}

/* ---- results -------------------------------------------------------------------------------- */

static void print_json(const struct work *w, const struct divergence_result *kl) {
    const struct eval_shape *s = &w->run.shape;
    const struct estimate nll = tally_mean(&w->run.nll);
    const double ppl = exp64(nll.value);
    print("{\"tokens\": %llu, \"windows\": %llu, \"window\": %u, \"predicted\": %llu, "
          "\"nll\": %.9g, \"nll_error\": %.9g, \"perplexity\": %.9g, "
          "\"perplexity_error\": %.9g, \"isa\": \"%s\"",
          (unsigned long long)(s->n_windows * s->run), (unsigned long long)s->n_windows, s->window,
          (unsigned long long)w->run.nll.n, nll.value, nll.error, ppl, ppl * nll.error,
          bise_session_isa(w->e.session));
    if (w->base)
        print(", \"kl\": %.9g, \"kl_error\": %.9g, \"kl_p99\": %.9g, \"kl_p99_error\": %.9g, "
              "\"same_top\": %.9g, \"same_top_error\": %.9g, \"log_ratio\": %.9g, "
              "\"log_ratio_error\": %.9g",
              kl->mean.value, kl->mean.error, kl->p99.value, kl->p99.error, kl->same_top.value,
              kl->same_top.error, kl->log_ratio.value, kl->log_ratio.error);
    print("}\n");
}

static void print_text(const struct work *w, const struct divergence_result *kl) {
    const struct eval_shape *s = &w->run.shape;
    const struct estimate nll = tally_mean(&w->run.nll);
    const double ppl = exp64(nll.value);
    print("perplexity %.4f +- %.4f, nll %.6f +- %.6f nats, %llu tokens predicted in %llu "
          "window%s of %u\n",
          ppl, ppl * nll.error, nll.value, nll.error, (unsigned long long)w->run.nll.n,
          (unsigned long long)s->n_windows, s->n_windows == 1 ? "" : "s", s->window);
    if (!w->base)
        return;
    print("baseline: %s\n", kl_base_model(w->base));
    print("KL divergence: mean %.4e +- %.1e, 99th percentile %.3e +- %.1e\n", kl->mean.value,
          kl->mean.error, kl->p99.value, kl->p99.error);
    print("same top token: %.2f +- %.2f %%\n", 100 * kl->same_top.value, 100 * kl->same_top.error);
    print("perplexity / baseline's: %.5f +- %.5f\n", exp64(kl->log_ratio.value),
          exp64(kl->log_ratio.value) * kl->log_ratio.error);
}

/* ---- running -------------------------------------------------------------------------------- */

static enum bise_status open_outputs(struct work *w, struct bise_error *err) {
    const struct perplexity_options *o = w->options;
    enum bise_status s = BISE_OK;
    if (o->logits) {
        w->run.shape.run = w->run.shape.window; /* "all logits" */
        w->run.out = &w->logits;
        s = new_file_create(&w->logits, o->logits, NEW_FILE_SHARED, err);
    }
    if (s || !o->kl_base)
        return s;
    char model[KL_BASE_TEXT];
    snprintf(model, sizeof model, "%s, %s", w->e.path, w->e.info->weight_type);
    return kl_base_create(&w->save, o->kl_base, &w->run.shape, w->run.ids, model, err);
}

static int measure(struct work *w) {
    struct bise_error err = {0};
    w->run.session = w->e.session;
    w->run.shape.vocab = w->e.info->vocab_size;
    w->run.what = "";
    w->run.listener = &w->listening.listener;
    enum bise_status s = open_outputs(w, &err);
    w->run.save = w->save;
    w->run.base = w->base;
    if (!s)
        s = evaluation_run(&w->run, &err);
    if (!s && w->save)
        s = kl_base_finish(w->save, &err);
    if (!s && w->run.out)
        s = new_file_finish(w->run.out, &err);
    if (s) /* the detail of an interruption counts one call's tokens */
        return report(s, s == BISE_ERR_INTERRUPTED ? NULL : &err);
    const struct divergence_result kl = divergence_summary(&w->run.kl);
    if (w->options->json)
        print_json(w, &kl);
    else
        print_text(w, &kl);
    return EXIT_DONE;
}

int cmd_perplexity(int argc, char **argv) {
    struct perplexity_options o = {.runtime = RUNTIME_DEFAULTS};
    struct work w = {.options = &o, .logits.fd = -1};
    int code;
    if (!parse(&o, argc, argv, &code))
        return code;
    listening_init(&w.listening, false);
    interrupt_catch();
    code = prepare(&o, &w);
    if (!code) {
        runtime_print_plan(&w.e, stderr);
        code = measure(&w);
    }
    evaluation_close(&w.run);
    kl_base_close(&w.save);
    new_file_abort(&w.logits);
    kl_base_close(&w.base);
    free(w.ids);
    free(w.windows);
    runtime_close(&w.e);
    return code;
}
