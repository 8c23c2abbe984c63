/*
 * i8 weights, one scale per block of 32 k. maddubs takes |w| as its unsigned operand and q with the
 * sign of w: two products are at most 2 * 127 * 127 < 2^15. Four would not fit: each is widened.
 */
#include "kernels/avx2/matmul.h"
#include "kernels/avx2/sums.h"
#include "kernels/columns.h"

#define COLS 4 /* at most, in one pass over the weights: more would not be faster */

/* Sums of block b of a tile: [cols][2 halves of the rows]. q: the block's, columns k apart. */
TILE_HELPER void dot_block(__m256i (*acc)[2], const uint8_t *tile, size_t b, const int8_t *q,
                           size_t k, const size_t cols) {
    const __m256i ones = _mm256_set1_epi16(1);
    UNROLL for (size_t c = 0; c < cols; c++) acc[c][0] = acc[c][1] = _mm256_setzero_si256();
    for (size_t j = 0; j < 8; j++) {
        UNROLL for (size_t h = 0; h < 2; h++) {
            const __m256i v = load32(tile + TILE_SCALES + (8 * b + j) * 64 + 32 * h);
            const __m256i magnitude = _mm256_abs_epi8(v);
            UNROLL for (size_t c = 0; c < cols; c++) {
                const __m256i a = _mm256_sign_epi8(broadcast4(q + c * k + 4 * j), v);
                const __m256i s = _mm256_madd_epi16(_mm256_maddubs_epi16(magnitude, a), ones);
                acc[c][h] = _mm256_add_epi32(acc[c][h], s);
            }
        }
    }
}

/* One panel times cols columns. */
TILE_HELPER void multiply_panel(float *y, size_t ldy, const uint8_t *panel, __m256i table,
                                const struct columns *x, enum tensor_type type, const size_t cols) {
    (void)table;
    (void)type;
    const size_t n_blocks = x->k / BLOCK_K;
    __m256 f[COLS][2];
    load_sums(f, NULL, 0, cols);
    for (size_t block = 0; block < n_blocks; block++) {
        const uint8_t *tile = panel_tile(panel, I8_TILE_BYTES, block / 4);
        __m256i acc[COLS][2];
        dot_block(acc, tile, block % 4, x->q + block * BLOCK_K, x->k, cols);
        add_block(f, acc, tile, block % 4, x->d + block, n_blocks, cols);
    }
    store_sums(y, ldy, f, (const float *)panel, cols);
}

#include "kernels/avx2/decode.h"

void matmul_f32_q32_i8_avx2(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul(y, ldy, x, n, w, p0, p1, TYPE_I8);
}
