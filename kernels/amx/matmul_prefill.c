/*
 * i4 weights, many columns: the inner steps of prefill.h.
 *
 * A tile of activations is 16 columns x 64 k, one of weights 16 lines of 16 rows x 4 k of a panel
 * as requantized; their product is 16 columns x 16 rows. A register tile is 32 columns x 2 panels:
 * four products, two tiles of either operand. Columns that a call lacks are multiplied as memory
 * happens to hold them (PACKED_SLACK), and dropped.
 */
#include "kernels/amx/matmul.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512/requantize.h"
#include "kernels/prefill.h"

#define GROUP      16 /* columns of a tile */
#define COLS       32
#define TILE_BYTES (TILE_K * PANEL_ROWS)

/* One block of k of one panel: r in lines of 16 rows x 4 k, and the scales t. */
struct wblock {
    int8_t r[KB_TILES][TILE_BYTES];
    float t[KB_TILES][PANEL_ROWS];
};

/* The products of a register tile, then its columns' partial sums. */
struct sums {
    _Alignas(64) int32_t isum[2][COLS][PANEL_ROWS];
    _Alignas(64) float f[2][COLS][PANEL_ROWS];
};

static void requantize_panel(uint8_t *w, const uint8_t *tiles, size_t n_tiles,
                             const int8_t *codebook) {
    struct wblock *b = (struct wblock *)w;
    const __m512i table = load_codebook(codebook, 0);
    for (size_t i = 0; i < n_tiles; i++)
        (void)requantize_tile(b->r[i], b->t[i], tiles + i * I4_TILE_BYTES, table);
}

/* isum of one tile of 128 k: tiles 0..3 are products [panel][group], 4 and 5 columns, 6 and 7
 * weights. a: [2 halves of k] times lda bytes, 64 k of each column. */
TILE_HELPER void multiply_tile(struct sums *s, const struct wblock *w, size_t i, const uint8_t *a,
                               size_t lda, const size_t panels, const size_t groups) {
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
    for (size_t half = 0; half < 2; half++, a += lda) {
        tile_load(4, a);
        tile_load(6, w[0].r[i] + half * TILE_SIZE);
        tile_dpbssd(0, 4, 6);
        if (groups == 2) {
            tile_load(5, a + TILE_SIZE);
            tile_dpbssd(1, 5, 6);
        }
        if (panels == 2) {
            tile_load(7, w[1].r[i] + half * TILE_SIZE);
            tile_dpbssd(2, 4, 7);
        }
        if (panels == 2 && groups == 2)
            tile_dpbssd(3, 5, 7);
    }
    tile_store(0, s->isum[0][0]);
    if (groups == 2)
        tile_store(1, s->isum[0][GROUP]);
    if (panels == 2)
        tile_store(2, s->isum[1][0]);
    if (panels == 2 && groups == 2)
        tile_store(3, s->isum[1][GROUP]);
}

/* f = fma(isum * t, d, f) for every column. */
TILE_HELPER void add_tile(struct sums *s, const struct prefill_tile *t, size_t i,
                          const size_t panels) {
    const struct wblock *w = (const struct wblock *)t->w;
    for (size_t p = 0; p < panels; p++) {
        const __m512 scale = _mm512_load_ps(w[p].t[i]);
        for (size_t c = 0; c < t->cols; c++) {
            const __m512i isum = _mm512_load_si512(s->isum[p][c]);
            const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(isum), scale);
            const __m512 d = _mm512_set1_ps(t->d[c * t->ldd + i]);
            _mm512_store_ps(s->f[p][c], _mm512_fmadd_ps(product, d, _mm512_load_ps(s->f[p][c])));
        }
    }
}

/* y continues through one block of k. */
TILE_HELPER void multiply_columns(const struct prefill_tile *t, const size_t panels,
                                  const size_t groups) {
    const struct wblock *w = (const struct wblock *)t->w;
    struct sums s;
    for (size_t p = 0; p < panels; p++)
        for (size_t c = 0; c < t->cols; c++)
            _mm512_store_ps(s.f[p][c], t->first ? _mm512_setzero_ps()
                                                : _mm512_loadu_ps(t->y + c * t->ldy + 16 * p));
    tiles_see_memory();
    for (size_t i = 0; i < t->n_tiles; i++) {
        multiply_tile(&s, w, i, t->a + 2 * i * t->lda, t->lda, panels, groups);
        add_tile(&s, t, i, panels);
    }
    for (size_t p = 0; p < panels; p++) {
        for (size_t c = 0; c < t->cols; c++) {
            __m512 f = _mm512_load_ps(s.f[p][c]);
            if (t->row_scale[p] != NULL)
                f = _mm512_mul_ps(f, _mm512_loadu_ps(t->row_scale[p]));
            _mm512_storeu_ps(t->y + c * t->ldy + 16 * p, f);
        }
    }
}

static void multiply(const struct prefill_tile *t) {
    if (t->panels == 2 && t->cols > GROUP)
        multiply_columns(t, 2, 2);
    else if (t->panels == 2)
        multiply_columns(t, 2, 1);
    else if (t->cols > GROUP)
        multiply_columns(t, 1, 2);
    else
        multiply_columns(t, 1, 1);
}

void matmul_f32_q128_i4_amx(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    static const struct prefill how = {.cols = COLS,
                                       .multiple = GROUP,
                                       .panels = 2,
                                       .block_bytes = sizeof(struct wblock),
                                       .requantize = requantize_panel,
                                       .multiply = multiply};
    tiles_begin();
    prefill_i4(&how, y, ldy, x, n, w, p0, p1, scratch);
    tiles_end();
}
