/*
 * f32 and bf16 weights: one chain of fma per row and column, so speed is the number of chains in
 * flight. Many columns: 6 of one panel (12 chains), over a block of k whose weights stay in L1.
 * Few: several panels side by side.
 */
#include "kernels/avx2/common.h"
#include "kernels/avx2/slots.h"

#define COLS    6   /* columns of a register tile of one panel */
#define PANELS  4   /* panels of a register tile of one column */
#define BLOCK_F 512 /* k whose weights (32 KB of f32) serve all columns in turn */

/* 16 weights of one k in two registers: of rows 0..7 and 8..15 for f32; for bf16 of the even and
 * the odd rows, which is how they come out of 32-bit lanes without a shuffle. */
TILE_HELPER void load_line(__m256 v[2], const uint8_t *line, enum tensor_type type) {
    if (type == TYPE_F32) {
        v[0] = _mm256_loadu_ps((const float *)line);
        v[1] = _mm256_loadu_ps((const float *)line + 8);
    } else {
        const __m256i x = load32(line), high = _mm256_set1_epi32((int)0xffff0000);
        v[0] = _mm256_castsi256_ps(_mm256_slli_epi32(x, 16));
        v[1] = _mm256_castsi256_ps(_mm256_and_si256(x, high));
    }
}

/* 64-bit quarters 0 2 1 3. */
static inline __m256 swap_middle(__m256 v) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), _MM_SHUFFLE(3, 1, 2, 0)));
}

/* The sums of 16 rows in load_line's order: from y, and to y. */
TILE_HELPER void load_sums(__m256 v[2], const float *y, enum tensor_type type) {
    v[0] = _mm256_loadu_ps(y);
    v[1] = _mm256_loadu_ps(y + 8);
    if (type == TYPE_BF16) { /* even = 0 2 4 6 | 8 10 12 14, odd likewise */
        __m256 even = _mm256_shuffle_ps(v[0], v[1], _MM_SHUFFLE(2, 0, 2, 0));
        __m256 odd = _mm256_shuffle_ps(v[0], v[1], _MM_SHUFFLE(3, 1, 3, 1));
        v[0] = swap_middle(even);
        v[1] = swap_middle(odd);
    }
}

TILE_HELPER void store_sums(float *y, const __m256 v[2], enum tensor_type type) {
    __m256 lo = v[0], hi = v[1];
    if (type == TYPE_BF16) { /* lo = 0..3 | 8..11, hi = 4..7 | 12..15 */
        lo = _mm256_unpacklo_ps(v[0], v[1]);
        hi = _mm256_unpackhi_ps(v[0], v[1]);
        const __m256 first = _mm256_permute2f128_ps(lo, hi, 0x20);
        hi = _mm256_permute2f128_ps(lo, hi, 0x31);
        lo = first;
    }
    _mm256_storeu_ps(y, lo);
    _mm256_storeu_ps(y + 8, hi);
}

/* k0 .. k1 of panels times cols columns: y continues, from 0 at k0 = 0. */
TILE_HELPER void multiply(float *y, size_t ldy, const uint8_t *weights, size_t bytes,
                          const float *x, size_t ldx, size_t k0, size_t k1, enum tensor_type type,
                          const size_t panels, const size_t cols) {
    const size_t line = PANEL_ROWS * (type == TYPE_F32 ? 4 : 2);
    __m256 acc[PANELS][COLS][2];
    UNROLL for (size_t p = 0; p < panels; p++) {
        UNROLL for (size_t c = 0; c < cols; c++) {
            if (k0 > 0)
                load_sums(acc[p][c], y + c * ldy + p * PANEL_ROWS, type);
            else
                acc[p][c][0] = acc[p][c][1] = _mm256_setzero_ps();
        }
    }
    for (size_t i = k0; i < k1; i++) {
        UNROLL for (size_t p = 0; p < panels; p++) {
            __m256 v[2];
            load_line(v, weights + p * bytes + i * line, type);
            UNROLL for (size_t c = 0; c < cols; c++) {
                __m256 a = _mm256_broadcast_ss(x + c * ldx + i);
                acc[p][c][0] = _mm256_fmadd_ps(v[0], a, acc[p][c][0]);
                acc[p][c][1] = _mm256_fmadd_ps(v[1], a, acc[p][c][1]);
            }
        }
    }
    UNROLL for (size_t p = 0; p < panels; p++) {
        UNROLL for (size_t c = 0; c < cols; c++)
            store_sums(y + c * ldy + p * PANEL_ROWS, acc[p][c], type);
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
    else if (n == 2)
        for (; p + 2 <= p1; p += 2)
            multiply(y + p * PANEL_ROWS, ldy, panel_at(w, type, p), bytes, x, ldx, 0, w->k, type, 2,
                     2);
    for (; p < p1; p++) {
        for (size_t k0 = 0, k1; k0 < w->k; k0 = k1) {
            k1 = w->k - k0 < BLOCK_F ? w->k : k0 + BLOCK_F;
            for (size_t c = 0, cols; c < n; c += cols) {
                cols = next_columns(n - c, COLS);
                WITH_CONSTANT(cols, COLS,
                              multiply(y + c * ldy + p * PANEL_ROWS, ldy, panel_at(w, type, p), 0,
                                       x + c * ldx, ldx, k0, k1, type, 1, N));
            }
        }
    }
}

void matmul_f32_f32_f32_avx2(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                             const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul(y, ldy, x, ldx, n, w, p0, p1, TYPE_F32);
}

void matmul_f32_f32_bf16_avx2(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul(y, ldy, x, ldx, n, w, p0, p1, TYPE_BF16);
}
