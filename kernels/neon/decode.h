/*
 * One column against quantized panels as they lie in the file: the loop that plain NEON and the dot
 * product share. Before including it, a folder defines, for a block of 32 k of 16 rows,
 *
 *   ALWAYS_INLINE void dot_i4(int32x4_t isum[4], const int8_t **lines, const int8x16_t x[2],
 *                             int8x16_t codebook);
 *   ALWAYS_INLINE void dot_i8(int32x4_t isum[4], const int8_t **lines, const int8x16_t x[2]);
 *
 * isum = the lines of the block, which the pointer is moved past, times x.
 */
#ifndef BISE_KERNELS_NEON_DECODE_H
#define BISE_KERNELS_NEON_DECODE_H

#include "kernels/neon/neon.h"

/* acc += a tile of 16 rows, which *tile is moved past, times q with scales d [4]. */
ALWAYS_INLINE void add_tile(float32x4_t acc[4], const int8_t **tile, const int8_t *q,
                            const float *d, int8x16_t codebook, enum tensor_type type) {
    const float32x4_t x_scale = vld1q_f32(d);
    const int8_t *scales = *tile;
    int8x16_t x[4];
    advance(tile, TILE_SCALES);
#pragma GCC unroll 4
    for (int b = 0; b < 4; b++) {
        int32x4_t isum[4];
        if (b % 2 == 0)
            next_line(x, &q);
        if (type == TYPE_I4)
            dot_i4(isum, tile, x + b % 2 * 2, codebook);
        else
            dot_i8(isum, tile, x + b % 2 * 2);
        add_block(acc, isum, vld1q_s8(scales + 16 * b), x_scale[b]);
    }
}

/* Rows of panels p0 .. p1 of y; type, TYPE_I4 or TYPE_I8, is a constant. */
ALWAYS_INLINE void decode(float *y, const struct act_q8 *x, const struct wmat *w, size_t p0,
                          size_t p1, enum tensor_type type) {
    const int8x16_t codebook = type == TYPE_I4 ? vld1q_s8(w->codebook) : vdupq_n_s8(0);
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *panel = panel_at(w, type, p);
        const int8_t *tile = (const int8_t *)panel + PANEL_HEAD;
        float32x4_t acc[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
        for (size_t t = 0; t < w->k / TILE_K; t++)
            add_tile(acc, &tile, x->q + TILE_K * t, x->d + 4 * t, codebook, type);
        store_rows(y + p * PANEL_ROWS, acc, panel);
    }
}

INNER_LOOP void decode_i4(float *y, const struct act_q8 *x, const struct wmat *w, size_t p0,
                          size_t p1) {
    decode(y, x, w, p0, p1, TYPE_I4);
}

INNER_LOOP void decode_i8(float *y, const struct act_q8 *x, const struct wmat *w, size_t p0,
                          size_t p1) {
    decode(y, x, w, p0, p1, TYPE_I8);
}

#endif
