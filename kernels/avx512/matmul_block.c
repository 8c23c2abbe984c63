/*
 * i4 and i8 weights, one scale per block of 32 k: a stream over the weights.
 *
 * vpdpbusd takes the weights biased to unsigned: i4 as value + 32, straight from the table of
 * pshufb, i8 as value + 128. Sums start at -bias * sum(q), so that it is gone when they end.
 */
#include "kernels/avx512/common.h"
#include "kernels/avx512/matmul.h"
#include "kernels/columns.h"

#define COLS 8 /* at most, in one pass over the weights */

/* Adds block b of a tile to acc [cols]. q: the block's, columns k apart. table: i4 only. */
TILE_HELPER void dot_block(__m512i *acc, const uint8_t *tile, size_t b, __m512i table,
                           const int8_t *q, size_t k, enum tensor_type type, const size_t cols) {
    if (type == TYPE_I4) {
        const __m512i nibble = _mm512_set1_epi8(15);
        UNROLL for (size_t j = 0; j < 4; j++) {
            const __m512i x = _mm512_loadu_si512(tile + TILE_SCALES + (4 * b + j) * 64);
            if (cols > 1)
                prefetch(tile + TILE_SCALES + (4 * b + j) * 64 + WEIGHTS_AHEAD);
            __m512i lo = _mm512_and_si512(x, nibble);
            __m512i hi = _mm512_and_si512(_mm512_srli_epi16(x, 4), nibble);
            lo = _mm512_shuffle_epi8(table, lo);
            hi = _mm512_shuffle_epi8(table, hi);
            UNROLL for (size_t c = 0; c < cols; c++) {
                acc[c] = _mm512_dpbusd_epi32(acc[c], lo, broadcast4(q + c * k + 8 * j));
                acc[c] = _mm512_dpbusd_epi32(acc[c], hi, broadcast4(q + c * k + 8 * j + 4));
            }
        }
    } else {
        UNROLL for (size_t j = 0; j < 8; j++) {
            const __m512i x = _mm512_loadu_si512(tile + TILE_SCALES + (8 * b + j) * 64);
            if (cols > 1)
                prefetch(tile + TILE_SCALES + (8 * b + j) * 64 + WEIGHTS_AHEAD);
            const __m512i v = _mm512_xor_si512(x, _mm512_set1_epi8((char)0x80));
            UNROLL for (size_t c = 0; c < cols; c++) acc[c] =
                _mm512_dpbusd_epi32(acc[c], v, broadcast4(q + c * k + 4 * j));
        }
    }
}

/* f [cols] continues through block b of a tile, which is block `at` of the panel. */
TILE_HELPER void add_block(__m512 *f, const uint8_t *tile, size_t b, size_t at, __m512i table,
                           const struct columns *x, enum tensor_type type, const size_t cols) {
    const size_t n_blocks = x->k / BLOCK_K;
    const int bias = type == TYPE_I4 ? 32 : 128;
    __m512i acc[COLS];
    UNROLL for (size_t c = 0; c < cols; c++) acc[c] =
        _mm512_set1_epi32(-bias * x->sum[c * n_blocks + at]);
    dot_block(acc, tile, b, table, x->q + at * BLOCK_K, x->k, type, cols);
    const __m512 scale = _mm512_cvtepi32_ps(load_scales(tile, b));
    UNROLL for (size_t c = 0; c < cols; c++) {
        const __m512 t = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[c]), scale);
        f[c] = _mm512_fmadd_ps(t, _mm512_set1_ps(x->d[c * n_blocks + at]), f[c]);
    }
}

/* One panel times cols columns. With one column a tile is unrolled whole: the fewer instructions a
 * line of weights takes, the more lines a CPU has under way. */
TILE_HELPER void multiply_panel(float *y, size_t ldy, const uint8_t *panel, __m512i table,
                                const struct columns *x, enum tensor_type type, const size_t cols) {
    const size_t tile_bytes = type == TYPE_I4 ? I4_TILE_BYTES : I8_TILE_BYTES;
    const uint8_t *tile = panel_tile(panel, tile_bytes, 0);
    __m512 f[COLS];
    UNROLL for (size_t c = 0; c < cols; c++) f[c] = _mm512_setzero_ps();
    for (size_t at = 0; at < x->k / BLOCK_K; at += 4, tile += tile_bytes) {
        if (cols == 1) {
            UNROLL for (size_t b = 0; b < 4; b++)
                add_block(f, tile, b, at + b, table, x, type, cols);
        } else {
            for (size_t b = 0; b < 4; b++)
                add_block(f, tile, b, at + b, table, x, type, cols);
        }
    }
    const __m512 row_scale = _mm512_loadu_ps(panel);
    UNROLL for (size_t c = 0; c < cols; c++)
        _mm512_storeu_ps(y + c * ldy, _mm512_mul_ps(f[c], row_scale));
}

/* cols: 2 or more. */
TILE_HELPER void multiply(float *y, size_t ldy, const uint8_t *panel, __m512i table,
                          const struct columns *x, enum tensor_type type, size_t cols) {
    switch (cols) {
    case 2:
        multiply_panel(y, ldy, panel, table, x, type, 2);
        break;
    case 3:
        multiply_panel(y, ldy, panel, table, x, type, 3);
        break;
    case 4:
        multiply_panel(y, ldy, panel, table, x, type, 4);
        break;
    case 5:
        multiply_panel(y, ldy, panel, table, x, type, 5);
        break;
    case 6:
        multiply_panel(y, ldy, panel, table, x, type, 6);
        break;
    case 7:
        multiply_panel(y, ldy, panel, table, x, type, 7);
        break;
    default:
        multiply_panel(y, ldy, panel, table, x, type, 8);
    }
}

TILE_HELPER void matmul(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                        const struct wmat *w, size_t p0, size_t p1, enum tensor_type type) {
    const __m512i table = type == TYPE_I4 ? load_codebook(w->codebook, 32) : _mm512_setzero_si512();
    if (n == 1) { /* by itself: GCC keeps its loop in registers only so */
        const struct columns one = columns_from(x, 0, w->k);
        for (size_t p = p0; p < p1; p++)
            multiply_panel(y + p * PANEL_ROWS, ldy, panel_at(w, type, p), table, &one, type, 1);
        return;
    }
    for (size_t p = p0; p < p1; p++) {
        for (size_t c = 0, cols; c < n; c += cols) {
            cols = next_columns(n - c, COLS);
            const struct columns group = columns_from(x, c, w->k);
            multiply(y + c * ldy + p * PANEL_ROWS, ldy, panel_at(w, type, p), table, &group, type,
                     cols);
        }
    }
}

void matmul_f32_q32_i4_avx512(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul(y, ldy, x, n, w, p0, p1, TYPE_I4);
}

void matmul_f32_q32_i8_avx512(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul(y, ldy, x, n, w, p0, p1, TYPE_I8);
}
