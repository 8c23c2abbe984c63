/* Weights in f32 and bf16 against float activations: one chain of fma per row. */
#include "kernels/float_formats.h"
#include "kernels/fma32.h"
#include "kernels/layout.h"
#include "kernels/panel.h"
#include "kernels/scalar/slots.h"

void matmul_f32_f32_f32_scalar(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    for (size_t row = p0 * PANEL_ROWS; row < p1 * PANEL_ROWS; row++) {
        const float *panel = (const float *)panel_at(w, TYPE_F32, row / PANEL_ROWS);
        for (size_t c = 0; c < n; c++) {
            float acc = 0.0f;
            for (size_t i = 0; i < w->k; i++)
                acc = fma32(panel[i * PANEL_ROWS + row % PANEL_ROWS], x[c * ldx + i], acc);
            y[c * ldy + row] = acc;
        }
    }
}

void matmul_f32_f32_bf16_scalar(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                                const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    for (size_t row = p0 * PANEL_ROWS; row < p1 * PANEL_ROWS; row++) {
        const uint16_t *panel = (const uint16_t *)panel_at(w, TYPE_BF16, row / PANEL_ROWS);
        for (size_t c = 0; c < n; c++) {
            float acc = 0.0f;
            for (size_t i = 0; i < w->k; i++) {
                float v = bf16_to_f32(panel[i * PANEL_ROWS + row % PANEL_ROWS]);
                acc = fma32(v, x[c * ldx + i], acc);
            }
            y[c * ldy + row] = acc;
        }
    }
}
