/* Quantized matrices on plain ARMv8.0. One column meets the panels as they lie, its values
 * broadcast to the rows. For several, rows are laid out with their k side by side, which needs no
 * broadcast: 32 k of a row and of a column meet in four multiplications of eight lanes. */
#include "kernels/neon/matmul.h"
#include "kernels/neon/products.h"

#include "kernels/neon/decode.h"

#define DOT_GROUPS 1
#define NATIVE_I8  false

/* A tile: [4 groups][4 blocks][4 rows][32 k]. */
ALWAYS_INLINE void store_16k(int8_t *tile, int part, int8x16_t w[4][4]) {
    for (int g = 0; g < 4; g++) {
        int32x4_t v[4];
        for (int i = 0; i < 4; i++)
            v[i] = vreinterpretq_s32_s8(w[i][g]);
        const int32x4_t rows01_k0 = vzip1q_s32(v[0], v[2]), rows23_k0 = vzip2q_s32(v[0], v[2]);
        const int32x4_t rows01_k4 = vzip1q_s32(v[1], v[3]), rows23_k4 = vzip2q_s32(v[1], v[3]);
        int8_t *row = tile + 512 * g + 128 * (part / 2) + 16 * (part % 2);
        vst1q_s8(row, vreinterpretq_s8_s32(vzip1q_s32(rows01_k0, rows01_k4)));
        vst1q_s8(row + 32, vreinterpretq_s8_s32(vzip2q_s32(rows01_k0, rows01_k4)));
        vst1q_s8(row + 64, vreinterpretq_s8_s32(vzip1q_s32(rows23_k0, rows23_k4)));
        vst1q_s8(row + 96, vreinterpretq_s8_s32(vzip2q_s32(rows23_k0, rows23_k4)));
    }
}

/* acc += 32 k of a row times those of a column; start: acc is not read. A lane of 16 bits adds two
 * products where weights have 8 bits, else four. */
ALWAYS_INLINE int32x4_t add_products(int32x4_t acc, const int8x16_t w[2], const int8x16_t q[2],
                                     bool start, bool wide) {
    int16x8_t sum = vmull_s8(vget_low_s8(w[0]), vget_low_s8(q[0]));
    sum = vmlal_high_s8(sum, w[0], q[0]);
    if (wide) {
        acc = start ? vpaddlq_s16(sum) : vpadalq_s16(acc, sum);
        sum = vmull_s8(vget_low_s8(w[1]), vget_low_s8(q[1]));
        start = false;
    } else {
        sum = vmlal_s8(sum, vget_low_s8(w[1]), vget_low_s8(q[1]));
    }
    sum = vmlal_high_s8(sum, w[1], q[1]);
    return start ? vpaddlq_s16(sum) : vpadalq_s16(acc, sum);
}

ALWAYS_INLINE void dot_columns(int32x4_t isum[4][DOT_GROUPS], const int8_t *tile, size_t block,
                               int g, const int8_t *const q[4], int n_blocks, bool wide) {
    int32x4_t acc[4][4]; /* [column][row] */
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        acc[i / 4][i % 4] = vdupq_n_s32(0);
#pragma GCC unroll 4
    for (int b = 0; b < n_blocks; b++) {
        int8x16_t a[4][2];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            a[i / 2][i % 2] = vld1q_s8(q[i / 2] + 32 * b + 16 * (i % 2));
#pragma GCC unroll 4
        for (int row = 0; row < 4; row++) {
            const int8_t *k = tile + 512 * g + 128 * (block + b) + 32 * row;
            const int8x16_t w[2] = {vld1q_s8(k), vld1q_s8(k + 16)};
#pragma GCC unroll 4
            for (int c = 0; c < 4; c++)
                acc[c][row] = add_products(acc[c][row], w, a[c], b == 0, wide);
        }
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++)
        isum[c][0] = vpaddq_s32(vpaddq_s32(acc[c][0], acc[c][1]), vpaddq_s32(acc[c][2], acc[c][3]));
}

#include "kernels/neon/columns.h"

void matmul_f32_q32_i4_neon(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    if (n == 1)
        decode_i4(y, x, w, p0, p1);
    else
        matmul_columns(y, ldy, x, n, w, p0, p1, scratch, COLUMNS_I4);
}

void matmul_f32_q128_i4_neon(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                             const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    matmul_columns(y, ldy, x, n, w, p0, p1, scratch, COLUMNS_7BIT);
}

void matmul_f32_q32_i8_neon(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    if (n == 1)
        decode_i8(y, x, w, p0, p1);
    else
        matmul_columns(y, ldy, x, n, w, p0, p1, scratch, COLUMNS_I8);
}
