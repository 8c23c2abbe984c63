#include "precision.h"

#include "error.h"
#include "file.h"
#include "mix.h"
#include "reference.h"
#include "sensitivity.h"

#include <stdlib.h>

#define TEXT_MAX_BYTES ((size_t)1 << 30)

static enum bise_status measure(const struct precision *p, struct mix *m, struct bise_error *err) {
    uint8_t *text = NULL;
    size_t len;
    struct reference reference = {NULL};
    enum bise_status s = file_read_whole(p->options->sensitivity, TEXT_MAX_BYTES, &text, &len, err);
    if (!s && !p->tokenizer->bytes)
        s = bise_fail(err, BISE_ERR_ARG, "--sensitivity: the model has no tokenizer for a text");
    if (!s)
        s = reference_open(&reference, p->source, p->source_path, p->config, p->tokenizer,
                           p->out_path, TYPE_BF16, p->n_threads, err);
    if (!s)
        s = sensitivity_measure(m, reference.model, (const char *)text, len, p->stats, p->n_threads,
                                err);
    reference_close(&reference);
    free(text);
    return s;
}

enum bise_status precision_apply(const struct precision *p, struct bise_error *err) {
    const struct type_options *o = p->options;
    struct mix m;
    if (o->bits == 0)
        return o->sensitivity
                   ? bise_fail(err, BISE_ERR_ARG, "--sensitivity: of no use without --bits")
                   : BISE_OK;
    if (p->types->type != TYPE_I4)
        return bise_fail(err, BISE_ERR_ARG, "--bits: of no use with --type %s",
                         tensor_type_name(p->types->type));
    enum bise_status s = mix_open(&m, p->types, p->tensors, p->n_tensors, err);
    if (!s)
        s = o->sensitivity ? measure(p, &m, err) : mix_guess(&m, p->source, p->stats, err);
    if (!s)
        s = mix_choose(&m, o->bits, err);
    if (!s)
        mix_print(&m, o->bits, o->sensitivity ? "measured" : "guessed");
    mix_close(&m);
    return s;
}
