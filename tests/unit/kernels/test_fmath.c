/* exp, log, sine and cosine of our own against libm in wider precision, in units in the last place.
 */
#include "kernels/dmath.h"
#include "kernels/fmath.h"
#include "tests/size.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static double uniform(double lo, double hi) {
    return lo + (hi - lo) * ((double)(next_random() >> 11) * 0x1p-53);
}

/* Error of x in units of the last place of a float (or double) at the true value. */
static double ulps(long double x, long double truth, int digits, int min_exponent) {
    int e;
    frexpl(truth, &e);
    const int ulp = e - digits < min_exponent ? min_exponent : e - digits;
    return (double)(fabsl(x - truth) / ldexpl(1.0L, ulp));
}

static double ulps32(float x, long double truth) {
    return ulps(x, truth, 24, -149);
}

static double ulps64(double x, long double truth) {
    return ulps(x, truth, 53, -1074);
}

Test(fmath, exp32_within_one_ulp) {
    double worst = 0.0;
    /* Every 61st float (997th unless TEST_SIZE is full), both signs: denormal results included. */
    const char *const emulator = getenv("EMULATOR"); /* tests/run.sh; a hundred times slower */
    const uint32_t step = emulator != NULL && emulator[0] != '\0' ? 6113 : test_full() ? 61 : 997;
    for (uint32_t u = 0; u < f32_bits(104.5f); u += step) {
        for (uint32_t sign = 0; sign < 2; sign++) {
            const float x = f32_from_bits(u | sign << 31), y = exp32(x);
            if (x > 88.72283f) {
                cr_assert_eq(y, INFINITY, "exp(%a) = %a", x, y);
                continue;
            }
            const double e = ulps32(y, expl(x));
            worst = e > worst ? e : worst;
        }
    }
    cr_assert_lt(worst, 1.0, "worst error %f ulp", worst);
}

Test(fmath, exp32_special) {
    cr_assert_eq(exp32(0.0f), 1.0f);
    cr_assert_eq(exp32(-0.0f), 1.0f);
    cr_assert_eq(exp32(INFINITY), INFINITY);
    cr_assert_eq(exp32(1e30f), INFINITY);
    cr_assert_eq(f32_bits(exp32(-INFINITY)), 0u);
    cr_assert_eq(f32_bits(exp32(-1e30f)), 0u);
    cr_assert_eq(f32_bits(exp32(-103.5f)), 1u);
    cr_assert(isnan(exp32(NAN)));
}

Test(fmath, exp64_within_one_ulp) {
    double worst = 0.0;
    for (int i = 0; i < 1000000; i++) {
        const double x = i & 1 ? uniform(-745.0, 709.7) : uniform(-2.0, 2.0);
        const double e = ulps64(exp64(x), expl(x));
        worst = e > worst ? e : worst;
    }
    cr_assert_lt(worst, 1.0, "worst error %f ulp", worst);
    cr_assert_eq(exp64(0.0), 1.0);
    cr_assert_eq(exp64(-INFINITY), 0.0);
    cr_assert_eq(exp64(-1e300), 0.0);
    cr_assert_eq(exp64(INFINITY), INFINITY);
    cr_assert(isnan(exp64(NAN)));
}

Test(fmath, log64_within_one_ulp) {
    double worst = 0.0;
    for (int i = 0; i < 1000000; i++) {
        double x = uniform(0.5, 2.0);
        if (i % 3 == 1)
            x = exp(uniform(-744.0, 709.0));
        if (i % 3 == 2)
            x = 1.0 + uniform(-1.0, 1.0) * exp(uniform(-36.0, -1.0));
        const double e = ulps64(log64(x), logl(x));
        worst = e > worst ? e : worst;
    }
    cr_assert_lt(worst, 1.0, "worst error %f ulp", worst);
    cr_assert_eq(log64(1.0), 0.0);
    cr_assert_eq(log64(0.0), -INFINITY);
    cr_assert_eq(log64(-0.0), -INFINITY);
    cr_assert_eq(log64(INFINITY), INFINITY);
    cr_assert(isnan(log64(-1.0)));
    cr_assert(isnan(log64(NAN)));
    cr_assert_lt(ulps64(log64(0x1p-1074), logl(0x1p-1074L)), 1.0);
    cr_assert_lt(ulps32(log32(3.0f), logl(3.0L)), 0.51);
}

Test(fmath, sincos64_within_one_ulp) {
    double worst = 0.0;
    for (int i = 0; i < 1000000; i++) {
        double x = i & 1 ? uniform(-10.0, 10.0) : exp(uniform(-40.0, log(0x1p50)));
        if (i % 8 == 3) /* beside multiples of pi/2, where most of x cancels */
            x = round(exp(uniform(0.0, 34.0))) * 1.5707963267948966;
        double s, c;
        sincos64(x, &s, &c);
        const double es = ulps64(s, sinl(x)), ec = ulps64(c, cosl(x));
        worst = es > worst ? es : worst;
        worst = ec > worst ? ec : worst;
    }
    cr_assert_lt(worst, 1.0, "worst error %f ulp", worst);
    double s, c;
    sincos64(0.0, &s, &c);
    cr_assert(s == 0.0 && c == 1.0);
    sincos64(INFINITY, &s, &c);
    cr_assert(isnan(s) && isnan(c));
    sincos64(NAN, &s, &c);
    cr_assert(isnan(s) && isnan(c));
    sincos64(0x1.1p50, &s, &c);
    cr_assert(isnan(s) && isnan(c));
}

/* The worst table entry at a position, in ulps of a float, against long double throughout. */
static double rope_error(uint64_t pos, size_t head_dim, double theta) {
    double inv_freq[128];
    float cs[256];
    double worst = 0.0;
    rope_inv_freq(inv_freq, head_dim, theta);
    rope_table(cs, pos, head_dim, inv_freq);
    const size_t half = head_dim / 2;
    for (size_t i = 0; i < half; i++) {
        const long double angle =
            (long double)pos * powl((long double)theta, -(long double)i / (long double)half);
        /* 2^-24: the error of a float near 1; angles are known to 2e-16 of themselves. */
        const double ec = (double)(fabsl(cs[i] - cosl(angle)) * 0x1p24L);
        const double es = (double)(fabsl(cs[half + i] - sinl(angle)) * 0x1p24L);
        worst = ec > worst ? ec : worst;
        worst = es > worst ? es : worst;
    }
    return worst;
}

Test(fmath, rope_is_as_exact_far_out) {
    static const double thetas[] = {1e4, 1e6};
    for (size_t t = 0; t < 2; t++) {
        for (uint64_t pos = 0; pos < 1000; pos++) {
            cr_assert_lt(rope_error(pos, 128, thetas[t]), 0.51);
            cr_assert_lt(rope_error(10000000 + pos, 128, thetas[t]), 0.53);
        }
    }
    cr_assert_lt(rope_error(12345, 6, 1e4), 0.51);
    float cs[2];
    const double one = 1.0;
    rope_table(cs, 0, 2, &one);
    cr_assert(cs[0] == 1.0f && cs[1] == 0.0f);
}
