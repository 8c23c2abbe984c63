/* Weights that somebody else has quantized, or that are no whole model, by the tensors they are
 * made of. Internal to quant/source. */
#ifndef BISE_QUANT_SOURCE_FOREIGN_H
#define BISE_QUANT_SOURCE_FOREIGN_H

#include "quant/source/raw.h"

/* Refuses GPTQ, AWQ, bitsandbytes, MLX, FP8 ... by name. Errors: UNSUPPORTED. */
enum bise_status refuse_foreign(const struct raw_set *set, struct bise_error *err);

#endif
