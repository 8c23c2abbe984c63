/*
 * i4 weights, many columns: the inner steps of prefill.h.
 *
 * vpdpbusd takes the activations as q + 128, unsigned; sums start at -128 * sum(r), which is the
 * same for all columns, so that the bias is gone when they end.
 */
#include "kernels/avx512/matmul.h"
#include "kernels/avx512/requantize.h"
#include "kernels/prefill.h"

/* Keeps a sum where it is: GCC otherwise copies the sums of a loop from register to register. */
static inline __m512i in_register(__m512i x) {
    __asm__("" : "+v"(x));
    return x;
}

#define COLS       8 /* columns of a register tile, of 2 panels: 16 sums */
#define TILE_BYTES (TILE_K * PANEL_ROWS)

/* One block of k of one panel: r in lines of 16 rows x 4 k, the scales t, -128 * sum(r). */
struct wblock {
    int8_t r[KB_TILES][TILE_BYTES];
    float t[KB_TILES][PANEL_ROWS];
    int32_t start[KB_TILES][PANEL_ROWS];
};

static void requantize_panel(uint8_t *w, const uint8_t *tiles, size_t n_tiles,
                             const int8_t *codebook) {
    struct wblock *b = (struct wblock *)w;
    const __m512i table = load_codebook(codebook, 0), zero = _mm512_setzero_si512();
    for (size_t i = 0; i < n_tiles; i++) {
        const __m512i sum = requantize_tile(b->r[i], b->t[i], tiles + i * I4_TILE_BYTES, table);
        _mm512_store_si512(b->start[i], _mm512_sub_epi32(zero, sum));
    }
}

/* Adds one tile of 128 k to acc: [cols][panels]. */
TILE_HELPER void multiply_tile(__m512i (*acc)[2], const struct wblock *w, size_t i,
                               const uint8_t *a, size_t lda, const size_t panels,
                               const size_t cols) {
    for (size_t line = 0; line < TILE_BYTES; line += 128, a += 8) {
        if (line == TILE_BYTES / 2)
            a += lda - PACK_K;
        UNROLL for (size_t half = 0; half < 2; half++) { /* k 0..3, k 4..7 */
            __m512i r[2];
            UNROLL for (size_t p = 0; p < panels; p++) r[p] =
                _mm512_load_si512(w[p].r[i] + line + 64 * half);
            UNROLL for (size_t c = 0; c < cols; c++) {
                const __m512i q = broadcast4(a + PACK_K * c + 4 * half);
                UNROLL for (size_t p = 0; p < panels; p++) acc[c][p] =
                    in_register(_mm512_dpbusd_epi32(acc[c][p], q, r[p]));
            }
        }
    }
}

/* y continues through one block of k. */
TILE_HELPER void multiply_columns(const struct prefill_tile *t, const size_t panels,
                                  const size_t cols) {
    const struct wblock *w = (const struct wblock *)t->w;
    __m512 f[COLS][2];
    UNROLL for (size_t c = 0; c < cols; c++) {
        UNROLL for (size_t p = 0; p < panels; p++) f[c][p] =
            t->first ? _mm512_setzero_ps() : _mm512_loadu_ps(t->y + c * t->ldy + 16 * p);
    }
    for (size_t i = 0; i < t->n_tiles; i++) {
        __m512i acc[COLS][2];
        UNROLL for (size_t c = 0; c < cols; c++) {
            UNROLL for (size_t p = 0; p < panels; p++) acc[c][p] = _mm512_load_si512(w[p].start[i]);
        }
        multiply_tile(acc, w, i, t->a + 2 * i * t->lda, t->lda, panels, cols);
        UNROLL for (size_t p = 0; p < panels; p++) {
            const __m512 scale = _mm512_load_ps(w[p].t[i]);
            UNROLL for (size_t c = 0; c < cols; c++) {
                const __m512 s = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[c][p]), scale);
                f[c][p] = _mm512_fmadd_ps(s, _mm512_set1_ps(t->d[c * t->ldd + i]), f[c][p]);
            }
        }
    }
    UNROLL for (size_t p = 0; p < panels; p++) {
        UNROLL for (size_t c = 0; c < cols; c++) {
            if (t->row_scale[p] != NULL)
                f[c][p] = _mm512_mul_ps(f[c][p], _mm512_loadu_ps(t->row_scale[p]));
            _mm512_storeu_ps(t->y + c * t->ldy + 16 * p, f[c][p]);
        }
    }
}

TILE_HELPER void multiply_panels(const struct prefill_tile *t, const size_t panels) {
    switch (t->cols) {
    case 1:
        multiply_columns(t, panels, 1);
        break;
    case 2:
        multiply_columns(t, panels, 2);
        break;
    case 3:
        multiply_columns(t, panels, 3);
        break;
    case 4:
        multiply_columns(t, panels, 4);
        break;
    case 5:
        multiply_columns(t, panels, 5);
        break;
    case 6:
        multiply_columns(t, panels, 6);
        break;
    case 7:
        multiply_columns(t, panels, 7);
        break;
    default:
        multiply_columns(t, panels, 8);
    }
}

static void multiply(const struct prefill_tile *t) {
    if (t->panels == 2)
        multiply_panels(t, 2);
    else
        multiply_panels(t, 1);
}

void matmul_f32_q128_i4_avx512(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    static const struct prefill how = {.cols = COLS,
                                       .multiple = 1,
                                       .panels = 2,
                                       .block_bytes = sizeof(struct wblock),
                                       .requantize = requantize_panel,
                                       .multiply = multiply};
    prefill_i4(&how, y, ldy, x, n, w, p0, p1, scratch);
}
