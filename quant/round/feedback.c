#include "quant/round/feedback.h"

#include "quant/round/rounding.h"
#include <stdlib.h>

struct feedback {
    struct i4_table table;
    size_t cols, k;
    float weights[]; /* [k] D, of mean 1; padding 0 */
};

/* 16 rows, one lane each. */
struct lanes {
    f32x4 v[PANEL_ROWS / 4];
};

struct feedback *feedback_open(const int8_t *codebook, const float *d, size_t cols) {
    const size_t k = round_up(cols, TILE_K);
    struct feedback *const f = malloc(sizeof *f + k * sizeof *f->weights);
    if (!f)
        return NULL;
    f->cols = cols;
    f->k = k;
    i4_table_init(&f->table, codebook);
    struct row r = {.weight = f->weights, .cols = cols, .n_blocks = k / BLOCK_K};
    row_set_weights(&r, d);
    return f;
}

void feedback_close(struct feedback **f) {
    if (!f)
        return;
    free(*f);
    *f = NULL;
}

static struct row row_of(const struct feedback *f, const struct feedback_row *row) {
    return (struct row){.type = TYPE_I4,
                        .table = &f->table,
                        .x = row->w,
                        .weight = (float *)f->weights,
                        .cols = f->cols,
                        .n_blocks = f->k / BLOCK_K,
                        .unit = row->unit};
}

void feedback_begin(const struct feedback *f, struct feedback_row *row, const float *x,
                    float *scratch) {
    row->unit = 1;
    row->scale = 0;
    row->rz = row->zz = 0;
    memset(row->e, 0, f->k * sizeof *row->e);
    struct row r = row_of(f, row);
    r.wanted = scratch;
    if (!row_normalize(&r, x))
        return;
    row->unit = r.unit;
    row->scale = (float)((double)row_best_scale(&r) / r.unit);
}

/* sum += a[i] * b for all lanes. */
static inline void add_times(struct lanes *sum, const struct lanes *a, float b) {
    for (size_t i = 0; i < PANEL_ROWS / 4; i++)
        sum->v[i] += a->v[i] * splat(b);
}

static inline void set_lane(struct lanes *l, size_t i, float x) {
    l->v[i / 4][i % 4] = x;
}

static inline float lane(const struct lanes *l, size_t i) {
    return l->v[i / 4][i % 4];
}

/* A tile of up to 16 rows at work. */
struct work {
    const struct feedback *f;
    struct feedback_row *rows;
    size_t n, at;                 /* rows; first column */
    const float *u;               /* [TILE_K][TILE_K] */
    struct lanes w[TILE_K];       /* weights */
    struct lanes e[TILE_K];       /* errors, of the columns done */
    struct lanes v[TILE_K];       /* what is to be rounded: weights and errors fed back */
    struct lanes ahead[TILE_K];   /* w * (I + U) */
    float scale[PANEL_ROWS];      /* of the block at work; 0: none */
    uint8_t code[PANEL_ROWS][32]; /* of the block at work */
};

static void load(struct work *t, const float *from_e, const float *from_w, size_t ld) {
    memset(t->w, 0, sizeof t->w);
    memset(t->v, 0, sizeof t->v);
    memset(t->ahead, 0, sizeof t->ahead);
    for (size_t r = 0; r < t->n; r++)
        for (size_t j = 0; j < TILE_K; j++) {
            const float w = t->rows[r].w[t->at + j];
            set_lane(&t->w[j], r, w);
            set_lane(&t->v[j], r, w + from_e[r * ld + j]);
            set_lane(&t->ahead[j], r, w + from_w[r * ld + j]);
        }
    for (size_t j = 0; j < TILE_K; j++)
        for (size_t i = 0; i < j; i++)
            add_times(&t->ahead[j], &t->w[i], t->u[i * TILE_K + j]);
}

/* Chooses the scales of block b of the tile and writes them. */
static void choose_scales(struct work *t, uint8_t *tile, size_t b) {
    const size_t first = BLOCK_K * b;
    for (size_t j = first; j < first + BLOCK_K; j++)
        for (size_t i = 0; i < first; i++)
            add_times(&t->v[j], &t->e[i], t->u[i * TILE_K + j]);
    for (size_t r = 0; r < t->n; r++) {
        float x[BLOCK_K];
        struct fit fit;
        int s = 0;
        for (size_t i = 0; i < BLOCK_K; i++)
            x[i] = lane(&t->v[first + i], r);
        const struct block block = {x, t->f->weights + t->at + first, peak_of(x, BLOCK_K)};
        const float row_scale = t->rows[r].scale;
        if (row_scale > 0 && block.peak > NEGLIGIBLE)
            s = block_scale(TYPE_I4, &t->f->table, &block, i4_best_scale(&block, &t->f->table),
                            row_scale, &fit);
        tile[PANEL_ROWS * b + r] = (uint8_t)(int8_t)s;
        t->scale[r] = (float)s * row_scale;
    }
}

/* Rounds column j of the tile, of the block at work. */
static void round_column(struct work *t, size_t j) {
    const size_t first = j / BLOCK_K * BLOCK_K;
    const double d = (double)t->f->weights[t->at + j];
    for (size_t i = first; i < j; i++)
        add_times(&t->v[j], &t->e[i], t->u[i * TILE_K + j]);
    for (size_t r = 0; r < t->n; r++) {
        const float v = lane(&t->v[j], r), scale = t->scale[r];
        float value = 0;
        t->code[r][j - first] = scale != 0 ? i4_code(v, 2.0f / scale, &t->f->table, &value) : 0;
        const float q = scale * value, e = lane(&t->w[j], r) - q;
        const double lost = (double)(v - q), z = (double)lane(&t->ahead[j], r) - lost;
        set_lane(&t->e[j], r, e);
        t->rows[r].e[t->at + j] = e;
        t->rows[r].rz += d * lost * z;
        t->rows[r].zz += d * z * z;
    }
}

/* Codes of a block of a row to bytes 0..3 of lines [4] of stride 64. */
static void pack(uint8_t *lines, const uint8_t *code) {
    for (size_t line = 0; line < 4; line++)
        for (size_t i = 0; i < 4; i++)
            lines[64 * line + i] = (uint8_t)(code[8 * line + i] | code[8 * line + 4 + i] << 4);
}

void feedback_tile(const struct feedback *f, uint8_t *panel, struct feedback_row *rows, size_t n,
                   size_t tile, const float *u, const float *from_e, const float *from_w,
                   size_t ld) {
    uint8_t *const to = panel + PANEL_HEAD + tile * I4_TILE_BYTES;
    struct work t = {.f = f, .rows = rows, .n = n, .at = tile * TILE_K, .u = u};
    load(&t, from_e, from_w, ld);
    memset(to, 0, I4_TILE_BYTES);
    for (size_t b = 0; b < TILE_K / BLOCK_K; b++) {
        choose_scales(&t, to, b);
        for (size_t j = BLOCK_K * b; j < BLOCK_K * (b + 1); j++)
            round_column(&t, j);
        for (size_t r = 0; r < n; r++)
            pack(to + TILE_SCALES + b * 256 + 4 * r, t.code[r]);
    }
}

void feedback_end(const struct feedback *f, uint8_t *panel, const struct feedback_row *rows,
                  size_t n, const float *weights, struct rounding_sums *sums) {
    memset(panel, 0, PANEL_HEAD);
    for (size_t r = 0; r < n; r++) {
        const struct feedback_row *const row = &rows[r];
        const struct row as_row = row_of(f, row);
        /* |lost + (1 - factor) z|^2, weighted by D, is least here. */
        const double best = row->zz > 0 ? 1 + row->rz / row->zz : 1;
        const double factor = best > 0.5 && best < 2 ? best : 1;
        double norm[2] = {0}, error[2] = {0};
        float stored = 0;
        if (row->scale > 0)
            stored = row_scale_stored(&as_row, (double)row->scale * factor);
        memcpy(panel + 4 * r, &stored, sizeof stored);
        for (size_t i = 0; i < f->cols; i++) {
            const float q = row->w[i] - row->e[i], d = row->w[i] - (float)factor * q;
            add_squares(&error[0], &error[1], &d, weights ? &weights[i] : NULL, 1);
        }
        add_squares(&norm[0], &norm[1], row->w, weights, f->cols);
        sums->error += error[0] * row->unit * row->unit;
        sums->norm += norm[0] * row->unit * row->unit;
        sums->weighted_error += error[1] * row->unit * row->unit;
        sums->weighted_norm += norm[1] * row->unit * row->unit;
    }
}
