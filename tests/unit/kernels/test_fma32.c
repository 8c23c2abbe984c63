/* The software fma against hard cases worked out by hand and against the CPU's own, where it has
 * one. */
#include "kernels/fma32.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#if defined(__x86_64__)
#include <immintrin.h>
static int has_fma(void) {
    return __builtin_cpu_supports("fma");
}
__attribute__((target("fma"))) static float fma_cpu(float a, float b, float c) {
    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
}
#elif defined(__aarch64__)
static int has_fma(void) {
    return 1;
}
static float fma_cpu(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}
#else
static int has_fma(void) {
    return 0;
}
static float fma_cpu(float a, float b, float c) {
    return fma32_soft(a, b, c);
}
#endif

static uint32_t bits_of(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static float float_of(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static void expect(float a, float b, float c, float want) {
    float got = fma32_soft(a, b, c);
    cr_expect(bits_of(got) == bits_of(want), "fma(%a, %a, %a) = %a, expected %a", a, b, c, got,
              want);
}

Test(fma32, double_rounding_is_avoided) {
    /* 1 + 2^-24 lies halfway between two floats; what decides is far below a double's last bit. */
    expect(1.0f, 0x1p-24f, 1.0f, 1.0f);
    expect(1.0f + 0x1p-23f, 0x1p-24f, 1.0f, 1.0f + 0x1p-23f);
    expect(0x1.000002p-40f, 0x1.fffffep-40f, 0x1p+10f, 0x1p+10f);
    /* 0x1.000001p0 (a tie) plus and minus a product of 2^-100. */
    expect(0x1p-50f, 0x1p-50f, 0x1.000002p0f, 0x1.000002p0f);
    expect(0x1.001p0f, 0x1.001p0f, 0x1p-100f, 0x1.002002p0f);
    expect(0x1.001p0f, 0x1.001p0f, -0x1p-100f, 0x1.002p0f);
    expect(-0x1.001p0f, 0x1.001p0f, -0x1p-100f, -0x1.002002p0f);
    expect(-0x1.001p0f, 0x1.001p0f, 0x1p-100f, -0x1.002p0f);
    /* Without the last addend it is the tie itself: to even. */
    expect(0x1.001p0f, 0x1.001p0f, 0.0f, 0x1.002p0f);
}

Test(fma32, denormals_and_zeros) {
    expect(0x1p-75f, 0x1p-74f, 0.0f, 0x1p-149f);
    expect(0x1p-75f, 0x1p-75f, 0.0f, 0.0f); /* the tie between 0 and the least denormal */
    expect(0x1.000002p-75f, 0x1p-75f, 0.0f, 0x1p-149f);
    expect(0x1p-100f, 0x1p-100f, 0x1p-149f, 0x1p-149f);
    expect(0x1.8p-75f, 0x1p-75f, -0x1p-149f, -0.0f);
    expect(0x1p-1f, 0x1p-126f, 0x1p-149f, 0x1.000004p-127f);
    expect(0.0f, -1.0f, -0.0f, -0.0f);
    expect(0.0f, 1.0f, -0.0f, 0.0f);
    expect(1.0f, 1.0f, -1.0f, 0.0f);
}

Test(fma32, overflow_and_infinities) {
    expect(0x1.fffffep127f, 1.0f, 0x1p102f, 0x1.fffffep127f);
    expect(0x1.fffffep127f, 1.0f, 0x1p103f, INFINITY); /* a tie, up to infinity */
    expect(0x1.fffffep127f, 0x1.fffffep127f, -0x1.fffffep127f, INFINITY);
    expect(INFINITY, -1.0f, 5.0f, -INFINITY);
    cr_expect(isnan(fma32_soft(INFINITY, 0.0f, 1.0f)));
    cr_expect(isnan(fma32_soft(INFINITY, 1.0f, -INFINITY)));
}

/* xorshift64* */
static uint64_t next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

Test(fma32, equals_the_cpu) {
    if (!has_fma()) {
        printf("skipped fma32 against hardware: this CPU has no fma\n");
        return;
    }
    uint64_t state = 0x9e3779b97f4a7c15ull;
    for (int i = 0; i < 4000000; i++) {
        uint32_t a = (uint32_t)next(&state), b = (uint32_t)next(&state), c = (uint32_t)next(&state);
        if (i & 1) { /* exponents close together, few mantissa bits: ties and cancellation */
            uint32_t low = (uint32_t)1 << (next(&state) % 24);
            a = (a & 0x83ffffff & ~(low - 1)) | 0x3c000000;
            b = (b & 0x83ffffff & ~(low - 1)) | 0x3c000000;
            c = (c & 0x87ffffff) | 0x38000000;
        } else if (i & 2) { /* around the denormals */
            a = (a & 0x81ffffff) | 0x20000000;
            b = (b & 0x81ffffff) | 0x1e000000;
            c = c & 0x80ffffff;
        }
        float want = fma_cpu(float_of(a), float_of(b), float_of(c));
        float got = fma32_soft(float_of(a), float_of(b), float_of(c));
        if (isnan(want) && isnan(got))
            continue;
        cr_assert(bits_of(want) == bits_of(got), "fma(%a, %a, %a) = %a, the CPU says %a",
                  float_of(a), float_of(b), float_of(c), got, want);
    }
}
