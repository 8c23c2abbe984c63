/* Scores over int8 keys by smmla, four query heads at once; one alone by sdot. */
#include "kernels/neon_dotprod/sdot.h"
#include "kernels/neon_i8mm/slots.h"
#include "kernels/neon_i8mm/smmla.h"

#define SCORE_COLUMNS 4

/* 16 dimensions of 16 keys, four lines, against four queries. */
TILE_HELPER void multiply_keys(int32x4_t isum[4][4], const int8_t **lines, const int8x16_t x[4]) {
    int8x16_t columns[4];
    pair_columns(columns, x);
    UNROLL for (int half = 0; half < 2; half++) {
        int8x16_t k0[4], k4[4];
        next_line(k0, lines);
        next_line(k4, lines);
        UNROLL for (int g = 0; g < 4; g++) {
            multiply_pair(isum, 2 * g, first_rows(k0[g], k4[g]), columns + 2 * half);
            multiply_pair(isum, 2 * g + 1, last_rows(k0[g], k4[g]), columns + 2 * half);
        }
    }
}

TILE_HELPER void dot_keys(int32x4_t isum[][4], const int8_t *lines, const int8_t *const q[],
                          int n_cols) {
    UNROLL for (int part = 0; part < 2; part++) {
        int8x16_t x[SCORE_COLUMNS];
        UNROLL for (int c = 0; c < n_cols; c++) x[c] = vld1q_s8(q[c] + 16 * part);
        if (n_cols == SCORE_COLUMNS)
            multiply_keys(isum, &lines, x);
        else
            dot_lines(isum, &lines, x, n_cols);
    }
}

TILE_HELPER void order_scores(int32x4_t isum[][4], int n_cols) {
    if (n_cols == SCORE_COLUMNS)
        order_sums(isum);
}

#include "kernels/neon/scores_tmpl.h"

void scores_i8_neon_i8mm(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                         const int8_t *k, const float *kd, size_t hd, size_t n_groups) {
    scores_i8(s, lds, q, qd, n_q, k, kd, hd, n_groups);
}
