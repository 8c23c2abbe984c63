#include "kernels/prefill.h"

#include "kernels/panel.h"
#include "kernels/tile.h"

#include <string.h>

/* n columns, from tile0 on, of every panel. */
struct block {
    float *y;
    size_t ldy;
    const int8_t *q;
    const float *d;
    const int32_t *sum;
    size_t n, tile0, n_tiles;
};

typedef uint64_t u64x2 __attribute__((vector_size(16)));

#define AHEAD 16 /* columns asked for before they are packed: they are a page or more apart */

/* Columns of q [cols][k], n_k of k. */
static void pack(uint8_t *restrict out, const int8_t *restrict q, size_t k, size_t cols, size_t n_k,
                 uint8_t flip) {
    const uint64_t flip8 = flip * UINT64_C(0x0101010101010101);
    const u64x2 flips = {flip8, flip8};
    for (size_t c = 0; c < cols; c++, q += k, out += PACK_K) {
        for (size_t i = 0; i < n_k; i += PACK_K) {
            prefetch_later((const void *)((uintptr_t)(q + i) + AHEAD * k)); /* or behind the end */
            UNROLL for (size_t j = 0; j < PACK_K; j += sizeof(u64x2)) {
                u64x2 x;
                memcpy(&x, q + i + j, sizeof x);
                x ^= flips;
                memcpy(out + i * cols + j, &x, sizeof x);
            }
        }
    }
}

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
                            size_t p, size_t panels, uint8_t *blocks, const uint8_t *packed,
                            const struct ahead *ahead) {
    const size_t n_tiles = w->k / TILE_K, tile_k = b->n_tiles * TILE_K;
    struct prefill_tile t = {.ldy = b->ldy,
                             .w = blocks,
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
        t.a = packed + c * tile_k;
        t.d = b->d + c * n_tiles + b->tile0;
        t.sum = b->sum + c * n_tiles + b->tile0;
        how->multiply(&t);
    }
}

/* One block of k, its columns packed: all panels. */
static void multiply_block(const struct prefill *how, const struct block *b, const struct wmat *w,
                           size_t p0, size_t p1, uint8_t *blocks, const uint8_t *packed) {
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
        multiply_panels(how, b, w, p, panels, blocks, packed, &a);
    }
}

void prefill_i4(const struct prefill *how, float *y, size_t ldy, const struct act_q8 *x, size_t n,
                const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    const size_t n_tiles = w->k / TILE_K;
    uint8_t *const blocks = scratch, *const packed = blocks + how->panels * how->block_bytes;
    const size_t room = kernel_scratch_bytes(w->k) - (size_t)(packed - blocks) - PACKED_SLACK;
    size_t columns = room / (KB_TILES * TILE_K);
    if (columns > MAX_COLUMNS)
        columns = MAX_COLUMNS;
    struct block b = {.ldy = ldy};
    for (size_t c0 = 0; c0 < n; c0 += b.n) {
        b.n = next_columns(n - c0, columns);
        b.y = y + c0 * ldy;
        b.q = x->q + c0 * w->k;
        b.d = x->d + c0 * n_tiles;
        b.sum = x->sum + c0 * n_tiles;
        for (b.tile0 = 0; b.tile0 < n_tiles; b.tile0 += b.n_tiles) {
            b.n_tiles = n_tiles - b.tile0 < KB_TILES ? n_tiles - b.tile0 : KB_TILES;
            for (size_t c = 0, cols; c < b.n; c += cols) {
                cols = tile_columns(how, b.n - c);
                pack(packed + c * b.n_tiles * TILE_K, b.q + c * w->k + b.tile0 * TILE_K, w->k, cols,
                     b.n_tiles * TILE_K, how->flip);
            }
            multiply_block(how, &b, w, p0, p1, blocks, packed);
        }
    }
}
