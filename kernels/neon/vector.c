/* Quantization of activations, RMSNorm, RoPE, SwiGLU and sums, four or sixteen values at a time. */
#include "kernels/scalar/vector.h"
#include "kernels/neon/exp.h"
#include "kernels/neon/slots.h"

#include <math.h>

/* Largest magnitude of n values, as bits: those of infinities and NaN are the largest. */
TILE_HELPER uint32_t max_bits(const float *x, size_t n) {
    uint32x4_t max = vdupq_n_u32(0);
    for (size_t i = 0; i < n; i += 16) {
        UNROLL for (int g = 0; g < 4; g++) max =
            vmaxq_u32(max, vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x + i + 4 * g))));
    }
    return vmaxvq_u32(max);
}

/* Codes of 32 values; returns their sum. */
TILE_HELPER int32_t put_codes(int8_t *q, const float *x, float inverse) {
    int32x4_t sums = vdupq_n_s32(0);
    UNROLL for (int i = 0; i < 32; i += 16) {
        int32x4_t code[4];
        UNROLL for (int g = 0; g < 4; g++) {
            code[g] = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + i + 4 * g), inverse));
            sums = vaddq_s32(sums, code[g]);
        }
        const int16x8_t lo = vmovn_high_s32(vmovn_s32(code[0]), code[1]);
        const int16x8_t hi = vmovn_high_s32(vmovn_s32(code[2]), code[3]);
        vst1q_s8(q + i, vmovn_high_s16(vmovn_s16(lo), hi));
    }
    return vaddvq_s32(sums);
}

#include "kernels/quantize_tmpl.h"

bool quantize_q32_neon(int8_t *q, float *d, int32_t *sum, const float *x, size_t k) {
    return quantize_q32(q, d, sum, x, k);
}

bool quantize_q128_neon(int8_t *q, size_t ld, float *d, int32_t *start, const float *x, size_t k) {
    return quantize_q128(q, ld, d, start, x, k);
}

bool quantize_block_neon(int8_t *q, float *d, const float *x, size_t n) {
    return quantize_block(q, d, x, n);
}

bool quantize_i4_neon(uint8_t *q, uint8_t *grids, float *d, const float *x, size_t n) {
    return quantize_i4(q, grids, d, x, n);
}

bool rmsnorm_neon(float *y, const float *x, const float *w, size_t n, float eps) {
    float32x4_t squares[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        UNROLL for (int g = 0; g < 4; g++) {
            const float32x4_t v = vld1q_f32(x + i + 4 * g);
            squares[g] = vfmaq_f32(squares[g], v, v);
        }
    }
    float lane[16];
    for (int g = 0; g < 4; g++)
        vst1q_f32(lane + 4 * g, squares[g]);
    for (; i < n; i++)
        lane[i % 16] = fma32(x[i], x[i], lane[i % 16]);
    const float s = tree_sum(lane);
    if (f32_nonfinite(s))
        return false;
    const float r = 1.0f / sqrtf(s / (float)n + eps);
    for (i = 0; i + 4 <= n; i += 4)
        vst1q_f32(y + i, vmulq_f32(vmulq_n_f32(vld1q_f32(x + i), r), vld1q_f32(w + i)));
    for (; i < n; i++)
        y[i] = (x[i] * r) * w[i];
    return true;
}

void rope_neon(float *x, size_t n_heads, size_t head_dim, const float *cs) {
    const size_t half = head_dim / 2;
    for (size_t h = 0; h < n_heads; h++) {
        float *lo = x + h * head_dim, *hi = lo + half;
        size_t i = 0;
        for (; i + 4 <= half; i += 4) {
            const float32x4_t a = vld1q_f32(lo + i), b = vld1q_f32(hi + i);
            const float32x4_t c = vld1q_f32(cs + i), s = vld1q_f32(cs + half + i);
            vst1q_f32(lo + i, vsubq_f32(vmulq_f32(a, c), vmulq_f32(b, s)));
            vst1q_f32(hi + i, vaddq_f32(vmulq_f32(b, c), vmulq_f32(a, s)));
        }
        for (; i < half; i++) {
            const float a = lo[i], b = hi[i], c = cs[i], s = cs[half + i];
            lo[i] = a * c - b * s;
            hi[i] = b * c + a * s;
        }
    }
}

void swiglu_neon(float *y, const float *g, const float *u, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const float32x4_t v = vld1q_f32(g + i);
        const float32x4_t below = vaddq_f32(vdupq_n_f32(1.0f), exp_f32x4(vnegq_f32(v)));
        vst1q_f32(y + i, vmulq_f32(vdivq_f32(v, below), vld1q_f32(u + i)));
    }
    swiglu_scalar(y + i, g + i, u + i, n - i);
}

void add_neon(float *y, const float *x, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(y + i, vaddq_f32(vld1q_f32(y + i), vld1q_f32(x + i)));
    add_scalar(y + i, x + i, n - i);
}

void madd_neon(float *y, const float *x, float a, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(y + i, vfmaq_n_f32(vld1q_f32(y + i), vld1q_f32(x + i), a));
    madd_scalar(y + i, x + i, a, n - i);
}

void scale_neon(float *y, float a, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(y + i, vmulq_n_f32(vld1q_f32(y + i), a));
    scale_scalar(y + i, a, n - i);
}
