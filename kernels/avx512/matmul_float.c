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

/* Two registers of sums, or of the weights of one k, of two panels: for f32 the rows of each; for
 * bf16 the even rows of both, then the odd rows, which is how they come out of 32-bit lanes without
 * a shuffle. A panel that is not there counts as zeros. */
TILE_HELPER void load_line(__m512 v[2], const uint8_t *line, size_t bytes, enum tensor_type type,
                           const size_t panels) {
    if (type == TYPE_F32) {
        v[0] = _mm512_loadu_ps(line);
        v[1] = panels == 2 ? _mm512_loadu_ps(line + bytes) : _mm512_setzero_ps();
        return;
    }
    __m512i x = _mm512_zextsi256_si512(_mm256_loadu_si256((const void *)line));
    if (panels == 2)
        x = _mm512_inserti64x4(x, _mm256_loadu_si256((const void *)(line + bytes)), 1);
    const __m512i high = _mm512_set1_epi32((int)0xffff0000);
    v[0] = _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
    v[1] = _mm512_castsi512_ps(_mm512_and_si512(x, high));
}

/* From y, and to y, panels side by side. */
TILE_HELPER void load_sums(__m512 v[2], const float *y, enum tensor_type type,
                           const size_t panels) {
    v[0] = _mm512_loadu_ps(y);
    v[1] = panels == 2 ? _mm512_loadu_ps(y + PANEL_ROWS) : _mm512_setzero_ps();
    if (type == TYPE_BF16) {
        const __m512i even =
            _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
        const __m512 first = v[0];
        v[0] = _mm512_permutex2var_ps(first, even, v[1]);
        v[1] = _mm512_permutex2var_ps(first, odd, v[1]);
    }
}

TILE_HELPER void store_sums(float *y, const __m512 v[2], enum tensor_type type,
                            const size_t panels) {
    __m512 first = v[0], second = v[1];
    if (type == TYPE_BF16) {
        const __m512i rows =
            _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        first = _mm512_permutex2var_ps(v[0], rows, v[1]);
        second = _mm512_permutex2var_ps(v[0], _mm512_add_epi32(rows, _mm512_set1_epi32(8)), v[1]);
    }
    _mm512_storeu_ps(y, first);
    if (panels == 2)
        _mm512_storeu_ps(y + PANEL_ROWS, second);
}

/* k0 .. k1 of panels, bytes apart, times cols columns: y continues, from 0 at k0 = 0. */
TILE_HELPER void multiply(float *y, size_t ldy, const uint8_t *weights, size_t bytes,
                          const float *x, size_t ldx, size_t k0, size_t k1, enum tensor_type type,
                          const size_t panels, const size_t cols) {
    const size_t line = PANEL_ROWS * (type == TYPE_F32 ? 4 : 2), pairs = (panels + 1) / 2;
    const size_t in_pair = panels == 1 ? 1 : 2;
    __m512 acc[PANELS / 2][COLS][2];
    UNROLL for (size_t p = 0; p < pairs; p++) {
        UNROLL for (size_t c = 0; c < cols; c++) {
            if (k0 > 0)
                load_sums(acc[p][c], y + c * ldy + p * 2 * PANEL_ROWS, type, in_pair);
            else
                acc[p][c][0] = acc[p][c][1] = _mm512_setzero_ps();
        }
    }
    for (size_t i = k0; i < k1; i++) {
        UNROLL for (size_t p = 0; p < pairs; p++) {
            __m512 v[2];
            load_line(v, weights + 2 * p * bytes + i * line, bytes, type, in_pair);
            UNROLL for (size_t c = 0; c < cols; c++) {
                const __m512 a = _mm512_set1_ps(x[c * ldx + i]);
                acc[p][c][0] = _mm512_fmadd_ps(v[0], a, acc[p][c][0]);
                if (in_pair == 2 || type == TYPE_BF16)
                    acc[p][c][1] = _mm512_fmadd_ps(v[1], a, acc[p][c][1]);
            }
        }
    }
    UNROLL for (size_t p = 0; p < pairs; p++) {
        UNROLL for (size_t c = 0; c < cols; c++)
            store_sums(y + c * ldy + p * 2 * PANEL_ROWS, acc[p][c], type, in_pair);
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
