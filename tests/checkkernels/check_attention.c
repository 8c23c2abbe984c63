/* Checks of the attention slots: scores, softmax, values. */
#include "kernels/float_formats.h"
#include "tests/checkkernels/checkkernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- caches of every type ---------------------------------------------------------------- */

enum cache { CACHE_I8 = 0, CACHE_F32, CACHE_F16 };

static enum cache cache_of(const struct run *r) {
    const size_t slot = r->check->slot;
    if (slot == offsetof(struct kernels, scores_f32) ||
        slot == offsetof(struct kernels, values_f32))
        return CACHE_F32;
    if (slot == offsetof(struct kernels, scores_f16) ||
        slot == offsetof(struct kernels, values_f16))
        return CACHE_F16;
    return CACHE_I8;
}

/* What a case is filled with. */
struct content {
    enum codes codes;
    enum floats floats; /* of scales, float caches and float queries */
};

static const struct content contents[] = {
    {CODES_RANDOM, FLOATS_UNIT},   {CODES_MAX, FLOATS_EQUAL},       {CODES_MIN, FLOATS_UNIT},
    {CODES_EXTREMES, FLOATS_HUGE}, {CODES_RANDOM, FLOATS_DENORMAL}, {CODES_ZERO, FLOATS_ZERO},
    {CODES_RANDOM, FLOATS_SPREAD},
};
#define N_CONTENTS (sizeof contents / sizeof *contents)

static uint16_t *halves(struct run *r, size_t n, enum floats kind) {
    uint16_t *h = case_alloc(r, n * 2);
    for (size_t i = 0; i < n; i++) {
        float x;
        fill_floats(r, &x, 1, kind);
        if (kind == FLOATS_HUGE)
            x *= 65504.0f / 3.4e38f;
        if (kind == FLOATS_DENORMAL)
            x *= 0x1p112f; /* denormal as halves */
        h[i] = f32_to_f16(x);
    }
    case_seal(r, h);
    return h;
}

static float *floats(struct run *r, size_t n, enum floats kind) {
    float *x = case_alloc(r, n * 4);
    fill_floats(r, x, n, kind);
    case_seal(r, x);
    return x;
}

static int8_t *codes(struct run *r, size_t n, int limit, enum codes kind) {
    int8_t *q = case_alloc(r, n);
    fill_codes(r, q, n, limit, kind);
    case_seal(r, q);
    return q;
}

/* n elements of keys or values with one scale (i8) per hd of them. */
struct stored {
    enum cache cache;
    const void *data;
    const float *scale; /* i8 only */
};

static struct stored stored(struct run *r, size_t n, size_t hd, const struct content *c) {
    struct stored s = {.cache = cache_of(r)};
    if (s.cache == CACHE_F32) {
        s.data = floats(r, n, c->floats);
    } else if (s.cache == CACHE_F16) {
        s.data = halves(r, n, c->floats);
    } else {
        s.data = codes(r, n, c->codes == CODES_MIN ? 128 : 127, c->codes); /* as from a file */
        s.scale = floats(r, n / hd, c->floats);
    }
    return s;
}

/* Element i without its scale. */
static double element(const struct stored *s, size_t i) {
    if (s->cache == CACHE_F32)
        return (double)((const float *)s->data)[i];
    if (s->cache == CACHE_F16)
        return (double)f16_to_f32(((const uint16_t *)s->data)[i]);
    return ((const int8_t *)s->data)[i];
}

/* ---- scores ------------------------------------------------------------------------------ */

struct scores {
    const struct kernels *k;
    struct stored keys;
    const int8_t *q8; /* [n_q][hd]: q8 and qd, or q */
    const float *qd, *q;
    float scale;
    size_t n_q, hd, n_groups, lds;
    float *s;
};

static void call_scores(void *arg) {
    const struct scores *c = arg;
    if (c->keys.cache == CACHE_I8)
        c->k->scores_i8(c->s, c->lds, c->q8, c->qd, c->n_q, c->keys.data, c->keys.scale, c->hd,
                        c->n_groups);
    else if (c->keys.cache == CACHE_F32)
        c->k->scores_f32(c->s, c->lds, c->q, c->scale, c->n_q, c->keys.data, c->hd, c->n_groups);
    else
        c->k->scores_f16(c->s, c->lds, c->q, c->scale, c->n_q, c->keys.data, c->hd, c->n_groups);
}

static struct scores make_scores(struct run *r, size_t n_q, size_t hd, size_t n_groups, size_t lds,
                                 const struct content *c) {
    struct scores s = {.k = r->k, .n_q = n_q, .hd = hd, .n_groups = n_groups, .lds = lds};
    s.keys = stored(r, n_groups * ATTN_GROUP * hd, hd, c);
    if (s.keys.cache == CACHE_I8) {
        s.q8 = codes(r, n_q * hd, 127, c->codes);
        s.qd = floats(r, n_q, c->floats);
    } else {
        s.q = floats(r, n_q * hd, c->floats);
        s.scale = random_unit(r);
    }
    return s;
}

static void compare_scores_case(struct run *r, size_t n_q, size_t hd, size_t n_groups,
                                const struct content *c) {
    const size_t lds = (n_groups + random_size(r, 0, 2)) * ATTN_GROUP;
    case_begin(r, "%zu queries of %zu, %zu groups, stride %zu, codes %d, floats %d", n_q, hd,
               n_groups, lds, (int)c->codes, (int)c->floats);
    struct scores s = make_scores(r, n_q, hd, n_groups, lds, c);
    float *found = case_alloc(r, n_q * lds * 4), *want = case_alloc(r, n_q * lds * 4);
    s.s = found;
    call_scores(&s);
    s.k = r->ref;
    s.s = want;
    call_scores(&s);
    case_same_f32(r, "s", found, want, n_q * lds);
    case_end(r);
}

static void compare_scores(struct run *r) {
    static const size_t head_dims[] = {32, 64, 96, 128, 256};
    for (size_t c = 0; c < N_CONTENTS; c++)
        for (size_t h = 0; h < sizeof head_dims / sizeof *head_dims; h++)
            compare_scores_case(r, random_size(r, 1, 20), head_dims[h], random_size(r, 1, 5),
                                &contents[c]);
    for (size_t n_q = 1; n_q <= 17; n_q++)
        compare_scores_case(r, n_q, 64, 1 + n_q % 3, &contents[0]);
    compare_scores_case(r, 2, 1024, 2, &contents[1]);
    compare_scores_case(r, 3, 32, 0, &contents[0]);
}

static void oracle_scores(struct run *r) {
    for (size_t i = 0; i < 2; i++) {
        const size_t n_q = 3, hd = 96, n_groups = 2, lds = 32;
        case_begin(r, "%zu queries of %zu, %zu groups", n_q, hd, n_groups);
        struct scores s = make_scores(r, n_q, hd, n_groups, lds, &contents[i]);
        s.s = case_alloc(r, n_q * lds * 4);
        call_scores(&s);
        for (size_t j = 0; j < n_q * lds; j++) {
            const size_t q = j / lds, g = j % lds / 16, lane = j % 16;
            const bool i8 = s.keys.cache == CACHE_I8;
            double sum = 0.0, norm = 0.0;
            for (size_t d = 0; d < hd; d++) {
                const size_t at = i8 ? (d / 4 * 16 + lane) * 4 + d % 4 : d * 16 + lane;
                const double x = i8 ? s.q8[q * hd + d] : (double)s.q[q * hd + d];
                const double t = x * element(&s.keys, g * hd * 16 + at);
                sum += t;
                norm += fabs(t);
            }
            const double scale =
                i8 ? (double)s.keys.scale[g * 16 + lane] * (double)s.qd[q] : (double)s.scale;
            case_near(r, "s", j, (double)s.s[j], sum * scale, norm * fabs(scale) * 1e-6);
        }
        case_end(r);
    }
}

/* ---- softmax ----------------------------------------------------------------------------- */

enum softmax_kind { SM_USUAL = 0, SM_WIDE, SM_EQUAL, SM_HUGE, SM_NONFINITE, SM_KINDS };

static void fill_scores(struct run *r, float *s, size_t lo, size_t hi, size_t n, int kind) {
    static const float outside[] = {INFINITY, -INFINITY, NAN, 3e38f};
    static const float width[] = {10.0f, 300.0f, 0.0f, 3e38f, 10.0f};
    const float shift = random_unit(r);
    for (size_t i = 0; i < n; i++) {
        s[i] = kind == SM_EQUAL ? shift : random_unit(r) * width[kind];
        if (i < lo || i >= hi)
            s[i] = outside[i % 4];
    }
    if (kind == SM_NONFINITE)
        s[random_size(r, lo, hi - 1)] = outside[random_u64(r) % 3];
}

static void compare_softmax(struct run *r) {
    static float s[4096];
    for (size_t i = 0; i < 150; i++) {
        const size_t n = 16 * random_size(r, 1, i % 10 == 0 ? 256 : 8);
        const int kind = (int)(i % SM_KINDS);
        size_t lo = i % 3 == 0 ? 0 : random_size(r, 0, n - 1);
        const size_t hi = i % 4 == 0 ? n : random_size(r, lo + 1, n);
        lo = i % 11 == 0 ? hi - 1 : lo;
        fill_scores(r, s, lo, hi, n, kind);
        case_begin(r, "%zu..%zu of %zu, inputs of kind %d", lo, hi, n, kind);
        float *found = case_copy(r, s, n * 4), *want = case_copy(r, s, n * 4);
        const float sum = r->k->softmax(found, lo, hi, n);
        const float want_sum = r->ref->softmax(want, lo, hi, n);
        case_same_f32(r, "sum", &sum, &want_sum, 1);
        case_true(r, isnan(sum) == (kind == SM_NONFINITE), "not finite, or taken for it");
        if (!isnan(want_sum))
            case_same_f32(r, "s", found, want, n);
        case_end(r);
    }
}

static void oracle_softmax(struct run *r) {
    static float s[4096], in[4096];
    for (int kind = SM_USUAL; kind <= SM_HUGE; kind++) {
        const size_t n = 4096, lo = random_size(r, 0, 99), hi = random_size(r, 4000, n);
        case_begin(r, "%zu..%zu of %zu, inputs of kind %d", lo, hi, n, kind);
        fill_scores(r, in, lo, hi, n, kind);
        memcpy(s, in, sizeof s);
        const float sum = r->k->softmax(s, lo, hi, n);
        double max = (double)in[lo], want_sum = 0.0;
        for (size_t i = lo; i < hi; i++)
            max = fmax(max, (double)in[i]);
        for (size_t i = 0; i < n; i++) {
            /* the difference is rounded to float before exp: 2^-24 of up to 104 */
            const double want = i < lo || i >= hi ? 0.0 : exp((double)in[i] - max);
            want_sum += want;
            case_near(r, "s", i, (double)s[i], want, want * 1e-5 + 0x1p-149);
        }
        case_near(r, "sum", 0, (double)sum, want_sum, want_sum * 1e-5);
        case_end(r);
    }
}

/* ---- values ------------------------------------------------------------------------------ */

struct values {
    const struct kernels *k;
    struct stored v;
    const float *p;
    size_t ldo, ldp, n_q, ldv, hd, n_pos;
    float *out;
};

static void call_values(void *arg) {
    const struct values *c = arg;
    if (c->v.cache == CACHE_I8)
        c->k->values_i8(c->out, c->ldo, c->p, c->ldp, c->n_q, c->v.data, c->v.scale, c->ldv, c->hd,
                        c->n_pos);
    else if (c->v.cache == CACHE_F32)
        c->k->values_f32(c->out, c->ldo, c->p, c->ldp, c->n_q, c->v.data, c->ldv, c->hd, c->n_pos);
    else
        c->k->values_f16(c->out, c->ldo, c->p, c->ldp, c->n_q, c->v.data, c->ldv, c->hd, c->n_pos);
}

/* Rows of p end with the last position of the last row: nothing may be read beyond. */
static struct values make_values(struct run *r, size_t n_q, size_t hd, size_t n_pos, size_t ldp,
                                 const struct content *c) {
    struct values v = {.k = r->k, .ldp = ldp, .n_q = n_q, .ldv = hd, .hd = hd, .n_pos = n_pos};
    v.v = stored(r, n_pos * hd, hd, c);
    v.p = floats(r, (n_q - 1) * ldp + n_pos, c->floats);
    return v;
}

static void compare_values_case(struct run *r, size_t n_q, size_t hd, size_t n_pos,
                                const struct content *c) {
    const size_t ldo = hd + random_size(r, 0, 20), n_out = (n_q - 1) * ldo + hd;
    case_begin(r, "%zu queries of %zu, %zu positions, stride %zu, codes %d, floats %d", n_q, hd,
               n_pos, ldo, (int)c->codes, (int)c->floats);
    struct values v = make_values(r, n_q, hd, n_pos, n_pos + random_size(r, 0, 20), c);
    float *found = case_alloc(r, n_out * 4), *want = case_alloc(r, n_out * 4);
    for (size_t q = 0; q < n_q; q++) {
        fill_floats(r, found + q * ldo, hd, FLOATS_UNIT);
        memcpy(want + q * ldo, found + q * ldo, hd * 4);
    }
    v.ldo = ldo;
    v.out = found;
    /* All dimensions at once, or cut in two as attention may cut them. */
    const size_t cut = n_pos > 0 ? random_size(r, 0, hd / 16 - 1) * 16 : 0;
    const struct stored all = v.v;
    v.hd = cut;
    if (cut > 0)
        call_values(&v);
    v.hd = hd - cut;
    v.out = found + cut;
    v.v.data = (const uint8_t *)all.data + cut * (all.cache == CACHE_I8    ? 1
                                                  : all.cache == CACHE_F32 ? 4
                                                                           : 2);
    call_values(&v);
    v.k = r->ref;
    v.hd = hd;
    v.v = all;
    v.out = want;
    call_values(&v);
    case_same_f32(r, "out", found, want, n_out);
    case_end(r);
}

static void compare_values(struct run *r) {
    static const size_t head_dims[] = {32, 64, 96, 128, 256};
    for (size_t c = 0; c < N_CONTENTS; c++)
        for (size_t h = 0; h < sizeof head_dims / sizeof *head_dims; h++)
            compare_values_case(r, random_size(r, 1, 20), head_dims[h], random_size(r, 1, 40),
                                &contents[c]);
    for (size_t n_q = 1; n_q <= 17; n_q++)
        compare_values_case(r, n_q, 96, n_q * 3, &contents[0]);
    compare_values_case(r, 5, 1024, 7, &contents[0]);
    compare_values_case(r, 3, 32, 0, &contents[0]);
}

static void oracle_values(struct run *r) {
    const size_t n_q = 3, hd = 64, n_pos = 50;
    case_begin(r, "%zu queries of %zu, %zu positions", n_q, hd, n_pos);
    struct values v = make_values(r, n_q, hd, n_pos, n_pos, &contents[0]);
    v.ldo = hd;
    v.out = case_alloc(r, n_q * hd * 4);
    memset(v.out, 0, n_q * hd * 4);
    call_values(&v);
    for (size_t j = 0; j < n_q * hd; j++) {
        double sum = 0.0, norm = 0.0;
        for (size_t t = 0; t < n_pos; t++) {
            const double scale = v.v.cache == CACHE_I8 ? (double)v.v.scale[t] : 1.0;
            const double x =
                (double)v.p[j / hd * n_pos + t] * scale * element(&v.v, t * hd + j % hd);
            sum += x;
            norm += fabs(x);
        }
        case_near(r, "out", j, (double)v.out[j], sum, norm * 4e-6);
    }
    case_end(r);
}

/* ---- bench: KV heads of 7B, 4096 positions ----------------------------------------------- */

/* Decode: 4 query heads of one token, of one KV head and of more KV heads than caches hold, one
 * after the other. Prefill: 4 query heads of 8 tokens, one KV head. */
struct shape {
    size_t n_q, n_heads;
};
static const struct shape shapes[] = {{4, 1}, {4, 128}, {32, 1}};
#define N_SHAPES   (sizeof shapes / sizeof *shapes)
#define HEAD_DIM   128
#define POSITIONS  4096
#define HEAD_ELEMS (HEAD_DIM * POSITIONS)

static const size_t cached_bytes[] = {[CACHE_I8] = 1, [CACHE_F32] = 4, [CACHE_F16] = 2};

/* Of a whole call: codes and scales. */
static double bytes_of(const struct run *r, const struct shape *s) {
    const size_t scales = cache_of(r) == CACHE_I8 ? POSITIONS * 4 : 0;
    return (double)(s->n_heads * (HEAD_ELEMS * cached_bytes[cache_of(r)] + scales));
}

static double macs_of(const struct shape *s) {
    return (double)(s->n_q * s->n_heads * HEAD_ELEMS);
}

static struct stored head_of(const struct stored *all, size_t head) {
    struct stored s = *all;
    s.data = (const uint8_t *)all->data + head * HEAD_ELEMS * cached_bytes[all->cache];
    if (s.cache == CACHE_I8)
        s.scale += head * POSITIONS;
    return s;
}

struct bench_scores {
    struct scores call;
    size_t n_heads;
};

static void call_all_scores(void *arg) {
    const struct bench_scores *b = arg;
    struct scores call = b->call;
    for (size_t h = 0; h < b->n_heads; h++) {
        call.keys = head_of(&b->call.keys, h);
        call_scores(&call);
    }
}

static const char *name_of(char name[64], const struct shape *s) {
    (void)snprintf(name, 64, "%zu heads, %zu queries x %d", s->n_heads, s->n_q, POSITIONS);
    return name;
}

/* The scalar table is not kept waiting for shapes that differ by memory alone. */
static bool skipped(const struct run *r, const struct shape *s) {
    return r->k->isa == ISA_SCALAR && s->n_heads > 1;
}

static void bench_scores(struct run *r) {
    for (size_t i = 0; i < N_SHAPES; i++) {
        const struct shape *s = &shapes[i];
        char name[64];
        if (skipped(r, s))
            continue;
        case_begin(r, "%s", name_of(name, s));
        struct bench_scores b = {.n_heads = s->n_heads};
        b.call =
            make_scores(r, s->n_q, HEAD_DIM, s->n_heads * POSITIONS / 16, POSITIONS, &contents[0]);
        b.call.n_groups = POSITIONS / 16;
        b.call.s = case_alloc(r, s->n_q * POSITIONS * 4);
        bench_time(r, name, bytes_of(r, s), macs_of(s),
                   cache_of(r) == CACHE_I8 ? PEAK_DOT8 : PEAK_FMA, call_all_scores, &b);
        case_end(r);
    }
}

struct bench_values {
    struct values call;
    size_t n_heads;
};

static void call_all_values(void *arg) {
    const struct bench_values *b = arg;
    struct values call = b->call;
    for (size_t h = 0; h < b->n_heads; h++) {
        call.v = head_of(&b->call.v, h);
        call_values(&call);
    }
}

static void bench_values(struct run *r) {
    for (size_t i = 0; i < N_SHAPES; i++) {
        const struct shape *s = &shapes[i];
        char name[64];
        if (skipped(r, s))
            continue;
        case_begin(r, "%s", name_of(name, s));
        struct bench_values b = {.n_heads = s->n_heads};
        b.call.v = stored(r, s->n_heads * HEAD_ELEMS, HEAD_DIM, &contents[0]);
        b.call = (struct values){.k = r->k, .v = b.call.v, .ldo = HEAD_DIM, .ldp = POSITIONS};
        b.call.n_q = s->n_q;
        b.call.hd = b.call.ldv = HEAD_DIM;
        b.call.n_pos = POSITIONS;
        b.call.p = floats(r, s->n_q * POSITIONS, FLOATS_UNIT);
        b.call.out = case_alloc(r, s->n_q * HEAD_DIM * 4);
        memset(b.call.out, 0, s->n_q * HEAD_DIM * 4);
        bench_time(r, name, bytes_of(r, s), macs_of(s), PEAK_FMA, call_all_values, &b);
        case_end(r);
    }
}

struct softmax_arg {
    const struct kernels *k;
    const float *in;
    float *s;
    size_t n;
};

static void call_softmax(void *arg) {
    const struct softmax_arg *a = arg;
    memcpy(a->s, a->in, a->n * 4);
    (void)a->k->softmax(a->s, 0, a->n, a->n);
}

static void bench_softmax(struct run *r) {
    struct softmax_arg a = {.k = r->k, .n = 4096};
    case_begin(r, "4096");
    float *in = case_alloc(r, a.n * 4);
    fill_scores(r, in, 0, a.n, a.n, SM_USUAL);
    a.in = in;
    a.s = case_alloc(r, a.n * 4);
    bench_time(r, "4096, with a copy", 4.0 * (double)a.n, 0.0, PEAK_FMA, call_softmax, &a);
    case_end(r);
}

#define SLOT(s) .name = #s, .slot = offsetof(struct kernels, s)

const struct check checks_attention[] = {
    {SLOT(scores_i8), compare_scores, oracle_scores, bench_scores},
    {SLOT(scores_f32), compare_scores, oracle_scores, bench_scores},
    {SLOT(scores_f16), compare_scores, oracle_scores, bench_scores},
    {SLOT(softmax), compare_softmax, oracle_softmax, bench_softmax},
    {SLOT(values_i8), compare_values, oracle_values, bench_values},
    {SLOT(values_f32), compare_values, oracle_values, bench_values},
    {SLOT(values_f16), compare_values, oracle_values, bench_values},
    {0},
};
