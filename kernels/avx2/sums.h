/* The floats of a register tile of 256 bits, for this folder and avxvnni: sums of [cols][2 halves
 * of a panel's rows]. */
#ifndef BISE_KERNELS_AVX2_SUMS_H
#define BISE_KERNELS_AVX2_SUMS_H

#include "kernels/avx2/common.h"

/* y NULL: from 0. */
TILE_HELPER void load_sums(__m256 (*f)[2], const float *y, size_t ldy, const size_t cols) {
    UNROLL for (size_t c = 0; c < cols; c++) {
        UNROLL for (size_t h = 0; h < 2; h++) f[c][h] =
            y == NULL ? _mm256_setzero_ps() : _mm256_loadu_ps(y + c * ldy + 8 * h);
    }
}

/* f = fma(isum * scale, d, f). d: one for each column, ldd apart. */
TILE_HELPER void add_products(__m256 (*f)[2], __m256i (*isum)[2], const __m256 scale[2],
                              const float *d, size_t ldd, const size_t cols) {
    UNROLL for (size_t c = 0; c < cols; c++) {
        UNROLL for (size_t h = 0; h < 2; h++) {
            const __m256 t = _mm256_mul_ps(_mm256_cvtepi32_ps(isum[c][h]), scale[h]);
            f[c][h] = _mm256_fmadd_ps(t, _mm256_broadcast_ss(d + c * ldd), f[c][h]);
        }
    }
}

/* The same for a block of 32 k of a file's tile. */
TILE_HELPER void add_block(__m256 (*f)[2], __m256i (*isum)[2], const uint8_t *tile, size_t b,
                           const float *d, size_t ldd, const size_t cols) {
    const __m256 scale[2] = {_mm256_cvtepi32_ps(load_scales(tile, b, 0)),
                             _mm256_cvtepi32_ps(load_scales(tile, b, 1))};
    add_products(f, isum, scale, d, ldd, cols);
}

/* row_scale NULL: as they are. */
TILE_HELPER void store_sums(float *y, size_t ldy, __m256 (*f)[2], const float *row_scale,
                            const size_t cols) {
    UNROLL for (size_t c = 0; c < cols; c++) {
        UNROLL for (size_t h = 0; h < 2; h++) {
            if (row_scale != NULL)
                f[c][h] = _mm256_mul_ps(f[c][h], _mm256_loadu_ps(row_scale + 8 * h));
            _mm256_storeu_ps(y + c * ldy + 8 * h, f[c][h]);
        }
    }
}

#endif
