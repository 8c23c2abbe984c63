/*
 * The grid that 32 numbers of a 4-bit cache lie on (kernels.h): a byte, step | zero << 4, so that a
 * code 0..15 is worth (code - zero) * step, -127..127, times the position's scale. Chosen in scalar
 * arithmetic on every CPU.
 */
#ifndef BISE_KERNELS_GRID_H
#define BISE_KERNELS_GRID_H

#include "kernels/fmath.h"
#include <stddef.h>

#define GRID_MAX_BLOCKS 32 /* of a head */
#define GRID_LEAST_ZERO 4
#define GRID_MOST_ZERO  11
/* How far a grid reaches of its numbers' ends: few lie there, and it is finer for all others. */
#define GRID_REACH 0.96f

/* The value of a code; whatever the two are, its low 8 bits. */
static inline int8_t grid_value(uint8_t grid, unsigned code) {
    return (int8_t)(uint8_t)((code - (grid >> 4)) * (grid & 15u));
}

/* The largest step whose values are int8. */
static inline unsigned grid_most_step(unsigned zero) {
    const unsigned far = zero > 7 ? zero : 15 - zero;
    return 127 / far < 15 ? 127 / far : 15;
}

/* Whether the values of a grid are int8, -128 not among them. */
static inline bool grid_sound(uint8_t grid) {
    return (grid & 15u) <= grid_most_step(grid >> 4);
}

/* What a block wants: its zero, and a step that about reaches its ends. */
struct grid_need {
    unsigned zero;
    float step;
};

/* Of numbers lo <= 0 .. hi >= 0. */
static inline struct grid_need grid_need(float lo, float hi) {
    const float range = hi - lo;
    struct grid_need need = {.zero = 8};
    if (range < 1e-30f)
        return need;
    const float zero = rne32(-lo / range * 15.0f);
    need.zero = zero < GRID_LEAST_ZERO  ? GRID_LEAST_ZERO
                : zero > GRID_MOST_ZERO ? GRID_MOST_ZERO
                                        : (unsigned)zero;
    const float below = -lo / (float)need.zero, above = hi / (float)(15 - need.zero);
    need.step = (below > above ? below : above) * GRID_REACH;
    return need;
}

/* The scale under which no block's step is too large. */
static inline float grid_scale(const struct grid_need *need, size_t n) {
    float scale = 0;
    for (size_t b = 0; b < n; b++) {
        const float d = need[b].step / (float)grid_most_step(need[b].zero);
        scale = d > scale ? d : scale;
    }
    return scale < 1e-30f ? 0 : scale;
}

/* The grid of a block under that scale; returns what numbers are multiplied with to be steps. */
static inline float grid_choose(uint8_t *grid, const struct grid_need *need, float scale) {
    const unsigned most = grid_most_step(need->zero);
    unsigned step = scale == 0 ? 0 : (unsigned)rne32(need->step / scale);
    step = step > most ? most : step;
    *grid = (uint8_t)(step | need->zero << 4);
    return step == 0 ? 0 : 1.0f / ((float)step * scale);
}

#endif
