/* f32 and bf16 weights: one chain of fma per row and column. */
#include "kernels/sse41/common.h"
#include "kernels/sse41/slots.h"

/* Weights of rows 4g .. 4g + 3 at some k. */
TILE_HELPER __m128 load_weights(const uint8_t *panel, enum tensor_type type, size_t i, size_t g) {
    if (type == TYPE_F32)
        return _mm_loadu_ps((const float *)panel + i * PANEL_ROWS + 4 * g);
    const __m128i half = _mm_loadl_epi64((const void *)(panel + 2 * (i * PANEL_ROWS + 4 * g)));
    return _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), half));
}

TILE_HELPER void matmul(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                        const struct wmat *w, size_t p0, size_t p1, enum tensor_type type) {
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *const panel = panel_at(w, type, p);
        for (size_t c = 0; c < n; c++) {
            __m128 acc[4];
            UNROLL for (size_t g = 0; g < 4; g++) acc[g] = _mm_setzero_ps();
            for (size_t i = 0; i < w->k; i++) {
                const __m128 a = _mm_set1_ps(x[c * ldx + i]);
                UNROLL for (size_t g = 0; g < 4; g++) acc[g] =
                    fma4(load_weights(panel, type, i, g), a, acc[g]);
            }
            UNROLL for (size_t g = 0; g < 4; g++)
                _mm_storeu_ps(y + c * ldy + p * PANEL_ROWS + 4 * g, acc[g]);
        }
    }
}

void matmul_f32_f32_f32_sse41(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul(y, ldy, x, ldx, n, w, p0, p1, TYPE_F32);
}

void matmul_f32_f32_bf16_sse41(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul(y, ldy, x, ldx, n, w, p0, p1, TYPE_BF16);
}
