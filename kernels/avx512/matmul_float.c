/*
 * f32 and bf16 weights: one chain of fma per row and column, so speed is the number of chains in
 * flight. Many columns: 6 of two panels, over a block of k whose weights stay in L1; more columns
 * would be more lines of one cache set, their distance being a power of two. One: several panels
 * side by side.
 */
#include "kernels/avx512/common.h"
#include "kernels/avx512/matmul.h"

#define COLS    6   /* columns of a register tile of two panels */
#define PANELS  4   /* panels of a register tile of one column */
#define BLOCK_F 256 /* k whose weights (two panels: 32 KB of f32) serve all columns in turn */

/* 16 weights of one k. */
TILE_HELPER __m512 load_line(const uint8_t *line, enum tensor_type type) {
    if (type == TYPE_F32)
        return _mm512_loadu_ps(line);
    const __m512i x = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)line));
    return _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
}

/* k0 .. k1 of panels, bytes apart, times cols columns: y continues, from 0 at k0 = 0. */
TILE_HELPER void multiply(float *y, size_t ldy, const uint8_t *weights, size_t bytes,
                          const float *x, size_t ldx, size_t k0, size_t k1, enum tensor_type type,
                          const size_t panels, const size_t cols) {
    const size_t line = PANEL_ROWS * (type == TYPE_F32 ? 4 : 2);
    __m512 acc[PANELS][COLS];
    UNROLL for (size_t p = 0; p < panels; p++) {
        UNROLL for (size_t c = 0; c < cols; c++) acc[p][c] =
            k0 > 0 ? _mm512_loadu_ps(y + c * ldy + p * PANEL_ROWS) : _mm512_setzero_ps();
    }
    for (size_t i = k0; i < k1; i++) {
        UNROLL for (size_t p = 0; p < panels; p++) {
            const __m512 v = load_line(weights + p * bytes + i * line, type);
            UNROLL for (size_t c = 0; c < cols; c++) acc[p][c] =
                _mm512_fmadd_ps(v, _mm512_set1_ps(x[c * ldx + i]), acc[p][c]);
        }
    }
    UNROLL for (size_t p = 0; p < panels; p++) {
        UNROLL for (size_t c = 0; c < cols; c++)
            _mm512_storeu_ps(y + c * ldy + p * PANEL_ROWS, acc[p][c]);
    }
}

/* cols <= COLS columns. */
TILE_HELPER void multiply_columns(float *y, size_t ldy, const uint8_t *weights, size_t bytes,
                                  const float *x, size_t ldx, size_t k0, size_t k1,
                                  enum tensor_type type, const size_t panels, size_t cols) {
    switch (cols) {
    case 1:
        multiply(y, ldy, weights, bytes, x, ldx, k0, k1, type, panels, 1);
        break;
    case 2:
        multiply(y, ldy, weights, bytes, x, ldx, k0, k1, type, panels, 2);
        break;
    case 3:
        multiply(y, ldy, weights, bytes, x, ldx, k0, k1, type, panels, 3);
        break;
    case 4:
        multiply(y, ldy, weights, bytes, x, ldx, k0, k1, type, panels, 4);
        break;
    case 5:
        multiply(y, ldy, weights, bytes, x, ldx, k0, k1, type, panels, 5);
        break;
    default:
        multiply(y, ldy, weights, bytes, x, ldx, k0, k1, type, panels, 6);
    }
}

TILE_HELPER void matmul(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                        const struct wmat *w, size_t p0, size_t p1, enum tensor_type type) {
    const size_t bytes = panel_bytes(type, w->k);
    size_t p = p0;
    if (n == 1)
        for (; p + PANELS <= p1; p += PANELS)
            multiply(y + p * PANEL_ROWS, ldy, panel_at(w, type, p), bytes, x, ldx, 0, w->k, type,
                     PANELS, 1);
    for (size_t panels; p < p1; p += panels) {
        panels = p1 - p >= 2 ? 2 : 1;
        for (size_t k0 = 0, k1; k0 < w->k; k0 = k1) {
            k1 = w->k - k0 < BLOCK_F ? w->k : k0 + BLOCK_F;
            for (size_t c = 0, cols; c < n; c += cols) {
                cols = next_columns(n - c, COLS);
                float *out = y + c * ldy + p * PANEL_ROWS;
                const uint8_t *weights = panel_at(w, type, p);
                if (panels == 2)
                    multiply_columns(out, ldy, weights, bytes, x + c * ldx, ldx, k0, k1, type, 2,
                                     cols);
                else
                    multiply_columns(out, ldy, weights, bytes, x + c * ldx, ldx, k0, k1, type, 1,
                                     cols);
            }
        }
    }
}

void matmul_f32_f32_f32_avx512(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul(y, ldy, x, ldx, n, w, p0, p1, TYPE_F32);
}

void matmul_f32_f32_bf16_avx512(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                                const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul(y, ldy, x, ldx, n, w, p0, p1, TYPE_BF16);
}
