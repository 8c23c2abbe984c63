/* How every folder writes register tiles: arrays that the compiler keeps in registers. */
#ifndef BISE_KERNELS_TILE_H
#define BISE_KERNELS_TILE_H

#include <stddef.h>

/* Before a loop over a register tile: its arrays live in registers only if it is unrolled whole. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* For tile helpers whose last arguments are constants: sizes of the tile, types. */
#define TILE_HELPER static inline __attribute__((always_inline))

/* Runs a call in which N is n as a constant, 1 <= n <= max; max is a constant, at most 8. */
#define WITH_CONSTANT(n, max, ...)                                                                 \
    do {                                                                                           \
        switch (n) {                                                                               \
            CASE_OF(1, max, __VA_ARGS__)                                                           \
            CASE_OF(2, max, __VA_ARGS__)                                                           \
            CASE_OF(3, max, __VA_ARGS__)                                                           \
            CASE_OF(4, max, __VA_ARGS__)                                                           \
            CASE_OF(5, max, __VA_ARGS__)                                                           \
            CASE_OF(6, max, __VA_ARGS__)                                                           \
            CASE_OF(7, max, __VA_ARGS__)                                                           \
            CASE_OF(8, max, __VA_ARGS__)                                                           \
        default:                                                                                   \
            break;                                                                                 \
        }                                                                                          \
    } while (0)
#define CASE_OF(i, max, ...)                                                                       \
    case i: {                                                                                      \
        enum { N = (i) < (max) ? (i) : (max) };                                                    \
        if ((i) <= (max))                                                                          \
            __VA_ARGS__;                                                                           \
        break;                                                                                     \
    }

/* How many of n columns the next pass takes, at most max: as even as they go. */
static inline size_t next_columns(size_t n, size_t max) {
    const size_t passes = (n + max - 1) / max;
    return (n + passes - 1) / passes;
}

/* Asks for the line at p, which is somewhere in a buffer that is read soon. */
static inline void prefetch(const void *p) {
    __builtin_prefetch(p);
}

/* How far ahead several columns ask for weights. Their arithmetic takes long enough that the CPU's
 * own prefetcher falls behind; with one column it does not. */
#define WEIGHTS_AHEAD 2048 /* bytes */

/* The same for what is read later: into the second level, not the first. */
static inline void prefetch_later(const void *p) {
    __builtin_prefetch(p, 0, 2);
}

#endif
