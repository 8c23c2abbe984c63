/* RMSNorm, RoPE, SwiGLU and sums, eight floats at a time. */
#include "kernels/avx2/vector.h"

static inline __m256 rms_scaled(__m256 x, __m256 r, __m256 w) {
    return _mm256_mul_ps(_mm256_mul_ps(x, r), w);
}

bool rmsnorm_avx2(float *y, const float *x, const float *w, size_t n, float eps) {
    __m256 lo = _mm256_setzero_ps(), hi = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + i + 8);
        lo = _mm256_fmadd_ps(a, a, lo);
        hi = _mm256_fmadd_ps(b, b, hi);
    }
    if (i + 8 <= n) {
        const __m256 a = _mm256_loadu_ps(x + i);
        lo = _mm256_fmadd_ps(a, a, lo);
        i += 8;
    }
    /* Lanes beyond n add +0, which changes nothing. */
    const size_t rest = n % 8;
    const __m256 a = load_first(x + i, rest);
    if (n % 16 < 8)
        lo = _mm256_fmadd_ps(a, a, lo);
    else
        hi = _mm256_fmadd_ps(a, a, hi);
    const float s = tree_sum(lo, hi);
    if (f32_nonfinite(s))
        return false;
    const __m128 mean = _mm_set_ss(s / (float)n + eps);
    const __m256 r = _mm256_set1_ps(1.0f / _mm_cvtss_f32(_mm_sqrt_ss(mean)));
    for (i = 0; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, rms_scaled(_mm256_loadu_ps(x + i), r, _mm256_loadu_ps(w + i)));
    store_first(y + i, rms_scaled(a, r, load_first(w + i, rest)), rest);
    return true;
}

void rope_avx2(float *x, size_t n_heads, size_t head_dim, const float *cs) {
    const size_t half = head_dim / 2;
    for (size_t h = 0; h < n_heads; h++) {
        float *lo = x + h * head_dim, *hi = lo + half;
        size_t i = 0;
        for (; i + 8 <= half; i += 8) {
            const __m256 a = _mm256_loadu_ps(lo + i), b = _mm256_loadu_ps(hi + i);
            const __m256 c = _mm256_loadu_ps(cs + i), s = _mm256_loadu_ps(cs + half + i);
            const __m256 ac = _mm256_mul_ps(a, c), bs = _mm256_mul_ps(b, s);
            const __m256 bc = _mm256_mul_ps(b, c), as = _mm256_mul_ps(a, s);
            _mm256_storeu_ps(lo + i, _mm256_sub_ps(ac, bs));
            _mm256_storeu_ps(hi + i, _mm256_add_ps(bc, as));
        }
        for (; i < half; i++) {
            const float a = lo[i], b = hi[i], c = cs[i], s = cs[half + i];
            lo[i] = a * c - b * s;
            hi[i] = b * c + a * s;
        }
    }
}

static inline __m256 swiglu_8(__m256 g, __m256 u) {
    const __m256 e = exp_8(_mm256_xor_ps(g, _mm256_set1_ps(-0.0f)));
    return _mm256_mul_ps(_mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), e)), u);
}

void swiglu_avx2(float *y, const float *g, const float *u, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, swiglu_8(_mm256_loadu_ps(g + i), _mm256_loadu_ps(u + i)));
    const __m256 rest = swiglu_8(load_first(g + i, n - i), load_first(u + i, n - i));
    store_first(y + i, rest, n - i);
}

void add_avx2(float *y, const float *x, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
    for (; i < n; i++)
        y[i] += x[i];
}

void madd_avx2(float *y, const float *x, float a, size_t n) {
    const __m256 av = _mm256_set1_ps(a);
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i,
                         _mm256_fmadd_ps(av, _mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    const __m256 xv = load_first(x + i, n - i), yv = load_first(y + i, n - i);
    store_first(y + i, _mm256_fmadd_ps(av, xv, yv), n - i);
}

void scale_avx2(float *y, float a, size_t n) {
    const __m256 av = _mm256_set1_ps(a);
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_loadu_ps(y + i), av));
    for (; i < n; i++)
        y[i] *= a;
}
