/* One row of a matrix as floats. */
#include "kernels/float_formats.h"
#include "kernels/layout.h"
#include "kernels/panel.h"

static void dequantize_row_float(float *out, enum tensor_type type, const uint8_t *panel,
                                 size_t lane, size_t k) {
    for (size_t i = 0; i < k; i++) {
        if (type == TYPE_F32)
            out[i] = ((const float *)panel)[i * PANEL_ROWS + lane];
        else
            out[i] = bf16_to_f32(((const uint16_t *)panel)[i * PANEL_ROWS + lane]);
    }
}

void dequantize_row(float *out, enum tensor_type type, const struct wmat *w, size_t row) {
    const uint8_t *panel = panel_at(w, type, row / PANEL_ROWS);
    size_t lane = row % PANEL_ROWS;
    if (type == TYPE_F32 || type == TYPE_BF16) {
        dequantize_row_float(out, type, panel, lane, w->k);
        return;
    }
    float row_scale = panel_row_scale(panel, lane);
    for (size_t i = 0; i < w->k; i++) {
        const uint8_t *tile =
            panel_tile(panel, type == TYPE_I4 ? I4_TILE_BYTES : I8_TILE_BYTES, i / TILE_K);
        float scale = row_scale * (float)tile_scale(tile, i % TILE_K / BLOCK_K, lane);
        int value = type == TYPE_I4 ? tile_value_i4(tile, lane, i % TILE_K, w->codebook)
                                    : tile_value_i8(tile, lane, i % TILE_K);
        out[i] = scale * (float)value;
    }
}
