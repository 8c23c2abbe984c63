/* AMX: products of tiles of bytes. Two tiles are read, up to six hold sums. */
#include "bench/limits/peak.h"
#include "kernels/amx/tiles.h"

#define TILE_MACS (16.0 * 16.0 * 64.0)

double peak_loop_amx(enum peak_op op, size_t n_sums, size_t iterations) {
    if (op != PEAK_DOT7 || (n_sums != 4 && n_sums != 6))
        return 0.0;
    tiles_begin();
    for (size_t i = 0; i < iterations; i++) {
        tile_dpbssd(0, 6, 7);
        tile_dpbssd(1, 6, 7);
        tile_dpbssd(2, 6, 7);
        tile_dpbssd(3, 6, 7);
        if (n_sums == 6) {
            tile_dpbssd(4, 6, 7);
            tile_dpbssd(5, 6, 7);
        }
    }
    tiles_end();
    return TILE_MACS * (double)n_sums * (double)iterations;
}
