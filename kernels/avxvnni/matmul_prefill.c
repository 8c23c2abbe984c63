/*
 * i4 weights, many columns: the inner steps of kernels/avx2/prefill.h.
 *
 * vpdpbusd takes the activations as q + 128, unsigned; sums start at -128 * sum(r), which is the
 * same for all columns, so that the bias is gone when they end.
 */
#include "kernels/avx2/requantize.h"
#include "kernels/avxvnni/matmul.h"
#include "kernels/avxvnni/vnni.h"
#include "kernels/prefill.h"

#define COLS       6 /* columns of a register tile: 12 sums, 2 weights, 1 activation */
#define TILE_BYTES (TILE_K * PANEL_ROWS)

/* One block of k of one panel: r in lines of 16 rows x 4 k, the scales t, -128 * sum(r). */
struct wblock {
    int8_t r[KB_TILES][TILE_BYTES];
    float t[KB_TILES][PANEL_ROWS];
    int32_t start[KB_TILES][PANEL_ROWS];
};

/* Rows 8h .. 8h + 7 of a tile. */
static void requantize_half(struct wblock *w, size_t i, const uint8_t *tile, size_t h,
                            __m256i table) {
    const __m256 g = requantize_scales(w->t[i] + 8 * h, tile, h);
    const __m256i bias = _mm256_set1_epi8((char)128);
    __m256i sum = _mm256_setzero_si256();
    for (size_t b = 0; b < 4; b++) {
        const struct factors f = requantize_factors(tile, b, h, g);
        for (size_t j = 0; j < 4; j++) {
            __m256i v[2];
            requantize_codes(v, tile + TILE_SCALES + (4 * b + j) * 64 + 32 * h, table, f);
            __m256i *out = (__m256i *)(w->r[i] + (4 * b + j) * 128 + 32 * h);
            _mm256_store_si256(out, v[0]);
            _mm256_store_si256(out + 2, v[1]);
            sum = dpbusd(dpbusd(sum, bias, v[0]), bias, v[1]);
        }
    }
    _mm256_store_si256((__m256i *)(w->start[i] + 8 * h),
                       _mm256_sub_epi32(_mm256_setzero_si256(), sum));
}

TILE_HELPER void multiply_tile(__m256i (*acc)[2], const struct wblock *w, size_t i,
                               const uint8_t *a, size_t lda, const size_t cols) {
    UNROLL for (size_t c = 0; c < cols; c++) {
        acc[c][0] = load32(w->start[i]);
        acc[c][1] = load32(w->start[i] + 8);
    }
    for (size_t line = 0; line < TILE_BYTES; line += 128, a += 8) {
        if (line == TILE_BYTES / 2)
            a += lda - PACK_K;
        UNROLL for (size_t part = 0; part < 2; part++) { /* k 0..3, k 4..7 */
            const int8_t *r = w->r[i] + line + 64 * part;
            const __m256i r0 = load32(r), r1 = load32(r + 32);
            UNROLL for (size_t c = 0; c < cols; c++) {
                const __m256i q = broadcast4(a + PACK_K * c + 4 * part);
                acc[c][0] = in_register(dpbusd(acc[c][0], q, r0));
                acc[c][1] = in_register(dpbusd(acc[c][1], q, r1));
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
    case 3:
        multiply_columns(t, 3);
        break;
    case 4:
        multiply_columns(t, 4);
        break;
    case 5:
        multiply_columns(t, 5);
        break;
    default:
        multiply_columns(t, 6);
    }
}

void matmul_f32_q128_i4_avxvnni(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                                const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    const struct prefill how = prefill_256(multiply);
    prefill_i4(&how, y, ldy, x, n, w, p0, p1, scratch);
}
