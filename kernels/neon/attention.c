/* Attention over the key and value cache: scores, softmax, weighted values. */
#include "kernels/neon/exp.h"
#include "kernels/neon/products.h"
#include "kernels/neon/slots.h"
#include "kernels/scalar/vector.h"

#define SCORE_COLUMNS 1

TILE_HELPER void dot_keys(int32x4_t isum[][4], const int8_t *lines, const int8_t *const q[],
                          int n_cols) {
    for (int c = 0; c < n_cols; c++) {
        int32x4_t part[4];
        const int8x16_t x[2] = {vld1q_s8(q[c]), vld1q_s8(q[c] + 16)};
        const int8_t *at = lines;
        dot_i8(part, &at, x);
        UNROLL for (int g = 0; g < 4; g++) isum[c][g] = vaddq_s32(isum[c][g], part[g]);
    }
}

TILE_HELPER void order_scores(int32x4_t isum[][4], int n_cols) {
    (void)isum;
    (void)n_cols;
}

#include "kernels/neon/scores_tmpl.h"

enum cache_kind { CACHE_F16, CACHE_F32 };

/* 16 cached values from index i on; kind is a constant. */
TILE_HELPER void load_cached(float32x4_t v[4], const void *cache, size_t i, enum cache_kind kind) {
    if (kind == CACHE_F16) {
        const uint16_t *halves = (const uint16_t *)cache + i;
        UNROLL for (int g = 0; g < 4; g++) v[g] =
            vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(halves + 4 * g)));
    } else {
        UNROLL for (int g = 0; g < 4; g++) v[g] = vld1q_f32((const float *)cache + i + 4 * g);
    }
}

/* s[c][0..15] of one group of keys for n_cols (a constant) query heads. */
TILE_HELPER void score_group_float(float *s, size_t lds, const float *q, float scale, const void *k,
                                   size_t first, size_t hd, int n_cols, enum cache_kind kind) {
    float32x4_t acc[4][4];
    UNROLL for (int i = 0; i < 16; i++) acc[i / 4][i % 4] = vdupq_n_f32(0);
    for (size_t d = 0; d < hd; d++) {
        float32x4_t keys[4];
        load_cached(keys, k, first + d * ATTN_GROUP, kind);
        UNROLL for (int c = 0; c < n_cols; c++) UNROLL for (int g = 0; g < 4; g++) acc[c][g] =
            vfmaq_n_f32(acc[c][g], keys[g], q[c * hd + d]);
    }
    UNROLL for (int c = 0; c < n_cols; c++) UNROLL for (int g = 0; g < 4; g++)
        vst1q_f32(s + c * lds + 4 * g, vmulq_n_f32(acc[c][g], scale));
}

TILE_HELPER void scores_float(float *s, size_t lds, const float *q, float scale, size_t n_q,
                              const void *k, size_t hd, size_t n_groups, enum cache_kind kind) {
    for (size_t group = 0; group < n_groups; group++, s += ATTN_GROUP) {
        const size_t first = group * hd * ATTN_GROUP;
        size_t i = 0;
        for (; i + 4 <= n_q; i += 4)
            score_group_float(s + i * lds, lds, q + i * hd, scale, k, first, hd, 4, kind);
        for (; i < n_q; i++)
            score_group_float(s + i * lds, lds, q + i * hd, scale, k, first, hd, 1, kind);
    }
}

void scores_i8_neon(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                    const int8_t *k, const float *kd, size_t hd, size_t n_groups) {
    scores_i8(s, lds, q, qd, n_q, k, kd, hd, n_groups);
}

void scores_f32_neon(float *s, size_t lds, const float *q, float scale, size_t n_q, const float *k,
                     size_t hd, size_t n_groups) {
    scores_float(s, lds, q, scale, n_q, k, hd, n_groups, CACHE_F32);
}

void scores_f16_neon(float *s, size_t lds, const float *q, float scale, size_t n_q,
                     const uint16_t *k, size_t hd, size_t n_groups) {
    scores_float(s, lds, q, scale, n_q, k, hd, n_groups, CACHE_F16);
}

/* All ones where lo <= i < hi, for i = first .. first + 3. */
TILE_HELPER uint32x4_t inside(size_t first, size_t lo, size_t hi) {
    static const uint32_t ascending[4] = {0, 1, 2, 3};
    const uint32x4_t i = vaddq_u32(vdupq_n_u32((uint32_t)(first - lo)), vld1q_u32(ascending));
    return vcltq_u32(i, vdupq_n_u32((uint32_t)(hi - lo)));
}

float softmax_neon(float *s, size_t lo, size_t hi, size_t n, float *top) {
    const size_t begin = lo / 4 * 4, end = (hi + 3) / 4 * 4;
    float32x4_t maxs = vdupq_n_f32(s[lo]);
    uint32x4_t max_bits = vdupq_n_u32(0);
    for (size_t i = begin; i < end; i += 4) {
        const uint32x4_t mask = inside(i, lo, hi);
        const float32x4_t v = vbslq_f32(mask, vld1q_f32(s + i), vdupq_n_f32(s[lo]));
        max_bits = vmaxq_u32(max_bits, vreinterpretq_u32_f32(vabsq_f32(v)));
        maxs = vmaxq_f32(maxs, v);
    }
    if (f32_nonfinite(f32_from_bits(vmaxvq_u32(max_bits))))
        return f32_from_bits(0x7fc00000u);
    *top = vmaxvq_f32(maxs);
    const float32x4_t max = vdupq_n_f32(*top);
    float lane[16] = {0};
    memset(s, 0, begin * sizeof *s);
    for (size_t i = begin; i < end; i += 4) {
        const uint32x4_t e = vreinterpretq_u32_f32(exp_f32x4(vsubq_f32(vld1q_f32(s + i), max)));
        const float32x4_t v = vreinterpretq_f32_u32(vandq_u32(e, inside(i, lo, hi)));
        vst1q_f32(s + i, v);
        vst1q_f32(lane + i % 16, vaddq_f32(vld1q_f32(lane + i % 16), v));
    }
    memset(s + end, 0, (n - end) * sizeof *s);
    return tree_sum(lane);
}

/* Positions whose values stay in the first-level cache while all dimensions and heads pass. */
#define POSITIONS 64

/* out[c][0..15] += p * v over n_pos positions, for n_cols (a constant) query heads. */
TILE_HELPER void value_columns_float(float *out, size_t ldo, const float *p, size_t ldp,
                                     const void *v, size_t first, size_t hd, size_t n_pos,
                                     int n_cols, enum cache_kind kind) {
    float32x4_t acc[4][4];
    UNROLL for (int c = 0; c < n_cols; c++) UNROLL for (int g = 0; g < 4; g++) acc[c][g] =
        vld1q_f32(out + c * ldo + 4 * g);
    for (size_t t = 0; t < n_pos; t++) {
        float32x4_t values[4];
        load_cached(values, v, first + t * hd, kind);
        UNROLL for (int c = 0; c < n_cols; c++) UNROLL for (int g = 0; g < 4; g++) acc[c][g] =
            vfmaq_n_f32(acc[c][g], values[g], p[c * ldp + t]);
    }
    UNROLL for (int c = 0; c < n_cols; c++) UNROLL for (int g = 0; g < 4; g++)
        vst1q_f32(out + c * ldo + 4 * g, acc[c][g]);
}

TILE_HELPER void values_float(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                              const void *v, size_t hd, size_t n_pos, enum cache_kind kind) {
    for (size_t t = 0; t < n_pos; t += POSITIONS) {
        const size_t n = n_pos - t < POSITIONS ? n_pos - t : POSITIONS;
        for (size_t d = 0; d < hd; d += 16) {
            const size_t first = t * hd + d;
            size_t i = 0;
            for (; i + 4 <= n_q; i += 4)
                value_columns_float(out + i * ldo + d, ldo, p + i * ldp + t, ldp, v, first, hd, n,
                                    4, kind);
            for (; i < n_q; i++)
                value_columns_float(out + i * ldo + d, ldo, p + i * ldp + t, ldp, v, first, hd, n,
                                    1, kind);
        }
    }
}

void values_f32_neon(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q, const float *v,
                     size_t hd, size_t n_pos) {
    values_float(out, ldo, p, ldp, n_q, v, hd, n_pos, CACHE_F32);
}

void values_f16_neon(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                     const uint16_t *v, size_t hd, size_t n_pos) {
    values_float(out, ldo, p, ldp, n_q, v, hd, n_pos, CACHE_F16);
}
