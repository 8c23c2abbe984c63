/*
 * i4 and i8 weights on x86, for every width of registers: the two matrix slots. Before including
 * it, a folder defines
 *
 *   LANES          rows whose sums are side by side in a vector: 4, 8 or 16
 *   STREAM_COLS    columns at most in one pass over the weights
 *   STREAM_WIDE    with LANES < 16: columns at most that meet two vectors of rows side by side; i8
 *                  has no more in a pass
 *   BLOCK_COLS     if defined: more than FEW columns of i4 meet weights that were unpacked once,
 *                  this many at a time at most
 *   DOT_LINES      lines of 4 k that one dot takes: 1 or 2
 *   I8_BIAS        added to the values of i8 by dot_i8: 0 or 128
 *   vint, vfloat   types of LANES integers and floats, and TILE_HELPER functions:
 *   vint load(const void *p), broadcast4(const void *p) (4 bytes in every lane), set_all(int32_t x)
 *   void store(void *p, vint v)                              with BLOCK_COLS alone
 *   vint codebook_table(const int8_t *codebook)              the values + I4_BIAS
 *   void unpack(vint v[2], vint codes, vint table)           of k 0..3, and of k 4..7
 *   vint dot(vint acc, const vint w[DOT_LINES], const vint q[DOT_LINES])   w 0..63, q signed
 *   vint dot_i8(vint acc, vint line, vint q)                 sums of (line + I8_BIAS) * q
 *   vfloat to_float(vint v), load_float(const float *p), all_floats(float x), mul(a, b)
 *   vfloat mul_add(a, b, c), fused_mul_add(a, b, c)          the first where the product is exact
 *   void store_float(float *p, vfloat v)
 *   vfloat load_scales(const uint8_t *p)                     LANES int8 as floats
 *
 * Values of i4 are biased to be unsigned, what that adds is taken off where sums start (kernels.h).
 */
#include "kernels/panel.h"
#include "kernels/tile.h"

#define PARTS (PANEL_ROWS / LANES) /* vectors of a panel */

/* Loops that GCC gives fewer registers to where others are in the same function. */
#define BY_ITSELF static __attribute__((noinline))

/* Some columns: value k of column c is q[c * column + k / 64 * step + k % 64]. */
struct columns {
    const int8_t *q;
    size_t column, step;
    const float *d; /* [cols][ldd] */
    size_t ldd;
    const int32_t *sum; /* [cols][ldsum]: of i4 the start, of i8 the sum of a block */
    size_t ldsum;
    const uint8_t *ahead; /* several columns: with block b, ahead_step bytes of weights that */
    size_t ahead_step;    /* come later are asked for, from ahead + b * ahead_step on */
};

static inline struct columns columns_i4(const struct act_q128 *x, size_t k) {
    return (struct columns){.q = x->q,
                            .column = PACK_K,
                            .step = x->ld * PACK_K,
                            .d = x->d,
                            .ldd = k / TILE_K,
                            .sum = x->start,
                            .ldsum = k / BLOCK_K};
}

static inline struct columns columns_i8(const struct act_q8 *x, size_t k) {
    return (struct columns){.q = x->q,
                            .column = k,
                            .step = PACK_K,
                            .d = x->d,
                            .ldd = k / BLOCK_K,
                            .sum = x->sum,
                            .ldsum = k / BLOCK_K};
}

/* Those from column c on. */
static inline struct columns columns_from(struct columns x, size_t c) {
    x.q += c * x.column;
    x.d += c * x.ldd;
    x.sum += c * x.ldsum;
    return x;
}

/* ---- a stream over the weights ------------------------------------------------------------- */

#if LANES == PANEL_ROWS
#define STREAM_VECTORS 1 /* at most, side by side */
#define STREAM_I8_COLS STREAM_COLS
#else
#define STREAM_VECTORS 2
#define STREAM_I8_COLS STREAM_WIDE
#endif

/* What stays in the second-level cache while several panels pass: columns, and bytes of them. */
#define STREAM_GROUP 128
#define STREAM_BYTES ((size_t)512 << 10)

/* isum of block b of a tile, of `side` vectors of rows from row on. q, sum: of the block. */
TILE_HELPER void stream_block(vint (*acc)[STREAM_VECTORS], const uint8_t *tile, size_t b,
                              size_t row, vint table, const struct columns *x, const int8_t *q,
                              const int32_t *sum, enum tensor_type type, const size_t cols,
                              const size_t side) {
    const size_t n_lines = type == TYPE_I4 ? 4 : 8;
    const uint8_t *line = tile + TILE_SCALES + b * n_lines * 64 + 4 * row;
    UNROLL for (size_t c = 0; c < cols; c++) {
        UNROLL for (size_t v = 0; v < side; v++) acc[c][v] =
            set_all(type == TYPE_I4 ? sum[c * x->ldsum] : -I8_BIAS * sum[c * x->ldsum]);
    }
    UNROLL for (size_t j = 0; j < n_lines; j++, line += 64) {
        if (cols > 1)
            prefetch(line + WEIGHTS_AHEAD);
        if (cols > 1 && type == TYPE_I4) /* the columns behind these, next in memory */
            prefetch_later(q - b % 2 * BLOCK_K + (cols + b % 2 * n_lines + j) * PACK_K);
        vint w[STREAM_VECTORS][2];
        UNROLL for (size_t v = 0; v < side; v++) {
            w[v][0] = load(line + 4 * LANES * v);
            if (type == TYPE_I4)
                unpack(w[v], w[v][0], table);
        }
        UNROLL for (size_t c = 0; c < cols; c++) {
            const int8_t *const a = q + c * x->column + BLOCK_K / n_lines * j;
            if (type == TYPE_I4) {
                const vint a8[2] = {broadcast4(a), broadcast4(a + 4)};
                UNROLL for (size_t v = 0; v < side; v++) {
                    UNROLL for (size_t i = 0; i < 2; i += DOT_LINES) acc[c][v] =
                        dot(acc[c][v], w[v] + i, a8 + i);
                }
            } else {
                UNROLL for (size_t v = 0; v < side; v++) acc[c][v] =
                    dot_i8(acc[c][v], w[v][0], broadcast4(a));
            }
        }
    }
}

/* Block b of tile number at: i4 adds it to the tile's s, i8 to f. */
TILE_HELPER void stream_add(vfloat (*f)[STREAM_VECTORS], vfloat (*s)[STREAM_VECTORS],
                            const uint8_t *tile, size_t at, size_t b, size_t row, vint table,
                            const struct columns *x, enum tensor_type type, const size_t cols,
                            const size_t side) {
    const size_t block = TILE_K / BLOCK_K * at + b;
    const int8_t *const q = x->q + block / 2 * x->step + block % 2 * BLOCK_K;
    for (size_t i = 0; cols > 1 && i < x->ahead_step; i += 64)
        prefetch_later(x->ahead + block * x->ahead_step + i);
    vint acc[STREAM_COLS][STREAM_VECTORS];
    stream_block(acc, tile, b, row, table, x, q, x->sum + block, type, cols, side);
    UNROLL for (size_t v = 0; v < side; v++) {
        const vfloat scale = load_scales(tile + b * PANEL_ROWS + row + LANES * v);
        UNROLL for (size_t c = 0; c < cols; c++) {
            const vfloat sum = to_float(acc[c][v]);
            if (type == TYPE_I4)
                s[c][v] = mul_add(sum, scale, s[c][v]);
            else
                f[c][v] =
                    fused_mul_add(mul(sum, scale), all_floats(x->d[c * x->ldd + block]), f[c][v]);
        }
    }
}

/* f continues through a tile. With one column it is unrolled whole: the fewer instructions a line
 * of weights takes, the more lines a CPU has under way. */
TILE_HELPER void stream_tile(vfloat (*f)[STREAM_VECTORS], const uint8_t *tile, size_t at,
                             size_t row, vint table, const struct columns *x, enum tensor_type type,
                             const size_t cols, const size_t side) {
    vfloat s[STREAM_COLS][STREAM_VECTORS];
    UNROLL for (size_t c = 0; c < cols; c++) {
        UNROLL for (size_t v = 0; v < side; v++) s[c][v] = all_floats(0.0f);
    }
    if (cols == 1) {
        UNROLL for (size_t b = 0; b < 4; b++)
            stream_add(f, s, tile, at, b, row, table, x, type, cols, side);
    } else {
        for (size_t b = 0; b < 4; b++)
            stream_add(f, s, tile, at, b, row, table, x, type, cols, side);
    }
    UNROLL for (size_t c = 0; c < cols && type == TYPE_I4; c++) {
        const vfloat d = all_floats(x->d[c * x->ldd + at]);
        UNROLL for (size_t v = 0; v < side; v++) f[c][v] = fused_mul_add(s[c][v], d, f[c][v]);
    }
}

/* Tiles tile0 .. tile1 - 1 of n_tiles of some rows of a panel, from row on, times cols columns: y
 * continues. */
TILE_HELPER void stream_rows(float *y, size_t ldy, const uint8_t *panel, size_t row, size_t tile0,
                             size_t tile1, size_t n_tiles, vint table, const struct columns *x,
                             enum tensor_type type, const size_t cols, const size_t side) {
    const size_t tile_bytes = type == TYPE_I4 ? I4_TILE_BYTES : I8_TILE_BYTES;
    const uint8_t *tile = panel_tile(panel, tile_bytes, tile0);
    vfloat f[STREAM_COLS][STREAM_VECTORS];
    UNROLL for (size_t c = 0; c < cols; c++) {
        UNROLL for (size_t v = 0; v < side; v++) f[c][v] =
            tile0 > 0 ? load_float(y + c * ldy + row + LANES * v) : all_floats(0.0f);
    }
    for (size_t at = tile0; at < tile1; at++, tile += tile_bytes)
        stream_tile(f, tile, at, row, table, x, type, cols, side);
    UNROLL for (size_t v = 0; v < side; v++) {
        const vfloat row_scale = load_float((const float *)panel + row + LANES * v);
        UNROLL for (size_t c = 0; c < cols; c++) store_float(
            y + c * ldy + row + LANES * v, tile1 == n_tiles ? mul(f[c][v], row_scale) : f[c][v]);
    }
}

/* The same for a whole panel. */
TILE_HELPER void stream_panel(float *y, size_t ldy, const uint8_t *panel, size_t tile0,
                              size_t tile1, size_t n_tiles, vint table, const struct columns *x,
                              enum tensor_type type, const size_t cols) {
#ifdef STREAM_WIDE
    const size_t side = cols > STREAM_WIDE ? 1 : STREAM_VECTORS;
#else
    const size_t side = STREAM_VECTORS;
#endif
    for (size_t row = 0; row < PANEL_ROWS; row += side * LANES)
        stream_rows(y, ldy, panel, row, tile0, tile1, n_tiles, table, x, type, cols, side);
}

static size_t tile_bytes(enum tensor_type type) {
    return type == TYPE_I4 ? I4_TILE_BYTES : I8_TILE_BYTES;
}

static const uint8_t *tile_at(const struct wmat *w, enum tensor_type type, size_t p, size_t tile) {
    return panel_tile(panel_at(w, type, p), tile_bytes(type), tile);
}

/* Some columns, tiles tile0 .. tile1 - 1 of panels p0 .. p1 - 1, then what is at `after`. While the
 * columns of a panel pass, the weights that follow come into the second-level cache, so that memory
 * works all the time and not during the first few columns alone. */
TILE_HELPER void stream_panels(float *y, size_t ldy, const struct columns *x, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, size_t tile0,
                               size_t tile1, const uint8_t *after, vint table,
                               const enum tensor_type type, const size_t most) {
    const size_t passes = (n + most - 1) / most, blocks = TILE_K / BLOCK_K * (tile1 - tile0);
    const size_t tile_step = (tile_bytes(type) / (TILE_K / BLOCK_K) + passes - 1) / passes;
    const size_t step = type == TYPE_I8 && PARTS > 1 ? 0 : tile_step; /* multiplying takes longer */
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *const next = p + 1 < p1 ? tile_at(w, type, p + 1, tile0) : after;
        for (size_t c = 0, pass = 0, cols; c < n; c += cols, pass++) {
            cols = next_columns(n - c, most);
            struct columns group = columns_from(*x, c);
            group.ahead = next + pass * blocks * step - TILE_K / BLOCK_K * tile0 * step;
            group.ahead_step = step;
            WITH_CONSTANT(cols, STREAM_COLS,
                          if (N <= most)
                              stream_panel(y + c * ldy + p * PANEL_ROWS, ldy, panel_at(w, type, p),
                                           tile0, tile1, w->k / TILE_K, table, &group, type, N));
        }
    }
}

/* One column by itself: GCC keeps its loop in registers only so. */
TILE_HELPER void stream_one(float *y, size_t ldy, const struct columns *x, const struct wmat *w,
                            size_t p0, size_t p1, vint table, const enum tensor_type type) {
    const size_t all = w->k / TILE_K;
    for (size_t p = p0; p < p1; p++)
        stream_panel(y + p * PANEL_ROWS, ldy, panel_at(w, type, p), 0, all, all, table, x, type, 1);
}

/* Several columns of i4: all of them, in groups, with each run of tiles that leaves room for them
 * in the second-level cache. */
BY_ITSELF void stream_several(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                              const struct wmat *w, size_t p0, size_t p1) {
    const vint table = codebook_table(w->codebook);
    const struct columns columns = columns_i4(x, w->k);
    const size_t all = w->k / TILE_K;
    const size_t run = STREAM_BYTES / TILE_K / (n < STREAM_GROUP ? n : STREAM_GROUP);
    for (size_t tile0 = 0; tile0 < all; tile0 += run) {
        const size_t tile1 = all - tile0 < run ? all : tile0 + run;
        for (size_t c0 = 0, cols; c0 < n; c0 += cols) {
            cols = next_columns(n - c0, STREAM_GROUP);
            const struct columns some = columns_from(columns, c0);
            const uint8_t *const after = c0 + cols < n ? tile_at(w, TYPE_I4, p0, tile0)
                                         : tile1 < all ? tile_at(w, TYPE_I4, p0, tile1)
                                                       : tile_at(w, TYPE_I4, p1, 0);
            stream_panels(y + c0 * ldy, ldy, &some, cols, w, p0, p1, tile0, tile1, after, table,
                          TYPE_I4, STREAM_COLS);
        }
    }
}

/* ---- many columns of i4, where unpacking for each few of them would cost more --------------- */

#ifdef BLOCK_COLS

/*
 * For each block of some tiles of k, the activations of up to MAX_COLUMNS columns stay in L2. Two
 * vectors of a panel's rows at a time are unpacked once, stay in L1, and meet all columns, a
 * register tile at a time. Sums wait in y from one tile to the next.
 */
#define FEW_TILES    4
#define MANY_TILES   8 /* of a block from MANY_COLUMNS columns on */
#define MANY_COLUMNS 64
#define MAX_COLUMNS  512

/* A tile of two vectors of rows. */
struct unpacked {
    uint8_t w[TILE_K / 4][2][4 * LANES]; /* lines of 4 k */
    float scale[4][2][LANES];
};

/* Rows of a tile, from row on. */
static void unpack_tile(struct unpacked *u, const uint8_t *tile, size_t row, vint table) {
    for (size_t v = 0; v < 2; v++, row += LANES) {
        for (size_t line = 0; line < TILE_K / 8; line++) {
            vint w[2];
            unpack(w, load(tile + TILE_SCALES + 64 * line + 4 * row), table);
            store(u->w[2 * line][v], w[0]);
            store(u->w[2 * line + 1][v], w[1]);
        }
        for (size_t b = 0; b < 4; b++)
            store_float(u->scale[b][v], load_scales(tile + b * PANEL_ROWS + row));
    }
}

/* y continues through a tile; x begins there. */
TILE_HELPER void multiply_tile(float *y, size_t ldy, const struct unpacked *u,
                               const struct columns *x, const size_t cols) {
    vfloat s[BLOCK_COLS][2];
    UNROLL for (size_t c = 0; c < cols; c++) s[c][0] = s[c][1] = all_floats(0.0f);
    for (size_t b = 0; b < 4; b++) {
        const int8_t *const q = x->q + b / 2 * x->step + b % 2 * BLOCK_K;
        UNROLL for (size_t c = 0; c < cols; c += 2) /* the columns behind these */
            prefetch_later(x->q + b / 2 * x->step + (cols + c + b % 2) * PACK_K);
        vint acc[BLOCK_COLS][2];
        UNROLL for (size_t c = 0; c < cols; c++) acc[c][0] = acc[c][1] =
            set_all(x->sum[c * x->ldsum + b]);
        UNROLL for (size_t line = 0; line < 8; line += DOT_LINES) {
            vint w[2][2];
            UNROLL for (size_t i = 0; i < DOT_LINES; i++) {
                w[0][i] = load(u->w[8 * b + line + i][0]);
                w[1][i] = load(u->w[8 * b + line + i][1]);
            }
            UNROLL for (size_t c = 0; c < cols; c++) {
                vint a[2];
                UNROLL for (size_t i = 0; i < DOT_LINES; i++) a[i] =
                    broadcast4(q + c * PACK_K + 4 * (line + i));
                acc[c][0] = dot(acc[c][0], w[0], a);
                acc[c][1] = dot(acc[c][1], w[1], a);
            }
        }
        UNROLL for (size_t v = 0; v < 2; v++) {
            const vfloat scale = load_float(u->scale[b][v]);
            UNROLL for (size_t c = 0; c < cols; c++) s[c][v] =
                mul_add(to_float(acc[c][v]), scale, s[c][v]);
        }
    }
    UNROLL for (size_t c = 0; c < cols; c++) {
        const vfloat d = all_floats(x->d[c * x->ldd]);
        UNROLL for (size_t v = 0; v < 2; v++) {
            float *const f = y + c * ldy + LANES * v;
            store_float(f, fused_mul_add(s[c][v], d, load_float(f)));
        }
    }
}

/* A register tile through tiles tile0 .. tile0 + n_tiles - 1 of n; y begins at 0 with the first,
 * and is multiplied by row_scale behind the last. */
TILE_HELPER void multiply_block(float *y, size_t ldy, const struct unpacked *u,
                                const float *row_scale, struct columns x, size_t tile0,
                                size_t n_tiles, size_t n, const size_t cols) {
    if (tile0 == 0) {
        UNROLL for (size_t c = 0; c < cols; c++) {
            store_float(y + c * ldy, all_floats(0.0f));
            store_float(y + c * ldy + LANES, all_floats(0.0f));
        }
    }
    x.q += tile0 * (TILE_K / PACK_K) * x.step;
    x.d += tile0;
    x.sum += 4 * tile0;
    for (size_t i = 0; i < n_tiles; i++, x.q += TILE_K / PACK_K * x.step, x.d++, x.sum += 4)
        multiply_tile(y, ldy, u + i, &x, cols);
    if (tile0 + n_tiles < n)
        return;
    UNROLL for (size_t v = 0; v < 2; v++) {
        const vfloat scale = load_float(row_scale + LANES * v);
        UNROLL for (size_t c = 0; c < cols; c++) {
            float *const f = y + c * ldy + LANES * v;
            store_float(f, mul(load_float(f), scale));
        }
    }
}

/* Asks for the share of bytes at p that belongs to columns c0..c1-1 of n: memory has as much time
 * for the weights as their predecessors take to be multiplied. */
static void fetch_ahead(const uint8_t *p, size_t bytes, size_t c0, size_t c1, size_t n) {
    for (size_t at = bytes * c0 / n & ~(size_t)63; at < bytes * c1 / n; at += 64)
        prefetch_later(p + at);
}

/* Some columns, a block of k, panels p0 .. p1 - 1. */
static void multiply_panels(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, size_t tile0,
                            size_t n_tiles, struct unpacked *u) {
    const size_t all = w->k / TILE_K;
    const vint table = codebook_table(w->codebook);
    for (size_t p = p0; p < p1; p++) {
        const uint8_t *const panel = panel_at(w, TYPE_I4, p);
        /* What is unpacked next: the next panel, or the first one's next block of k. */
        const size_t next_tile = p + 1 < p1 ? tile0 : tile0 + n_tiles;
        const size_t next_tiles = all - next_tile < n_tiles ? all - next_tile : n_tiles;
        const uint8_t *const next =
            panel_tile(panel_at(w, TYPE_I4, p + 1 < p1 ? p + 1 : p0), I4_TILE_BYTES, next_tile);
        for (size_t row = 0; row < PANEL_ROWS; row += 2 * LANES) {
            for (size_t t = 0; t < n_tiles; t++)
                unpack_tile(u + t, panel_tile(panel, I4_TILE_BYTES, tile0 + t), row, table);
            for (size_t c = 0, cols; c < n; c += cols) {
                cols = next_columns(n - c, BLOCK_COLS);
                const struct columns group = columns_from(columns_i4(x, w->k), c);
                if (row == 0)
                    fetch_ahead(next, next_tiles * I4_TILE_BYTES, c, c + cols, n);
                WITH_CONSTANT(cols, BLOCK_COLS,
                              multiply_block(y + c * ldy + p * PANEL_ROWS + row, ldy, u,
                                             (const float *)panel + row, group, tile0, n_tiles, all,
                                             N));
            }
        }
    }
}

_Static_assert(MANY_TILES * sizeof(struct unpacked) <= KERNEL_SCRATCH_BYTES, "room for a block");

BY_ITSELF void multiply_many(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                             const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    const size_t all = w->k / TILE_K, most = n < MANY_COLUMNS ? FEW_TILES : MANY_TILES;
    for (size_t c0 = 0, cols; c0 < n; c0 += cols) {
        cols = next_columns(n - c0, MAX_COLUMNS);
        const struct act_q128 some = act_q128_from(x, c0, w->k);
        for (size_t tile0 = 0; tile0 < all; tile0 += most)
            multiply_panels(y + c0 * ldy, ldy, &some, cols, w, p0, p1, tile0,
                            all - tile0 < most ? all - tile0 : most, scratch);
    }
}

#endif

/* ---- the slots ----------------------------------------------------------------------------- */

TILE_HELPER void matmul_i4(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                           const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    const struct columns columns = columns_i4(x, w->k);
    (void)scratch;
    if (n == 1)
        stream_one(y, ldy, &columns, w, p0, p1, codebook_table(w->codebook), TYPE_I4);
#ifdef BLOCK_COLS
    else if (n > FEW)
        multiply_many(y, ldy, x, n, w, p0, p1, scratch);
#endif
    else
        stream_several(y, ldy, x, n, w, p0, p1);
}

TILE_HELPER void matmul_i8(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                           const struct wmat *w, size_t p0, size_t p1) {
    const vint none = set_all(0);
    const struct columns columns = columns_i8(x, w->k);
    if (n == 1)
        stream_one(y, ldy, &columns, w, p0, p1, none, TYPE_I8);
    else
        stream_panels(y, ldy, &columns, n, w, p0, p1, 0, w->k / TILE_K, tile_at(w, TYPE_I8, p1, 0),
                      none, TYPE_I8, STREAM_I8_COLS);
}
