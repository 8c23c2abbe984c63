/*
 * i4 weights, many columns: the inner steps of kernels/avx2/prefill.h.
 *
 * maddubs wants one unsigned operand: the activations, as q + 128. A pair (q + 128) * r is at most
 * 2 * 255 * 64 and does not saturate. The sum of two pairs may wrap in 16 bits; but less 128 times
 * the sum of the four r, computed once per panel, it is the sum of four q * r, at most
 * 4 * 127 * 64 = 32512: exact. So one madd widens four products a lane, not two.
 */
#include "kernels/avx2/matmul.h"
#include "kernels/avx2/requantize.h"
#include "kernels/prefill.h"

#define COLS       3   /* columns of a register tile: 6 sums, 6 weights, 4 others */
#define PAIRS      16  /* pairs of lines (8 k) in a tile */
#define PAIR_BYTES 192 /* for each half of the rows: 32 B of k 0..3, of k 4..7, of corrections */
#define TILE_BYTES (PAIRS * PAIR_BYTES)

/* One block of k of one panel: codes and corrections of every tile, and the scales t. */
struct wblock {
    int8_t r[KB_TILES][TILE_BYTES];
    float t[KB_TILES][PANEL_ROWS];
};

/* Rows 8h .. 8h + 7 of a tile. */
static void requantize_half(struct wblock *w, size_t i, const uint8_t *tile, size_t h,
                            __m256i table) {
    const __m256 g = requantize_scales(w->t[i] + 8 * h, tile, h);
    const __m256i bias = _mm256_set1_epi8((char)128);
    for (size_t b = 0; b < 4; b++) {
        const struct factors f = requantize_factors(tile, b, h, g);
        for (size_t j = 0; j < 4; j++) {
            __m256i v[2];
            requantize_codes(v, tile + TILE_SCALES + (4 * b + j) * 64 + 32 * h, table, f);
            __m256i *out = (__m256i *)(w->r[i] + (4 * b + j) * PAIR_BYTES + 96 * h);
            _mm256_store_si256(out, v[0]);
            _mm256_store_si256(out + 1, v[1]);
            _mm256_store_si256(out + 2, _mm256_add_epi16(_mm256_maddubs_epi16(bias, v[0]),
                                                         _mm256_maddubs_epi16(bias, v[1])));
        }
    }
}

TILE_HELPER void multiply_tile(__m256i (*acc)[2], const struct wblock *w, size_t i,
                               const uint8_t *a, size_t lda, const size_t cols) {
    const __m256i ones = _mm256_set1_epi16(1);
    const int8_t *r = w->r[i];
    UNROLL for (size_t c = 0; c < cols; c++) acc[c][0] = acc[c][1] = _mm256_setzero_si256();
    for (size_t pair = 0; pair < PAIRS; pair++, r += PAIR_BYTES, a += 8) {
        if (pair == PAIRS / 2)
            a += lda - PACK_K;
        const __m256i *v = (const __m256i *)r;
        UNROLL for (size_t c = 0; c < cols; c++) {
            __m256i a0 = broadcast4(a + PACK_K * c), a1 = broadcast4(a + PACK_K * c + 4);
            UNROLL for (size_t h = 0; h < 2; h++) {
                __m256i s = _mm256_sub_epi16(_mm256_maddubs_epi16(a0, v[3 * h]), v[3 * h + 2]);
                s = _mm256_add_epi16(s, _mm256_maddubs_epi16(a1, v[3 * h + 1]));
                acc[c][h] = _mm256_add_epi32(acc[c][h], _mm256_madd_epi16(s, ones));
            }
        }
    }
}

#include "kernels/avx2/prefill.h"

static void multiply(const struct prefill_tile *t) {
    switch (t->cols) {
    case 1:
        multiply_columns(t, 1);
        break;
    case 2:
        multiply_columns(t, 2);
        break;
    default:
        multiply_columns(t, 3);
    }
}

void matmul_f32_q128_i4_avx2(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                             const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    const struct prefill how = prefill_256(multiply);
    prefill_i4(&how, y, ldy, x, n, w, p0, p1, scratch);
}
