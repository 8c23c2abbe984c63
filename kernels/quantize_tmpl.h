/*
 * Numbers to codes (kernels.h): what the folders' four slots share. Before including it,
 * a folder defines
 *
 *   TILE_HELPER uint32_t max_bits(const float *x, size_t n);
 *       the largest magnitude of n values as bits: magnitudes compare as integers do, and those of
 *       infinities and NaN are the largest
 *   TILE_HELPER int32_t put_codes(int8_t *q, const float *x, float inverse);
 *       codes rne(x * inverse) of BLOCK_K values; returns their sum
 */
#include "kernels/fmath.h"
#include "kernels/grid.h"
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

/* What a block and zero span; lanes side by side, for compilers to take together. */
TILE_HELPER void ends_of(float *lo, float *hi, const float *x) {
    enum { SIDE = 8 };
    float least[SIDE] = {0}, most[SIDE] = {0};
    for (size_t i = 0; i < BLOCK_K; i += SIDE)
        for (size_t j = 0; j < SIDE; j++) {
            least[j] = x[i + j] < least[j] ? x[i + j] : least[j];
            most[j] = x[i + j] > most[j] ? x[i + j] : most[j];
        }
    *lo = least[0];
    *hi = most[0];
    for (size_t j = 1; j < SIDE; j++) {
        *lo = least[j] < *lo ? least[j] : *lo;
        *hi = most[j] > *hi ? most[j] : *hi;
    }
}

TILE_HELPER bool quantize_i4(uint8_t *q, uint8_t *grids, float *d, const float *x, size_t n) {
    struct grid_need need[GRID_MAX_BLOCKS];
    if (f32_nonfinite(f32_from_bits(max_bits(x, n))))
        return false;
    for (size_t b = 0; b < n / BLOCK_K; b++) {
        float lo, hi;
        ends_of(&lo, &hi, x + b * BLOCK_K);
        need[b] = grid_need(lo, hi);
    }
    *d = grid_scale(need, n / BLOCK_K);
    for (size_t b = 0; b < n / BLOCK_K; b++, q += BLOCK_K) {
        int8_t steps[BLOCK_K];
        const float inverse = grid_choose(&grids[b], &need[b], *d);
        (void)put_codes(steps, x + b * BLOCK_K, inverse);
        for (size_t i = 0; i < BLOCK_K; i++) {
            const int code = steps[i] + (grids[b] >> 4);
            q[i] = (uint8_t)(code < 0 ? 0 : code > 15 ? 15 : code);
        }
    }
    return true;
}
