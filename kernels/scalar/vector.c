/* Quantization of activations, RMSNorm, RoPE, SwiGLU and sums, element by element. */
#include "kernels/scalar/vector.h"
#include "kernels/fmath.h"
#include "kernels/tile.h"

#include <math.h>

TILE_HELPER uint32_t max_bits(const float *x, size_t n) {
    uint32_t max = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = f32_bits(x[i]) & 0x7fffffffu;
        max = bits > max ? bits : max;
    }
    return max;
}

TILE_HELPER int32_t put_codes(int8_t *q, const float *x, float inverse) {
    int32_t sum = 0;
    for (size_t i = 0; i < BLOCK_K; i++) {
        q[i] = (int8_t)rne32(x[i] * inverse);
        sum += q[i];
    }
    return sum;
}

#include "kernels/quantize_tmpl.h"

bool quantize_q32_scalar(int8_t *q, float *d, int32_t *sum, const float *x, size_t k) {
    return quantize_q32(q, d, sum, x, k);
}

bool quantize_q128_scalar(int8_t *q, size_t ld, float *d, int32_t *start, const float *x,
                          size_t k) {
    return quantize_q128(q, ld, d, start, x, k);
}

bool quantize_block_scalar(int8_t *q, float *d, const float *x, size_t n) {
    return quantize_block(q, d, x, n);
}

bool quantize_i4_scalar(uint8_t *q, uint8_t *grids, float *d, const float *x, size_t n) {
    return quantize_i4(q, grids, d, x, n);
}

bool rmsnorm_scalar(float *y, const float *x, const float *w, size_t n, float eps) {
    float lane[16] = {0};
    for (size_t i = 0; i < n; i++)
        lane[i % 16] = fma32(x[i], x[i], lane[i % 16]);
    const float s = tree_sum(lane);
    if (f32_nonfinite(s))
        return false;
    const float r = 1.0f / sqrtf(s / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] * r) * w[i];
    return true;
}

void rope_scalar(float *x, size_t n_heads, size_t head_dim, const float *cs) {
    const size_t half = head_dim / 2;
    for (size_t h = 0; h < n_heads; h++) {
        float *lo = x + h * head_dim, *hi = lo + half;
        for (size_t i = 0; i < half; i++) {
            const float a = lo[i], b = hi[i], c = cs[i], s = cs[half + i];
            lo[i] = a * c - b * s;
            hi[i] = b * c + a * s;
        }
    }
}

void swiglu_scalar(float *y, const float *g, const float *u, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = (g[i] / (1.0f + exp32(-g[i]))) * u[i];
}

void add_scalar(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

void madd_scalar(float *y, const float *x, float a, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = fma32(a, x[i], y[i]);
}

void scale_scalar(float *y, float a, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] *= a;
}
