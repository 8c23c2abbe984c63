/*
 * Scores over int8 keys: the loop that the three ARM folders share. Before including it, a
 * folder defines
 *
 *   SCORE_COLUMNS   query heads that meet a group of keys at once
 *   static inline void dot_keys(int32x4_t isum[][4], const int8_t *lines, const int8_t *const q[],
 *                               int n_cols);
 *       isum += 32 dimensions of 16 keys, [8][16][4], times those of queries c < n_cols (a
 *       constant)
 *   TILE_HELPER void order_scores(int32x4_t isum[][4], int n_cols);
 *       isum as dot_keys wants it -> [query][group of four keys]
 */
#include "kernels/neon/neon.h"

/* s[c][0..15] of one group of keys for n_cols (a constant) query heads. */
TILE_HELPER void score_group(float *s, size_t lds, const int8_t *q, const float *qd,
                             const int8_t *keys, const float *kd, size_t hd, int n_cols) {
    int32x4_t isum[SCORE_COLUMNS][4];
    const int8_t *at[SCORE_COLUMNS];
    UNROLL for (int c = 0; c < n_cols; c++) {
        at[c] = q + c * hd;
        UNROLL for (int g = 0; g < 4; g++) isum[c][g] = vdupq_n_s32(0);
    }
    for (size_t d = 0; d < hd; d += 32, keys += 32 * ATTN_GROUP) {
        dot_keys(isum, keys, at, n_cols);
        UNROLL for (int c = 0; c < n_cols; c++) at[c] += 32;
    }
    order_scores(isum, n_cols);
    UNROLL for (int c = 0; c < n_cols; c++) {
        UNROLL for (int g = 0; g < 4; g++) {
            const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(isum[c][g]), vld1q_f32(kd + 4 * g));
            vst1q_f32(s + c * lds + 4 * g, vmulq_n_f32(scaled, qd[c]));
        }
    }
}

TILE_HELPER void scores_i8(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                           const int8_t *k, const float *kd, size_t hd, size_t n_groups) {
    for (size_t group = 0; group < n_groups; group++, s += ATTN_GROUP, kd += ATTN_GROUP) {
        const int8_t *keys = k + group * hd * ATTN_GROUP;
        size_t i = 0;
        for (; i + SCORE_COLUMNS <= n_q; i += SCORE_COLUMNS)
            score_group(s + i * lds, lds, q + i * hd, qd + i, keys, kd, hd, SCORE_COLUMNS);
        for (; i < n_q; i++)
            score_group(s + i * lds, lds, q + i * hd, qd + i, keys, kd, hd, 1);
    }
}
