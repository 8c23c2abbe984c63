#include "src/engine/kv.h"

#include "kernels/float_formats.h"
#include "kernels/grid.h"
#include "kernels/layout.h"
#include "src/base/error.h"
#include "src/base/finite.h"
#include "src/model/config.h"
#include "src/os/mem.h"

#include <string.h>

uint64_t kv_ring(uint64_t window, uint64_t n_ctx, uint64_t chunk, uint64_t spare,
                 uint64_t start_pos) {
    /* A chunk's reads are widened to whole groups of 16 at both ends. */
    const uint64_t need =
        window > 0 ? window + chunk + spare + ATTN_GROUP - 1 : n_ctx + start_pos % ATTN_GROUP;
    return (need + ATTN_GROUP - 1) / ATTN_GROUP * ATTN_GROUP;
}

size_t kv_number_bytes(enum bise_kv type, size_t hd) {
    return type == BISE_KV_I4    ? hd / 2
           : type == BISE_KV_I8  ? hd
           : type == BISE_KV_F16 ? 2 * hd
                                 : 4 * hd;
}

size_t kv_position_bytes(enum bise_kv type, size_t hd) {
    const size_t scale = kv_has_scales(type) ? sizeof(float) : 0;
    return kv_number_bytes(type, hd) + scale + (type == BISE_KV_I4 ? hd / BLOCK_K : 0);
}

bool kv_layout(struct kv_cache *kv, enum bise_kv type, size_t n_layers, size_t n_heads,
               size_t head_dim, size_t ring) {
    *kv = (struct kv_cache){.type = type,
                            .n_layers = n_layers,
                            .n_heads = n_heads,
                            .head_dim = head_dim,
                            .hd = round_up(head_dim, 32),
                            .ring = ring};
    kv->pos_bytes = kv_number_bytes(type, kv->hd);
    return mul_ok(ring, 2 * kv_position_bytes(type, kv->hd), &kv->head_bytes) &&
           mul_ok(kv->head_bytes, n_heads, &kv->bytes) && mul_ok(kv->bytes, n_layers, &kv->bytes);
}

enum bise_status kv_open(struct kv_cache *kv, struct pool *pool, struct bise_error *err) {
    kv->memory = mem_alloc(kv->bytes);
    if (kv->memory == NULL)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a cache of %zu bytes", kv->bytes);
    pool_touch(pool, kv->memory, kv->bytes);
    return BISE_OK;
}

void kv_close(struct kv_cache *kv) {
    mem_free(kv->memory, kv->bytes);
    kv->memory = NULL;
}

/* Places inside the memory of one layer and head. */
static uint8_t *head_at(const struct kv_cache *kv, size_t layer, size_t head) {
    return kv->memory + (layer * kv->n_heads + head) * kv->head_bytes;
}

static size_t keys_bytes(const struct kv_cache *kv) {
    return kv->ring * kv->pos_bytes;
}

static float *scales_at(const struct kv_cache *kv, size_t layer, size_t head) {
    return (float *)(void *)(head_at(kv, layer, head) + 2 * keys_bytes(kv));
}

struct kv_view kv_at(const struct kv_cache *kv, size_t layer, size_t head, size_t slot) {
    const uint8_t *const base = head_at(kv, layer, head) + slot * kv->pos_bytes;
    struct kv_view view = {.keys = base, .values = base + keys_bytes(kv)};
    if (kv_has_scales(kv->type)) {
        view.key_scales = scales_at(kv, layer, head) + slot;
        view.value_scales = view.key_scales + kv->ring;
    }
    if (kv->type == BISE_KV_I4) {
        const uint8_t *const grids = (uint8_t *)(scales_at(kv, layer, head) + 2 * kv->ring);
        view.key_grids = grids + slot * kv->hd / BLOCK_K;
        view.value_grids = view.key_grids + kv->ring * kv->hd / BLOCK_K;
    }
    return view;
}

struct kv_lines kv_key_lines(const struct kv_cache *kv) {
    const size_t bytes = kv_has_scales(kv->type) ? 4 : kv->pos_bytes / kv->hd; /* side by side */
    return (struct kv_lines){ATTN_GROUP, kv->pos_bytes / bytes, bytes};
}

struct kv_lines kv_value_lines(const struct kv_cache *kv) {
    return kv_has_scales(kv->type) ? (struct kv_lines){4, kv->pos_bytes, 1}
                                   : (struct kv_lines){1, 1, kv->pos_bytes};
}

struct kv_lines kv_grid_lines(const struct kv_cache *kv) {
    return (struct kv_lines){ATTN_GROUP, kv->hd / BLOCK_K, 1};
}

bool kv_grids_sound(const uint8_t *grids, size_t n) {
    bool sound = true;
    for (size_t i = 0; i < n; i++)
        sound = sound && grid_sound(grids[i]);
    return sound;
}

static bool write_i8(struct kv_cache *kv, const struct kernels *kernels, size_t layer, size_t head,
                     size_t slot, const float *key, const float *value) {
    _Alignas(64) float x[MAX_HEAD_DIM]; /* padded copy of key, then of value */
    _Alignas(64) int8_t q[MAX_HEAD_DIM];
    const size_t hd = kv->hd, n = kv->head_dim, lane = slot % ATTN_GROUP;
    float d = 0, *const scales = scales_at(kv, layer, head);
    int8_t *const keys = (int8_t *)head_at(kv, layer, head) + (slot - lane) * hd;
    int8_t *const values = (int8_t *)head_at(kv, layer, head) + keys_bytes(kv) + slot / 4 * 4 * hd;

    memset(x + n, 0, (hd - n) * sizeof *x);
    memcpy(x, key, n * sizeof *x);
    const bool key_ok = kernels->quantize_block(q, &d, x, hd);
    if (!key_ok)
        memset(q, 0, hd);
    for (size_t i = 0; i < hd; i += 4)
        memcpy(keys + i * ATTN_GROUP + 4 * lane, q + i, 4);
    scales[slot] = key_ok ? d : 0;

    memcpy(x, value, n * sizeof *x);
    const bool value_ok = kernels->quantize_block(q, &d, x, hd);
    if (!value_ok)
        memset(q, 0, hd);
    for (size_t i = 0; i < hd; i++)
        values[4 * i + slot % 4] = q[i];
    scales[kv->ring + slot] = value_ok ? d : 0;
    return key_ok && value_ok;
}

/* x [hd] to codes q, a byte each, of grids [hd / 32] that lie ATTN_GROUP apart, and a scale; zeros
 * where it is not finite. */
static bool to_grids(const struct kernels *kernels, uint8_t *q, uint8_t *grids, float *scale,
                     const float *x, size_t hd) {
    uint8_t of[MAX_HEAD_DIM / BLOCK_K];
    const bool ok = kernels->quantize_i4(q, of, scale, x, hd);
    if (!ok) {
        memset(q, 0, hd);
        memset(of, 0, hd / BLOCK_K);
        *scale = 0;
    }
    for (size_t b = 0; b < hd / BLOCK_K; b++)
        grids[b * ATTN_GROUP] = of[b];
    return ok;
}

static bool write_i4(struct kv_cache *kv, const struct kernels *kernels, size_t layer, size_t head,
                     size_t slot, const float *key, const float *value) {
    _Alignas(64) float x[MAX_HEAD_DIM]; /* padded copy of key, then of value */
    uint8_t q[MAX_HEAD_DIM];
    const size_t hd = kv->hd, n = kv->head_dim, lane = slot % ATTN_GROUP, quad = lane / 4 * 4;
    const struct kv_view at = kv_at(kv, layer, head, slot - lane);
    uint8_t *const keys = (uint8_t *)(uintptr_t)at.keys + 4 * lane;
    uint8_t *const values = (uint8_t *)(uintptr_t)at.values + quad * kv->pos_bytes + lane % 4;
    float *const key_scale = (float *)(uintptr_t)at.key_scales + lane;
    float *const value_scale = (float *)(uintptr_t)at.value_scales + lane;

    memset(x + n, 0, (hd - n) * sizeof *x);
    memcpy(x, key, n * sizeof *x);
    const bool key_ok =
        to_grids(kernels, q, (uint8_t *)(uintptr_t)at.key_grids + lane, key_scale, x, hd);
    for (size_t i = 0; i < hd / 2; i++) {
        const uint8_t *const low = q + i / 4 * 8 + i % 4;
        keys[i / 4 * 4 * ATTN_GROUP + i % 4] = (uint8_t)(low[0] | low[4] << 4);
    }
    memcpy(x, value, n * sizeof *x);
    const bool value_ok =
        to_grids(kernels, q, (uint8_t *)(uintptr_t)at.value_grids + lane, value_scale, x, hd);
    for (size_t i = 0; i < hd / 2; i++) {
        const uint8_t *const low = q + i / 16 * 32 + i % 16;
        values[4 * i] = (uint8_t)(low[0] | low[16] << 4);
    }
    return key_ok && value_ok;
}

static bool write_f32(struct kv_cache *kv, size_t layer, size_t head, size_t slot, const float *key,
                      const float *value) {
    const size_t hd = kv->hd, n = kv->head_dim, lane = slot % ATTN_GROUP;
    float *const keys = (float *)(void *)head_at(kv, layer, head);
    float *const values = keys + kv->ring * hd + slot * hd;
    const bool ok = all_finite(key, n) && all_finite(value, n);
    for (size_t i = 0; i < n; i++) {
        keys[(slot - lane) * hd + i * ATTN_GROUP + lane] = ok ? key[i] : 0;
        values[i] = ok ? value[i] : 0;
    }
    return ok;
}

static bool write_f16(struct kv_cache *kv, size_t layer, size_t head, size_t slot, const float *key,
                      const float *value) {
    const size_t hd = kv->hd, n = kv->head_dim, lane = slot % ATTN_GROUP;
    uint16_t *const keys = (uint16_t *)(void *)head_at(kv, layer, head);
    uint16_t *const values = keys + kv->ring * hd + slot * hd;
    const uint16_t exponent = 0x7c00; /* all ones: infinite or not a number */
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        uint16_t k = f32_to_f16(key[i]), v = f32_to_f16(value[i]);
        const bool fits = (k & exponent) != exponent && (v & exponent) != exponent;
        ok = ok && fits;
        keys[(slot - lane) * hd + i * ATTN_GROUP + lane] = fits ? k : 0;
        values[i] = fits ? v : 0;
    }
    return ok;
}

bool kv_write(struct kv_cache *kv, const struct kernels *kernels, size_t layer, size_t head,
              uint64_t pos, const float *key, const float *value) {
    const size_t slot = (size_t)(pos % kv->ring);
    switch (kv->type) {
    case BISE_KV_I8:
        return write_i8(kv, kernels, layer, head, slot, key, value);
    case BISE_KV_I4:
        return write_i4(kv, kernels, layer, head, slot, key, value);
    case BISE_KV_F16:
        return write_f16(kv, layer, head, slot, key, value);
    default:
        return write_f32(kv, layer, head, slot, key, value);
    }
}

void kv_copy(struct kv_cache *to, const struct kv_cache *from, size_t layer, size_t head,
             uint64_t first, uint64_t end) {
    const size_t ring = to->ring, per_pos = to->pos_bytes, grids = to->hd / BLOCK_K;
    for (uint64_t pos = first; pos < end;) {
        const size_t slot = (size_t)(pos % ring), n = round_up((size_t)(end - pos), ATTN_GROUP);
        const size_t len = n < ring - slot ? n : ring - slot;
        const struct kv_view a = kv_at(from, layer, head, slot), b = kv_at(to, layer, head, slot);
        memcpy((void *)(uintptr_t)b.keys, a.keys, len * per_pos);
        memcpy((void *)(uintptr_t)b.values, a.values, len * per_pos);
        if (kv_has_scales(to->type)) {
            memcpy((float *)(uintptr_t)b.key_scales, a.key_scales, len * sizeof(float));
            memcpy((float *)(uintptr_t)b.value_scales, a.value_scales, len * sizeof(float));
        }
        if (to->type == BISE_KV_I4) {
            memcpy((uint8_t *)(uintptr_t)b.key_grids, a.key_grids, len * grids);
            memcpy((uint8_t *)(uintptr_t)b.value_grids, a.value_grids, len * grids);
        }
        pos += len;
    }
}
