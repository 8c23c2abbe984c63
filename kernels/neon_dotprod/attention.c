/* Scores over int8 keys by sdot, four query heads at once. */
#include "kernels/neon_dotprod/sdot.h"
#include "kernels/neon_dotprod/slots.h"

#define SCORE_COLUMNS 4

TILE_HELPER void dot_keys(int32x4_t isum[][4], const int8_t *lines, const int8_t *const q[],
                          int n_cols) {
    UNROLL for (int part = 0; part < 2; part++) {
        int8x16_t x[SCORE_COLUMNS];
        UNROLL for (int c = 0; c < n_cols; c++) x[c] = vld1q_s8(q[c] + 16 * part);
        dot_lines(isum, &lines, x, n_cols);
    }
}

TILE_HELPER void order_scores(int32x4_t isum[][4], int n_cols) {
    (void)isum;
    (void)n_cols;
}

#include "kernels/neon/scores_tmpl.h"

void scores_i8_neon_dotprod(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                            const int8_t *k, const float *kd, size_t hd, size_t n_groups) {
    scores_i8(s, lds, q, qd, n_q, k, kd, hd, n_groups);
}
