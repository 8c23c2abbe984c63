/*
 * i4 weights, few columns, one scale per block of 32 k: a stream over the weights.
 *
 * Codes become value + 32 (0..63) by pshufb, the unsigned operand of maddubs. Two of its pairs are
 * at most 4 * 63 * 127 < 2^15: added in 16 bits, then widened by one madd. The bias leaves in
 * integers: isum = sum((value + 32) * q) - 32 * sum(q).
 */
#include "kernels/avx2/matmul.h"
#include "kernels/avx2/sums.h"
#include "kernels/columns.h"

#define COLS 4 /* at most, in one pass over the weights: more would not be faster */

/* Sums of block b of a tile, bias included: [cols][2 halves of the rows]. q: the block's, columns k
 * apart. */
TILE_HELPER void dot_block(__m256i (*acc)[2], const uint8_t *tile, size_t b, __m256i table,
                           const int8_t *q, size_t k, const size_t cols) {
    const __m256i ones = _mm256_set1_epi16(1), nibble = _mm256_set1_epi8(15);
    UNROLL for (size_t c = 0; c < cols; c++) acc[c][0] = acc[c][1] = _mm256_setzero_si256();
    UNROLL for (size_t j = 0; j < 4; j++) {
        __m256i lo[2], hi[2];
        if (cols > 1)
            prefetch(tile + TILE_SCALES + (4 * b + j) * 64 + WEIGHTS_AHEAD);
        UNROLL for (size_t h = 0; h < 2; h++) {
            __m256i x = load32(tile + TILE_SCALES + (4 * b + j) * 64 + 32 * h);
            lo[h] = _mm256_shuffle_epi8(table, _mm256_and_si256(x, nibble));
            hi[h] = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble));
        }
        UNROLL for (size_t c = 0; c < cols; c++) {
            const int8_t *a = q + c * k + 8 * j;
            const __m256i a0 = broadcast4(a), a1 = broadcast4(a + 4);
            UNROLL for (size_t h = 0; h < 2; h++) {
                __m256i s = _mm256_add_epi16(_mm256_maddubs_epi16(lo[h], a0),
                                             _mm256_maddubs_epi16(hi[h], a1));
                acc[c][h] = _mm256_add_epi32(acc[c][h], _mm256_madd_epi16(s, ones));
            }
        }
    }
}

/* One panel times cols columns. */
TILE_HELPER void multiply_panel(float *y, size_t ldy, const uint8_t *panel, __m256i table,
                                const struct columns *x, enum tensor_type type, const size_t cols) {
    (void)type;
    const size_t n_blocks = x->k / BLOCK_K;
    __m256 f[COLS][2];
    load_sums(f, NULL, 0, cols);
    const uint8_t *tile = panel_tile(panel, I4_TILE_BYTES, 0);
    for (size_t block = 0; block < n_blocks; tile += I4_TILE_BYTES) {
        for (size_t b = 0; b < 4; b++, block++) {
            __m256i acc[COLS][2];
            dot_block(acc, tile, b, table, x->q + block * BLOCK_K, x->k, cols);
            UNROLL for (size_t c = 0; c < cols; c++) {
                const __m256i sum = _mm256_set1_epi32(x->sum[c * n_blocks + block]);
                const __m256i bias = _mm256_slli_epi32(sum, 5);
                UNROLL for (size_t h = 0; h < 2; h++) acc[c][h] = _mm256_sub_epi32(acc[c][h], bias);
            }
            add_block(f, acc, tile, b, x->d + block, n_blocks, cols);
        }
    }
    store_sums(y, ldy, f, (const float *)panel, cols);
}

#include "kernels/avx2/decode.h"

void matmul_f32_q32_i4_avx2(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul(y, ldy, x, n, w, p0, p1, TYPE_I4);
}
