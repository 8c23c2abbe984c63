/* Attention over the key and value cache: scores, softmax, weighted values. */
#include "kernels/float_formats.h"
#include "kernels/fmath.h"
#include "kernels/layout.h"
#include "kernels/scalar/vector.h"

void scores_i8_scalar(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                      const int8_t *k, const float *kd, size_t hd, size_t n_groups) {
    for (size_t g = 0; g < n_groups; g++) {
        const int8_t *keys = k + g * hd * ATTN_GROUP; /* [hd/4][16][4] */
        for (size_t i = 0; i < n_q; i++) {
            for (size_t lane = 0; lane < ATTN_GROUP; lane++) {
                int32_t isum = 0;
                for (size_t d = 0; d < hd; d++)
                    isum += q[i * hd + d] * keys[(d / 4 * ATTN_GROUP + lane) * 4 + d % 4];
                const float scaled = (float)isum * kd[g * ATTN_GROUP + lane];
                s[i * lds + g * ATTN_GROUP + lane] = scaled * qd[i];
            }
        }
    }
}

/* Element i of cached floats or halves; which of the two is known where this is inlined. */
static inline float cached(const void *a, bool half, size_t i) {
    return half ? f16_to_f32(((const uint16_t *)a)[i]) : ((const float *)a)[i];
}

static inline void scores_float(float *s, size_t lds, const float *q, float scale, size_t n_q,
                                const void *k, bool half, size_t hd, size_t n_groups) {
    for (size_t g = 0; g < n_groups; g++) {
        for (size_t i = 0; i < n_q; i++) {
            float acc[ATTN_GROUP] = {0};
            for (size_t d = 0; d < hd; d++) {
                const size_t line = (g * hd + d) * ATTN_GROUP;
                for (size_t lane = 0; lane < ATTN_GROUP; lane++)
                    acc[lane] = fma32(cached(k, half, line + lane), q[i * hd + d], acc[lane]);
            }
            for (size_t lane = 0; lane < ATTN_GROUP; lane++)
                s[i * lds + g * ATTN_GROUP + lane] = acc[lane] * scale;
        }
    }
}

void scores_f32_scalar(float *s, size_t lds, const float *q, float scale, size_t n_q,
                       const float *k, size_t hd, size_t n_groups) {
    scores_float(s, lds, q, scale, n_q, k, false, hd, n_groups);
}

void scores_f16_scalar(float *s, size_t lds, const float *q, float scale, size_t n_q,
                       const uint16_t *k, size_t hd, size_t n_groups) {
    scores_float(s, lds, q, scale, n_q, k, true, hd, n_groups);
}

float softmax_scalar(float *s, size_t lo, size_t hi, size_t n, float *top) {
    float max = s[lo];
    bool finite = true;
    for (size_t i = lo; i < hi; i++) {
        finite = finite && !f32_nonfinite(s[i]);
        max = s[i] > max ? s[i] : max;
    }
    if (!finite)
        return f32_from_bits(0x7fc00000u);
    *top = max;
    float lane[16] = {0};
    for (size_t i = 0; i < n; i++) {
        s[i] = i >= lo && i < hi ? exp32(s[i] - max) : 0.0f;
        lane[i % 16] += s[i];
    }
    return tree_sum(lane);
}

void weigh_i8_scalar(uint8_t *c, float *cd, const float *p, const float *vd, size_t n_groups) {
    for (size_t g = 0; g < n_groups; g++, c += ATTN_GROUP, p += ATTN_GROUP, vd += ATTN_GROUP) {
        float w[ATTN_GROUP], m = 0;
        for (size_t t = 0; t < ATTN_GROUP; t++) {
            w[t] = p[t] * vd[t];
            m = w[t] > m ? w[t] : m;
        }
        const float inverse = m < 1e-30f ? 0 : WEIGHT_MAX / m;
        cd[g] = m < 1e-30f ? 0 : m / WEIGHT_MAX;
        for (size_t t = 0; t < ATTN_GROUP; t++)
            c[t] = (uint8_t)rne32(w[t] * inverse);
    }
}

void values_i8_scalar(float *out, size_t ldo, const uint8_t *c, const float *cd, size_t ldc,
                      size_t n_q, const int8_t *v, size_t hd, size_t n_groups) {
    for (size_t g = 0; g < n_groups; g++, v += ATTN_GROUP * hd) {
        for (size_t i = 0; i < n_q; i++) {
            const uint8_t *const codes = c + (i * ldc + g) * ATTN_GROUP;
            for (size_t d = 0; d < hd; d++) {
                int32_t isum = 0;
                for (size_t t = 0; t < ATTN_GROUP; t++)
                    isum += codes[t] * v[(t / 4 * hd + d) * 4 + t % 4];
                out[i * ldo + d] += (float)isum * cd[i * ldc + g];
            }
        }
    }
}

static inline void values_float(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                                const void *v, bool half, size_t hd, size_t n_pos) {
    for (size_t i = 0; i < n_q; i++)
        for (size_t t = 0; t < n_pos; t++)
            for (size_t d = 0; d < hd; d++)
                out[i * ldo + d] =
                    fma32(p[i * ldp + t], cached(v, half, t * hd + d), out[i * ldo + d]);
}

void values_f32_scalar(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                       const float *v, size_t hd, size_t n_pos) {
    values_float(out, ldo, p, ldp, n_q, v, false, hd, n_pos);
}

void values_f16_scalar(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                       const uint16_t *v, size_t hd, size_t n_pos) {
    values_float(out, ldo, p, ldp, n_q, v, true, hd, n_pos);
}
