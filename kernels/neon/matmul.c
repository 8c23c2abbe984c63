/* Quantized matrices on plain ARMv8.0. One column meets the panels as they lie, its values
 * broadcast to the rows. For several, panels are laid out with two k of four rows side by side, and
 * the columns with four copies of two k: eight lanes of products of four rows, of which pairs are
 * added when they are widened. */
#include "kernels/neon/products.h"
#include "kernels/neon/slots.h"

#include "kernels/neon/decode_tmpl.h"

#define NATIVE_I8 false
#define Q_COPIES  4
#define I4_SCALES 8

TILE_HELPER int8x16_t even_pairs(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s16(vuzp1q_s16(vreinterpretq_s16_s8(a), vreinterpretq_s16_s8(b)));
}
TILE_HELPER int8x16_t odd_pairs(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s16(vuzp2q_s16(vreinterpretq_s16_s8(a), vreinterpretq_s16_s8(b)));
}

/* Tiles: [16 times 8 k][groups][k 0, 4, 2, 6][4 rows][2 k]; 4 groups of i8, 2 of half a tile. */
TILE_HELPER void store_16k(int8_t *tile, int part, int8x16_t w[4][4]) {
    for (int i = 0; i < 8; i++) {
        const int8x16_t *first = w[i / 4 * 2], *second = w[i / 4 * 2 + 1];
        vst1q_s8(tile + 256 * part + 32 * i, even_pairs(first[i % 4], second[i % 4]));
        vst1q_s8(tile + 256 * part + 32 * i + 16, odd_pairs(first[i % 4], second[i % 4]));
    }
}

/* i8: [2 times 8 k][4 columns][k 0, 4, 2, 6][4 times][2 k]; i4: columns first. */
TILE_HELPER void pack_16k(int8_t *dst, const int8x16_t x[4], enum tensor_type type) {
    static const uint8_t pairs[64] = {
        0,  1,  0,  1,  0,  1,  0,  1,  4,  5,  4,  5,  4,  5,  4,  5,  2,  3,  2,  3,  2,  3,
        2,  3,  6,  7,  6,  7,  6,  7,  6,  7,  8,  9,  8,  9,  8,  9,  8,  9,  12, 13, 12, 13,
        12, 13, 12, 13, 10, 11, 10, 11, 10, 11, 10, 11, 14, 15, 14, 15, 14, 15, 14, 15};
    for (int i = 0; i < 4; i++) {
        const uint8x16_t pair = vld1q_u8(pairs + 16 * i);
        for (int c = 0; c < 4; c++) {
            const int at =
                type == TYPE_I8 ? 128 * (i / 2) + 32 * c + 16 * (i % 2) : 64 * c + 16 * i;
            vst1q_s8(dst + at, vqtbl1q_s8(x[c], pair));
        }
    }
}

TILE_HELPER void store_half_16k(int8_t *half, int part, int8x16_t w[4][2]) {
    UNROLL for (int i = 0; i < 4; i++) {
        const int8x16_t first = w[i / 2 * 2][i % 2], second = w[i / 2 * 2 + 1][i % 2];
        vst1q_s8(half + 128 * part + 32 * i, even_pairs(first, second));
        vst1q_s8(half + 128 * part + 32 * i + 16, odd_pairs(first, second));
    }
}

/* 8 k of a column, x, times those of 8 rows of i8, w, of which a lane adds two products before it
 * is widened. */
TILE_HELPER void multiply_8k(int32x4_t isum[2], const int8x16_t w[4], const int8x16_t x[2]) {
    UNROLL for (int i = 0; i < 4; i++) {
        const int16x8_t sum = vmull_s8(vget_low_s8(w[i]), vget_low_s8(x[i % 2]));
        isum[i / 2] = vpadalq_s16(isum[i / 2], vmlal_high_s8(sum, w[i], x[i % 2]));
    }
}

TILE_HELPER void dot_block(int32x4_t isum[4][4], const int8_t **codes, const int8_t **q) {
    UNROLL for (int part = 0; part < 4; part++) {
        int8x16_t w[8];
        next_line(w, codes);
        next_line(w + 4, codes);
        UNROLL for (int columns = 0; columns < 4; columns += 2) {
            int8x16_t x[4];
            next_line(x, q);
            UNROLL for (int i = 0; i < 4; i++)
                multiply_8k(isum[columns + i / 2] + i % 2 * 2, w + i % 2 * 4, x + i / 2 * 2);
        }
    }
}

/* 16 k of a column times those of 8 rows of i4. A lane of 16 bits adds eight products, 8 * 32 * 127
 * < 2^15, before it is widened, by WIDEN into isum[0], isum[1]. gcc 12 adds a copy or a spill to
 * every sixth of these instructions, hence assembly; two chains take turns. */
#define MULTIPLY_16K(WIDEN, SUM, isum, w, x)                                                       \
    do {                                                                                           \
        int16x8_t s, t;                                                                            \
        __asm__("smull  %[s].8h, %[w0].8b, %[x0].8b\n\t"                                           \
                "smull  %[t].8h, %[w2].8b, %[x0].8b\n\t"                                           \
                "smlal2 %[s].8h, %[w0].16b, %[x0].16b\n\t"                                         \
                "smlal2 %[t].8h, %[w2].16b, %[x0].16b\n\t"                                         \
                "smlal  %[s].8h, %[w1].8b, %[x1].8b\n\t"                                           \
                "smlal  %[t].8h, %[w3].8b, %[x1].8b\n\t"                                           \
                "smlal2 %[s].8h, %[w1].16b, %[x1].16b\n\t"                                         \
                "smlal2 %[t].8h, %[w3].16b, %[x1].16b\n\t"                                         \
                "smlal  %[s].8h, %[w4].8b, %[x2].8b\n\t"                                           \
                "smlal  %[t].8h, %[w6].8b, %[x2].8b\n\t"                                           \
                "smlal2 %[s].8h, %[w4].16b, %[x2].16b\n\t"                                         \
                "smlal2 %[t].8h, %[w6].16b, %[x2].16b\n\t"                                         \
                "smlal  %[s].8h, %[w5].8b, %[x3].8b\n\t"                                           \
                "smlal  %[t].8h, %[w7].8b, %[x3].8b\n\t"                                           \
                "smlal2 %[s].8h, %[w5].16b, %[x3].16b\n\t"                                         \
                "smlal2 %[t].8h, %[w7].16b, %[x3].16b\n\t" WIDEN " %[sum0].4s, %[s].8h\n\t" WIDEN  \
                " %[sum1].4s, %[t].8h"                                                             \
                : [sum0] SUM((isum)[0]), [sum1] SUM((isum)[1]), [s] "=&w"(s), [t] "=&w"(t)         \
                : [w0] "w"((w)[0]), [w1] "w"((w)[1]), [w2] "w"((w)[2]), [w3] "w"((w)[3]),          \
                  [w4] "w"((w)[4]), [w5] "w"((w)[5]), [w6] "w"((w)[6]), [w7] "w"((w)[7]),          \
                  [x0] "w"((x)[0]), [x1] "w"((x)[1]), [x2] "w"((x)[2]), [x3] "w"((x)[3]));         \
    } while (0)

TILE_HELPER void dot_half(int32x4_t isum[8], const int8_t **codes, const int8_t **q) {
    UNROLL for (int part = 0; part < 2; part++) {
        int8x16_t w[8];
        next_line(w, codes);
        next_line(w + 4, codes);
        UNROLL for (int c = 0; c < 4; c++) {
            int8x16_t x[4];
            next_line(x, q);
            if (part == 0)
                MULTIPLY_16K("saddlp", "=&w", isum + 2 * c, w, x);
            else
                MULTIPLY_16K("sadalp", "+w", isum + 2 * c, w, x);
        }
    }
}

TILE_HELPER void order_sums(int32x4_t isum[4][4]) {
    (void)isum;
}

TILE_HELPER void order_half(float32x4_t s[8]) {
    (void)s;
}

#include "kernels/neon/columns_tmpl.h"

void matmul_f32_q128_i4_neon(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                             const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    columns_i4(y, ldy, x, n, w, p0, p1, scratch);
}

void matmul_f32_q32_i8_neon(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    columns_i8(y, ldy, x, n, w, p0, p1, scratch);
}
