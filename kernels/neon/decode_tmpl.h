/*
 * One column against quantized panels as they lie in the file: the loop that plain NEON and the dot
 * product share. Before including it, a folder defines, for a block of 32 k of 16 rows,
 *
 *   TILE_HELPER void dot_i4(int32x4_t isum[4], const int8_t **lines, const int8x16_t x[2],
 *                             int8x16_t codebook);
 *   TILE_HELPER void dot_i8(int32x4_t isum[4], const int8_t **lines, const int8x16_t x[2]);
 *
 * isum = the lines of the block, which the pointer is moved past, times x.
 */
#include "kernels/neon/neon.h"

/* acc += a tile of 16 rows of i8, which *tile is moved past, times q with scales d [4]. */
TILE_HELPER void add_tile_i8(float32x4_t acc[4], const int8_t **tile, const int8_t *q,
                             const float *d) {
    const float32x4_t x_scale = vld1q_f32(d);
    const int8_t *scales = *tile;
    int8x16_t x[4];
    advance(tile, TILE_SCALES);
    UNROLL for (int b = 0; b < 4; b++) {
        int32x4_t isum[4], scale[4];
        if (b % 2 == 0)
            next_line(x, &q);
        dot_i8(isum, tile, x + b % 2 * 2);
        widen_scales(scale, vld1q_s8(scales + 16 * b));
        UNROLL for (int g = 0; g < 4; g++) acc[g] =
            add_scaled(acc[g], isum[g], scale[g], x_scale[b]);
    }
}

/* acc += a tile of i4 times q, [2] times 64 k, step bytes apart, with one scale. */
TILE_HELPER void add_tile_i4(float32x4_t acc[4], const int8_t **tile, const int8_t *q, size_t step,
                             float d, int8x16_t codebook) {
    const int8_t *scales = *tile;
    float32x4_t s[4];
    int8x16_t x[4];
    advance(tile, TILE_SCALES);
    UNROLL for (int b = 0; b < 4; b++) {
        int32x4_t isum[4], scale[4];
        if (b % 2 == 0) {
            const int8_t *line = q + b / 2 * step;
            next_line(x, &line);
        }
        dot_i4(isum, tile, x + b % 2 * 2, codebook);
        widen_scales(scale, vld1q_s8(scales + 16 * b));
        UNROLL for (int g = 0; g < 4; g++) {
            const float32x4_t product = vcvtq_f32_s32(vmulq_s32(isum[g], scale[g]));
            s[g] = b == 0 ? product : vaddq_f32(s[g], product);
        }
    }
    UNROLL for (int g = 0; g < 4; g++) acc[g] = vfmaq_n_f32(acc[g], s[g], d);
}

/* y [16] = acc * row_scale, a panel done. */
TILE_HELPER void store_rows(float *y, const float32x4_t acc[4], const uint8_t *panel) {
    UNROLL for (int g = 0; g < 4; g++) {
        const float32x4_t row_scale = vreinterpretq_f32_u8(vld1q_u8(panel + 16 * g));
        vst1q_f32(y + 4 * g, vmulq_f32(acc[g], row_scale));
    }
}

/* Rows of panels p0 .. p1 of y. */
INNER_LOOP void decode_i4(float *y, const struct act_q128 *x, const struct wmat *w, size_t p0,
                          size_t p1) {
    const int8x16_t codebook = vld1q_s8(w->codebook);
    const size_t step = x->ld * PACK_K;
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *panel = panel_at(w, TYPE_I4, p);
        const int8_t *tile = (const int8_t *)panel + PANEL_HEAD;
        float32x4_t acc[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
        for (size_t t = 0; t < w->k / TILE_K; t++)
            add_tile_i4(acc, &tile, x->q + 2 * t * step, step, x->d[t], codebook);
        store_rows(y + p * PANEL_ROWS, acc, panel);
    }
}

INNER_LOOP void decode_i8(float *y, const struct act_q8 *x, const struct wmat *w, size_t p0,
                          size_t p1) {
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *panel = panel_at(w, TYPE_I8, p);
        const int8_t *tile = (const int8_t *)panel + PANEL_HEAD;
        float32x4_t acc[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
        for (size_t t = 0; t < w->k / TILE_K; t++)
            add_tile_i8(acc, &tile, x->q + TILE_K * t, x->d + 4 * t);
        store_rows(y + p * PANEL_ROWS, acc, panel);
    }
}
