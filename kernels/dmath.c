#include "kernels/dmath.h"

#include <string.h>

static const double magic = 0x1.8p52; /* adding it leaves rne(x) in the low bits, for |x| < 2^51 */

static uint64_t bits_of(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static double from_bits(uint64_t u) {
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* 2^e, -1022 <= e <= 1023. */
static double power_of_2(int64_t e) {
    return from_bits((uint64_t)(e + 1023) << 52);
}

/* ln 2 in two parts; the first has 32 bits, so that its products with exponents are exact. */
static const double ln2_hi = 0x1.62e42feep-1, ln2_lo = 0x1.a39ef35793c76p-33;

/* exp(x) = 2^n exp(r), |r| <= ln(2) / 2, by the Taylor series. */
double exp64(double x) {
    if (x != x)
        return x;
    if (x < -746.0)
        x = -746.0;
    if (x > 710.0)
        x = 710.0;
    const double t = x * 0x1.71547652b82fep+0 + magic;
    const double n = t - magic;
    const double hi = x - n * ln2_hi, lo = n * ln2_lo;
    const double r = hi - lo;
    const double r_lo = (hi - r) - lo;
    double q = 1.0 / 87178291200.0; /* 1 / 14! */
    static const double inv[] = {1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0,
                                 1.0 / 3628800.0,    1.0 / 362880.0,    1.0 / 40320.0,
                                 1.0 / 5040.0,       1.0 / 720.0,       1.0 / 120.0,
                                 1.0 / 24.0,         1.0 / 6.0,         0.5};
    for (size_t i = 0; i < sizeof inv / sizeof *inv; i++)
        q = q * r + inv[i];
    const double p = 1.0 + (r + (r * r * q + r_lo));
    /* Two steps, the first exact, so that denormal results are rounded once. */
    const int64_t e = (int64_t)(bits_of(t) - bits_of(magic)), half = e / 2;
    return p * power_of_2(half) * power_of_2(e - half);
}

/* x = 2^e m, sqrt(1/2) <= m < sqrt(2); ln m = 2 atanh(s), s = (m - 1) / (m + 1), by its series. */
double log64(double x) {
    if (x != x || x == from_bits(0x7ff0000000000000u))
        return x;
    if (x == 0.0)
        return from_bits(0xfff0000000000000u);
    if (x < 0.0)
        return from_bits(0x7ff8000000000000u);
    double e = 0.0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        e = -54.0;
    }
    const uint64_t sqrt_half = 0x3fe6a09e667f3bcdu, u = bits_of(x);
    const int64_t k = (int64_t)(u - sqrt_half) >> 52;
    e += (double)k;
    const double f = from_bits(u - ((uint64_t)k << 52)) - 1.0;
    const double s = f / (2.0 + f), z = s * s, half_sq = 0.5 * f * f;
    double q = 2.0 / 25.0;
    for (int d = 23; d >= 3; d -= 2)
        q = q * z + 2.0 / d;
    q *= z;
    /* ln(1 + f) = f - (f^2/2 - s (f^2/2 + q)): the leading terms stand alone, so little is lost. */
    return e * ln2_hi - ((half_sq - (s * (half_sq + q) + e * ln2_lo)) - f);
}

/* A product and its rounding error, exactly (Veltkamp and Dekker). */
static double two_product(double a, double b, double *err) {
    const double split = 0x1p27 + 1.0;
    const double ta = split * a, a_hi = ta - (ta - a), a_lo = a - a_hi;
    const double tb = split * b, b_hi = tb - (tb - b), b_lo = b - b_hi;
    const double p = a * b;
    *err = ((a_hi * b_hi - p) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo;
    return p;
}

static double two_sum(double a, double b, double *err) {
    const double s = a + b, t = s - a;
    *err = (a - (s - t)) + (b - t);
    return s;
}

/* Sine and cosine of r + r_lo, |r| <= pi/4 and a little, by the Taylor series. */
static void sincos_kernel(double r, double r_lo, double *s, double *c) {
    static const double inv_s[] = {
        1.0 / 355687428096000.0, -1.0 / 1307674368000.0, 1.0 / 6227020800.0, -1.0 / 39916800.0,
        1.0 / 362880.0,          -1.0 / 5040.0,          1.0 / 120.0,        -1.0 / 6.0};
    static const double inv_c[] = {
        -1.0 / 6402373705728000.0, 1.0 / 20922789888000.0, -1.0 / 87178291200.0, 1.0 / 479001600.0,
        -1.0 / 3628800.0,          1.0 / 40320.0,          -1.0 / 720.0,         1.0 / 24.0};
    const double z = r * r;
    double ps = inv_s[0], pc = inv_c[0];
    for (size_t i = 1; i < sizeof inv_s / sizeof *inv_s; i++) {
        ps = ps * z + inv_s[i];
        pc = pc * z + inv_c[i];
    }
    const double half = 0.5 * z;
    *s = r + (r * z * ps + r_lo * (1.0 - half));
    const double w = 1.0 - half;
    *c = w + (((1.0 - w) - half) + (z * z * pc - r * r_lo));
}

void sincos64(double x, double *s, double *c) {
    if (!(x >= -0x1p50 && x <= 0x1p50)) {
        *s = *c = from_bits(0x7ff8000000000000u);
        return;
    }
    /* r = x - n pi/2 in two doubles, pi/2 in three (161 bits). */
    const double t = x * 0x1.45f306dc9c883p-1 + magic;
    const double n = t - magic;
    double e1, e2, r1, r2;
    const double p1 = two_product(n, 0x1.921fb54442d18p+0, &e1);
    const double p2 = two_product(n, 0x1.1a62633145c07p-54, &e2);
    double r = two_sum(x - p1, -e1, &r1); /* x - p1 is exact: they are close */
    r = two_sum(r, -p2, &r2);
    const double low = (r1 + r2) - (e2 + n * -0x1.f1976b7ed8fbcp-110);
    const double hi = r + low;
    const double lo = (r - hi) + low;
    double sn, cs;
    sincos_kernel(hi, lo, &sn, &cs);
    switch (bits_of(t) & 3) {
    case 0:
        *s = sn, *c = cs;
        break;
    case 1:
        *s = cs, *c = -sn;
        break;
    case 2:
        *s = -sn, *c = -cs;
        break;
    default:
        *s = -cs, *c = sn;
    }
}

void rope_inv_freq(double *inv_freq, size_t head_dim, double theta) {
    const double ln_theta = log64(theta), half = (double)(head_dim / 2);
    for (size_t i = 0; i < head_dim / 2; i++)
        inv_freq[i] = exp64(-((double)i / half) * ln_theta);
}

void rope_table(float *cs, uint64_t pos, size_t head_dim, const double *inv_freq) {
    const size_t half = head_dim / 2;
    for (size_t i = 0; i < half; i++) {
        double s, c;
        sincos64((double)pos * inv_freq[i], &s, &c);
        cs[i] = (float)c;
        cs[half + i] = (float)s;
    }
}
