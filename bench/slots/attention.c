/* Calls of the attention slots. */
#include "bench/slots/slots.h"
#include "kernels/float_formats.h"

#include <stdio.h>
#include <string.h>

enum cache cache_of(size_t slot) {
    if (slot == offsetof(struct kernels, scores_f32) ||
        slot == offsetof(struct kernels, values_f32))
        return CACHE_F32;
    if (slot == offsetof(struct kernels, scores_f16) ||
        slot == offsetof(struct kernels, values_f16))
        return CACHE_F16;
    return CACHE_I8;
}

size_t cache_bytes_of(enum cache cache) {
    return cache == CACHE_I8 ? 1 : cache == CACHE_F32 ? 4 : 2;
}

static uint16_t *halves(struct inputs *in, size_t n, enum floats kind) {
    uint16_t *h = in->alloc(in, n * 2);
    for (size_t i = 0; i < n; i++) {
        float x;
        fill_floats(in, &x, 1, kind);
        if (kind == FLOATS_HUGE)
            x *= 65504.0f / 3.4e38f;
        if (kind == FLOATS_DENORMAL)
            x *= 0x1p112f; /* denormal as halves */
        h[i] = f32_to_f16(x);
    }
    in->seal(in, h);
    return h;
}

static int8_t *codes(struct inputs *in, size_t n, int limit, enum codes kind) {
    int8_t *q = in->alloc(in, n);
    fill_codes(in, q, n, limit, kind);
    in->seal(in, q);
    return q;
}

struct stored stored_make(struct inputs *in, size_t n, size_t hd,
                          const struct attention_content *c) {
    struct stored s = {.cache = cache_of(in->slot)};
    if (s.cache == CACHE_F32) {
        s.data = make_floats(in, n, c->floats);
    } else if (s.cache == CACHE_F16) {
        s.data = halves(in, n, c->floats);
    } else {
        s.data = codes(in, n, c->codes == CODES_MIN ? 128 : 127, c->codes); /* as from a file */
        s.scale = make_floats(in, n / hd, c->floats);
    }
    return s;
}

/* ---- scores and values -------------------------------------------------------------------- */

struct scores_call scores_make(struct inputs *in, size_t n_q, size_t hd, size_t n_groups,
                               size_t lds, const struct attention_content *c) {
    struct scores_call s = {.n_q = n_q, .hd = hd, .n_groups = n_groups, .lds = lds};
    s.keys = stored_make(in, n_groups * ATTN_GROUP * hd, hd, c);
    if (s.keys.cache == CACHE_I8) {
        s.q8 = codes(in, n_q * hd, 127, c->codes);
        s.qd = make_floats(in, n_q, c->floats);
    } else {
        s.q = make_floats(in, n_q * hd, c->floats);
        s.scale = random_unit(in);
    }
    return s;
}

void scores_run(const struct scores_call *c, const struct kernels *k) {
    if (c->keys.cache == CACHE_I8)
        k->scores_i8(c->s, c->lds, c->q8, c->qd, c->n_q, c->keys.data, c->keys.scale, c->hd,
                     c->n_groups);
    else if (c->keys.cache == CACHE_F32)
        k->scores_f32(c->s, c->lds, c->q, c->scale, c->n_q, c->keys.data, c->hd, c->n_groups);
    else
        k->scores_f16(c->s, c->lds, c->q, c->scale, c->n_q, c->keys.data, c->hd, c->n_groups);
}

/* Codes 0..WEIGHT_MAX. */
static uint8_t *weight_codes(struct inputs *in, size_t n, enum codes kind) {
    uint8_t *c = in->alloc(in, n);
    for (size_t i = 0; i < n; i++)
        c[i] = kind == CODES_MAX || kind == CODES_MIN ? WEIGHT_MAX
               : kind == CODES_ZERO                   ? 0
               : kind == CODES_EXTREMES               ? (uint8_t)(random_u64(in) % 2 * WEIGHT_MAX)
                                                      : (uint8_t)random_size(in, 0, WEIGHT_MAX);
    in->seal(in, c);
    return c;
}

struct values_call values_make(struct inputs *in, size_t n_q, size_t hd, size_t n_pos, size_t ldp,
                               const struct attention_content *c) {
    struct values_call v = {.ldp = ldp, .n_q = n_q, .hd = hd, .n_pos = n_pos};
    v.v = stored_make(in, n_pos * hd, hd, c);
    if (v.v.cache == CACHE_I8) {
        v.codes = weight_codes(in, (n_q - 1) * ldp + n_pos, c->codes);
        v.scales = make_magnitudes(in, (n_q - 1) * ldp / 16 + n_pos / 16, c->floats);
    } else {
        v.p = make_floats(in, (n_q - 1) * ldp + n_pos, c->floats);
    }
    return v;
}

void values_run(const struct values_call *c, const struct kernels *k) {
    if (c->v.cache == CACHE_I8)
        k->values_i8(c->out, c->ldo, c->codes, c->scales, c->ldp / 16, c->n_q, c->v.data, c->hd,
                     c->n_pos / 16);
    else if (c->v.cache == CACHE_F32)
        k->values_f32(c->out, c->ldo, c->p, c->ldp, c->n_q, c->v.data, c->hd, c->n_pos);
    else
        k->values_f16(c->out, c->ldo, c->p, c->ldp, c->n_q, c->v.data, c->hd, c->n_pos);
}

struct unpack_call unpack_make(struct inputs *in, size_t hd, size_t n_groups) {
    const size_t n = n_groups * ATTN_GROUP * hd;
    uint8_t *const bytes[] = {in->alloc(in, n / 2), in->alloc(in, n / BLOCK_K)};
    for (size_t i = 0; i < n / 2; i++)
        bytes[0][i] = (uint8_t)random_u64(in);
    for (size_t i = 0; i < n / BLOCK_K; i++)
        bytes[1][i] = (uint8_t)random_u64(in);
    in->seal(in, bytes[0]);
    in->seal(in, bytes[1]);
    return (struct unpack_call){
        .codes = bytes[0], .grids = bytes[1], .hd = hd, .n_groups = n_groups};
}

void unpack_run(const struct unpack_call *c, size_t slot, const struct kernels *k) {
    unpack_i4_fn *const unpack =
        slot == offsetof(struct kernels, unpack_keys_i4) ? k->unpack_keys_i4 : k->unpack_values_i4;
    unpack(c->x, c->codes, c->grids, c->hd, c->n_groups);
}

/* ---- shapes of a 7B model: KV heads of 128, 4096 positions --------------------------------- */

#define HEAD_DIM   128
#define POSITIONS  4096
#define HEAD_ELEMS ((size_t)HEAD_DIM * POSITIONS)

/* Writing: 4 query heads of one token, of one KV head and of more KV heads than caches hold, one
 * after the other. Reading: 4 query heads of 8 tokens, one KV head. */
static bool shape_of(struct inputs *in, size_t i, struct slot_case *c, size_t *n_q) {
    const enum cache cache = cache_of(in->slot);
    const size_t head =
        HEAD_ELEMS * cache_bytes_of(cache) + (cache == CACHE_I8 ? POSITIONS * 4 : 0);
    *n_q = i == 2 ? 32 : 4;
    c->n_heads = i == 1 ? (SLOT_STREAM + head - 1) / head : 1;
    c->bytes = (double)(head * c->n_heads);
    c->macs = (double)(*n_q * c->n_heads * HEAD_ELEMS);
    c->slow = c->n_heads > 1;
    (void)snprintf(c->shape, sizeof c->shape, "%zu x %d, %zu head%s", *n_q, POSITIONS, c->n_heads,
                   c->n_heads > 1 ? "s" : "");
    return i < 3;
}

static const struct attention_content usual = {CODES_RANDOM, FLOATS_UNIT};

static struct stored head_of(const struct stored *all, size_t head) {
    struct stored s = *all;
    s.data = (const uint8_t *)all->data + head * HEAD_ELEMS * cache_bytes_of(all->cache);
    if (s.cache == CACHE_I8)
        s.scale += head * POSITIONS;
    return s;
}

static void call_scores(const struct slot_case *c, const struct kernels *k) {
    struct scores_call call = c->scores;
    for (size_t h = 0; h < c->n_heads; h++) {
        call.keys = head_of(&c->scores.keys, h);
        scores_run(&call, k);
    }
}

bool scores_case(struct inputs *in, size_t i, bool brief, struct slot_case *c) {
    size_t n_q;
    (void)brief;
    if (!shape_of(in, i, c, &n_q))
        return false;
    c->scores =
        scores_make(in, n_q, HEAD_DIM, c->n_heads * POSITIONS / ATTN_GROUP, POSITIONS, &usual);
    c->scores.n_groups = POSITIONS / ATTN_GROUP;
    c->scores.s = in->alloc(in, n_q * POSITIONS * 4);
    c->op = c->scores.keys.cache == CACHE_I8 ? PEAK_DOT8 : PEAK_FMA;
    c->call = call_scores;
    return true;
}

static void call_values(const struct slot_case *c, const struct kernels *k) {
    struct values_call call = c->values;
    for (size_t h = 0; h < c->n_heads; h++) {
        call.v = head_of(&c->values.v, h);
        values_run(&call, k);
    }
}

bool values_case(struct inputs *in, size_t i, bool brief, struct slot_case *c) {
    size_t n_q;
    (void)brief;
    if (!shape_of(in, i, c, &n_q))
        return false;
    c->values = values_make(in, n_q, HEAD_DIM, POSITIONS, POSITIONS + 64, &usual);
    c->values.v = stored_make(in, c->n_heads * HEAD_ELEMS, HEAD_DIM, &usual);
    c->values.ldo = HEAD_DIM;
    c->values.out = in->alloc(in, n_q * HEAD_DIM * 4);
    memset(c->values.out, 0, n_q * HEAD_DIM * 4);
    c->op = c->values.v.cache == CACHE_I8 ? PEAK_DOT8 : PEAK_FMA;
    c->call = call_values;
    return true;
}

/* Over and over: what comes of the first is a score as good as any. */
static void call_softmax(const struct slot_case *c, const struct kernels *k) {
    float max;
    (void)k->softmax(c->scores.s, 0, POSITIONS, POSITIONS, &max);
}

bool softmax_case(struct inputs *in, size_t i, bool brief, struct slot_case *c) {
    (void)brief;
    c->scores.s = in->alloc(in, POSITIONS * 4);
    fill_floats(in, c->scores.s, POSITIONS, FLOATS_UNIT);
    c->bytes = 4.0 * POSITIONS;
    c->op = PEAK_READ;
    c->call = call_softmax;
    (void)snprintf(c->shape, sizeof c->shape, "%d", POSITIONS);
    return i == 0;
}

static void call_weigh(const struct slot_case *c, const struct kernels *k) {
    k->weigh_i8((uint8_t *)c->vector.q, c->vector.d, c->vector.x, c->vector.w,
                POSITIONS / ATTN_GROUP);
}

bool weigh_case(struct inputs *in, size_t i, bool brief, struct slot_case *c) {
    (void)brief;
    c->vector.q = in->alloc(in, POSITIONS);
    c->vector.d = in->alloc(in, POSITIONS / ATTN_GROUP * sizeof(float));
    c->vector.x = make_magnitudes(in, POSITIONS, FLOATS_UNIT);
    c->vector.w = make_magnitudes(in, POSITIONS, FLOATS_UNIT);
    c->bytes = 8.0 * POSITIONS;
    c->op = PEAK_READ;
    c->call = call_weigh;
    (void)snprintf(c->shape, sizeof c->shape, "%d", POSITIONS);
    return i == 0;
}

#define UNPACKED 512 /* positions, as attention takes them */

static void call_unpack(const struct slot_case *c, const struct kernels *k) {
    unpack_run(&c->unpack, c->slot, k);
}

bool unpack_case(struct inputs *in, size_t i, bool brief, struct slot_case *c) {
    (void)brief;
    c->unpack = unpack_make(in, HEAD_DIM, UNPACKED / ATTN_GROUP);
    c->unpack.x = in->alloc(in, (size_t)HEAD_DIM * UNPACKED);
    c->bytes = (double)HEAD_DIM * UNPACKED / 2;
    c->op = PEAK_READ;
    c->call = call_unpack;
    (void)snprintf(c->shape, sizeof c->shape, "%d x %d", UNPACKED, HEAD_DIM);
    return i == 0;
}
