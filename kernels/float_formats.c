/* bf16 and IEEE half to float and back, by bits: the same on every CPU. */
#include "kernels/float_formats.h"
#include "kernels/layout.h"

#include <string.h>

static float float_of_bits(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static uint32_t bits_of_float(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* u >> shift (1..31), to nearest, ties to even. */
static uint32_t shift_rne(uint32_t u, unsigned shift) {
    const uint32_t half = (1u << (shift - 1)) - 1;
    return (u + half + (u >> shift & 1)) >> shift;
}

float bf16_to_f32(uint16_t u) {
    return float_of_bits((uint32_t)u << 16);
}

uint16_t f32_to_bf16(float x) {
    const uint32_t u = bits_of_float(x);
    if ((u & 0x7FFFFFFF) > 0x7F800000) /* NaN: keep it one, and quiet */
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)shift_rne(u, 16);
}

float f16_to_f32(uint16_t u) {
    const uint32_t sign = (uint32_t)(u & 0x8000) << 16;
    const uint32_t exponent = u >> 10 & 31, fraction = u & 0x3FF;
    if (exponent == 31) /* infinity; a NaN becomes quiet, as the CPUs' converters make it */
        return float_of_bits(sign | 0x7F800000 | fraction << 13 | (fraction ? 0x400000 : 0));
    if (exponent == 0) { /* zero or denormal: fraction * 2^-24, exact */
        const float x = (float)fraction * 0x1p-24f;
        return sign ? -x : x;
    }
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t f32_to_f16(float x) {
    const uint32_t u = bits_of_float(x);
    const uint32_t sign = u >> 16 & 0x8000, mag = u & 0x7FFFFFFF;
    if (mag > 0x7F800000)
        return (uint16_t)(sign | 0x7E00 | (mag >> 13 & 0x3FF));
    if (mag >= 0x477FF000) /* 65520, halfway between 65504 and 65536, and beyond */
        return (uint16_t)(sign | 0x7C00);
    if (mag < 0x33000000) /* below 2^-25, half of the smallest denormal */
        return (uint16_t)sign;
    const uint32_t exponent = mag >> 23;
    if (exponent >= 113) /* normal: rebias; a carry out of the fraction is right as it is */
        return (uint16_t)(sign | shift_rne(mag - (112u << 23), 13));
    const uint32_t fraction = (mag & 0x7FFFFF) | 0x800000;
    return (uint16_t)(sign | shift_rne(fraction, 126 - exponent));
}
