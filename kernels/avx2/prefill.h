/*
 * Prefill of i4 weights with registers of 256 bits: what this folder and avxvnni share of the inner
 * steps of kernels/prefill.h. Before including it, a folder defines
 *
 *   COLS            columns of a register tile
 *   struct wblock   one block of k of one panel; among others the scales float t [KB_TILES][16]
 *   static void requantize_half(struct wblock *w, size_t i, const uint8_t *tile, size_t h,
 *                               __m256i table);
 *       rows 8h .. 8h + 7 of a file's tile become tile i of the block
 *   TILE_HELPER void multiply_tile(__m256i (*acc)[2], const struct wblock *w, size_t i,
 *                                  const uint8_t *a, size_t lda, const size_t cols);
 *       acc = isum of tile i and the columns at a, [2] times lda bytes, 64 k of each column:
 *       [cols][2 halves of the rows]; cols is a constant
 */
#ifndef BISE_KERNELS_AVX2_PREFILL_H
#define BISE_KERNELS_AVX2_PREFILL_H

#include "kernels/avx2/sums.h"
#include "kernels/prefill.h"

static void requantize_panel(uint8_t *w, const uint8_t *tiles, size_t n_tiles,
                             const int8_t *codebook) {
    struct wblock *b = (struct wblock *)w;
    const __m256i table = load_codebook(codebook, 0);
    for (size_t i = 0; i < n_tiles; i++) {
        requantize_half(b, i, tiles + i * I4_TILE_BYTES, 0, table);
        requantize_half(b, i, tiles + i * I4_TILE_BYTES, 1, table);
    }
}

/* y continues through one block of k. */
TILE_HELPER void multiply_columns(const struct prefill_tile *t, const size_t cols) {
    const struct wblock *w = (const struct wblock *)t->w;
    __m256 f[COLS][2];
    load_sums(f, t->first ? NULL : t->y, t->ldy, cols);
    for (size_t i = 0; i < t->n_tiles; i++) {
        const __m256 scale[2] = {_mm256_load_ps(w->t[i]), _mm256_load_ps(w->t[i] + 8)};
        __m256i acc[COLS][2];
        multiply_tile(acc, w, i, t->a + 2 * i * t->lda, t->lda, cols);
        add_products(f, acc, scale, t->d + i, t->ldd, cols);
    }
    store_sums(t->y, t->ldy, f, t->row_scale[0], cols);
}

/* The folder's gemm; multiply: multiply_columns with a constant for every t->cols. */
static inline struct prefill prefill_256(void (*multiply)(const struct prefill_tile *t)) {
    return (struct prefill){.cols = COLS,
                            .multiple = 1,
                            .panels = 1,
                            .block_bytes = sizeof(struct wblock),
                            .requantize = requantize_panel,
                            .multiply = multiply};
}

#endif
