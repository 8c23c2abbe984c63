/* Rounding with error feedback, layer by layer: a text runs through each layer of the checkpoint,
 * full second moments of what its matrices read are summed up, and its i4 matrices rounded by them
 * (quant/gptq/gptq.h). */
#ifndef BISE_QUANT_CONVERT_LAYERS_H
#define BISE_QUANT_CONVERT_LAYERS_H

#include "quant/calibration.h"
#include "quant/convert.h"

/* Writes the i4 matrices of all layers, but those whose input was seen too rarely, and those that
 * are there already; moments become the diagonals of all inputs of the source's config. Nothing
 * where there is no text, or nothing left that minds it. What it writes does not depend on the
 * number of threads. Notes every layer. Errors: those of source_read_rows and writer_put,
 * NONFINITE, MEMORY, INTERRUPTED. */
enum bise_status convert_layers(const struct convert *c, const struct calibration_text *text,
                                struct moments *moments, struct bise_error *err);
/* Bytes of memory that takes, about: the text's states, a layer in 8 bits, second moments of up to
 * 3.5 GiB, at least those of one input, and products. 0 without tokens. */
uint64_t convert_layers_memory(const struct model_config *config, uint64_t n_tokens, int n_threads);

#endif
