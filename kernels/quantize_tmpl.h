/*
 * Activations to int8 codes (kernels.h): what the folders' three slots share. Before including it,
 * a folder defines
 *
 *   TILE_HELPER uint32_t max_bits(const float *x, size_t n);
 *       the largest magnitude of n values as bits: magnitudes compare as integers do, and those of
 *       infinities and NaN are the largest
 *   TILE_HELPER int32_t put_codes(int8_t *q, const float *x, float inverse);
 *       codes rne(x * inverse) of BLOCK_K values; returns their sum
 */
#include "kernels/fmath.h"
#include "kernels/kernels.h"
#include "kernels/tile.h"

/* The scale d of one block of n values and what codes are made with; false if one is not finite. */
TILE_HELPER bool scale_of(float *d, float *inverse, const float *x, size_t n) {
    const float max = f32_from_bits(max_bits(x, n));
    const bool zero = max < 1e-30f;
    *inverse = zero ? 0.0f : 127.0f / max;
    *d = zero ? 0.0f : max / 127.0f;
    return !f32_nonfinite(max);
}

TILE_HELPER bool quantize_q32(int8_t *q, float *d, int32_t *sum, const float *x, size_t k) {
    for (size_t i = 0; i < k; i += BLOCK_K) {
        float inverse;
        if (!scale_of(d++, &inverse, x + i, BLOCK_K))
            return false;
        *sum++ = put_codes(q + i, x + i, inverse);
    }
    return true;
}

TILE_HELPER bool quantize_q128(int8_t *q, size_t ld, float *d, int32_t *start, const float *x,
                               size_t k) {
    for (size_t t = 0; t < k; t += TILE_K) {
        float inverse;
        if (!scale_of(d++, &inverse, x + t, TILE_K))
            return false;
        for (size_t i = t; i < t + TILE_K; i += BLOCK_K)
            *start++ = -I4_BIAS * put_codes(q + i / PACK_K * ld + i % PACK_K, x + i, inverse);
    }
    return true;
}

TILE_HELPER bool quantize_block(int8_t *q, float *d, const float *x, size_t n) {
    float inverse;
    if (!scale_of(d, &inverse, x, n))
        return false;
    for (size_t i = 0; i < n; i += BLOCK_K)
        (void)put_codes(q + i, x + i, inverse);
    return true;
}
