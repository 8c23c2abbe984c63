/*
 * Several columns against quantized panels: the loops the three ARM folders share. PANELS panels
 * and RUN tiles at a time are laid out anew in scratch and stay in the cache while all columns
 * pass, four at a time, likewise laid out in scratch; y carries the sums from one run of tiles to
 * the next. i4 goes by halves of a panel's rows: sums of a block and of a tile are in registers.
 *
 * Before including it, a folder defines
 *
 *   NATIVE_I8    whether store_16k keeps the order of i8 files, so that those need no new layout
 *   Q_COPIES     times that pack_16k writes each of a column's values
 *   I4_SCALES    8, or 16 where dot_half gives pairs of rows by pairs of columns
 *   TILE_HELPER void pack_16k(int8_t *dst, const int8x16_t x[4], enum tensor_type type);
 *       lays 16 k of four columns into 64 * Q_COPIES bytes
 *   TILE_HELPER void store_16k(int8_t *tile, int part, int8x16_t w[4][4]);
 *       lays 16 k of 16 rows of i8, w[i][g] = k 16 * part + 4i .. + 3 of rows 4g..4g+3, into a tile
 *       of 2048 bytes, in the order dot_block reads
 *   TILE_HELPER void dot_block(int32x4_t isum[4][4], const int8_t **codes, const int8_t **q);
 *       isum += 32 k of 16 rows of i8 times those of four columns, and moves the pointers past them
 *   TILE_HELPER void order_sums(int32x4_t isum[4][4]);
 *       isum as dot_block wants it -> [column][group of four rows]
 *   TILE_HELPER void store_half_16k(int8_t *half, int part, int8x16_t w[4][2]);
 *       the same for 8 rows of i4 and a half tile of 1024 bytes, in the order dot_half reads
 *   TILE_HELPER void dot_half(int32x4_t isum[8], const int8_t **codes, const int8_t **q);
 *       isum = 32 k of 8 rows of i4 times those of four columns, and moves the pointers past them
 *   TILE_HELPER void order_half(float32x4_t s[8]);
 *       s as dot_half has it -> [column][group of four rows]
 *   decode_i4, decode_i8    one column: as decode_tmpl.h has them
 */
#include "kernels/neon/neon.h"

/* 8 panels are a task of long calls. 6 tiles of them and of four columns are in the second-level
 * cache, of which the columns' 12 KB at most, met by each panel, stay in the first; together they
 * do not exceed KERNEL_SCRATCH_BYTES. */
#define PANELS 8
#define RUN    6

/* Half a tile of i4 in scratch: scales of each block, then codes. */
struct half_tile {
    float scales[4][I4_SCALES];
    int8_t codes[TILE_K * PANEL_ROWS / 2];
};

/* What a panel's tile takes there. i8: as in a file, in store_16k's order. */
#define LAID_I4 (2 * sizeof(struct half_tile))
#define LAID_I8 I8_TILE_BYTES

_Static_assert(PANELS *RUN *LAID_I4 + 4 * RUN * (Q_COPIES * TILE_K + 4) <= KERNEL_SCRATCH_BYTES &&
                   PANELS * RUN * LAID_I8 + 4 * RUN * (Q_COPIES * TILE_K + 16) <=
                       KERNEL_SCRATCH_BYTES,
               "what is laid out fits in scratch");

/* Activations as they come: value k of column c at q[c * column + k / 64 * step + k % 64]. */
struct input {
    const int8_t *q;
    size_t column, step;
    const float *d; /* [n][k / block] */
    size_t block;
};

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
TILE_HELPER void keep_in_memory(struct sums *sums) {
    __asm__ volatile("" : : "r"(sums) : "memory");
}

/* ---- i8 ------------------------------------------------------------------------------------ */

TILE_HELPER void lay_i8(uint8_t *dst, const uint8_t *src) {
    const int8_t *lines = (const int8_t *)src + TILE_SCALES;
    memcpy(dst, src, TILE_SCALES);
    for (int part = 0; part < 8; part++) {
        int8x16_t w[4][4];
        for (int i = 0; i < 4; i++)
            next_line(w[i], &lines);
        store_16k((int8_t *)dst + TILE_SCALES, part, w);
    }
}

INNER_LOOP void run_i8(struct sums *sums, struct columns x, const uint8_t *tiles, size_t n_tiles) {
    for (size_t t = 0; t < n_tiles; t++, tiles += LAID_I8) {
        const int8_t *scales = (const int8_t *)tiles, *codes = scales + TILE_SCALES;
        for (int b = 0; b < 4; b++, x.d += 4) {
            int32x4_t isum[4][4], scale[4];
            keep_in_memory(sums);
            UNROLL for (int i = 0; i < 16; i++) isum[i / 4][i % 4] = vdupq_n_s32(0);
            dot_block(isum, &codes, &x.q);
            order_sums(isum);
            widen_scales(scale, vld1q_s8(scales + 16 * b));
            const float32x4_t d = vld1q_f32(x.d);
            UNROLL for (int i = 0; i < 16; i++) {
                float *row = sums->row[i / 4] + 4 * (i % 4);
                vst1q_f32(row,
                          add_scaled(vld1q_f32(row), isum[i / 4][i % 4], scale[i % 4], d[i / 4]));
            }
        }
    }
}

/* ---- i4 ------------------------------------------------------------------------------------ */

/* Rows 8h .. 8h + 7 of a tile. */
TILE_HELPER void lay_half(struct half_tile *dst, const uint8_t *src, int h, int8x16_t codebook) {
    const int8_t *line = (const int8_t *)src + TILE_SCALES + 32 * h;
    for (int part = 0; part < 8; part++, line += 128) {
        int8x16_t w[4][2];
        UNROLL for (int i = 0; i < 4; i++) {
            const int8x16_t pairs = vld1q_s8(line + i / 2 * 64 + i % 2 * 16);
            w[i / 2 * 2][i % 2] = low_values(pairs, codebook);
            w[i / 2 * 2 + 1][i % 2] = high_values(pairs, codebook);
        }
        store_half_16k(dst->codes, part, w);
    }
    for (int b = 0; b < 4; b++) {
        int32x4_t scale[4];
        widen_scales(scale, vld1q_s8((const int8_t *)src + 16 * b));
        for (int g = 0; g < 2; g++) {
            const float32x4_t rows = vcvtq_f32_s32(scale[2 * h + g]);
            if (I4_SCALES == 16) { /* each twice, for two columns */
                vst1q_f32(dst->scales[b] + 8 * g, vzip1q_f32(rows, rows));
                vst1q_f32(dst->scales[b] + 8 * g + 4, vzip2q_f32(rows, rows));
            } else {
                vst1q_f32(dst->scales[b] + 4 * g, rows);
            }
        }
    }
}

/* The sums of four columns of 8 rows, row [4][PANEL_ROWS], through a run of tiles. */
INNER_LOOP void run_i4(float *row, struct columns x, const struct half_tile *tiles,
                       size_t n_tiles) {
    for (size_t t = 0; t < n_tiles; t++, tiles++, x.d += 4) {
        const int8_t *codes = tiles->codes;
        const float *scales = tiles->scales[0];
        float32x4_t s[8];
        UNROLL for (int i = 0; i < 8; i++) s[i] = vdupq_n_f32(0);
#pragma GCC unroll 1
        for (int b = 0; b < 4; b++, scales += I4_SCALES) {
            int32x4_t isum[8];
            float32x4_t scale[I4_SCALES / 4];
            dot_half(isum, &codes, &x.q);
            UNROLL for (int i = 0; i < I4_SCALES / 4; i++) scale[i] = vld1q_f32(scales + 4 * i);
            UNROLL for (int i = 0; i < 8; i++) s[i] =
                vfmaq_f32(s[i], vcvtq_f32_s32(isum[i]), scale[I4_SCALES == 16 ? i / 2 : i % 2]);
        }
        order_half(s);
        const float32x4_t d = vld1q_f32(x.d);
        UNROLL for (int i = 0; i < 8; i++) {
            float *f = row + i / 2 * PANEL_ROWS + i % 2 * 4;
            vst1q_f32(f, vfmaq_n_f32(vld1q_f32(f), s[i], d[i / 2]));
        }
    }
}

/* ---- both ---------------------------------------------------------------------------------- */

/* Lays out tiles t0 .. t0 + n_tiles of a panel at dst; i4: first the upper half of its rows. */
TILE_HELPER void lay_run(uint8_t *dst, const uint8_t *panel, const struct wmat *w, size_t t0,
                         size_t n_tiles, enum tensor_type type) {
    struct half_tile *const half = (struct half_tile *)(void *)dst;
    for (size_t t = 0; t < n_tiles; t++) {
        if (type == TYPE_I8) {
            lay_i8(dst + t * LAID_I8, panel_tile(panel, I8_TILE_BYTES, t0 + t));
        } else {
            const uint8_t *const tile = panel_tile(panel, I4_TILE_BYTES, t0 + t);
            lay_half(half + t, tile, 0, vld1q_s8(w->codebook));
            lay_half(half + n_tiles + t, tile, 1, vld1q_s8(w->codebook));
        }
    }
}

/* Columns c .. c+3 of x from tile t0 on, laid out at dst. */
TILE_HELPER struct columns pack_columns(uint8_t *dst, const struct input *x, size_t k, size_t n,
                                        size_t c, size_t t0, size_t n_tiles) {
    const size_t n_k = n_tiles * TILE_K;
    int8_t *q = (int8_t *)dst;
    float *d = (float *)(void *)(dst + 4 * Q_COPIES * n_k);
    const int8_t *from[4];
    for (size_t i = 0; i < 4; i++) {
        const size_t column = c + i < n ? c + i : n - 1;
        from[i] = x->q + column * x->column + t0 * (TILE_K / PACK_K) * x->step;
        for (size_t b = 0; b < n_k / x->block; b++)
            d[4 * b + i] = x->d[(column * k + t0 * TILE_K) / x->block + b];
    }
    for (size_t i = 0; i < n_k; i += 16) {
        int8x16_t values[4];
        for (int j = 0; j < 4; j++)
            values[j] = vld1q_s8(from[j] + i / PACK_K * x->step + i % PACK_K);
        pack_16k(q + 4 * Q_COPIES * i, values, x->block == TILE_K ? TYPE_I4 : TYPE_I8);
    }
    return (struct columns){q, d};
}

/* One panel's run of tiles for columns c .. c+3 of y: from zero in the first run, times the row
 * scales after the last. */
TILE_HELPER void pass(float *y, size_t ldy, size_t n_cols, struct columns cols,
                      const uint8_t *tiles, size_t n_tiles, const uint8_t *panel, bool first,
                      bool last, enum tensor_type type) {
    struct sums sums;
    memset(&sums, 0, sizeof sums);
    for (size_t i = 0; i < n_cols && !first; i++)
        memcpy(sums.row[i], y + i * ldy, sizeof sums.row[i]);
    if (type == TYPE_I8) {
        run_i8(&sums, cols, tiles, n_tiles);
    } else {
        const struct half_tile *const half = (const struct half_tile *)(const void *)tiles;
        run_i4(sums.row[0], cols, half, n_tiles);
        run_i4(sums.row[0] + 8, cols, half + n_tiles, n_tiles);
    }
    for (size_t i = 0; i < n_cols; i++) {
        for (int g = 0; g < 4 && last; g++) {
            const float32x4_t row_scale = vreinterpretq_f32_u8(vld1q_u8(panel + 16 * g));
            float *rows = sums.row[i] + 4 * g;
            vst1q_f32(rows, vmulq_f32(vld1q_f32(rows), row_scale));
        }
        memcpy(y + i * ldy, sums.row[i], sizeof sums.row[i]);
    }
}

/* A matrix slot; type, TYPE_I4 or TYPE_I8, is a constant. */
TILE_HELPER void matmul_columns(float *y, size_t ldy, struct input x, size_t n,
                                const struct wmat *w, size_t p0, size_t p1, uint8_t *scratch,
                                enum tensor_type type) {
    const size_t n_tiles = w->k / TILE_K, laid = type == TYPE_I8 ? LAID_I8 : LAID_I4;
    const bool native = type == TYPE_I8 && NATIVE_I8;
    for (size_t p = p0; p < p1; p += PANELS) {
        const size_t n_panels = p1 - p < PANELS ? p1 - p : PANELS;
        for (size_t t0 = 0; t0 < n_tiles; t0 += RUN) {
            const size_t run = n_tiles - t0 < RUN ? n_tiles - t0 : RUN;
            for (size_t i = 0; i < n_panels && !native; i++)
                lay_run(scratch + i * run * laid, panel_at(w, type, p + i), w, t0, run, type);
            for (size_t c = 0; c < n; c += 4) {
                const struct columns cols =
                    pack_columns(scratch + n_panels * run * laid, &x, w->k, n, c, t0, run);
                for (size_t i = 0; i < n_panels; i++) {
                    const uint8_t *panel = panel_at(w, type, p + i);
                    const uint8_t *tiles =
                        native ? panel_tile(panel, I8_TILE_BYTES, t0) : scratch + i * run * laid;
                    pass(y + c * ldy + (p + i) * PANEL_ROWS, ldy, n - c < 4 ? n - c : 4, cols,
                         tiles, run, panel, t0 == 0, t0 + run == n_tiles, type);
                }
            }
        }
    }
}

TILE_HELPER void columns_i4(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    const struct input in = {x->q, PACK_K, x->ld * PACK_K, x->d, TILE_K};
    if (n == 1)
        decode_i4(y, x, w, p0, p1);
    else
        matmul_columns(y, ldy, in, n, w, p0, p1, scratch, TYPE_I4);
}

TILE_HELPER void columns_i8(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    const struct input in = {x->q, w->k, PACK_K, x->d, BLOCK_K};
    if (n == 1)
        decode_i8(y, x, w, p0, p1);
    else
        matmul_columns(y, ldy, in, n, w, p0, p1, scratch, TYPE_I8);
}
