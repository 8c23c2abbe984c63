/* Quantization, RMSNorm, RoPE, SwiGLU and sums, sixteen floats at a time. */
#include "kernels/avx512/vector.h"

/* ---- activations to int8 codes ----------------------------------------------------------- */

/* Largest magnitude of n values, as bits: those of infinities and NaN are the largest. */
static inline uint32_t max_bits(const float *x, size_t n) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i top = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 16)
        top = _mm512_max_epu32(top, _mm512_and_si512(_mm512_loadu_si512(x + i), magnitude));
    return _mm512_reduce_max_epu32(top);
}

/* Codes of 32 values; returns their sum. */
static inline int32_t put_codes(int8_t *q, const float *x, float inverse) {
    const __m512 by = _mm512_set1_ps(inverse);
    const __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), by));
    const __m512i b = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16), by));
    _mm_storeu_si128((void *)q, _mm512_cvtepi32_epi8(a));
    _mm_storeu_si128((void *)(q + 16), _mm512_cvtepi32_epi8(b));
    return _mm512_reduce_add_epi32(_mm512_add_epi32(a, b));
}

#include "kernels/quantize_tmpl.h"

bool quantize_q32_avx512(int8_t *q, float *d, int32_t *sum, const float *x, size_t k) {
    return quantize_q32(q, d, sum, x, k);
}

bool quantize_q128_avx512(int8_t *q, size_t ld, float *d, int32_t *start, const float *x,
                          size_t k) {
    return quantize_q128(q, ld, d, start, x, k);
}

bool quantize_block_avx512(int8_t *q, float *d, const float *x, size_t n) {
    return quantize_block(q, d, x, n);
}

bool quantize_i4_avx512(uint8_t *q, uint8_t *grids, float *d, const float *x, size_t n) {
    return quantize_i4(q, grids, d, x, n);
}

/* ---- the others: what is left over at the end goes under a mask --------------------------- */

bool rmsnorm_avx512(float *y, const float *x, const float *w, size_t n, float eps) {
    __m512 lanes = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        const __m512 v = _mm512_maskz_loadu_ps(first_lanes(n - i), x + i);
        lanes = _mm512_fmadd_ps(v, v, lanes); /* lanes beyond n add +0 */
    }
    const float s = tree_sum(lanes);
    if (f32_nonfinite(s))
        return false;
    const __m128 mean = _mm_set_ss(s / (float)n + eps);
    const __m512 r = _mm512_set1_ps(1.0f / _mm_cvtss_f32(_mm_sqrt_ss(mean)));
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 m = first_lanes(n - i);
        const __m512 scaled = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + i), r);
        _mm512_mask_storeu_ps(y + i, m, _mm512_mul_ps(scaled, _mm512_maskz_loadu_ps(m, w + i)));
    }
    return true;
}

void rope_avx512(float *x, size_t n_heads, size_t head_dim, const float *cs) {
    const size_t half = head_dim / 2;
    for (size_t h = 0; h < n_heads; h++) {
        float *lo = x + h * head_dim, *hi = lo + half;
        for (size_t i = 0; i < half; i += 16) {
            const __mmask16 m = first_lanes(half - i);
            const __m512 a = _mm512_maskz_loadu_ps(m, lo + i);
            const __m512 b = _mm512_maskz_loadu_ps(m, hi + i);
            const __m512 c = _mm512_maskz_loadu_ps(m, cs + i);
            const __m512 s = _mm512_maskz_loadu_ps(m, cs + half + i);
            const __m512 ac = _mm512_mul_ps(a, c), bs = _mm512_mul_ps(b, s);
            const __m512 bc = _mm512_mul_ps(b, c), as = _mm512_mul_ps(a, s);
            _mm512_mask_storeu_ps(lo + i, m, _mm512_sub_ps(ac, bs));
            _mm512_mask_storeu_ps(hi + i, m, _mm512_add_ps(bc, as));
        }
    }
}

void swiglu_avx512(float *y, const float *g, const float *u, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 m = first_lanes(n - i);
        const __m512 gate = _mm512_maskz_loadu_ps(m, g + i);
        const __m512 e = exp_16(_mm512_xor_ps(gate, _mm512_set1_ps(-0.0f)));
        const __m512 silu = _mm512_div_ps(gate, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
        _mm512_mask_storeu_ps(y + i, m, _mm512_mul_ps(silu, _mm512_maskz_loadu_ps(m, u + i)));
    }
}

void add_avx512(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 m = first_lanes(n - i);
        const __m512 a = _mm512_maskz_loadu_ps(m, y + i), b = _mm512_maskz_loadu_ps(m, x + i);
        _mm512_mask_storeu_ps(y + i, m, _mm512_add_ps(a, b));
    }
}

void madd_avx512(float *y, const float *x, float a, size_t n) {
    const __m512 av = _mm512_set1_ps(a);
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 m = first_lanes(n - i);
        const __m512 xv = _mm512_maskz_loadu_ps(m, x + i), yv = _mm512_maskz_loadu_ps(m, y + i);
        _mm512_mask_storeu_ps(y + i, m, _mm512_fmadd_ps(av, xv, yv));
    }
}

void scale_avx512(float *y, float a, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 m = first_lanes(n - i);
        const __m512 yv = _mm512_maskz_loadu_ps(m, y + i);
        _mm512_mask_storeu_ps(y + i, m, _mm512_mul_ps(yv, _mm512_set1_ps(a)));
    }
}
