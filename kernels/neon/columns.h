/*
 * Several columns against quantized panels: the loops the three ARM folders share. Panels are laid
 * out anew in scratch (layout.h), PANELS of them and RUN tiles at a time, and stay in the cache
 * while all columns pass, four at a time; y carries the sums from one run of tiles to the next.
 *
 * Before including it, a folder defines, besides what layout.h wants,
 *
 *   DOT_GROUPS   groups of four rows that one dot product serves: 1 or 4
 *   NATIVE_I8    whether store_16k keeps the order of i8 files, so that those need no new layout
 *   ALWAYS_INLINE void dot_columns(int32x4_t isum[4][DOT_GROUPS], const int8_t *tile, size_t block,
 *                                  int g, const int8_t *const q[4], int n_blocks, bool wide);
 *       isum[c][i] = rows of group g + i times column c, over blocks of 32 k of a tile from block
 *       on, those of the columns from q on; wide: weights of 8 bits, else 4 * |weight| * 127 <
 * 2^15; n_blocks (1 or 4) and wide are constants
 */
#ifndef BISE_NEON_COLUMNS_H
#define BISE_NEON_COLUMNS_H

#include "kernels/neon/layout.h"

#define PANELS 4
#define RUN    16 /* tiles; 4 panels of them are 135 KB, and of fewer fit kernel_scratch_bytes */

/* Four columns from some k on; where fewer are left, the last one again. */
struct columns {
    const int8_t *q[4];
    const float *d[4];
};

/* The sums of four columns for a panel: those of earlier runs in, those of this run out. */
struct sums {
    float row[4][PANEL_ROWS];
};

ALWAYS_INLINE void next_blocks(struct columns *c, int n_blocks, int n_scales) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        c->q[i] += BLOCK_K * n_blocks;
        c->d[i] += n_scales;
    }
}

/* Sums have to lie in memory here: compilers would hold them in registers across tiles, which the
 * dot product needs. */
ALWAYS_INLINE void keep_in_memory(struct sums *sums) {
    __asm__ volatile("" : : "r"(sums) : "memory");
}

/* Adds a block's (or, below, a tile's) dot products with rows of groups g .. g + DOT_GROUPS. */
ALWAYS_INLINE void add_q32(struct sums *sums, int32x4_t isum[4][DOT_GROUPS], const int32x4_t *scale,
                           const struct columns *c, int g) {
#pragma GCC unroll 4
    for (int col = 0; col < 4; col++) {
        float *row = sums->row[col] + 4 * g;
#pragma GCC unroll 4
        for (int i = 0; i < DOT_GROUPS; i++)
            vst1q_f32(row + 4 * i,
                      add_scaled(vld1q_f32(row + 4 * i), isum[col][i], scale[i], *c->d[col]));
    }
}

ALWAYS_INLINE void add_q128(struct sums *sums, int32x4_t isum[4][DOT_GROUPS],
                            const float32x4_t *scale, const struct columns *c, int g) {
#pragma GCC unroll 4
    for (int col = 0; col < 4; col++) {
        float *row = sums->row[col] + 4 * g;
        float32x4_t y[DOT_GROUPS];
#pragma GCC unroll 4
        for (int i = 0; i < DOT_GROUPS; i++)
            y[i] = vld1q_f32(row + 4 * i);
#pragma GCC unroll 4
        for (int i = 0; i < DOT_GROUPS; i++)
            y[i] = vfmaq_n_f32(y[i], vmulq_f32(vcvtq_f32_s32(isum[col][i]), scale[i]), *c->d[col]);
#pragma GCC unroll 4
        for (int i = 0; i < DOT_GROUPS; i++)
            vst1q_f32(row + 4 * i, y[i]);
    }
}

/* A run of tiles with a scale per 32 k; wide as for dot_columns. */
ALWAYS_INLINE void run_q32(struct sums *sums, struct columns c, const uint8_t *tiles,
                           size_t n_tiles, bool wide) {
    for (size_t block = 0; block < 4 * n_tiles; block++) {
        const int8_t *tile = (const int8_t *)tiles + block / 4 * LAID_BYTES;
        int32x4_t scale[4];
        widen_scales(scale, tile + block % 4 * 16);
#pragma GCC unroll 4
        for (int g = 0; g < 4; g += DOT_GROUPS) {
            int32x4_t isum[4][DOT_GROUPS];
            keep_in_memory(sums);
            dot_columns(isum, tile + TILE_SCALES, block % 4, g, c.q, 1, wide);
            add_q32(sums, isum, scale + g, &c, g);
        }
        next_blocks(&c, 1, 1);
    }
}

INNER_LOOP void run_i8(struct sums *sums, struct columns c, const uint8_t *tiles, size_t n_tiles) {
    run_q32(sums, c, tiles, n_tiles, true);
}

INNER_LOOP void run_i4(struct sums *sums, struct columns c, const uint8_t *tiles, size_t n_tiles) {
    run_q32(sums, c, tiles, n_tiles, false);
}

/* A run of 7-bit tiles with a scale per 128 k. */
INNER_LOOP void run_7bit(struct sums *sums, struct columns c, const uint8_t *tiles,
                         size_t n_tiles) {
    for (size_t t = 0; t < n_tiles; t++, tiles += LAID_BYTES) {
        for (int g = 0; g < 4; g += DOT_GROUPS) {
            int32x4_t isum[4][DOT_GROUPS];
            float32x4_t scale[DOT_GROUPS];
            keep_in_memory(sums);
            dot_columns(isum, (const int8_t *)tiles + TILE_SCALES, 0, g, c.q, 4, false);
#pragma GCC unroll 4
            for (int i = 0; i < DOT_GROUPS; i++)
                scale[i] = vreinterpretq_f32_u8(vld1q_u8(tiles + 16 * (g + i)));
            add_q128(sums, isum, scale, &c, g);
        }
        next_blocks(&c, 4, 1);
    }
}

enum columns_kind { COLUMNS_I8, COLUMNS_I4, COLUMNS_7BIT };

/* Lays out tiles t0 .. t0 + n_tiles of a panel at dst. */
ALWAYS_INLINE void lay_run(uint8_t *dst, const uint8_t *panel, const struct wmat *w, size_t t0,
                           size_t n_tiles, enum columns_kind kind) {
    const int8x16_t codebook = kind == COLUMNS_I8 ? vdupq_n_s8(0) : vld1q_s8(w->codebook);
    for (size_t t = t0; t < t0 + n_tiles; t++, dst += LAID_BYTES) {
        if (kind == COLUMNS_I8)
            lay_i8(dst, panel_tile(panel, I8_TILE_BYTES, t));
        else if (kind == COLUMNS_I4)
            lay_i4(dst, panel_tile(panel, I4_TILE_BYTES, t), codebook);
        else
            lay_i4_7bit(dst, panel_tile(panel, I4_TILE_BYTES, t), vshlq_n_s8(codebook, 2));
    }
}

/* The four columns of y and x that begin with c. */
ALWAYS_INLINE struct columns columns_at(const struct act_q8 *x, size_t k, size_t block, size_t n,
                                        size_t c, size_t t0) {
    struct columns out;
    for (size_t i = 0; i < 4; i++) {
        const size_t col = c + i < n ? c + i : n - 1;
        out.q[i] = x->q + col * k + t0 * TILE_K;
        out.d[i] = x->d + (col * k + t0 * TILE_K) / block;
    }
    return out;
}

/* One panel's run of tiles for columns c .. c+3 of y: from zero in the first run, times the row
 * scales after the last. */
ALWAYS_INLINE void pass(float *y, size_t ldy, size_t n_cols, struct columns cols,
                        const uint8_t *tiles, size_t n_tiles, const uint8_t *panel, bool first,
                        bool last, enum columns_kind kind) {
    struct sums sums;
    memset(&sums, 0, sizeof sums);
    for (size_t i = 0; i < n_cols && !first; i++)
        memcpy(sums.row[i], y + i * ldy, sizeof sums.row[i]);
    if (kind == COLUMNS_7BIT)
        run_7bit(&sums, cols, tiles, n_tiles);
    else if (kind == COLUMNS_I4)
        run_i4(&sums, cols, tiles, n_tiles);
    else
        run_i8(&sums, cols, tiles, n_tiles);
    for (size_t i = 0; i < n_cols; i++) {
        for (int g = 0; g < 4 && last; g++) {
            const float32x4_t row_scale = vreinterpretq_f32_u8(vld1q_u8(panel + 16 * g));
            float *rows = sums.row[i] + 4 * g;
            vst1q_f32(rows, vmulq_f32(vld1q_f32(rows), row_scale));
        }
        memcpy(y + i * ldy, sums.row[i], sizeof sums.row[i]);
    }
}

/* A matrix slot; kind is a constant. */
ALWAYS_INLINE void matmul_columns(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                                  const struct wmat *w, size_t p0, size_t p1, uint8_t *scratch,
                                  enum columns_kind kind) {
    const size_t n_tiles = w->k / TILE_K;
    const enum tensor_type type = kind == COLUMNS_I8 ? TYPE_I8 : TYPE_I4;
    const bool native = kind == COLUMNS_I8 && NATIVE_I8;
    for (size_t p = p0; p < p1; p += PANELS) {
        const size_t n_panels = p1 - p < PANELS ? p1 - p : PANELS;
        for (size_t t0 = 0; t0 < n_tiles; t0 += RUN) {
            const size_t run = n_tiles - t0 < RUN ? n_tiles - t0 : RUN;
            for (size_t i = 0; i < n_panels && !native; i++)
                lay_run(scratch + i * run * LAID_BYTES, panel_at(w, type, p + i), w, t0, run, kind);
            for (size_t c = 0; c < n; c += 4) {
                const struct columns cols =
                    columns_at(x, w->k, kind == COLUMNS_7BIT ? TILE_K : BLOCK_K, n, c, t0);
                for (size_t i = 0; i < n_panels; i++) {
                    const uint8_t *panel = panel_at(w, type, p + i);
                    const uint8_t *tiles = native ? panel_tile(panel, I8_TILE_BYTES, t0)
                                                  : scratch + i * run * LAID_BYTES;
                    pass(y + c * ldy + (p + i) * PANEL_ROWS, ldy, n - c < 4 ? n - c : 4, cols,
                         tiles, run, panel, t0 == 0, t0 + run == n_tiles, kind);
                }
            }
        }
    }
}

#endif
