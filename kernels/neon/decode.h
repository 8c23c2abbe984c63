/*
 * One column against quantized panels as they lie in the file: the loop that plain NEON and the dot
 * product share. Before including it, a folder defines, for a block of 32 k of 16 rows,
 *
 *   ALWAYS_INLINE void dot_i4(int32x4_t isum[4], const uint8_t *codes, const int8_t *q,
 *                             int8x16_t codebook);
 *   ALWAYS_INLINE void dot_i8(int32x4_t isum[4], const uint8_t *codes, const int8_t *q);
 */
#ifndef BISE_NEON_DECODE_H
#define BISE_NEON_DECODE_H

#include "kernels/neon/neon.h"

/* Rows of panels p0 .. p1 of y; type, TYPE_I4 or TYPE_I8, is a constant. */
ALWAYS_INLINE void decode(float *y, const struct act_q8 *x, const struct wmat *w, size_t p0,
                          size_t p1, enum tensor_type type) {
    const size_t tile_bytes = type == TYPE_I4 ? I4_TILE_BYTES : I8_TILE_BYTES;
    const int8x16_t codebook = type == TYPE_I4 ? vld1q_s8(w->codebook) : vdupq_n_s8(0);
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *panel = panel_at(w, type, p), *tile = panel + PANEL_HEAD;
        const int8_t *q = x->q;
        const float *d = x->d;
        float32x4_t acc[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
        for (size_t t = 0; t < w->k / TILE_K; t++, tile += tile_bytes) {
            const uint8_t *codes = tile + TILE_SCALES;
            for (size_t b = 0; b < 4; b++, q += BLOCK_K, d++) {
                int32x4_t isum[4];
                if (type == TYPE_I4)
                    dot_i4(isum, codes + 256 * b, q, codebook);
                else
                    dot_i8(isum, codes + 512 * b, q);
                add_block(acc, isum, (const int8_t *)tile + 16 * b, *d);
            }
        }
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
