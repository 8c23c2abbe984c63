/* Attention's weighted sums of int8 values by sudot, signed values times unsigned codes, four query
 * heads at once. */
#include "kernels/neon/neon.h"
#include "kernels/neon_i8mm/slots.h"

#define VALUE_COLUMNS 4

#define DOT_QUAD(isum, values, codes, QUAD)                                                        \
    do {                                                                                           \
        UNROLL for (int j_ = 0; j_ < 4; j_++)(isum)[j_] =                                          \
            vsudotq_laneq_s32((isum)[j_], (values)[j_], (codes), QUAD);                            \
    } while (0)

TILE_HELPER void load_quad(int8x16_t values[4], const int8_t *line) {
    UNROLL for (int j = 0; j < 4; j++) values[j] = vld1q_s8(line + 16 * j);
}

TILE_HELPER void dot_values(int32x4_t isum[][4], const int8_t *v, size_t row,
                            const uint8x16_t codes[], int n_cols) {
    int8x16_t values[4];
    UNROLL for (int i = 0; i < n_cols * 4; i++) isum[i / 4][i % 4] = vdupq_n_s32(0);
    load_quad(values, v);
    UNROLL for (int i = 0; i < n_cols; i++) DOT_QUAD(isum[i], values, codes[i], 0);
    load_quad(values, v + row);
    UNROLL for (int i = 0; i < n_cols; i++) DOT_QUAD(isum[i], values, codes[i], 1);
    load_quad(values, v + 2 * row);
    UNROLL for (int i = 0; i < n_cols; i++) DOT_QUAD(isum[i], values, codes[i], 2);
    load_quad(values, v + 3 * row);
    UNROLL for (int i = 0; i < n_cols; i++) DOT_QUAD(isum[i], values, codes[i], 3);
}

#include "kernels/neon/values_tmpl.h"

void values_i8_neon_i8mm(float *out, size_t ldo, const uint8_t *c, const float *cd, size_t ldc,
                         size_t n_q, const int8_t *v, size_t hd, size_t n_groups) {
    values_i8(out, ldo, c, cd, ldc, n_q, v, hd, n_groups);
}
