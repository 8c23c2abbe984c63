/* Checks of the vector slots: quantization, RMSNorm, RoPE, SwiGLU, sums. */
#include "tests/checkkernels/checkkernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_N 14336
static const size_t lengths[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 100, 1023, 4096};
#define N_LENGTHS (sizeof lengths / sizeof *lengths)

/* ---- quantization ------------------------------------------------------------------------ */

/* q128 leaves PACK_K bytes out behind every PACK_K codes. */
static size_t codes_bytes(size_t block, size_t n) {
    return block == 128 ? 2 * n - PACK_K : n;
}

static size_t code_at(size_t block, size_t i) {
    return block == 128 ? i + i / PACK_K * PACK_K : i;
}

static size_t sum_count(size_t block, size_t n) {
    return block == 0 ? 1 : n / BLOCK_K;
}

/* block 0: the slot that takes one block of any length. */
static void compare_quantize_case(struct run *r, size_t block, size_t n, enum floats kind) {
    static float x[MAX_N];
    const size_t n_blocks = block == 0 ? 1 : n / block;
    fill_floats(&r->in, x, n, kind);
    case_begin(r, "n %zu, inputs of kind %d", n, (int)kind);
    const float *in = case_copy(r, x, n * 4);
    case_seal(r, in);
    const size_t bytes = codes_bytes(block, n), n_sums = sum_count(block, n);
    int8_t *q = case_alloc(r, bytes), *want_q = case_alloc(r, bytes);
    float *d = case_alloc(r, n_blocks * 4), *want_d = case_alloc(r, n_blocks * 4);
    int32_t *sum = case_alloc(r, n_sums * 4), *want_sum = case_alloc(r, n_sums * 4);
    const bool ok = vector_quantize(r->ref, block, want_q, want_d, want_sum, in, n);
    case_true(r, vector_quantize(r->k, block, q, d, sum, in, n) == ok, "another status");
    if (ok) {
        case_same_i8(r, "q", q, want_q, bytes);
        case_same_f32(r, "d", d, want_d, n_blocks);
        case_same_i32(r, "sum", sum, want_sum, n_sums);
    }
    case_end(r);
}

/* One value that is not finite, anywhere, is found. */
static void compare_quantize_nonfinite(struct run *r, size_t block, size_t n) {
    static const float bad[] = {INFINITY, -INFINITY, NAN, -NAN};
    static float x[MAX_N];
    fill_floats(&r->in, x, n, FLOATS_SPREAD);
    for (size_t i = 0; i < n; i += random_size(&r->in, 1, 13)) {
        case_begin(r, "n %zu, not finite at %zu", n, i);
        float *in = case_copy(r, x, n * 4);
        in[i] = bad[i % 4];
        int8_t *q = case_alloc(r, codes_bytes(block, n));
        float *d = case_alloc(r, n * 4);
        int32_t *sum = case_alloc(r, n * 4);
        case_true(r, !vector_quantize(r->k, block, q, d, sum, in, n), "not found");
        case_end(r);
    }
}

static void compare_quantize(struct run *r, size_t block) {
    const size_t unit = block == 0 ? 32 : block;
    for (int kind = 0; kind < FLOATS_COUNT; kind++)
        for (size_t blocks = 1; blocks <= 9; blocks++)
            compare_quantize_case(r, block, blocks * unit, (enum floats)kind);
    compare_quantize_case(r, block, MAX_N, FLOATS_SPREAD);
    compare_quantize_nonfinite(r, block, 3 * unit);
}

static void oracle_quantize(struct run *r, size_t block) {
    static float x[MAX_N];
    int8_t q[2048];
    float d[32];
    int32_t sum[32];
    const size_t n = 1024, len = block == 0 ? n : block;
    for (int kind = 0; kind < FLOATS_COUNT; kind++) {
        case_begin(r, "n %zu, inputs of kind %d", n, kind);
        fill_floats(&r->in, x, n, (enum floats)kind);
        case_true(r, vector_quantize(r->k, block, q, d, sum, x, n), "refused");
        for (size_t b = 0; b < n / len; b++) {
            double max = 0.0;
            int32_t s = 0, top = 0, want_sum = 0;
            for (size_t i = b * len; i < (b + 1) * len; i++)
                max = fmax(max, fabs((double)x[i]));
            for (size_t i = b * len; i < (b + 1) * len; i++) {
                const int code = q[code_at(block, i)];
                s += code;
                top = abs(code) > top ? abs(code) : top;
            }
            const double want = max < (double)1e-30f ? 0.0 : max / 127.0;
            case_near(r, "d", b, (double)d[b], want, want * 0x1p-23);
            case_true(r, top == (want > 0.0 ? 127 : 0), "largest code");
            for (size_t i = b * (len / BLOCK_K); i < (b + 1) * (len / BLOCK_K) && block > 0; i++)
                want_sum += sum[i];
            case_true(r, block == 0 || (block == 128 ? -I4_BIAS * s : s) == want_sum, "sums");
            for (size_t i = b * len; i < (b + 1) * len && want > 0.0; i++)
                case_near(r, "q * d", i, q[code_at(block, i)] * want, (double)x[i], want * 0.50002);
        }
        case_end(r);
    }
}

static void compare_quantize_q32(struct run *r) {
    compare_quantize(r, 32);
}
static void compare_quantize_q128(struct run *r) {
    compare_quantize(r, 128);
}
static void compare_quantize_block(struct run *r) {
    compare_quantize(r, 0);
}
static void oracle_quantize_q32(struct run *r) {
    oracle_quantize(r, 32);
}
static void oracle_quantize_q128(struct run *r) {
    oracle_quantize(r, 128);
}
static void oracle_quantize_block(struct run *r) {
    oracle_quantize(r, 0);
}

/* ---- RMSNorm ----------------------------------------------------------------------------- */

static void compare_rmsnorm(struct run *r) {
    static float x[MAX_N], w[MAX_N];
    for (size_t l = 0; l < N_LENGTHS; l++) {
        for (int kind = 0; kind <= FLOATS_COUNT; kind++) {
            const size_t n = lengths[l];
            const bool nonfinite = kind == FLOATS_COUNT, in_place = random_u64(&r->in) & 1;
            fill_floats(&r->in, x, n, nonfinite ? FLOATS_UNIT : (enum floats)kind);
            fill_floats(&r->in, w, n, FLOATS_UNIT);
            if (nonfinite)
                x[random_size(&r->in, 0, n - 1)] = random_u64(&r->in) & 1 ? NAN : -INFINITY;
            case_begin(r, "n %zu, inputs of kind %d%s", n, kind, in_place ? ", in place" : "");
            float *in = case_copy(r, x, n * 4), *weight = case_copy(r, w, n * 4);
            float *want = case_alloc(r, n * 4), *y = in_place ? in : case_alloc(r, n * 4);
            case_seal(r, weight);
            const bool ok = r->ref->rmsnorm(want, x, weight, n, 1e-5f);
            case_true(r, ok || kind == FLOATS_HUGE || nonfinite, "refused");
            case_true(r, !(ok && nonfinite), "not refused");
            case_true(r, r->k->rmsnorm(y, in, weight, n, 1e-5f) == ok, "another status");
            if (ok)
                case_same_f32(r, "y", y, want, n);
            case_end(r);
        }
    }
}

static void oracle_rmsnorm(struct run *r) {
    static float x[MAX_N], w[MAX_N], y[MAX_N];
    for (size_t l = 0; l < N_LENGTHS; l++) {
        const size_t n = lengths[l];
        case_begin(r, "n %zu", n);
        fill_floats(&r->in, x, n, FLOATS_SPREAD);
        fill_floats(&r->in, w, n, FLOATS_UNIT);
        case_true(r, r->k->rmsnorm(y, x, w, n, 1e-5f), "refused");
        double s = 0.0;
        for (size_t i = 0; i < n; i++)
            s += (double)x[i] * (double)x[i];
        const double scale = 1.0 / sqrt(s / (double)n + (double)1e-5f);
        for (size_t i = 0; i < n; i++) {
            const double want = (double)x[i] * scale * (double)w[i];
            case_near(r, "y", i, (double)y[i], want, fabs(want) * 1e-6);
        }
        case_end(r);
    }
}

/* ---- RoPE -------------------------------------------------------------------------------- */

static void rope_case(struct run *r, size_t n_heads, size_t dim, enum floats kind) {
    static float x[MAX_N], cs[1024];
    const size_t n = n_heads * dim;
    fill_floats(&r->in, x, n, kind);
    fill_floats(&r->in, cs, dim, FLOATS_UNIT);
    case_begin(r, "%zu heads of %zu, inputs of kind %d", n_heads, dim, (int)kind);
    float *found = case_copy(r, x, n * 4), *want = case_copy(r, x, n * 4);
    float *table = case_copy(r, cs, dim * 4);
    case_seal(r, table);
    r->ref->rope(want, n_heads, dim, table);
    r->k->rope(found, n_heads, dim, table);
    case_same_f32(r, "x", found, want, n);
    for (size_t i = 0; i < n && r->k == r->ref && kind == FLOATS_UNIT; i++) {
        const size_t j = i % dim, half = dim / 2, p = j % half;
        const double lo = (double)x[i - j + p], hi = (double)x[i - j + half + p];
        const double c = (double)cs[p], s = (double)cs[half + p];
        case_near(r, "x", i, (double)found[i], j < half ? lo * c - hi * s : hi * c + lo * s,
                  0x1p-22);
    }
    case_end(r);
}

static void compare_rope(struct run *r) {
    static const size_t dims[] = {2, 6, 16, 30, 64, 80, 96, 128, 256};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        rope_case(r, random_size(&r->in, 1, 9), dims[i], FLOATS_UNIT);
        rope_case(r, 1, dims[i], FLOATS_SPREAD);
        rope_case(r, 2, dims[i], FLOATS_DENORMAL);
        rope_case(r, 3, dims[i], FLOATS_HUGE);
    }
}

/* ---- SwiGLU and sums --------------------------------------------------------------------- */

static double map_exact(size_t slot, double y, double x, double a) {
    if (slot == offsetof(struct kernels, swiglu))
        return y / (1.0 + exp(-y)) * x;
    if (slot == offsetof(struct kernels, add))
        return y + x;
    return slot == offsetof(struct kernels, madd) ? a * x + y : a * y;
}

static void compare_map(struct run *r) {
    static float x[MAX_N], y[MAX_N];
    for (size_t l = 0; l < N_LENGTHS; l++) {
        for (int kind = 0; kind < FLOATS_COUNT; kind++) {
            const size_t n = lengths[l];
            const float a = random_unit(&r->in);
            fill_floats(&r->in, x, n, (enum floats)kind);
            fill_floats(&r->in, y, n, (enum floats)kind);
            case_begin(r, "n %zu, inputs of kind %d", n, kind);
            float *in = case_copy(r, x, n * 4);
            float *found = case_copy(r, y, n * 4), *want = case_copy(r, y, n * 4);
            case_seal(r, in);
            vector_map(r->ref, r->check->slot, want, in, a, n);
            vector_map(r->k, r->check->slot, found, in, a, n);
            case_same_f32(r, "y", found, want, n);
            case_end(r);
        }
    }
}

/* Every exponent that SwiGLU's exp can meet, and its output in a place of its own. */
static void compare_swiglu(struct run *r) {
    static float g[4001], u[4001];
    compare_map(r);
    for (size_t i = 0; i < 4001; i++) {
        g[i] = ((float)i - 2000.0f) * 0.06f + random_unit(&r->in) * 0.03f;
        u[i] = random_unit(&r->in);
    }
    case_begin(r, "gate from -120 to 120");
    float *gate = case_copy(r, g, sizeof g), *up = case_copy(r, u, sizeof u);
    float *found = case_alloc(r, sizeof g), *want = case_alloc(r, sizeof g);
    case_seal(r, gate);
    case_seal(r, up);
    r->ref->swiglu(want, gate, up, 4001);
    r->k->swiglu(found, gate, up, 4001);
    case_same_f32(r, "y", found, want, 4001);
    case_end(r);
}

static void oracle_map(struct run *r) {
    static float x[MAX_N], y[MAX_N], found[MAX_N];
    const size_t n = 4096, slot = r->check->slot;
    for (int kind = FLOATS_UNIT; kind <= FLOATS_SPREAD; kind++) {
        const float a = random_unit(&r->in);
        case_begin(r, "n %zu, inputs of kind %d", n, kind);
        fill_floats(&r->in, x, n, (enum floats)kind);
        fill_floats(&r->in, y, n, (enum floats)kind);
        memcpy(found, y, sizeof y);
        vector_map(r->k, slot, found, x, a, n);
        for (size_t i = 0; i < n; i++) {
            const double want = map_exact(slot, (double)y[i], (double)x[i], (double)a);
            /* SwiGLU's exp is infinite, and its result 0, for gates below -88.7 */
            const double tiny =
                slot == offsetof(struct kernels, swiglu) ? 1e-36 * fabs((double)x[i]) : 0.0;
            case_near(r, "y", i, (double)found[i], want, fabs(want) * 4e-7 + tiny + 0x1p-149);
        }
        case_end(r);
    }
}

#define SLOT(s) .name = #s, .slot = offsetof(struct kernels, s)

const struct check checks_vector[] = {
    {SLOT(quantize_q32), compare_quantize_q32, oracle_quantize_q32},
    {SLOT(quantize_q128), compare_quantize_q128, oracle_quantize_q128},
    {SLOT(quantize_block), compare_quantize_block, oracle_quantize_block},
    {SLOT(rmsnorm), compare_rmsnorm, oracle_rmsnorm},
    {SLOT(rope), compare_rope, compare_rope},
    {SLOT(swiglu), compare_swiglu, oracle_map},
    {SLOT(add), compare_map, oracle_map},
    {SLOT(madd), compare_map, oracle_map},
    {SLOT(scale), compare_map, oracle_map},
    {0},
};
