/* A cache of 4 bits: keys and queries rotated, codes to those of an int8 cache. */
#include "kernels/grid.h"
#include "kernels/scalar/slots.h"

void hadamard_scalar(float *x, size_t n, size_t size) {
    for (size_t half = size / 2; half > 0; half /= 2)
        for (size_t at = 0; at < n * size; at += 2 * half)
            for (size_t i = at; i < at + half; i++) {
                const float a = x[i], b = x[i + half];
                x[i] = a + b;
                x[i + half] = a - b;
            }
}

void unpack_keys_i4_scalar(int8_t *k, const uint8_t *codes, const uint8_t *grids, size_t hd,
                           size_t n_groups) {
    for (size_t line = 0; line < n_groups * hd / 8; line++, codes += 64, k += 128)
        for (size_t i = 0; i < 64; i++) { /* [16 positions][4], twice */
            const uint8_t grid = grids[line / 4 * ATTN_GROUP + i / 4];
            k[i] = grid_value(grid, codes[i] & 15);
            k[64 + i] = grid_value(grid, codes[i] >> 4);
        }
}

void unpack_values_i4_scalar(int8_t *v, const uint8_t *codes, const uint8_t *grids, size_t hd,
                             size_t n_groups) {
    const size_t blocks = hd / BLOCK_K;
    for (size_t line = 0; line < n_groups * 4 * blocks; line++, codes += 64, v += 128) {
        const size_t quad = line / blocks % 4, block = line / (4 * blocks) * blocks + line % blocks;
        for (size_t i = 0; i < 64; i++) { /* [16 dimensions][4 positions], twice */
            const uint8_t grid = grids[block * ATTN_GROUP + 4 * quad + i % 4];
            v[i] = grid_value(grid, codes[i] & 15);
            v[64 + i] = grid_value(grid, codes[i] >> 4);
        }
    }
}
