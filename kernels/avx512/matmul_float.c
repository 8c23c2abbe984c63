/*
 * f32 weights: one chain of fma per row and column, so speed is the number of chains in flight.
 * Many columns: 6 of two panels, over a block of k whose weights stay in L1; more columns would be
 * more lines of one cache set, their distance being a power of two. One: several panels side by
 * side.
 *
 * bf16 weights are left to AVX2: its fma is as wide on the CPUs this serves, and 16 bits are spread
 * to floats at half the cost.
 */
#include "kernels/avx512/common.h"
#include "kernels/avx512/slots.h"

#define COLS    6   /* columns of a register tile of two panels */
#define PANELS  4   /* panels of a register tile of one column */
#define BLOCK_F 256 /* k whose weights (two panels: 32 KB of f32) serve all columns in turn */

/* k0 .. k1 of panels, bytes apart, times cols columns: y continues, from 0 at k0 = 0. */
TILE_HELPER void multiply(float *y, size_t ldy, const uint8_t *weights, size_t bytes,
                          const float *x, size_t ldx, size_t k0, size_t k1, const size_t panels,
                          const size_t cols) {
    __m512 acc[COLS][PANELS];
    UNROLL for (size_t c = 0; c < cols; c++) {
        UNROLL for (size_t p = 0; p < panels; p++) acc[c][p] =
            k0 > 0 ? _mm512_loadu_ps(y + c * ldy + p * PANEL_ROWS) : _mm512_setzero_ps();
    }
    for (size_t i = k0; i < k1; i++) {
        __m512 v[PANELS];
        UNROLL for (size_t p = 0; p < panels; p++) v[p] =
            _mm512_loadu_ps(weights + p * bytes + i * PANEL_ROWS * sizeof(float));
        UNROLL for (size_t c = 0; c < cols; c++) {
            const __m512 a = _mm512_set1_ps(x[c * ldx + i]);
            UNROLL for (size_t p = 0; p < panels; p++) acc[c][p] =
                _mm512_fmadd_ps(v[p], a, acc[c][p]);
        }
    }
    UNROLL for (size_t c = 0; c < cols; c++) {
        UNROLL for (size_t p = 0; p < panels; p++)
            _mm512_storeu_ps(y + c * ldy + p * PANEL_ROWS, acc[c][p]);
    }
}

void matmul_f32_f32_f32_avx512(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    const size_t bytes = panel_bytes(TYPE_F32, w->k);
    size_t p = p0;
    if (n == 1)
        for (; p + PANELS <= p1; p += PANELS)
            multiply(y + p * PANEL_ROWS, ldy, panel_at(w, TYPE_F32, p), bytes, x, ldx, 0, w->k,
                     PANELS, 1);
    for (size_t panels; p < p1; p += panels) {
        panels = p1 - p >= 2 ? 2 : 1;
        for (size_t k0 = 0, k1; k0 < w->k; k0 = k1) {
            k1 = w->k - k0 < BLOCK_F ? w->k : k0 + BLOCK_F;
            for (size_t c = 0, cols; c < n; c += cols) {
                cols = next_columns(n - c, COLS);
                float *out = y + c * ldy + p * PANEL_ROWS;
                const uint8_t *weights = panel_at(w, TYPE_F32, p);
                if (panels == 2)
                    WITH_CONSTANT(
                        cols, COLS,
                        multiply(out, ldy, weights, bytes, x + c * ldx, ldx, k0, k1, 2, N));
                else
                    WITH_CONSTANT(
                        cols, COLS,
                        multiply(out, ldy, weights, bytes, x + c * ldx, ldx, k0, k1, 1, N));
            }
        }
    }
}
