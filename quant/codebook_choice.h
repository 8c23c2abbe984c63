/* Which of the built-in codebooks suits a matrix. */
#ifndef BISE_QUANT_CODEBOOK_CHOICE_H
#define BISE_QUANT_CODEBOOK_CHOICE_H

#include "quant/source/source.h"

/* codebook_default, or codebook_tails where a sample of the rows of tensor i of the source is
 * rounded clearly better by it. weights: of its columns, or NULL. Errors: MEMORY, those of
 * source_read_rows. */
enum bise_status choose_codebook(const int8_t **out, const struct source *source, size_t i,
                                 const float *weights, struct bise_error *err);

#endif
