/* bise quantize --bits: measures or guesses what matrices lose, and chooses among them. */
#ifndef BISE_QUANT_PRECISION_H
#define BISE_QUANT_PRECISION_H

#include "quant/bundle.h"
#include "quant/gptq/stats.h"
#include "quant/types.h"

struct precision {
    const struct type_options *options; /* bits, sensitivity */
    const struct types *types;
    const struct source *source;
    const char *source_path, *out_path; /* a temporary model goes beside the second */
    const struct model_config *config;
    const struct bundle *tokenizer;
    const struct stats *stats;     /* of --calib; NULL: none */
    struct writer_tensor *tensors; /* [n_tensors], whose types change */
    size_t n_tensors;
    const struct listener *listener;
    int n_threads;
    bool dry_run; /* guess what would be measured */
};

/* Nothing where no --bits was given. Errors: ARG, those of mix_guess, reference_open and
 * sensitivity_measure, and of bundle_tokenize. */
enum bise_status precision_apply(const struct precision *p, struct bise_error *err);

#endif
