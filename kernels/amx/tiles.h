/*
 * AMX's tile registers, 0..7, configured as 16 rows of 64 bytes each. The numbers of tiles must be
 * literals: the assembler sees them.
 *
 * With AMX_EMULATED (a test build, see the Makefile) the same operations in plain C, for CPUs that
 * have none.
 */
#ifndef BISE_KERNELS_AMX_TILES_H
#define BISE_KERNELS_AMX_TILES_H

#include <stdint.h>
#include <string.h>

#define TILE_ROW   64
#define TILE_LINES 16
#define TILE_SIZE  (TILE_LINES * TILE_ROW)

#ifndef AMX_EMULATED

#include <immintrin.h>

/* What ldtilecfg reads. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static inline void tiles_begin(void) {
    static const struct tile_config config = {
        .palette = 1,
        .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
        .rows = {16, 16, 16, 16, 16, 16, 16, 16},
    };
    _tile_loadconfig(&config);
}

static inline void tiles_end(void) {
    _tile_release();
}

/* The intrinsics do not say what memory they read: stores before this are done before it. */
static inline void tiles_see_memory(void) {
    __asm__ volatile("" ::: "memory");
}

#define tile_zero(t)         _tile_zero(t)
#define tile_load(t, p)      _tile_loadd(t, p, TILE_ROW)
#define tile_store(t, p)     _tile_stored(t, p, TILE_ROW)
#define tile_dpbssd(c, a, b) _tile_dpbssd(c, a, b)

#else

static _Thread_local int8_t tile_registers[8][TILE_SIZE];

static inline void tiles_begin(void) {
    memset(tile_registers, 0, sizeof tile_registers);
}

static inline void tiles_end(void) {
}

static inline void tiles_see_memory(void) {
}

static inline void tile_zero(int t) {
    memset(tile_registers[t], 0, TILE_SIZE);
}

static inline void tile_load(int t, const void *p) {
    memcpy(tile_registers[t], p, TILE_SIZE);
}

static inline void tile_store(int t, void *p) {
    memcpy(p, tile_registers[t], TILE_SIZE);
}

/* c [m][n] += the sum over k of a [m][4k + i] * b [k][4n + i], all signed. */
static inline void tile_dpbssd(int c, int a, int b) {
    for (int m = 0; m < TILE_LINES; m++) {
        int32_t sum[16];
        memcpy(sum, tile_registers[c] + m * TILE_ROW, sizeof sum);
        for (int n = 0; n < 16; n++)
            for (int k = 0; k < 64; k++)
                sum[n] += tile_registers[a][m * TILE_ROW + k] *
                          tile_registers[b][k / 4 * TILE_ROW + 4 * n + k % 4];
        memcpy(tile_registers[c] + m * TILE_ROW, sum, sizeof sum);
    }
}

#endif

#endif
