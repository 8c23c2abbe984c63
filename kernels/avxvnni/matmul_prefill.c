/*
 * i4 weights, many columns: the inner steps of prefill.h.
 *
 * vpdpbusd takes the weights as r + 64 (0..128), unsigned; sums start at -64 * sum(q), so that the
 * bias is gone when they end.
 */
#include "kernels/avx2/requantize.h"
#include "kernels/avxvnni/matmul.h"
#include "kernels/avxvnni/vnni.h"
#include "kernels/prefill.h"

#define COLS       6 /* columns of a register tile: 12 sums, 2 weights, 1 activation */
#define TILE_BYTES (TILE_K * PANEL_ROWS)

/* One block of k of one panel: r + 64 in lines of 16 rows x 4 k, and the scales t. */
struct wblock {
    uint8_t r[KB_TILES][TILE_BYTES];
    float t[KB_TILES][PANEL_ROWS];
};

/* Rows 8h .. 8h + 7 of a tile. */
static void requantize_half(uint8_t *r, float *t, const uint8_t *tile, size_t h, __m256i table) {
    const __m256 g = requantize_scales(t + 8 * h, tile, h);
    const __m256i bias = _mm256_set1_epi8(64);
    for (size_t b = 0; b < 4; b++) {
        const struct factors f = requantize_factors(tile, b, h, g);
        for (size_t j = 0; j < 4; j++) {
            __m256i v[2];
            requantize_codes(v, tile + TILE_SCALES + (4 * b + j) * 64 + 32 * h, table, f);
            __m256i *out = (__m256i *)(r + (4 * b + j) * 128 + 32 * h);
            _mm256_store_si256(out, _mm256_add_epi8(v[0], bias));
            _mm256_store_si256(out + 2, _mm256_add_epi8(v[1], bias));
        }
    }
}

static void requantize_panel(uint8_t *w, const uint8_t *tiles, size_t n_tiles,
                             const int8_t *codebook) {
    struct wblock *b = (struct wblock *)w;
    const __m256i table = load_codebook(codebook, 0);
    for (size_t i = 0; i < n_tiles; i++) {
        requantize_half(b->r[i], b->t[i], tiles + i * I4_TILE_BYTES, 0, table);
        requantize_half(b->r[i], b->t[i], tiles + i * I4_TILE_BYTES, 1, table);
    }
}

/* Adds one tile of 128 k to acc: [cols][2 halves of the rows]. */
TILE_HELPER void multiply_tile(__m256i (*acc)[2], const uint8_t *r, const uint8_t *a,
                               const size_t cols) {
    for (size_t line = 0; line < TILE_BYTES; line += 128, a += 8) {
        if (line == TILE_BYTES / 2)
            a += PACK_K * (cols - 1);
        UNROLL for (size_t part = 0; part < 2; part++) { /* k 0..3, k 4..7 */
            const __m256i r0 = load32(r + line + 64 * part), r1 = load32(r + line + 64 * part + 32);
            UNROLL for (size_t c = 0; c < cols; c++) {
                const __m256i q = broadcast4(a + PACK_K * c + 4 * part);
                acc[c][0] = in_register(dpbusd(acc[c][0], r0, q));
                acc[c][1] = in_register(dpbusd(acc[c][1], r1, q));
            }
        }
    }
}

/* y continues through one block of k. */
TILE_HELPER void multiply_columns(const struct prefill_tile *t, const size_t cols) {
    const struct wblock *w = (const struct wblock *)t->w;
    __m256 f[COLS][2];
    UNROLL for (size_t c = 0; c < cols; c++) {
        f[c][0] = t->first ? _mm256_setzero_ps() : _mm256_loadu_ps(t->y + c * t->ldy);
        f[c][1] = t->first ? _mm256_setzero_ps() : _mm256_loadu_ps(t->y + c * t->ldy + 8);
    }
    for (size_t i = 0; i < t->n_tiles; i++) {
        __m256i acc[COLS][2];
        UNROLL for (size_t c = 0; c < cols; c++) acc[c][0] = acc[c][1] =
            _mm256_set1_epi32(-64 * t->sum[c * t->ldd + i]);
        multiply_tile(acc, w->r[i], t->a + i * TILE_K * cols, cols);
        UNROLL for (size_t h = 0; h < 2; h++) {
            const __m256 scale = _mm256_load_ps(w->t[i] + 8 * h);
            UNROLL for (size_t c = 0; c < cols; c++) {
                const __m256 p = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[c][h]), scale);
                f[c][h] = _mm256_fmadd_ps(p, _mm256_broadcast_ss(t->d + c * t->ldd + i), f[c][h]);
            }
        }
    }
    const float *const row_scale = t->row_scale[0];
    UNROLL for (size_t c = 0; c < cols; c++) {
        UNROLL for (size_t h = 0; h < 2; h++) {
            if (row_scale != NULL)
                f[c][h] = _mm256_mul_ps(f[c][h], _mm256_loadu_ps(row_scale + 8 * h));
            _mm256_storeu_ps(t->y + c * t->ldy + 8 * h, f[c][h]);
        }
    }
}

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

void matmul_f32_q128_i4_avxvnni(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                                const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    static const struct prefill how = {.cols = COLS,
                                       .multiple = 1,
                                       .panels = 1,
                                       .block_bytes = sizeof(struct wblock),
                                       .requantize = requantize_panel,
                                       .multiply = multiply};
    prefill_i4(&how, y, ldy, x, n, w, p0, p1, scratch);
}
