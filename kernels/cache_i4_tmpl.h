/*
 * What a cache of 4 bits needs (kernels.h) for every width of registers, in the compiler's own
 * vectors; the same on all of them. Before including it, a folder defines
 *
 *   VECTOR_BYTES   16, 32 or 64
 *   WIDEN(p)       the VECTOR_BYTES / 4 bytes at p, each as 32 bits
 *
 * Bytes are multiplied in words of 16 bits: two codes of 4 bits times a step of 4 bits do not carry
 * into each other.
 */
#include "kernels/kernels.h"
#include "kernels/tile.h"
#include <string.h>

typedef uint8_t vbytes __attribute__((vector_size(VECTOR_BYTES)));
typedef uint16_t vwords __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t vlongs __attribute__((vector_size(VECTOR_BYTES)));

/* ---- rotating ---------------------------------------------------------------------------- */

/* Elements i and i + half, as many as a vector of `bytes` has. */
#define SUMS_AND_DIFFERENCES(x, half, bytes)                                                       \
    do {                                                                                           \
        typedef float vfloats __attribute__((vector_size(bytes)));                                 \
        vfloats a_, b_, sum_, difference_;                                                         \
        memcpy(&a_, (x), sizeof a_);                                                               \
        memcpy(&b_, (x) + (half), sizeof b_);                                                      \
        sum_ = a_ + b_;                                                                            \
        difference_ = a_ - b_;                                                                     \
        memcpy((x), &sum_, sizeof sum_);                                                           \
        memcpy((x) + (half), &difference_, sizeof difference_);                                    \
    } while (0)

/* The last two steps of four elements. */
TILE_HELPER void rotate_four(float *x) {
    const float a = x[0] + x[2], b = x[1] + x[3], c = x[0] - x[2], d = x[1] - x[3];
    x[0] = a + b;
    x[1] = a - b;
    x[2] = c + d;
    x[3] = c - d;
}

TILE_HELPER void hadamard(float *x, size_t n, size_t size) {
    const size_t lanes = VECTOR_BYTES / sizeof(float), end = n * size;
    size_t half = size / 2;
    for (; half >= lanes; half /= 2)
        for (size_t at = 0; at < end; at += 2 * half)
            for (size_t i = at; i < at + half; i += lanes)
                SUMS_AND_DIFFERENCES(x + i, half, VECTOR_BYTES);
    for (; half >= 4; half /= 2)
        for (size_t at = 0; at < end; at += 2 * half)
            for (size_t i = at; i < at + half; i += 4)
                SUMS_AND_DIFFERENCES(x + i, half, 16);
    for (size_t i = 0; half == 2 && i < end; i += 4)
        rotate_four(x + i);
    for (size_t i = 0; half == 1 && i < end; i += 2)
        SUMS_AND_DIFFERENCES(x + i, 1, 4);
}

/* ---- unpacking --------------------------------------------------------------------------- */

#define LINE 64 /* bytes of codes that become two lines */

TILE_HELPER vwords load_codes(const uint8_t *p) {
    vwords v;
    memcpy(&v, p, sizeof v);
    return v;
}

TILE_HELPER void store_values(int8_t *p, vwords v, vbytes base) {
    const vbytes values = (vbytes)v - base;
    memcpy(p, &values, sizeof values);
}

/* Grids of keys: each is of the four bytes of a position. */
TILE_HELPER void key_grids(vwords *step, vbytes *base, const uint8_t *grids) {
    const vlongs grid = (vlongs)WIDEN(grids);
    const vlongs one = grid & 15;
    vlongs worth = (vlongs)((vwords)one * (vwords)(grid >> 4)); /* of the code that is zero */
    worth |= worth << 8;
    *step = (vwords)(one | one << 16);
    *base = (vbytes)(worth | worth << 16);
}

TILE_HELPER void unpack_keys(int8_t *k, const uint8_t *codes, const uint8_t *grids, size_t hd,
                             size_t n_groups) {
    enum { PARTS = LINE / VECTOR_BYTES, LINES = BLOCK_K / 8 };
    for (size_t block = 0; block < n_groups * hd / BLOCK_K; block++) {
        UNROLL
        for (size_t part = 0; part < PARTS; part++) {
            vwords step;
            vbytes base;
            key_grids(&step, &base, grids + part * VECTOR_BYTES / 4);
            UNROLL
            for (size_t line = 0; line < LINES; line++) {
                const vwords both = load_codes(codes + line * LINE + part * VECTOR_BYTES);
                int8_t *const to = k + 2 * line * LINE + part * VECTOR_BYTES;
                store_values(to, (both & 0x0f0f) * step, base);
                store_values(to + LINE, (both >> 4 & 0x0f0f) * step, base);
            }
        }
        grids += ATTN_GROUP;
        codes += LINES * LINE;
        k += 2 * LINES * LINE;
    }
}

/* Grids of values: those of four positions are of bytes side by side. Steps of positions 0 and 2
 * are for the low bytes of words, of 1 and 3 for the high ones. */
TILE_HELPER void value_grids(vwords step[2], vbytes *base, const uint8_t *grids) {
    uint32_t four;
    memcpy(&four, grids, sizeof four);
    const vwords grid = (vwords)((vlongs){0} + four), one = grid & 0x0f0f,
                 zero = grid >> 4 & 0x0f0f;
    step[0] = one & 0xff;
    step[1] = one >> 8;
    *base = (vbytes)(step[0] * (zero & 0xff) | step[1] * (zero & 0xff00));
}

TILE_HELPER void unpack_values(int8_t *v, const uint8_t *codes, const uint8_t *grids, size_t hd,
                               size_t n_groups) {
    enum { PARTS = LINE / VECTOR_BYTES, QUADS = ATTN_GROUP / 4 };
    const size_t blocks = hd / BLOCK_K;
    for (size_t quad = 0; quad < n_groups * QUADS; quad++) {
        const uint8_t *const of = grids + quad / QUADS * blocks * ATTN_GROUP + quad % QUADS * 4;
        for (size_t block = 0; block < blocks; block++, codes += LINE, v += 2 * LINE) {
            vwords step[2];
            vbytes base;
            value_grids(step, &base, of + block * ATTN_GROUP);
            UNROLL
            for (size_t part = 0; part < PARTS; part++) {
                const vwords low = load_codes(codes + part * VECTOR_BYTES), high = low >> 4;
                int8_t *const to = v + part * VECTOR_BYTES;
                store_values(to, (low & 0x000f) * step[0] | (low & 0x0f00) * step[1], base);
                store_values(to + LINE, (high & 0x000f) * step[0] | (high & 0x0f00) * step[1],
                             base);
            }
        }
    }
}
