/* Scores over int8 keys by sdot, four query heads at once. */
#include "kernels/neon_dotprod/matmul.h"
#include "kernels/neon_dotprod/sdot.h"

#define SCORE_COLUMNS 4

ALWAYS_INLINE void dot_keys(int32x4_t isum[][4], const int8_t *lines, const int8_t *const q[],
                            int n_cols) {
    dot_lines(isum, lines, q, n_cols);
}

#include "kernels/neon/scores.h"

void scores_i8_neon_dotprod(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                            const int8_t *k, const float *kd, size_t hd, size_t n_groups) {
    scores_i8(s, lds, q, qd, n_q, k, kd, hd, n_groups);
}
