/*
 * i4 and i8 weights, one scale per block of 32 k: a stream over the weights.
 *
 * vpdpbusd takes the weights biased to unsigned: i4 as value + 32, straight from the table of
 * pshufb, i8 as value + 128. Sums start at -bias * sum(q), so that it is gone when they end.
 */
#include "kernels/avx2/sums.h"
#include "kernels/avxvnni/matmul.h"
#include "kernels/avxvnni/vnni.h"
#include "kernels/columns.h"

#define COLS 4 /* at most, in one pass over the weights */

/* Adds block b of a tile to acc: [cols][2 halves of the rows]. q: the block's, columns k apart.
 * table: i4 only. */
TILE_HELPER void dot_block(__m256i (*acc)[2], const uint8_t *tile, size_t b, __m256i table,
                           const int8_t *q, size_t k, enum tensor_type type, const size_t cols) {
    const size_t lines = type == TYPE_I4 ? 4 : 8, step = BLOCK_K / lines;
    UNROLL for (size_t j = 0; j < lines; j++) {
        UNROLL for (size_t h = 0; h < 2; h++) {
            const __m256i x = load32(tile + TILE_SCALES + (lines * b + j) * 64 + 32 * h);
            if (type == TYPE_I4) {
                const __m256i nibble = _mm256_set1_epi8(15);
                const __m256i even = _mm256_and_si256(x, nibble);
                const __m256i odd = _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble);
                const __m256i lo = _mm256_shuffle_epi8(table, even);
                const __m256i hi = _mm256_shuffle_epi8(table, odd);
                UNROLL for (size_t c = 0; c < cols; c++) {
                    const int8_t *a = q + c * k + step * j;
                    acc[c][h] = dpbusd(acc[c][h], lo, broadcast4(a));
                    acc[c][h] = dpbusd(acc[c][h], hi, broadcast4(a + 4));
                }
            } else {
                const __m256i v = _mm256_xor_si256(x, _mm256_set1_epi8((char)0x80));
                UNROLL for (size_t c = 0; c < cols; c++) acc[c][h] =
                    dpbusd(acc[c][h], v, broadcast4(q + c * k + step * j));
            }
        }
    }
}

/* One panel times cols columns. */
TILE_HELPER void multiply_panel(float *y, size_t ldy, const uint8_t *panel, __m256i table,
                                const struct columns *x, enum tensor_type type, const size_t cols) {
    const size_t n_blocks = x->k / BLOCK_K;
    const size_t tile_bytes = type == TYPE_I4 ? I4_TILE_BYTES : I8_TILE_BYTES;
    const int bias = type == TYPE_I4 ? 32 : 128;
    __m256 f[COLS][2];
    load_sums(f, NULL, 0, cols);
    for (size_t block = 0; block < n_blocks; block++) {
        const uint8_t *tile = panel_tile(panel, tile_bytes, block / 4);
        __m256i acc[COLS][2];
        UNROLL for (size_t c = 0; c < cols; c++) acc[c][0] = acc[c][1] =
            _mm256_set1_epi32(-bias * x->sum[c * n_blocks + block]);
        dot_block(acc, tile, block % 4, table, x->q + block * BLOCK_K, x->k, type, cols);
        add_block(f, acc, tile, block % 4, x->d + block, n_blocks, cols);
    }
    store_sums(y, ldy, f, (const float *)panel, cols);
}

#include "kernels/avx2/decode.h"

void matmul_f32_q32_i4_avxvnni(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul(y, ldy, x, n, w, p0, p1, TYPE_I4);
}

void matmul_f32_q32_i8_avxvnni(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul(y, ldy, x, n, w, p0, p1, TYPE_I8);
}
