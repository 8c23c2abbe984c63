/* Attention over the key and value cache: scores, softmax, weighted values. */
#include "kernels/float_formats.h"
#include "kernels/scalar/vector.h"
#include "kernels/sse41/common.h"
#include "kernels/sse41/slots.h"

enum cached { CACHED_F16, CACHED_F32 };

/* Elements i .. i + 3 as floats, exactly; type is a constant. */
TILE_HELPER __m128 load_cached(const void *cache, enum cached type, size_t i) {
    if (type == CACHED_F32)
        return _mm_loadu_ps((const float *)cache + i);
    const uint16_t *const h = (const uint16_t *)cache + i;
    return _mm_setr_ps(f16_to_f32(h[0]), f16_to_f32(h[1]), f16_to_f32(h[2]), f16_to_f32(h[3]));
}

/* ---- scores: each holds sums for 16 keys in four registers --------------------------------- */

void scores_i8_sse41(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                     const int8_t *k, const float *kd, size_t hd, size_t n_groups) {
    for (size_t group = 0; group < n_groups; group++, k += 16 * hd, kd += 16, s += 16) {
        for (size_t i = 0; i < n_q; i++) {
            __m128i sum[4];
            UNROLL for (size_t g = 0; g < 4; g++) sum[g] = _mm_setzero_si128();
            for (size_t d = 0; d < hd; d += 4) {
                const __m128i q4 = broadcast4(q + i * hd + d);
                UNROLL for (size_t g = 0; g < 4; g++) {
                    const __m128i keys = _mm_loadu_si128((const void *)(k + d * 16 + 16 * g));
                    /* at most 2 * 127 * 127 */
                    const __m128i pairs =
                        _mm_maddubs_epi16(_mm_abs_epi8(keys), _mm_sign_epi8(q4, keys));
                    sum[g] = _mm_add_epi32(sum[g], _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
                }
            }
            UNROLL for (size_t g = 0; g < 4; g++) {
                const __m128 t = _mm_mul_ps(_mm_cvtepi32_ps(sum[g]), _mm_loadu_ps(kd + 4 * g));
                _mm_storeu_ps(s + i * lds + 4 * g, _mm_mul_ps(t, _mm_set1_ps(qd[i])));
            }
        }
    }
}

TILE_HELPER void scores_float(float *s, size_t lds, const float *q, float scale, size_t n_q,
                              const void *k, enum cached type, size_t hd, size_t n_groups) {
    for (size_t group = 0; group < n_groups; group++, s += 16) {
        for (size_t i = 0; i < n_q; i++) {
            __m128 acc[4];
            UNROLL for (size_t g = 0; g < 4; g++) acc[g] = _mm_setzero_ps();
            for (size_t d = 0; d < hd; d++) {
                const __m128 qv = _mm_set1_ps(q[i * hd + d]);
                UNROLL for (size_t g = 0; g < 4; g++) acc[g] =
                    fma4(load_cached(k, type, (group * hd + d) * 16 + 4 * g), qv, acc[g]);
            }
            UNROLL for (size_t g = 0; g < 4; g++)
                _mm_storeu_ps(s + i * lds + 4 * g, _mm_mul_ps(acc[g], _mm_set1_ps(scale)));
        }
    }
}

void scores_f32_sse41(float *s, size_t lds, const float *q, float scale, size_t n_q, const float *k,
                      size_t hd, size_t n_groups) {
    scores_float(s, lds, q, scale, n_q, k, CACHED_F32, hd, n_groups);
}

void scores_f16_sse41(float *s, size_t lds, const float *q, float scale, size_t n_q,
                      const uint16_t *k, size_t hd, size_t n_groups) {
    scores_float(s, lds, q, scale, n_q, k, CACHED_F16, hd, n_groups);
}

/* ---- softmax ----------------------------------------------------------------------------- */

float softmax_sse41(float *s, size_t lo, size_t hi, size_t n, float *most) {
    const size_t first = lo / 4 * 4, end = (hi + 3) / 4 * 4;
    float max = s[lo], lane[16] = {0};
    uint32_t top = 0;
    for (size_t i = lo; i < hi; i++) {
        const uint32_t magnitude = f32_bits(s[i]) & 0x7fffffffu;
        top = magnitude > top ? magnitude : top;
        max = s[i] > max ? s[i] : max;
    }
    if (f32_nonfinite(f32_from_bits(top)))
        return f32_from_bits(0x7fc00000u);
    *most = max;
    for (size_t i = first; i < lo; i++)
        s[i] = f32_from_bits(0xff800000u); /* exp of -inf is +0 */
    for (size_t i = hi; i < end; i++)
        s[i] = f32_from_bits(0xff800000u);
    for (size_t i = first; i < end; i += 4) {
        const __m128 e = exp_4(_mm_sub_ps(_mm_loadu_ps(s + i), _mm_set1_ps(max)));
        _mm_storeu_ps(s + i, e);
        _mm_storeu_ps(lane + i % 16, _mm_add_ps(_mm_loadu_ps(lane + i % 16), e));
    }
    memset(s, 0, first * sizeof *s);
    memset(s + end, 0, (n - end) * sizeof *s);
    return tree_sum(lane);
}

/* ---- values ------------------------------------------------------------------------------ */

/* Positions whose values stay in the first-level cache while all dimensions and heads pass. */
#define POSITIONS 64

/* 16 dimensions of out += p * v. */
TILE_HELPER void values_tile(float *out, const float *p, const void *v, size_t from, size_t hd,
                             size_t n_pos, enum cached type) {
    __m128 acc[4];
    UNROLL for (size_t g = 0; g < 4; g++) acc[g] = _mm_loadu_ps(out + 4 * g);
    for (size_t t = 0; t < n_pos; t++, from += hd)
        UNROLL for (size_t g = 0; g < 4; g++) acc[g] =
            fma4(_mm_set1_ps(p[t]), load_cached(v, type, from + 4 * g), acc[g]);
    UNROLL for (size_t g = 0; g < 4; g++) _mm_storeu_ps(out + 4 * g, acc[g]);
}

TILE_HELPER void values(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                        const void *v, size_t hd, size_t n_pos, enum cached type) {
    for (size_t t = 0; t < n_pos; t += POSITIONS) {
        const size_t n = n_pos - t < POSITIONS ? n_pos - t : POSITIONS;
        for (size_t i = 0; i < n_q; i++)
            for (size_t d = 0; d < hd; d += 16)
                values_tile(out + i * ldo + d, p + i * ldp + t, v, t * hd + d, hd, n, type);
    }
}

void values_f32_sse41(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                      const float *v, size_t hd, size_t n_pos) {
    values(out, ldo, p, ldp, n_q, v, hd, n_pos, CACHED_F32);
}

void values_f16_sse41(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                      const uint16_t *v, size_t hd, size_t n_pos) {
    values(out, ldo, p, ldp, n_q, v, hd, n_pos, CACHED_F16);
}
