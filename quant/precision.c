#include "quant/precision.h"

#include "quant/mix.h"
#include "quant/reference.h"
#include "quant/sensitivity.h"
#include "src/base/error.h"

#include <stdlib.h>

static enum bise_status measure(const struct precision *p, struct mix *m, const int32_t *ids,
                                size_t n, struct bise_error *err) {
    struct reference reference = {NULL};
    enum bise_status s =
        reference_open(&reference, p->source, p->source_path, p->config, p->tokenizer, p->out_path,
                       TYPE_BF16, p->n_threads, p->listener, err);
    if (!s)
        s = sensitivity_measure(m, reference.model, ids, n, p->stats, p->n_threads, p->listener,
                                err);
    reference_close(&reference);
    return s;
}

enum bise_status precision_apply(const struct precision *p, struct bise_error *err) {
    const struct type_options *o = p->options;
    const bool measured = o->sensitivity && !p->dry_run;
    struct mix m;
    int32_t *ids = NULL;
    size_t n = 0;
    if (o->bits == 0)
        return o->sensitivity
                   ? bise_fail(err, BISE_ERR_ARG, "--sensitivity: of no use without --bits")
                   : BISE_OK;
    if (p->types->type != TYPE_I4)
        return bise_fail(err, BISE_ERR_ARG, "--bits: of no use with --type %s",
                         tensor_type_name(p->types->type));
    enum bise_status s = mix_open(&m, p->types, p->tensors, p->n_tensors, err);
    if (!s && o->sensitivity)
        s = bundle_tokenize(p->tokenizer, "--sensitivity", o->sensitivity, -1, SENSITIVITY_SEQUENCE,
                            &ids, &n, err);
    if (!s)
        s = measured ? measure(p, &m, ids, n, err) : mix_guess(&m, p->source, p->stats, err);
    if (!s)
        s = mix_choose(&m, o->bits, err);
    if (!s)
        mix_tell(&m, o->bits, measured ? "measured" : "guessed", p->listener);
    mix_close(&m);
    free(ids);
    return s;
}
