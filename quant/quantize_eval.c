#include "quant/quantize_eval.h"

#include "kernels/dmath.h"
#include "quant/measure/evaluate.h"
#include "src/os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW       512
#define CALL         256
#define LEAST_TOKENS 16

enum bise_status eval_text_open(struct eval_text *t, const char *path, const struct origin *from,
                                struct bise_error *err) {
    *t = (struct eval_text){.path = path};
    return bundle_tokenize(from->tokenizer, "--eval", path, config_text_bos(from->config),
                           LEAST_TOKENS, &t->ids, &t->n, err);
}

void eval_text_close(struct eval_text *t) {
    free(t->ids);
    *t = (struct eval_text){0};
}

void eval_placeholder(char *out, size_t cap) {
    const size_t n = EVAL_TEXT_BYTES < cap - 1 ? EVAL_TEXT_BYTES : cap - 1;
    memset(out, ' ', n);
    out[n] = 0;
}

static void describe(const struct eval_text *t, struct evaluation *e, char *out, size_t cap) {
    const struct estimate before = tally_mean(&e->base_nll), after = tally_mean(&e->nll);
    const struct divergence_result kl = divergence_summary(&e->kl);
    const double ppl[2] = {exp64(before.value), exp64(after.value)};
    snprintf(out, cap,
             "%.60s, %llu window%s of %u: perplexity %.4f +- %.4f before, %.4f +- %.4f after, KL "
             "%.3e +- %.1e, same top token %.2f %%",
             file_base(t->path), (unsigned long long)e->shape.n_windows,
             e->shape.n_windows == 1 ? "" : "s", e->shape.window, ppl[0], ppl[0] * before.error,
             ppl[1], ppl[1] * after.error, kl.mean.value, kl.mean.error, 100 * kl.same_top.value);
}

/* Both sessions, and the run. */
static enum bise_status measure(const struct eval_text *t, const struct bise_model *reference,
                                const struct bise_model *model, const struct origin *from,
                                char *out, size_t cap, struct bise_error *err) {
    const size_t window = t->n < WINDOW ? t->n : WINDOW;
    const struct bise_engine_params params = {
        .n_ctx = WINDOW, .chunk = CALL, .n_threads = from->n_threads, .window = -1};
    struct evaluation e = {.call = CALL, .what = "evaluating: ", .listener = from->listener};
    int32_t *ids = NULL;
    enum bise_status s =
        eval_usual(t->ids, t->n, window, config_text_bos(&model->config), &ids, &e.shape, err);
    e.shape.vocab = model->config.vocab_size;
    e.ids = ids;
    if (!s)
        s = bise_session_open(&e.session, model, &params, err);
    if (!s)
        s = bise_session_open(&e.base_session, reference, &params, err);
    if (!s)
        s = evaluation_run(&e, err);
    if (!s)
        describe(t, &e, out, cap);
    evaluation_close(&e);
    bise_session_close(&e.session);
    bise_session_close(&e.base_session);
    free(ids);
    return s;
}

enum bise_status eval_run(const struct eval_text *t, const struct origin *from, struct writer *w,
                          struct bise_error *err) {
    const struct bise_model_params params = {.memory = BISE_MEMORY_MMAP,
                                             .n_threads = from->n_threads};
    struct bise_model *model = NULL, *reference = NULL;
    char text[EVAL_TEXT_BYTES + 1];
    enum bise_status s = reference_open(&reference, from, TYPE_BF16, err);
    if (!s)
        s = writer_seal(w, err);
    if (!s)
        s = bise_model_open(&model, writer_temp_path(w), &params, err);
    if (!s)
        s = measure(t, reference, model, from, text, sizeof text, err);
    bise_model_close(&model);
    bise_model_close(&reference);
    if (s)
        return s;
    listener_note(from->listener, "%s", text);
    writer_set_evaluation(w, text);
    return BISE_OK;
}
