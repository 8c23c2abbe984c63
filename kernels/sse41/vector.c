/* Quantization of activations, RMSNorm, RoPE, SwiGLU and sums, four floats at a time; what is left
 * over at an end is scalar. */
#include "kernels/scalar/vector.h"
#include "kernels/scalar/slots.h"
#include "kernels/sse41/common.h"
#include "kernels/sse41/slots.h"

#include <math.h>

/* ---- activations to int8 codes ----------------------------------------------------------- */

TILE_HELPER uint32_t max_bits(const float *x, size_t n) {
    const __m128i magnitude = _mm_set1_epi32(0x7fffffff);
    __m128i max = _mm_setzero_si128();
    for (size_t i = 0; i < n; i += 4)
        max = _mm_max_epi32(max, _mm_and_si128(_mm_loadu_si128((const void *)(x + i)), magnitude));
    max = _mm_max_epi32(max, _mm_shuffle_epi32(max, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epi32(max, _mm_shuffle_epi32(max, 0xb1)));
}

static inline __m128i codes_4(const float *x, __m128 inverse) {
    return _mm_cvtps_epi32(_mm_mul_ps(_mm_loadu_ps(x), inverse));
}

TILE_HELPER int32_t put_codes(int8_t *q, const float *x, float inverse) {
    const __m128 by = _mm_set1_ps(inverse);
    __m128i sum = _mm_setzero_si128();
    UNROLL for (size_t i = 0; i < BLOCK_K; i += 16) {
        const __m128i a = codes_4(x + i, by), b = codes_4(x + i + 4, by);
        const __m128i c = codes_4(x + i + 8, by), d = codes_4(x + i + 12, by);
        const __m128i bytes = _mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
        _mm_storeu_si128((void *)(q + i), bytes);
        sum = _mm_add_epi32(sum, _mm_add_epi32(_mm_add_epi32(a, b), _mm_add_epi32(c, d)));
    }
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
}

#include "kernels/quantize_tmpl.h"

bool quantize_q32_sse41(int8_t *q, float *d, int32_t *sum, const float *x, size_t k) {
    return quantize_q32(q, d, sum, x, k);
}

bool quantize_q128_sse41(int8_t *q, size_t ld, float *d, int32_t *start, const float *x, size_t k) {
    return quantize_q128(q, ld, d, start, x, k);
}

bool quantize_block_sse41(int8_t *q, float *d, const float *x, size_t n) {
    return quantize_block(q, d, x, n);
}

bool quantize_i4_sse41(uint8_t *q, uint8_t *grids, float *d, const float *x, size_t n) {
    return quantize_i4(q, grids, d, x, n);
}

/* ---- the others -------------------------------------------------------------------------- */

bool rmsnorm_sse41(float *y, const float *x, const float *w, size_t n, float eps) {
    float lane[16];
    __m128 sums[4] = {_mm_setzero_ps(), _mm_setzero_ps(), _mm_setzero_ps(), _mm_setzero_ps()};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        UNROLL for (size_t g = 0; g < 4; g++) {
            const __m128 v = _mm_loadu_ps(x + i + 4 * g);
            sums[g] = fma4(v, v, sums[g]);
        }
    }
    UNROLL for (size_t g = 0; g < 4; g++) _mm_storeu_ps(lane + 4 * g, sums[g]);
    for (; i < n; i++)
        lane[i % 16] = fma32(x[i], x[i], lane[i % 16]);
    const float s = tree_sum(lane);
    if (f32_nonfinite(s))
        return false;
    const float r = 1.0f / sqrtf(s / (float)n + eps);
    for (i = 0; i + 4 <= n; i += 4)
        _mm_storeu_ps(y + i, _mm_mul_ps(_mm_mul_ps(_mm_loadu_ps(x + i), _mm_set1_ps(r)),
                                        _mm_loadu_ps(w + i)));
    for (; i < n; i++)
        y[i] = (x[i] * r) * w[i];
    return true;
}

void rope_sse41(float *x, size_t n_heads, size_t head_dim, const float *cs) {
    const size_t half = head_dim / 2;
    for (size_t h = 0; h < n_heads; h++) {
        float *lo = x + h * head_dim, *hi = lo + half;
        size_t i = 0;
        for (; i + 4 <= half; i += 4) {
            const __m128 a = _mm_loadu_ps(lo + i), b = _mm_loadu_ps(hi + i);
            const __m128 c = _mm_loadu_ps(cs + i), s = _mm_loadu_ps(cs + half + i);
            _mm_storeu_ps(lo + i, _mm_sub_ps(_mm_mul_ps(a, c), _mm_mul_ps(b, s)));
            _mm_storeu_ps(hi + i, _mm_add_ps(_mm_mul_ps(b, c), _mm_mul_ps(a, s)));
        }
        for (; i < half; i++) {
            const float a = lo[i], b = hi[i], c = cs[i], s = cs[half + i];
            lo[i] = a * c - b * s;
            hi[i] = b * c + a * s;
        }
    }
}

void swiglu_sse41(float *y, const float *g, const float *u, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const __m128 v = _mm_loadu_ps(g + i);
        const __m128 e = exp_4(_mm_xor_ps(v, _mm_set1_ps(-0.0f)));
        const __m128 silu = _mm_div_ps(v, _mm_add_ps(_mm_set1_ps(1.0f), e));
        _mm_storeu_ps(y + i, _mm_mul_ps(silu, _mm_loadu_ps(u + i)));
    }
    swiglu_scalar(y + i, g + i, u + i, n - i);
}

void add_sse41(float *y, const float *x, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        _mm_storeu_ps(y + i, _mm_add_ps(_mm_loadu_ps(y + i), _mm_loadu_ps(x + i)));
    add_scalar(y + i, x + i, n - i);
}

void madd_sse41(float *y, const float *x, float a, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        _mm_storeu_ps(y + i, fma4(_mm_set1_ps(a), _mm_loadu_ps(x + i), _mm_loadu_ps(y + i)));
    madd_scalar(y + i, x + i, a, n - i);
}

void scale_sse41(float *y, float a, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        _mm_storeu_ps(y + i, _mm_mul_ps(_mm_loadu_ps(y + i), _mm_set1_ps(a)));
    scale_scalar(y + i, a, n - i);
}
