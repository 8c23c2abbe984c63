/* Rounding rows of floats into panels (layout.h). */
#ifndef BISE_QUANT_QUANTIZE_H
#define BISE_QUANT_QUANTIZE_H

#include "layout.h"
#include <stdbool.h>

/* The built-in codebook for i4: 16 ascending values in -32..31, one of magnitude >= 31. */
extern const int8_t codebook_default[CODEBOOK_SIZE];

/* Rounds up to 16 rows [n_rows][cols] (row stride cols) into one panel of type (any), k padded to
 * TILE_K, missing rows and columns zero. panel: panel_bytes(type, round_up(cols, TILE_K)), 64-byte
 * aligned. codebook: i4 only. Scales are searched over both signs and neighbouring values for the
 * least squared error. *err2 and *ref2 gain the squared error and the squared norm of the rows
 * (double). Needs scratch floats of quantize_scratch_floats(cols). All x must be finite. */
void quantize_panel(uint8_t *panel, enum tensor_type type, const float *x, size_t n_rows,
                    size_t cols, const int8_t *codebook, float *scratch, double *err2,
                    double *ref2);
size_t quantize_scratch_floats(size_t cols);

/* Exact conversions; to bf16 and f16 round to nearest even. */
float bf16_to_f32(uint16_t u);
uint16_t f32_to_bf16(float x);
float f16_to_f32(uint16_t u);
uint16_t f32_to_f16(float x);

#endif
