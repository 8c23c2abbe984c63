/*
 * Panel layout of matrices: the layout on disk is the layout the kernels read (docs/format.md).
 *
 * A matrix [rows][k] is stored as panels of 16 output rows, all of k, contiguous. Rows are padded
 * to a multiple of 16 and k to a multiple of 128, with zeros.
 *
 *   i4, i8 panel = 16 row scales (fp32, 64 B), then one tile per 128 k
 *   tile         = 64 B block scales: int8 [4 blocks of 32 k][16 rows], then the codes:
 *     i4: 1024 B, block b 0..3, line j 0..3, 64 B each; byte [4*row + i] holds
 *         k = 32b + 8j + i in the low nibble, k = 32b + 8j + 4 + i in the high nibble (i 0..3)
 *     i8: 2048 B, block b 0..3, line j 0..7, 64 B each; byte [4*row + i] holds k = 32b + 4j + i
 *   f32 panel    = for each k, 16 floats (one per row): 64 B a line
 *   bf16 panel   = for each k, 16 bf16: 32 B a line
 *
 *   weight(row, k) = row_scale[row] * block_scale[k / 32][row] * value
 *     i4: value = codebook[code], 16 signed values in -32..31 that belong to the tensor
 *     i8: value = the signed byte, -127..127
 *
 * Padding rows have row scale 0, whole blocks of padding columns block scale 0. Where the columns
 * end inside a block of i4, the weights in the rest of it need not be zero (a codebook need not
 * hold 0): activations there are zero.
 */
#ifndef BISE_KERNELS_LAYOUT_H
#define BISE_KERNELS_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

enum tensor_type { TYPE_F32 = 0, TYPE_BF16 = 1, TYPE_I8 = 2, TYPE_I4 = 3, TYPE_COUNT };

#define PANEL_ROWS    16  /* output rows of a panel */
#define BLOCK_K       32  /* values sharing a block scale */
#define TILE_K        128 /* values of k in a tile; k is padded to this */
#define TILE_SCALES   64  /* bytes of block scales before a tile's codes */
#define I4_TILE_BYTES (TILE_SCALES + 1024)
#define I8_TILE_BYTES (TILE_SCALES + 2048)
#define PANEL_HEAD    64 /* bytes of row scales before a quantized panel's tiles */
#define CODEBOOK_SIZE 16

/* Smallest multiple of m (a power of two) not below n. The caller has checked that it fits. */
static inline size_t round_up(size_t n, size_t m) {
    return (n + m - 1) & ~(m - 1);
}

/* Bytes of one panel of a matrix with k_pad columns (a multiple of TILE_K). */
static inline size_t panel_bytes(enum tensor_type type, size_t k_pad) {
    switch (type) {
    case TYPE_F32:
        return k_pad * PANEL_ROWS * 4;
    case TYPE_BF16:
        return k_pad * PANEL_ROWS * 2;
    case TYPE_I8:
        return PANEL_HEAD + k_pad / TILE_K * I8_TILE_BYTES;
    case TYPE_I4:
        return PANEL_HEAD + k_pad / TILE_K * I4_TILE_BYTES;
    default:
        return 0;
    }
}

#endif
