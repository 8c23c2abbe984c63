/* Checks of the attention slots: scores, softmax, weights, values. */
#include "kernels/float_formats.h"
#include "tests/checkkernels/checkkernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a case is filled with. */
static const struct attention_content contents[] = {
    {CODES_RANDOM, FLOATS_UNIT},   {CODES_MAX, FLOATS_EQUAL},       {CODES_MIN, FLOATS_UNIT},
    {CODES_EXTREMES, FLOATS_HUGE}, {CODES_RANDOM, FLOATS_DENORMAL}, {CODES_ZERO, FLOATS_ZERO},
    {CODES_RANDOM, FLOATS_SPREAD},
};
#define N_CONTENTS (sizeof contents / sizeof *contents)

/* Element i without its scale. */
static double element(const struct stored *s, size_t i) {
    if (s->cache == CACHE_F32)
        return (double)((const float *)s->data)[i];
    if (s->cache == CACHE_F16)
        return (double)f16_to_f32(((const uint16_t *)s->data)[i]);
    return ((const int8_t *)s->data)[i];
}

/* ---- scores ------------------------------------------------------------------------------ */

static void compare_scores_case(struct run *r, size_t n_q, size_t hd, size_t n_groups,
                                const struct attention_content *c) {
    const size_t lds = (n_groups + random_size(&r->in, 0, 2)) * ATTN_GROUP;
    case_begin(r, "%zu queries of %zu, %zu groups, stride %zu, codes %d, floats %d", n_q, hd,
               n_groups, lds, (int)c->codes, (int)c->floats);
    struct scores_call s = scores_make(&r->in, n_q, hd, n_groups, lds, c);
    float *found = case_alloc(r, n_q * lds * 4), *want = case_alloc(r, n_q * lds * 4);
    s.s = found;
    scores_run(&s, r->k);
    s.s = want;
    scores_run(&s, r->ref);
    case_same_f32(r, "s", found, want, n_q * lds);
    case_end(r);
}

static void compare_scores(struct run *r) {
    static const size_t head_dims[] = {32, 64, 96, 128, 256};
    for (size_t c = 0; c < N_CONTENTS; c++)
        for (size_t h = 0; h < sizeof head_dims / sizeof *head_dims; h++)
            compare_scores_case(r, random_size(&r->in, 1, 20), head_dims[h],
                                random_size(&r->in, 1, 5), &contents[c]);
    for (size_t n_q = 1; n_q <= 17; n_q++)
        compare_scores_case(r, n_q, 64, 1 + n_q % 3, &contents[0]);
    compare_scores_case(r, 2, 1024, 2, &contents[1]);
    compare_scores_case(r, 3, 32, 0, &contents[0]);
}

static void oracle_scores(struct run *r) {
    for (size_t i = 0; i < 2; i++) {
        const size_t n_q = 3, hd = 96, n_groups = 2, lds = 32;
        case_begin(r, "%zu queries of %zu, %zu groups", n_q, hd, n_groups);
        struct scores_call s = scores_make(&r->in, n_q, hd, n_groups, lds, &contents[i]);
        s.s = case_alloc(r, n_q * lds * 4);
        scores_run(&s, r->k);
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
    const float shift = random_unit(&r->in);
    for (size_t i = 0; i < n; i++) {
        s[i] = kind == SM_EQUAL ? shift : random_unit(&r->in) * width[kind];
        if (i < lo || i >= hi)
            s[i] = outside[i % 4];
    }
    if (kind == SM_NONFINITE)
        s[random_size(&r->in, lo, hi - 1)] = outside[random_u64(&r->in) % 3];
}

static void compare_softmax(struct run *r) {
    static float s[4096];
    for (size_t i = 0; i < 150; i++) {
        const size_t n = 16 * random_size(&r->in, 1, i % 10 == 0 ? 256 : 8);
        const int kind = (int)(i % SM_KINDS);
        size_t lo = i % 3 == 0 ? 0 : random_size(&r->in, 0, n - 1);
        const size_t hi = i % 4 == 0 ? n : random_size(&r->in, lo + 1, n);
        lo = i % 11 == 0 ? hi - 1 : lo;
        fill_scores(r, s, lo, hi, n, kind);
        case_begin(r, "%zu..%zu of %zu, inputs of kind %d", lo, hi, n, kind);
        float *found = case_copy(r, s, n * 4), *want = case_copy(r, s, n * 4);
        float max = 0, want_max = 0;
        const float sum = r->k->softmax(found, lo, hi, n, &max);
        const float want_sum = r->ref->softmax(want, lo, hi, n, &want_max);
        case_same_f32(r, "sum", &sum, &want_sum, 1);
        case_true(r, isnan(sum) == (kind == SM_NONFINITE), "not finite, or taken for it");
        if (!isnan(want_sum)) {
            case_same_f32(r, "s", found, want, n);
            case_true(r, max == want_max, "another maximum"); /* zeros of either sign */
        }
        case_end(r);
    }
}

static void oracle_softmax(struct run *r) {
    static float s[4096], in[4096];
    for (int kind = SM_USUAL; kind <= SM_HUGE; kind++) {
        const size_t n = 4096, lo = random_size(&r->in, 0, 99), hi = random_size(&r->in, 4000, n);
        case_begin(r, "%zu..%zu of %zu, inputs of kind %d", lo, hi, n, kind);
        fill_scores(r, in, lo, hi, n, kind);
        memcpy(s, in, sizeof s);
        float top = 0;
        const float sum = r->k->softmax(s, lo, hi, n, &top);
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
        case_near(r, "max", 0, (double)top, max, 0);
        case_end(r);
    }
}

/* ---- weights ----------------------------------------------------------------------------- */

static void compare_weigh(struct run *r) {
    for (size_t i = 0; i < 10 * FLOATS_COUNT; i++) {
        const enum floats kind = (enum floats)(i % FLOATS_COUNT);
        const size_t n_groups = i < FLOATS_COUNT ? 0 : random_size(&r->in, 1, 40);
        case_begin(r, "%zu groups, floats %d", n_groups, (int)kind);
        const float *p =
            make_magnitudes(&r->in, n_groups * 16, i % 3 == 0 ? FLOATS_SPREAD : FLOATS_UNIT);
        const float *vd = make_magnitudes(&r->in, n_groups * 16, kind);
        uint8_t *found = case_alloc(r, n_groups * 16), *want = case_alloc(r, n_groups * 16);
        float *d = case_alloc(r, n_groups * 4), *want_d = case_alloc(r, n_groups * 4);
        r->k->weigh_i8(found, d, p, vd, n_groups);
        r->ref->weigh_i8(want, want_d, p, vd, n_groups);
        case_same_i8(r, "c", (int8_t *)found, (int8_t *)want, n_groups * 16);
        case_same_f32(r, "cd", d, want_d, n_groups);
        case_end(r);
    }
}

static void oracle_weigh(struct run *r) {
    const size_t n_groups = 19, n = n_groups * 16;
    case_begin(r, "%zu groups", n_groups);
    const float *p = make_magnitudes(&r->in, n, FLOATS_UNIT),
                *vd = make_magnitudes(&r->in, n, FLOATS_UNIT);
    uint8_t *c = case_alloc(r, n);
    float *cd = case_alloc(r, n_groups * 4);
    r->k->weigh_i8(c, cd, p, vd, n_groups);
    for (size_t i = 0; i < n; i++) {
        const double w = (double)p[i] * (double)vd[i], d = (double)cd[i / 16];
        case_near(r, "c", i, c[i] * d, w, d * 0.5001);
    }
    for (size_t g = 0; g < n_groups; g++) {
        uint8_t most = 0;
        for (size_t t = 0; t < 16; t++)
            most = c[16 * g + t] > most ? c[16 * g + t] : most;
        case_true(r, most == WEIGHT_MAX, "no code of a group is the largest");
    }
    case_end(r);
}

/* ---- values ------------------------------------------------------------------------------ */

/* About n positions. */
static void compare_values_case(struct run *r, size_t n_q, size_t hd, size_t n,
                                const struct attention_content *c) {
    const size_t unit = cache_of(r->in.slot) == CACHE_I8 ? 16 : 1;
    const size_t n_pos = round_up(n, unit),
                 ldp = n_pos + round_up(random_size(&r->in, 0, 20), unit);
    const size_t ldo = hd + random_size(&r->in, 0, 20), n_out = (n_q - 1) * ldo + hd;
    case_begin(r, "%zu queries of %zu, %zu positions, stride %zu, codes %d, floats %d", n_q, hd,
               n_pos, ldo, (int)c->codes, (int)c->floats);
    struct values_call v = values_make(&r->in, n_q, hd, n_pos, ldp, c);
    float *found = case_alloc(r, n_out * 4), *want = case_alloc(r, n_out * 4);
    for (size_t q = 0; q < n_q; q++) {
        fill_floats(&r->in, found + q * ldo, hd, FLOATS_UNIT);
        memcpy(want + q * ldo, found + q * ldo, hd * 4);
    }
    v.ldo = ldo;
    v.out = found;
    values_run(&v, r->k);
    v.out = want;
    values_run(&v, r->ref);
    case_same_f32(r, "out", found, want, n_out);
    case_end(r);
}

static void compare_values(struct run *r) {
    static const size_t head_dims[] = {32, 64, 96, 128, 256};
    for (size_t c = 0; c < N_CONTENTS; c++)
        for (size_t h = 0; h < sizeof head_dims / sizeof *head_dims; h++)
            compare_values_case(r, random_size(&r->in, 1, 20), head_dims[h],
                                random_size(&r->in, 1, 180), &contents[c]);
    for (size_t n_q = 1; n_q <= 17; n_q++)
        compare_values_case(r, n_q, 96, n_q * 8, &contents[n_q % N_CONTENTS]);
    compare_values_case(r, 40, 64, 100, &contents[0]);
    compare_values_case(r, 5, 1024, 7, &contents[0]);
    compare_values_case(r, 3, 32, 0, &contents[0]);
}

static void oracle_values(struct run *r) {
    const size_t n_q = 3, hd = 64, n_pos = 80;
    case_begin(r, "%zu queries of %zu, %zu positions", n_q, hd, n_pos);
    struct values_call v = values_make(&r->in, n_q, hd, n_pos, n_pos, &contents[0]);
    v.ldo = hd;
    v.out = case_alloc(r, n_q * hd * 4);
    memset(v.out, 0, n_q * hd * 4);
    values_run(&v, r->k);
    for (size_t j = 0; j < n_q * hd; j++) {
        const size_t d = j % hd;
        double sum = 0.0, norm = 0.0;
        for (size_t t = 0; t < n_pos; t++) {
            const size_t i = j / hd * n_pos + t;
            const bool i8 = v.v.cache == CACHE_I8;
            const double w = i8 ? v.codes[i] * (double)v.scales[i / 16] : (double)v.p[i];
            const double x = w * element(&v.v, i8 ? (t / 4 * hd + d) * 4 + t % 4 : t * hd + d);
            sum += x;
            norm += fabs(x);
        }
        case_near(r, "out", j, (double)v.out[j], sum, norm * 4e-6);
    }
    case_end(r);
}

#define SLOT(s) .name = #s, .slot = offsetof(struct kernels, s)

const struct check checks_attention[] = {
    {SLOT(scores_i8), compare_scores, oracle_scores},
    {SLOT(scores_f32), compare_scores, oracle_scores},
    {SLOT(scores_f16), compare_scores, oracle_scores},
    {SLOT(softmax), compare_softmax, oracle_softmax},
    {SLOT(weigh_i8), compare_weigh, oracle_weigh},
    {SLOT(values_i8), compare_values, oracle_values},
    {SLOT(values_f32), compare_values, oracle_values},
    {SLOT(values_f16), compare_values, oracle_values},
    {0},
};
