/* Weights in i4 and i8 against activations with one scale per 32 values. */
#include "kernels/fma32.h"
#include "kernels/panel.h"
#include "kernels/scalar/matmul.h"

/* acc = fma(isum * block_scale, d, acc): one block of 32 k of one row. */
static float add_block(float acc, int32_t isum, int block_scale, float d) {
    float t = (float)isum * (float)block_scale;
    return fma32(t, d, acc);
}

static float dot_i4(const uint8_t *panel, size_t row, const int8_t *q, const float *d, size_t k,
                    const int8_t *codebook) {
    float acc = 0.0f;
    for (size_t block = 0; block < k / BLOCK_K; block++) {
        const uint8_t *tile = panel_tile(panel, I4_TILE_BYTES, block / 4);
        size_t b = block % 4;
        int32_t isum = 0;
        for (size_t i = 0; i < BLOCK_K; i++)
            isum += tile_value_i4(tile, row, BLOCK_K * b + i, codebook) * q[block * BLOCK_K + i];
        acc = add_block(acc, isum, tile_scale(tile, b, row), d[block]);
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
        acc = add_block(acc, isum, tile_scale(tile, b, row), d[block]);
    }
    return acc * panel_row_scale(panel, row);
}

void matmul_f32_q32_i4_scalar(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *panel = panel_at(w, TYPE_I4, p);
        for (size_t c = 0; c < n; c++) {
            const int8_t *q = x->q + c * w->k;
            const float *d = x->d + c * (w->k / BLOCK_K);
            for (size_t row = 0; row < PANEL_ROWS; row++)
                y[c * ldy + p * PANEL_ROWS + row] = dot_i4(panel, row, q, d, w->k, w->codebook);
        }
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
