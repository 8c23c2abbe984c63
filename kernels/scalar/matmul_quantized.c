/* Weights in i4 and i8 against int8 activations. */
#include "kernels/fma32.h"
#include "kernels/panel.h"
#include "kernels/scalar/slots.h"

static int code_at(const struct act_q128 *x, size_t c, size_t k) {
    return x->q[(k / PACK_K * x->ld + c) * PACK_K + k % PACK_K];
}

static float dot_i4(const uint8_t *panel, size_t row, const struct act_q128 *x, size_t c,
                    const struct wmat *w) {
    float acc = 0.0f;
    for (size_t t = 0; t < w->k / TILE_K; t++) {
        const uint8_t *tile = panel_tile(panel, I4_TILE_BYTES, t);
        float s = 0.0f;
        for (size_t b = 0; b < 4; b++) {
            int32_t isum = 0;
            for (size_t i = BLOCK_K * b; i < BLOCK_K * (b + 1); i++)
                isum += tile_value_i4(tile, row, i, w->codebook) * code_at(x, c, t * TILE_K + i);
            s += (float)isum * (float)tile_scale(tile, b, row); /* the product is exact */
        }
        acc = fma32(s, x->d[c * (w->k / TILE_K) + t], acc);
    }
    return acc * panel_row_scale(panel, row);
}

static float dot_i8(const uint8_t *panel, size_t row, const int8_t *q, const float *d, size_t k) {
    float acc = 0.0f;
    for (size_t block = 0; block < k / BLOCK_K; block++) {
        const uint8_t *tile = panel_tile(panel, I8_TILE_BYTES, block / 4);
        size_t b = block % 4;
        int32_t isum = 0;
        for (size_t i = 0; i < BLOCK_K; i++)
            isum += tile_value_i8(tile, row, BLOCK_K * b + i) * q[block * BLOCK_K + i];
        acc = fma32((float)isum * (float)tile_scale(tile, b, row), d[block], acc);
    }
    return acc * panel_row_scale(panel, row);
}

void matmul_f32_q128_i4_scalar(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *panel = panel_at(w, TYPE_I4, p);
        for (size_t c = 0; c < n; c++)
            for (size_t row = 0; row < PANEL_ROWS; row++)
                y[c * ldy + p * PANEL_ROWS + row] = dot_i4(panel, row, x, c, w);
    }
}

void matmul_f32_q32_i8_scalar(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *panel = panel_at(w, TYPE_I8, p);
        for (size_t c = 0; c < n; c++) {
            const int8_t *q = x->q + c * w->k;
            const float *d = x->d + c * (w->k / BLOCK_K);
            for (size_t row = 0; row < PANEL_ROWS; row++)
                y[c * ldy + p * PANEL_ROWS + row] = dot_i8(panel, row, q, d, w->k);
        }
    }
}
