/* Weights in f32 and bf16 against float activations: one chain of fma per row and column, 16 rows
 * of up to four columns at a time. */
#include "kernels/neon/neon.h"
#include "kernels/neon/slots.h"

/* 16 weights at some k. */
TILE_HELPER void load_weights(float32x4_t w[4], const uint8_t *panel, size_t k, bool half) {
    UNROLL for (int g = 0; g < 4; g++) {
        if (half) {
            const uint16x4_t bits =
                vld1_u16((const uint16_t *)(const void *)panel + 16 * k + 4 * g);
            w[g] = vreinterpretq_f32_u32(vshll_n_u16(bits, 16));
        } else {
            w[g] = vld1q_f32((const float *)(const void *)panel + 16 * k + 4 * g);
        }
    }
}

/* n_cols (a constant) columns of a panel. */
TILE_HELPER void panel_columns(float *y, size_t ldy, const float *x, size_t ldx,
                               const uint8_t *panel, size_t k, int n_cols, bool half) {
    float32x4_t acc[4][4];
    UNROLL for (int c = 0; c < n_cols; c++) UNROLL for (int g = 0; g < 4; g++) acc[c][g] =
        vdupq_n_f32(0);
    for (size_t i = 0; i < k; i++) {
        float32x4_t w[4];
        load_weights(w, panel, i, half);
        UNROLL for (int c = 0; c < n_cols; c++) {
            const float32x4_t a = vdupq_n_f32(x[c * ldx + i]);
            UNROLL for (int g = 0; g < 4; g++) acc[c][g] = vfmaq_f32(acc[c][g], w[g], a);
        }
    }
    UNROLL for (int c = 0; c < n_cols; c++) UNROLL for (int g = 0; g < 4; g++)
        vst1q_f32(y + c * ldy + 4 * g, acc[c][g]);
}

TILE_HELPER void matmul_float(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, bool half) {
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *panel = panel_at(w, half ? TYPE_BF16 : TYPE_F32, p);
        float *rows = y + p * PANEL_ROWS;
        size_t c = 0;
        for (; c + 4 <= n; c += 4)
            panel_columns(rows + c * ldy, ldy, x + c * ldx, ldx, panel, w->k, 4, half);
        for (; c < n; c++)
            panel_columns(rows + c * ldy, ldy, x + c * ldx, ldx, panel, w->k, 1, half);
    }
}

void matmul_f32_f32_f32_neon(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                             const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul_float(y, ldy, x, ldx, n, w, p0, p1, false);
}

void matmul_f32_f32_bf16_neon(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul_float(y, ldy, x, ldx, n, w, p0, p1, true);
}
