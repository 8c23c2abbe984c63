/* Rounding rows of floats into panels (layout.h). */
#ifndef BISE_QUANT_ROUND_QUANTIZE_H
#define BISE_QUANT_ROUND_QUANTIZE_H

#include "kernels/layout.h"
#include <stdbool.h>

/* The built-in codebook for i4: 16 ascending values in -32..31, one of magnitude >= 31. */
extern const int8_t codebook_default[CODEBOOK_SIZE];
/* One for tails much heavier than normal (Student t, 3.5 degrees of freedom). */
extern const int8_t codebook_tails[CODEBOOK_SIZE];

/* How rows are rounded. */
struct rounding {
    enum tensor_type type;
    const int8_t *codebook; /* i4 only; [CODEBOOK_SIZE] */
    const float *weights;   /* [cols] what an error in each column costs, the second moment of the
                               matrix's input there; none negative or infinite. NULL: all alike */
};

/* What rounding cost, in sums of squares: plain, and with every column times its weight (1 where
 * there are none). */
struct rounding_sums {
    double error, norm, weighted_error, weighted_norm;
};

/* Rounds up to 16 rows [n_rows][cols] (row stride cols) into one panel of how->type (any), k padded
 * to TILE_K, missing rows and columns zero. panel: panel_bytes(type, round_up(cols, TILE_K)),
 * 64-byte aligned. Scales are searched over both signs and neighbouring values for the least
 * weighted error. *sums gains what the rows cost. Needs scratch floats of
 * quantize_scratch_floats(cols). All x must be finite. */
void quantize_panel(uint8_t *panel, const struct rounding *how, const float *x, size_t n_rows,
                    size_t cols, float *scratch, struct rounding_sums *sums);
size_t quantize_scratch_floats(size_t cols);

#endif
