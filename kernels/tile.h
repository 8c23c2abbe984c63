/* How every folder writes register tiles: arrays that the compiler keeps in registers. */
#ifndef BISE_KERNELS_TILE_H
#define BISE_KERNELS_TILE_H

/* Before a loop over a register tile: its arrays live in registers only if it is unrolled whole. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* For tile helpers whose last arguments are constants: sizes of the tile, types. */
#define TILE_HELPER static inline __attribute__((always_inline))

#endif
