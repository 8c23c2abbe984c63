/* What each matrix loses by becoming i4: measured, one after the other, on a text. */
#ifndef BISE_QUANT_SENSITIVITY_H
#define BISE_QUANT_SENSITIVITY_H

#include "quant/mix.h"
#include "src/model/model.h"

#define SENSITIVITY_TOKENS   1024 /* of the text; more changes little in the order */
#define SENSITIVITY_SEQUENCE 256  /* run at once */

/* Every unit's loss becomes the mean KL divergence to the model as it is of the model with that
 * unit rounded to i4, over the first SENSITIVITY_TOKENS ids [n] of a text in sequences of
 * SENSITIVITY_SEQUENCE, which it has at least. model: of f32 or bf16, in the order of m->tensors;
 * its tensors are exchanged and put back. moments: as in mix_guess. Notes how long it takes.
 * Errors: ARG (a model of other types), MEMORY, NONFINITE, INTERRUPTED. */
enum bise_status sensitivity_measure(struct mix *m, struct bise_model *model, const int32_t *ids,
                                     size_t n, const struct moments *moments, int n_threads,
                                     const struct listener *listener, struct bise_error *err);

#endif
