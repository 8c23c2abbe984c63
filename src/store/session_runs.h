/* The cache as the pieces of a session's file, in the file's order. */
#ifndef BISE_SRC_STORE_SESSION_RUNS_H
#define BISE_SRC_STORE_SESSION_RUNS_H

#include "src/engine/kv.h"

enum kv_part { PART_KEYS, PART_VALUES, PART_KEY_SCALES, PART_VALUE_SCALES };

/* How many parts a cache of this type has. */
static inline unsigned kv_parts(const struct kv_cache *kv) {
    return kv->type == BISE_KV_I8 ? 4 : 2;
}

/* Bytes of one position in a part. */
static inline size_t part_bytes(const struct kv_cache *kv, enum kv_part part) {
    return part >= PART_KEY_SCALES ? sizeof(float) : kv->hd * kv->elem_bytes;
}

/* Contiguous memory of positions [*pos, ...) of one part, at most to `to`; moves *pos on. Positions
 * are multiples of ATTN_GROUP. */
static inline void *next_run(const struct kv_cache *kv, size_t layer, size_t head,
                             enum kv_part part, uint64_t *pos, uint64_t to, size_t *bytes) {
    const size_t slot = (size_t)(*pos % kv->ring);
    const size_t left = (size_t)(to - *pos), room = kv->ring - slot;
    const size_t n = left < room ? left : room;
    const struct kv_view at = kv_at(kv, layer, head, slot);
    const void *const parts[] = {at.keys, at.values, at.key_scales, at.value_scales};
    *pos += n;
    *bytes = n * part_bytes(kv, part);
    return (void *)(uintptr_t)parts[part];
}

#endif
