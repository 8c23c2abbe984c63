/* Prefill of i4 weights: tiles of 128 k requantized to 7 bits under one scale per row, against
 * activations with one scale per 128 values. */
#include "kernels/fma32.h"
#include "kernels/panel.h"
#include "kernels/scalar/matmul.h"
#include <stdlib.h>

/* To the nearest integer, ties to even, for |x| < 2^22: the addition does the rounding. */
static int rne(float x) {
    return (int)((x + 0x1.8p23f) - 0x1.8p23f);
}

/* r [128] of one row of a tile, |r| <= 64; returns t, the scale that goes with them. */
static float requantize_row(int8_t *r, const uint8_t *tile, size_t row, const int8_t *codebook) {
    int m = 0;
    for (size_t b = 0; b < 4; b++) {
        int s = abs(tile_scale(tile, b, row));
        m = s > m ? s : m;
    }
    if (m == 0) {
        memset(r, 0, TILE_K);
        return 0.0f;
    }
    float g = 256.0f / (float)m;
    for (size_t b = 0; b < 4; b++) {
        int f = rne((float)tile_scale(tile, b, row) * g);
        for (size_t i = 0; i < BLOCK_K; i++) {
            int v = tile_value_i4(tile, row, BLOCK_K * b + i, codebook);
            r[BLOCK_K * b + i] = (int8_t)((v * f + 64) >> 7);
        }
    }
    return (float)m * 0.5f;
}

static int code_at(const struct act_q128 *x, size_t c, size_t k) {
    return (int8_t)x->q[(k / PACK_K * x->ld + c) * PACK_K + k % PACK_K];
}

void matmul_f32_q128_i4_scalar(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    size_t n_tiles = w->k / TILE_K;
    for (size_t row = p0 * PANEL_ROWS; row < p1 * PANEL_ROWS; row++) {
        const uint8_t *panel = panel_at(w, TYPE_I4, row / PANEL_ROWS);
        size_t lane = row % PANEL_ROWS;
        for (size_t c = 0; c < n; c++)
            y[c * ldy + row] = 0.0f;
        for (size_t tile = 0; tile < n_tiles; tile++) {
            int8_t r[TILE_K];
            float t = requantize_row(r, panel_tile(panel, I4_TILE_BYTES, tile), lane, w->codebook);
            for (size_t c = 0; c < n; c++) {
                int32_t isum = 0;
                for (size_t i = 0; i < TILE_K; i++)
                    isum += r[i] * code_at(x, c, tile * TILE_K + i);
                float p = (float)isum * t;
                y[c * ldy + row] = fma32(p, x->d[c * n_tiles + tile], y[c * ldy + row]);
            }
        }
        for (size_t c = 0; c < n; c++)
            y[c * ldy + row] *= panel_row_scale(panel, lane);
    }
}
