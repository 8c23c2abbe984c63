/*
 * Few columns against weights with one scale per block of 32 k, with registers of 256 bits: the
 * loop over panels and groups of columns that this folder and avxvnni share. Before including it, a
 * folder defines
 *
 *   COLS   columns in one pass over the weights: 4
 *   TILE_HELPER void multiply_panel(float *y, size_t ldy, const uint8_t *panel, __m256i table,
 *                                   const struct columns *x, enum tensor_type type,
 *                                   const size_t cols);
 *       one panel times cols (a constant) columns; table: the codebook + 32, of i4
 */
#ifndef BISE_KERNELS_AVX2_DECODE_H
#define BISE_KERNELS_AVX2_DECODE_H

#include "kernels/avx2/common.h"
#include "kernels/columns.h"

TILE_HELPER void multiply(float *y, size_t ldy, const uint8_t *panel, __m256i table,
                          const struct columns *x, enum tensor_type type, size_t cols) {
    switch (cols) {
    case 1:
        multiply_panel(y, ldy, panel, table, x, type, 1);
        break;
    case 2:
        multiply_panel(y, ldy, panel, table, x, type, 2);
        break;
    case 3:
        multiply_panel(y, ldy, panel, table, x, type, 3);
        break;
    default:
        multiply_panel(y, ldy, panel, table, x, type, 4);
    }
}

/* A matrix slot; type, TYPE_I4 or TYPE_I8, is a constant. */
TILE_HELPER void matmul(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                        const struct wmat *w, size_t p0, size_t p1, enum tensor_type type) {
    const __m256i table = type == TYPE_I4 ? load_codebook(w->codebook, 32) : _mm256_setzero_si256();
    for (size_t p = p0; p < p1; p++) {
        for (size_t c = 0, cols; c < n; c += cols) {
            cols = next_columns(n - c, COLS);
            const struct columns group = columns_from(x, c, w->k);
            multiply(y + c * ldy + p * PANEL_ROWS, ldy, panel_at(w, type, p), table, &group, type,
                     cols);
        }
    }
}

#endif
