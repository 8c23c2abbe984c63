/* Attention's weighted sums of int8 values by udot, four query heads at once. */
#include "kernels/neon/neon.h"
#include "kernels/neon_dotprod/slots.h"

#define VALUE_COLUMNS 4

#define DOT_QUAD(sum, values, codes, QUAD)                                                         \
    do {                                                                                           \
        UNROLL for (int j_ = 0; j_ < 4; j_++)(sum)[j_] =                                           \
            vdotq_laneq_u32((sum)[j_], (values)[j_], (codes), QUAD);                               \
    } while (0)

/* 16 dimensions of four positions, biased by 128 to be unsigned, as codes are. */
TILE_HELPER void load_quad(uint8x16_t values[4], const int8_t *line) {
    UNROLL for (int j = 0; j < 4; j++) values[j] =
        veorq_u8(vreinterpretq_u8_s8(vld1q_s8(line + 16 * j)), vdupq_n_u8(0x80));
}

/* Sums start at -128 times those of the codes. */
TILE_HELPER void dot_values(int32x4_t isum[][4], const int8_t *v, size_t row,
                            const uint8x16_t codes[], int n_cols) {
    uint32x4_t sum[VALUE_COLUMNS][4];
    uint8x16_t values[4];
    UNROLL for (int i = 0; i < n_cols; i++) {
        const uint32x4_t start = vdupq_n_u32(-128u * vaddlvq_u8(codes[i]));
        UNROLL for (int j = 0; j < 4; j++) sum[i][j] = start;
    }
    load_quad(values, v);
    UNROLL for (int i = 0; i < n_cols; i++) DOT_QUAD(sum[i], values, codes[i], 0);
    load_quad(values, v + row);
    UNROLL for (int i = 0; i < n_cols; i++) DOT_QUAD(sum[i], values, codes[i], 1);
    load_quad(values, v + 2 * row);
    UNROLL for (int i = 0; i < n_cols; i++) DOT_QUAD(sum[i], values, codes[i], 2);
    load_quad(values, v + 3 * row);
    UNROLL for (int i = 0; i < n_cols; i++) DOT_QUAD(sum[i], values, codes[i], 3);
    UNROLL for (int i = 0; i < n_cols * 4; i++) isum[i / 4][i % 4] =
        vreinterpretq_s32_u32(sum[i / 4][i % 4]);
}

#include "kernels/neon/values_tmpl.h"

void values_i8_neon_dotprod(float *out, size_t ldo, const uint8_t *c, const float *cd, size_t ldc,
                            size_t n_q, const int8_t *v, size_t hd, size_t n_groups) {
    values_i8(out, ldo, c, cd, ldc, n_q, v, hd, n_groups);
}
