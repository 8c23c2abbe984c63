/* Dot products by sdot: a register holds 4 k of 4 rows, the activations come from a lane of one
 * that holds 16 k, the four groups of rows are independent chains. */
#ifndef BISE_KERNELS_NEON_DOTPROD_SDOT_H
#define BISE_KERNELS_NEON_DOTPROD_SDOT_H

#include "kernels/neon/neon.h"

/* isum += w times lane LANE of q, four rows a group. The instruction wants a literal there, hence
 * a macro. */
#define DOT_LANE(isum, w, q, LANE)                                                                 \
    do {                                                                                           \
        (isum)[0] = vdotq_laneq_s32((isum)[0], (w)[0], (q), LANE);                                 \
        (isum)[1] = vdotq_laneq_s32((isum)[1], (w)[1], (q), LANE);                                 \
        (isum)[2] = vdotq_laneq_s32((isum)[2], (w)[2], (q), LANE);                                 \
        (isum)[3] = vdotq_laneq_s32((isum)[3], (w)[3], (q), LANE);                                 \
    } while (0)

TILE_HELPER void zero_sums(int32x4_t isum[4]) {
    UNROLL for (int g = 0; g < 4; g++) isum[g] = vdupq_n_s32(0);
}

/* A block of i4. */
TILE_HELPER void dot_i4(int32x4_t isum[4], const int8_t **lines, const int8x16_t x[2],
                        int8x16_t codebook) {
    zero_sums(isum);
    UNROLL for (int part = 0; part < 2; part++) {
        int8x16_t lo[4], hi[4];
        next_i4_line(lo, hi, lines, codebook);
        DOT_LANE(isum, lo, x[part], 0);
        DOT_LANE(isum, hi, x[part], 1);
        next_i4_line(lo, hi, lines, codebook);
        DOT_LANE(isum, lo, x[part], 2);
        DOT_LANE(isum, hi, x[part], 3);
    }
}

/* 16 k of 16 rows, four lines from *lines on, against x of n_cols (a constant) columns: added to
 * isum. */
TILE_HELPER void dot_lines(int32x4_t isum[][4], const int8_t **lines, const int8x16_t x[],
                           int n_cols) {
    int8x16_t w[4];
    next_line(w, lines);
    UNROLL for (int c = 0; c < n_cols; c++) DOT_LANE(isum[c], w, x[c], 0);
    next_line(w, lines);
    UNROLL for (int c = 0; c < n_cols; c++) DOT_LANE(isum[c], w, x[c], 1);
    next_line(w, lines);
    UNROLL for (int c = 0; c < n_cols; c++) DOT_LANE(isum[c], w, x[c], 2);
    next_line(w, lines);
    UNROLL for (int c = 0; c < n_cols; c++) DOT_LANE(isum[c], w, x[c], 3);
}

/* A block of i8. */
TILE_HELPER void dot_i8(int32x4_t isum[4], const int8_t **lines, const int8x16_t x[2]) {
    int32x4_t sum[1][4];
    zero_sums(sum[0]);
    UNROLL for (int part = 0; part < 2; part++) dot_lines(sum, lines, x + part, 1);
    UNROLL for (int g = 0; g < 4; g++) isum[g] = sum[0][g];
}

#endif
