/* What a cache of 4 bits holds, number by number. */
#include "kernels/grid.h"
#include "src/base/random.h"
#include "src/engine/kv.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RING 48

static struct kernels kernels;

static void setup(void) {
    cr_assert(kernels_init(&kernels, ISA_SCALAR));
}

TestSuite(kv, .init = setup);

/* Number d of a position's key or value, and how far off it may be: half a step, and at the ends
 * what a step that was made shorter leaves out. */
struct number {
    double value, off;
};

static struct number number_at(const struct kv_cache *kv, size_t pos, size_t d, bool key) {
    static int8_t x[ATTN_GROUP * 1024];
    const size_t slot = pos % kv->ring, lane = slot % ATTN_GROUP;
    const struct kv_view at = kv_at(kv, 1, 1, slot - lane);
    const uint8_t *const grids = key ? at.key_grids : at.value_grids;
    const double scale = (double)(key ? at.key_scales : at.value_scales)[lane];
    if (key)
        kernels.unpack_keys_i4(x, at.keys, grids, kv->hd, 1);
    else
        kernels.unpack_values_i4(x, at.values, grids, kv->hd, 1);
    const size_t i =
        key ? (d / 4 * ATTN_GROUP + lane) * 4 + d % 4 : (lane / 4 * kv->hd + d) * 4 + lane % 4;
    const double steps = (grids[d / 32 * ATTN_GROUP + lane] & 15) + GRID_MOST_ZERO + 1;
    return (struct number){x[i] * scale, steps * scale * 0.5001};
}

static void fill(struct random_state *random, float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((double)random_u64(random) * 0x1p-63 - 1) * (i % 5 ? 1 : 3);
}

Test(kv, holds_4_bits_of_every_number) {
    static const size_t head_dims[] = {2, 32, 40, 80, 96, 128, 200, 1024};
    static float keys[RING][1024], values[RING][1024];
    struct random_state random;
    random_seed(&random, 7);
    for (size_t i = 0; i < sizeof head_dims / sizeof *head_dims; i++) {
        const size_t n = head_dims[i];
        struct kv_cache kv;
        cr_assert(kv_layout(&kv, BISE_KV_I4, 2, 2, n, RING));
        cr_assert_eq(kv.bytes, RING * 4 * 2 * (kv.hd / 2 + 4 + kv.hd / 32));
        kv.memory = calloc(1, kv.bytes);
        cr_assert_not_null(kv.memory);
        for (size_t pos = 3; pos < 3 + RING; pos++) { /* out of order would do */
            fill(&random, keys[pos % RING], n);
            fill(&random, values[pos % RING], n);
            cr_assert(kv_write(&kv, &kernels, 1, 1, pos, keys[pos % RING], values[pos % RING]));
        }
        for (size_t pos = 0; pos < RING; pos++)
            for (size_t d = 0; d < kv.hd; d++) {
                const struct number k = number_at(&kv, pos, d, true);
                const struct number v = number_at(&kv, pos, d, false);
                const double want_k = d < n ? (double)keys[pos][d] : 0;
                const double want_v = d < n ? (double)values[pos][d] : 0;
                cr_assert(fabs(k.value - want_k) <= k.off, "%zu, key %zu: %g, %g", n, d, k.value,
                          want_k);
                cr_assert(fabs(v.value - want_v) <= v.off, "%zu, value %zu: %g, %g", n, d, v.value,
                          want_v);
            }
        free(kv.memory);
    }
}

Test(kv, what_is_not_finite_leaves_zeros) {
    float key[96], value[96];
    struct random_state random;
    struct kv_cache kv;
    random_seed(&random, 8);
    cr_assert(kv_layout(&kv, BISE_KV_I4, 2, 2, 96, RING));
    kv.memory = calloc(1, kv.bytes);
    cr_assert_not_null(kv.memory);
    for (size_t pos = 0; pos < RING; pos++) {
        fill(&random, key, 96);
        fill(&random, value, 96);
        (pos % 2 ? key : value)[pos] = pos % 3 ? INFINITY : NAN;
        cr_assert_not(kv_write(&kv, &kernels, 1, 1, pos, key, value));
        for (size_t d = 0; d < 96; d++)
            cr_assert_eq(number_at(&kv, pos, d, pos % 2).value, 0);
    }
    free(kv.memory);
}

Test(kv, sound_grids_are_those_whose_values_are_int8) {
    for (unsigned grid = 0; grid < 256; grid++) {
        const int step = grid & 15, zero = (int)grid >> 4;
        const uint8_t byte = (uint8_t)grid;
        const bool sound = step * (15 - zero) <= 127 && step * zero <= 127;
        cr_assert_eq(kv_grids_sound(&byte, 1), sound, "%#x", grid);
    }
}
