/*
 * The blocks of a gemm over i4 weights requantized to 7 bits (kernels.h, "prefill"), for every
 * folder that brings the two inner steps.
 *
 * For each block of KB_TILES * 128 k, the activations of up to MAX_COLUMNS columns stay in L2; a
 * few panels at a time are requantized once, stay in L1, and meet all columns, a register tile at a
 * time. Partial sums wait in y, as floats: between tiles they are exact.
 */
#ifndef BISE_KERNELS_PREFILL_H
#define BISE_KERNELS_PREFILL_H

#include "kernels/kernels.h"

#define KB_TILES    4
#define MAX_COLUMNS 512

/* One register tile's share of a block of k. */
struct prefill_tile {
    float *y; /* [cols][ldy]: panels side by side, 16 rows each */
    size_t ldy;
    const uint8_t *w; /* [panels] requantized blocks, block_bytes apart */
    const uint8_t *a; /* activations: [2 * n_tiles] times lda bytes, PACK_K of each column */
    size_t lda;
    const float *d; /* [cols][ldd], from the block's first tile on */
    size_t ldd;
    size_t n_tiles, panels, cols;
    bool first;                /* y starts from 0, not from what it holds */
    const float *row_scale[2]; /* of each panel, in the last block; else NULL */
};

struct prefill {
    size_t cols;        /* at most, in a register tile */
    size_t multiple;    /* of columns, in every register tile but the last */
    size_t panels;      /* 1 or 2 */
    size_t block_bytes; /* of a requantized panel's block; a multiple of 64 */
    /* tiles: n_tiles of a panel, as in the file. */
    void (*requantize)(uint8_t *w, const uint8_t *tiles, size_t n_tiles, const int8_t *codebook);
    void (*multiply)(const struct prefill_tile *t);
};

void prefill_i4(const struct prefill *how, float *y, size_t ldy, const struct act_q128 *x, size_t n,
                const struct wmat *w, size_t p0, size_t p1, void *scratch);

#endif
