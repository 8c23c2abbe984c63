/* Quantized matrices by sdot. Lines of 8-bit values serve as they lie in the file. */
#include "kernels/neon_dotprod/sdot.h"
#include "kernels/neon_dotprod/slots.h"

#include "kernels/neon/decode_tmpl.h"

#define NATIVE_I8 true
#define Q_COPIES  1
#define I4_SCALES 8

/* The order of the file: [32 lines][16 rows][4 k]. */
TILE_HELPER void store_16k(int8_t *tile, int part, int8x16_t w[4][4]) {
    UNROLL for (int i = 0; i < 16; i++) vst1q_s8(tile + 256 * part + 16 * i, w[i / 4][i % 4]);
}

/* [4 columns][16 k]. */
TILE_HELPER void pack_16k(int8_t *dst, const int8x16_t x[4], enum tensor_type type) {
    (void)type;
    for (int c = 0; c < 4; c++)
        vst1q_s8(dst + 16 * c, x[c]);
}

TILE_HELPER void dot_block(int32x4_t isum[4][4], const int8_t **codes, const int8_t **q) {
    UNROLL for (int part = 0; part < 2; part++) {
        int8x16_t x[4];
        next_line(x, q);
        dot_lines(isum, codes, x, 4);
    }
}

TILE_HELPER void order_sums(int32x4_t isum[4][4]) {
    (void)isum;
}

/* [32 lines][8 rows][4 k]. */
TILE_HELPER void store_half_16k(int8_t *half, int part, int8x16_t w[4][2]) {
    UNROLL for (int i = 0; i < 8; i++) vst1q_s8(half + 128 * part + 16 * i, w[i / 2][i % 2]);
}

#define DOT_HALF_LANE(isum, w, x, LANE)                                                            \
    do {                                                                                           \
        (isum)[0] = vdotq_laneq_s32((isum)[0], (w)[2 * (LANE)], (x), LANE);                        \
        (isum)[1] = vdotq_laneq_s32((isum)[1], (w)[2 * (LANE) + 1], (x), LANE);                    \
    } while (0)

TILE_HELPER void dot_half(int32x4_t isum[8], const int8_t **codes, const int8_t **q) {
    UNROLL for (int i = 0; i < 8; i++) isum[i] = vdupq_n_s32(0);
    UNROLL for (int part = 0; part < 2; part++) {
        int8x16_t w[8], x[4];
        next_line(x, q);
        next_line(w, codes);
        next_line(w + 4, codes);
        UNROLL for (int c = 0; c < 4; c++) {
            DOT_HALF_LANE(isum + 2 * c, w, x[c], 0);
            DOT_HALF_LANE(isum + 2 * c, w, x[c], 1);
            DOT_HALF_LANE(isum + 2 * c, w, x[c], 2);
            DOT_HALF_LANE(isum + 2 * c, w, x[c], 3);
        }
    }
}

TILE_HELPER void order_half(float32x4_t s[8]) {
    (void)s;
}

#include "kernels/neon/columns_tmpl.h"

void matmul_f32_q128_i4_neon_dotprod(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                                     const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    columns_i4(y, ldy, x, n, w, p0, p1, scratch);
}

void matmul_f32_q32_i8_neon_dotprod(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                                    const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    columns_i8(y, ldy, x, n, w, p0, p1, scratch);
}
