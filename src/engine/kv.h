/*
 * The rolling cache: per layer and KV head a ring of slots, slot = absolute position mod ring, lane
 * = absolute position mod 16 (the ring is a multiple of 16). Layout of one layer and head, in
 * order:
 *
 *   keys    [ring/16] groups: i8 [hd/4][16][4], i4 [hd/8][16][4], f16 and f32 [hd][16]
 *   values  i8 [ring/4][hd][4], i4 [ring/4][hd/32][16][4], f16 and f32 [ring][hd]
 *   i8 and i4: key scales [ring], value scales [ring] (float)
 *   i4: key grids [ring/16][hd/32][16], value grids, the same
 *
 * A byte of i4 has two dimensions of a position: of keys 8j + i (low) and 8j + 4 + i, of values 32b
 * + i and 32b + 16 + i. Its keys come rotated (kernels.h, hadamard), as its queries do.
 *
 * hd: head_dim padded to 32 with zeros. Memory is zeroed and touched at opening, and only finite
 * numbers are ever written, so a masked position never yields more than +0.
 */
#ifndef BISE_SRC_ENGINE_KV_H
#define BISE_SRC_ENGINE_KV_H

#include "kernels/kernels.h"
#include "src/os/pool.h"

struct kv_cache {
    enum bise_kv type; /* never AUTO */
    size_t n_layers, n_heads, head_dim, hd, ring;
    size_t pos_bytes;  /* of a key's or value's numbers */
    size_t head_bytes; /* of one layer and head */
    size_t bytes;      /* of it all */
    uint8_t *memory;
};

/* Whether numbers are kept as codes, with scales. */
static inline bool kv_has_scales(enum bise_kv type) {
    return type == BISE_KV_I8 || type == BISE_KV_I4;
}

/* Dimensions of a head that keys of 4 bits, and their queries, are rotated in: the largest power of
 * two that divides head_dim. */
static inline size_t kv_rotated(size_t head_dim) {
    return head_dim & (~head_dim + 1);
}

/* Bytes of a position's key or value, of hd numbers: those of its numbers, and all. */
size_t kv_number_bytes(enum bise_kv type, size_t hd);
size_t kv_position_bytes(enum bise_kv type, size_t hd);

/* Positions of a ring. With a window: window + chunk, so that a chunk's keys do not overwrite what
 * its first queries see, and spare ones to go back by; without: the whole context. */
uint64_t kv_ring(uint64_t window, uint64_t n_ctx, uint64_t chunk, uint64_t spare,
                 uint64_t start_pos);

/* Sets all sizes, memory NULL. False if they overflow. */
bool kv_layout(struct kv_cache *kv, enum bise_kv type, size_t n_layers, size_t n_heads,
               size_t head_dim, size_t ring);
/* Allocates, and touches every page by the pool's threads. Errors: MEMORY. */
enum bise_status kv_open(struct kv_cache *kv, struct pool *pool, struct bise_error *err);
void kv_close(struct kv_cache *kv);

/* Puts key and value [head_dim] of one position in place. False if either is not finite (or, f16,
 * too large); zeros are stored then. */
bool kv_write(struct kv_cache *kv, const struct kernels *kernels, size_t layer, size_t head,
              uint64_t pos, const float *key, const float *value);

/* Pointers of a run of positions within a ring. Keys: slot must be a multiple of 16. */
struct kv_view {
    const void *keys, *values;
    const float *key_scales, *value_scales; /* i8 and i4 */
    const uint8_t *key_grids, *value_grids; /* i4 */
};
struct kv_view kv_at(const struct kv_cache *kv, size_t layer, size_t head, size_t slot);

/* Whether these are grids that kv_write could have put there; every code is of such a grid. */
bool kv_grids_sound(const uint8_t *grids, size_t n);

/* How a part of the cache lies in a group of ATTN_GROUP positions: [ATTN_GROUP / span][lines][span]
 * pieces of so many bytes. */
struct kv_lines {
    size_t span, lines, bytes;
};
struct kv_lines kv_key_lines(const struct kv_cache *kv);
struct kv_lines kv_value_lines(const struct kv_cache *kv);
struct kv_lines kv_grid_lines(const struct kv_cache *kv);

/* Where in its group line i of a position lies; lane: the position mod ATTN_GROUP. */
static inline size_t kv_line_at(const struct kv_lines *l, size_t lane, size_t i) {
    return ((lane / l->span * l->lines + i) * l->span + lane % l->span) * l->bytes;
}

/* Copies positions first .. end - 1 of one layer and head between caches of the same layout; first:
 * a multiple of ATTN_GROUP; to the end of its group, no more than the ring has. */
void kv_copy(struct kv_cache *to, const struct kv_cache *from, size_t layer, size_t head,
             uint64_t first, uint64_t end);

#endif
