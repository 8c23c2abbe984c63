/* Blocks of 32 on the bytes -127..127. */
#include "quant/round/rounding.h"

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
