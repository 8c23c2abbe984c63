/*
 * Several columns against quantized panels: the loops the three ARM folders share. Panels are laid
 * out anew in scratch (layout.h), PANELS of them and RUN tiles at a time, and stay in the cache
 * while all columns pass, four at a time, likewise laid out in scratch; y carries the sums from one
 * run of tiles to the next.
 *
 * Before including it, a folder defines, besides what layout.h wants,
 *
 *   NATIVE_I8    whether store_16k keeps the order of i8 files, so that those need no new layout
 *   Q_COPIES     times that pack_16k writes each of a column's values
 *   ALWAYS_INLINE void pack_16k(int8_t *dst, const int8x16_t x[4]);
 *       lays 16 k of four columns into 64 * Q_COPIES bytes
 *   ALWAYS_INLINE void dot_block(int32x4_t isum[4][4], const int8_t **codes, const int8_t **q,
 *                                bool wide);
 *       isum += 32 k of 16 rows times those of four columns, and moves the pointers past them;
 *       wide: weights of 8 bits, else 4 * |weight| * 127 < 2^15, a constant
 *   ALWAYS_INLINE void order_sums(int32x4_t isum[4][4]);
 *       isum as dot_block wants it -> [column][group of four rows]
 */
#ifndef BISE_KERNELS_NEON_COLUMNS_H
#define BISE_KERNELS_NEON_COLUMNS_H

#include "kernels/neon/layout.h"

/* 8 panels are a task of prefill. 6 tiles of them and of four columns are at most 114 KB, in the
 * second-level cache, of which the columns' 12 KB, met by each panel, stay in the first; and for no
 * k do they exceed kernel_scratch_bytes. */
#define PANELS 8
#define RUN    6

/* Activations as they come: value k of column c at q[c * column + k / 64 * step + k % 64]. */
struct input {
    const int8_t *q;
    size_t column, step;
    const float *d; /* [n][k / block] */
};

ALWAYS_INLINE struct input input_q32(const struct act_q8 *x, size_t k) {
    return (struct input){x->q, k, 64, x->d};
}

ALWAYS_INLINE struct input input_q128(const struct act_q128 *x) {
    return (struct input){(const int8_t *)x->q, PACK_K, x->ld * PACK_K, x->d};
}

/* Four columns of a run of tiles; where fewer are left, the last one again. */
struct columns {
    const int8_t *q; /* as pack_16k lays them */
    const float *d;  /* [blocks][4 columns] */
};

/* The sums of four columns for a panel: those of earlier runs in, those of this run out. */
struct sums {
    float row[4][PANEL_ROWS];
};

/* Sums have to lie in memory here: compilers would hold them in registers across tiles, which the
 * dot product needs. */
ALWAYS_INLINE void keep_in_memory(struct sums *sums) {
    __asm__ volatile("" : : "r"(sums) : "memory");
}

ALWAYS_INLINE void zero_columns(int32x4_t isum[4][4]) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        isum[i / 4][i % 4] = vdupq_n_s32(0);
}

/* Adds a block's dot products, or, below, a tile's. */
ALWAYS_INLINE void add_q32(struct sums *sums, int32x4_t isum[4][4], const int8_t *scales,
                           const float *d) {
    const float32x4_t x_scale = vld1q_f32(d);
    int32x4_t scale[4];
    widen_scales(scale, vld1q_s8(scales));
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++) {
            float *row = sums->row[c] + 4 * g;
            vst1q_f32(row, add_scaled(vld1q_f32(row), isum[c][g], scale[g], x_scale[c]));
        }
    }
}

ALWAYS_INLINE void add_q128(struct sums *sums, int32x4_t isum[4][4], const float *scales,
                            const float *d) {
    const float32x4_t x_scale = vld1q_f32(d);
    const float32x4x4_t scale = vld1q_f32_x4(scales);
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        float *row = sums->row[c];
        float32x4_t y[4];
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++)
            y[g] = vld1q_f32(row + 4 * g);
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++)
            y[g] =
                vfmaq_n_f32(y[g], vmulq_f32(vcvtq_f32_s32(isum[c][g]), scale.val[g]), x_scale[c]);
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++)
            vst1q_f32(row + 4 * g, y[g]);
    }
}

/* A run of tiles with a scale per 32 k; wide as for dot_block. */
ALWAYS_INLINE void run_q32(struct sums *sums, struct columns x, const uint8_t *tiles,
                           size_t n_tiles, bool wide) {
    for (size_t t = 0; t < n_tiles; t++, tiles += LAID_BYTES) {
        const int8_t *scales = (const int8_t *)tiles, *codes = scales + TILE_SCALES;
        for (int b = 0; b < 4; b++, x.d += 4) {
            int32x4_t isum[4][4];
            keep_in_memory(sums);
            zero_columns(isum);
            dot_block(isum, &codes, &x.q, wide);
            order_sums(isum);
            add_q32(sums, isum, scales + 16 * b, x.d);
        }
    }
}

INNER_LOOP void run_i8(struct sums *sums, struct columns x, const uint8_t *tiles, size_t n_tiles) {
    run_q32(sums, x, tiles, n_tiles, true);
}

INNER_LOOP void run_i4(struct sums *sums, struct columns x, const uint8_t *tiles, size_t n_tiles) {
    run_q32(sums, x, tiles, n_tiles, false);
}

/* A run of 7-bit tiles with a scale per 128 k. */
INNER_LOOP void run_7bit(struct sums *sums, struct columns x, const uint8_t *tiles,
                         size_t n_tiles) {
    for (size_t t = 0; t < n_tiles; t++, tiles += LAID_BYTES, x.d += 4) {
        const int8_t *codes = (const int8_t *)tiles + TILE_SCALES;
        int32x4_t isum[4][4];
        keep_in_memory(sums);
        zero_columns(isum);
#pragma GCC unroll 1
        for (int b = 0; b < 4; b++)
            dot_block(isum, &codes, &x.q, false);
        order_sums(isum);
        add_q128(sums, isum, (const float *)(const void *)tiles, x.d);
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

/* Columns c .. c+3 of x from tile t0 on, laid out at dst; block: k per scale. */
ALWAYS_INLINE struct columns pack_columns(uint8_t *dst, const struct input *x, size_t k,
                                          size_t block, size_t n, size_t c, size_t t0,
                                          size_t n_tiles) {
    const size_t n_k = n_tiles * TILE_K;
    int8_t *q = (int8_t *)dst;
    float *d = (float *)(void *)(dst + 4 * Q_COPIES * n_k);
    const int8_t *from[4];
    for (size_t i = 0; i < 4; i++) {
        const size_t column = c + i < n ? c + i : n - 1;
        from[i] = x->q + column * x->column + t0 * (TILE_K / 64) * x->step;
        for (size_t b = 0; b < n_k / block; b++)
            d[4 * b + i] = x->d[(column * k + t0 * TILE_K) / block + b];
    }
    for (size_t i = 0; i < n_k; i += 16) {
        int8x16_t values[4];
        for (int j = 0; j < 4; j++)
            values[j] = vld1q_s8(from[j] + i / 64 * x->step + i % 64);
        pack_16k(q + 4 * Q_COPIES * i, values);
    }
    return (struct columns){q, d};
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
ALWAYS_INLINE void matmul_columns(float *y, size_t ldy, struct input x, size_t n,
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
                    pack_columns(scratch + n_panels * run * LAID_BYTES, &x, w->k,
                                 kind == COLUMNS_7BIT ? TILE_K : BLOCK_K, n, c, t0, run);
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
