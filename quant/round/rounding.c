/* Blocks of 32 on the grid of their type. */
#include "quant/round/rounding.h"

/* ---- i4: the 16 values of a codebook --------------------------------------------------------- */

#define BIAS 128 /* of table indices */

void i4_table_init(struct i4_table *t, const int8_t *codebook) {
    unsigned code = 0;
    for (int n = 0; n < 256; n++) {
        /* the middle of the interval, in quarters: 4u = 2 (n - 128) + 1 */
        const int u4 = 2 * (n - BIAS) + 1;
        while (code + 1 < CODEBOOK_SIZE && u4 > 2 * (codebook[code] + codebook[code + 1]))
            code++;
        t->code[n] = (uint8_t)code;
        t->value[n] = (float)codebook[code];
    }
    t->lowest = (float)codebook[0];
    t->highest = (float)codebook[CODEBOOK_SIZE - 1];
}

bool i4_in_range(float peak, float scale) {
    const float magnitude = scale < 0 ? -scale : scale;
    return 2.0f * peak < (BIAS - 2) * magnitude;
}

/* Table indices of x / scale. */
static inline void find(int32_t *at, const float *x, float scale) {
    const f32x4 factor = splat(2.0f / scale), bias = splat(BIAS);
    for (int i = 0; i < BLOCK_K; i += 4) {
        const i32x4 v = __builtin_convertvector(load_f32x4(x + i) * factor + bias, i32x4);
        memcpy(at + i, &v, sizeof v);
    }
}

uint8_t i4_code(float x, float factor, const struct i4_table *t, float *value) {
    const float u = x * factor + BIAS;
    const int at = u < 0 ? 0 : u < 255 ? (int)u : 255;
    *value = t->value[at];
    return t->code[at];
}

struct fit i4_fit(const struct block *b, float scale, const struct i4_table *t) {
    int32_t at[BLOCK_K];
    f32x4 xv = {0}, vv = {0};
    find(at, b->x, scale);
    for (int i = 0; i < BLOCK_K; i += 4) {
        const f32x4 v = {t->value[(uint8_t)at[i]], t->value[(uint8_t)at[i + 1]],
                         t->value[(uint8_t)at[i + 2]], t->value[(uint8_t)at[i + 3]]};
        const f32x4 weighted = load_f32x4(b->weight + i) * v;
        xv += load_f32x4(b->x + i) * weighted;
        vv += v * weighted;
    }
    struct fit f = {sum_f32x4(xv), sum_f32x4(vv), 0};
    f.error = scale * (scale * f.vv - 2.0f * f.xv);
    return f;
}

float i4_best_scale(const struct block *b, const struct i4_table *t) {
    /* Where the block's largest magnitude may land, relative to the codebook's end. */
    static const float landing[] = {0.83f, 0.87f, 0.91f, 0.94f, 0.97f,
                                    1.00f, 1.03f, 1.06f, 1.10f, 1.15f};
    enum { N_LANDINGS = sizeof landing / sizeof landing[0] };
    float peak = b->peak, best = 0, best_gain = -1;
    for (int i = 0; i < BLOCK_K; i++)
        if (b->x[i] == -peak) {
            peak = -peak;
            break;
        }
    for (int i = 0; i < 2 * N_LANDINGS; i++) {
        const float end = i < N_LANDINGS ? t->lowest : t->highest;
        const float scale = peak / (end * landing[i % N_LANDINGS]);
        const struct fit f = i4_fit(b, scale, t);
        const float gain = f.xv * f.xv; /* the error at the best scale is x^2 - xv^2 / vv */
        if (gain > best_gain * f.vv) {
            best_gain = gain / f.vv;
            best = f.xv / f.vv;
        }
    }
    return best;
}

void i4_store(uint8_t *lines, float *d, const float *x, float scale, const struct i4_table *t) {
    int32_t at[BLOCK_K];
    find(at, x, scale);
    for (int line = 0; line < 4; line++)
        for (int i = 0; i < 4; i++) {
            const uint8_t low = (uint8_t)at[8 * line + i], high = (uint8_t)at[8 * line + 4 + i];
            lines[64 * line + i] = (uint8_t)(t->code[low] | t->code[high] << 4);
        }
    for (int i = 0; i < BLOCK_K; i++)
        d[i] = x[i] - scale * t->value[(uint8_t)at[i]];
}

/* ---- i8: the bytes -127..127 ----------------------------------------------------------------- */

#define LIMIT 127.0f
/* Added and taken away again, leaves the nearest integer, ties to even (magnitudes below 2^22). */
#define ROUNDER 12582912.0f /* 1.5 * 2^23 */

static inline f32x4 nearest(const float *x, f32x4 factor) {
    f32x4 v = load_f32x4(x) * factor;
    v = choose(v < splat(LIMIT), v, splat(LIMIT));
    v = choose(v > splat(-LIMIT), v, splat(-LIMIT));
    return (v + splat(ROUNDER)) - splat(ROUNDER);
}

struct fit i8_fit(const struct block *b, float scale) {
    const f32x4 factor = splat(1.0f / scale), step = splat(scale);
    f32x4 xv = {0}, vv = {0}, error = {0};
    for (int i = 0; i < BLOCK_K; i += 4) {
        const f32x4 x = load_f32x4(b->x + i), weight = load_f32x4(b->weight + i);
        const f32x4 v = nearest(b->x + i, factor), d = x - step * v, weighted = weight * v;
        xv += x * weighted;
        vv += v * weighted;
        error += weight * (d * d);
    }
    return (struct fit){sum_f32x4(xv), sum_f32x4(vv), sum_f32x4(error)};
}

void i8_store(uint8_t *lines, float *d, const float *x, float scale) {
    const f32x4 factor = splat(1.0f / scale), step = splat(scale);
    for (int line = 0; line < 8; line++) {
        const f32x4 v = nearest(x + 4 * line, factor);
        for (int i = 0; i < 4; i++)
            lines[64 * line + i] = (uint8_t)(int8_t)v[i];
        store_f32x4(d + 4 * line, load_f32x4(x + 4 * line) - step * v);
    }
}
