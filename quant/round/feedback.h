/* Rounding to i4 with error feedback along k (GPTQ, arXiv 2210.17323, in the form of LDLQ, arXiv
 * 2307.13304): with second moments H = (I + U) D (I + U)^T of a matrix's input, U strictly upper,
 * column j is rounded after the errors e of the columns before it, weighted by U, were added to it.
 * Here: what happens within a tile of 128 columns of a panel of 16 rows; what comes from the tiles
 * before is a product of matrices, the caller's. Scales of blocks are searched when a block is
 * reached, errors weighted by D; the row scale is searched before and refitted behind. */
#ifndef BISE_QUANT_ROUND_FEEDBACK_H
#define BISE_QUANT_ROUND_FEEDBACK_H

#include "quant/round/quantize.h"

/* What the rows of a matrix share. */
struct feedback;

/* codebook [CODEBOOK_SIZE]. d [cols]: the diagonal D, none negative. NULL: no memory. */
struct feedback *feedback_open(const int8_t *codebook, const float *d, size_t cols);
void feedback_close(struct feedback **f);

/* One row on its way. Arrays of floats [cols padded to TILE_K], the caller's. */
struct feedback_row {
    float *w, *e; /* weights as they were, times a power of two; what was lost so far */
    float scale;  /* of the row; 0: a row of zeros */
    double unit;  /* true weight = w * unit */
    double rz, zz;
};

/* Takes a row x [cols] in: fills everything of *row, e with zeros. scratch [cols padded / 32]. */
void feedback_begin(const struct feedback *f, struct feedback_row *row, const float *x,
                    float *scratch);

/* Rounds tile number `tile` of n <= 16 rows into a panel, and fills their e there.
 * u [TILE_K][TILE_K]: U within the tile. from_e, from_w [n] rows of stride ld, at the tile: the
 * products e * U and w * U over all columns before it. */
void feedback_tile(const struct feedback *f, uint8_t *panel, struct feedback_row *rows, size_t n,
                   size_t tile, const float *u, const float *from_e, const float *from_w,
                   size_t ld);

/* Refits the row scales of n rows, writes them, and adds what rounding cost; weights as in struct
 * rounding. */
void feedback_end(const struct feedback *f, uint8_t *panel, const struct feedback_row *rows,
                  size_t n, const float *weights, struct rounding_sums *sums);

#endif
