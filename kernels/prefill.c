#include "kernels/prefill.h"

#include "kernels/panel.h"
#include "kernels/tile.h"

#include <string.h>

/* n columns, from tile0 on, of every panel. */
struct block {
    float *y;
    size_t ldy;
    struct act_q128 x; /* from column 0 and tile 0 on */
    size_t n, tile0, n_tiles;
};

/* Columns of the next register tile, of n. */
static size_t tile_columns(const struct prefill *how, size_t n) {
    const size_t cols = round_up(next_columns(n, how->cols), how->multiple);
    return cols < n ? cols : n;
}

/* Panels' tiles that are requantized next, ld bytes from panel to panel. */
struct ahead {
    const uint8_t *tiles; /* NULL: none */
    size_t panels, ld, bytes;
};

/* Asks for the share of them that belongs to columns c0..c1-1 of n: memory has as much time for
 * the weights as their predecessors take to be multiplied. */
static void fetch_ahead(const struct ahead *a, size_t c0, size_t c1, size_t n) {
    for (size_t i = 0; i < a->panels && a->tiles != NULL; i++)
        for (size_t at = a->bytes * c0 / n & ~(size_t)63; at < a->bytes * c1 / n; at += 64)
            prefetch_later(a->tiles + i * a->ld + at);
}

static void multiply_panels(const struct prefill *how, const struct block *b, const struct wmat *w,
                            size_t p, size_t panels, uint8_t *blocks, const struct ahead *ahead) {
    const size_t n_tiles = w->k / TILE_K;
    struct prefill_tile t = {.ldy = b->ldy,
                             .w = blocks,
                             .lda = b->x.ld * PACK_K,
                             .ldd = n_tiles,
                             .n_tiles = b->n_tiles,
                             .panels = panels,
                             .first = b->tile0 == 0};
    for (size_t i = 0; i < panels; i++) {
        const uint8_t *panel = panel_at(w, TYPE_I4, p + i);
        how->requantize(blocks + i * how->block_bytes, panel_tile(panel, I4_TILE_BYTES, b->tile0),
                        b->n_tiles, w->codebook);
        if (b->tile0 + b->n_tiles == n_tiles)
            t.row_scale[i] = (const float *)panel;
    }
    for (size_t c = 0; c < b->n; c += t.cols) {
        t.cols = tile_columns(how, b->n - c);
        fetch_ahead(ahead, c, c + t.cols, b->n);
        t.y = b->y + c * b->ldy + p * PANEL_ROWS;
        t.a = b->x.q + c * PACK_K + b->tile0 * (TILE_K / PACK_K) * t.lda;
        t.d = b->x.d + c * n_tiles + b->tile0;
        how->multiply(&t);
    }
}

/* One block of k: all panels. */
static void multiply_block(const struct prefill *how, const struct block *b, const struct wmat *w,
                           size_t p0, size_t p1, uint8_t *blocks) {
    const size_t next0 = b->tile0 + b->n_tiles; /* the next block's first tile */
    for (size_t p = p0, panels; p < p1; p += panels) {
        panels = p1 - p < how->panels ? p1 - p : how->panels;
        const size_t left = p1 - p - panels;
        struct ahead a = {.panels = left < how->panels ? left : how->panels,
                          .ld = panel_bytes(TYPE_I4, w->k),
                          .bytes = b->n_tiles * I4_TILE_BYTES};
        if (left > 0) {
            a.tiles = panel_tile(panel_at(w, TYPE_I4, p + panels), I4_TILE_BYTES, b->tile0);
        } else if (next0 + b->n_tiles <= w->k / TILE_K) {
            a.panels = p1 - p0 < how->panels ? p1 - p0 : how->panels;
            a.tiles = panel_tile(panel_at(w, TYPE_I4, p0), I4_TILE_BYTES, next0);
        }
        multiply_panels(how, b, w, p, panels, blocks, &a);
    }
}

void prefill_i4(const struct prefill *how, float *y, size_t ldy, const struct act_q128 *x, size_t n,
                const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    const size_t n_tiles = w->k / TILE_K;
    struct block b = {.ldy = ldy};
    for (size_t c0 = 0; c0 < n; c0 += b.n) {
        b.n = next_columns(n - c0, MAX_COLUMNS);
        b.y = y + c0 * ldy;
        b.x = act_q128_from(x, c0, w->k);
        for (b.tile0 = 0; b.tile0 < n_tiles; b.tile0 += b.n_tiles) {
            b.n_tiles = n_tiles - b.tile0 < KB_TILES ? n_tiles - b.tile0 : KB_TILES;
            multiply_block(how, &b, w, p0, p1, scratch);
        }
    }
}
