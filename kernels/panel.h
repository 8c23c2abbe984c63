/* Addresses and values inside a panel (quant/layout.h), one weight at a time. */
#ifndef BISE_KERNELS_PANEL_H
#define BISE_KERNELS_PANEL_H

#include "kernels/kernels.h"
#include <string.h>

static inline const uint8_t *panel_at(const struct wmat *w, enum tensor_type type, size_t p) {
    return w->panels + p * panel_bytes(type, w->k);
}

/* The panel's row_scale of one of its rows. */
static inline float panel_row_scale(const uint8_t *panel, size_t row) {
    float s;
    memcpy(&s, panel + 4 * row, sizeof s);
    return s;
}

/* A quantized panel's tile, of tile_bytes: I4_TILE_BYTES or I8_TILE_BYTES. */
static inline const uint8_t *panel_tile(const uint8_t *panel, size_t tile_bytes, size_t tile) {
    return panel + PANEL_HEAD + tile * tile_bytes;
}

/* Scale of block b (0..3) of a tile. */
static inline int tile_scale(const uint8_t *tile, size_t b, size_t row) {
    return ((const int8_t *)tile)[b * PANEL_ROWS + row];
}

/* Value k (0..127) of a row of an i4 tile. */
static inline int tile_value_i4(const uint8_t *tile, size_t row, size_t k, const int8_t *codebook) {
    uint8_t byte = tile[TILE_SCALES + k / 8 * 64 + 4 * row + k % 4];
    return codebook[k & 4 ? byte >> 4 : byte & 15];
}

/* Value k (0..127) of a row of an i8 tile. */
static inline int tile_value_i8(const uint8_t *tile, size_t row, size_t k) {
    return ((const int8_t *)tile)[TILE_SCALES + k / 4 * 64 + 4 * row + k % 4];
}

#endif
