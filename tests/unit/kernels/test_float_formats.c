/* bf16 and half: every value, and every border between two. */
#include "kernels/float_formats.h"

#include <criterion/criterion.h>
#include <math.h>

Test(float_formats, bf16_borders) {
    for (uint32_t u = 0; u < 0x7F7F; u++) { /* finite neighbours u and u + 1 */
        const float low = bf16_to_f32((uint16_t)u), high = bf16_to_f32((uint16_t)(u + 1));
        const float middle = (float)(((double)low + (double)high) / 2);
        const uint16_t even = (uint16_t)(u + (u & 1));
        cr_assert(low < high);
        cr_assert_eq(f32_to_bf16(low), u);
        cr_assert_eq(f32_to_bf16(middle), even, "between %#x and the next", u);
        cr_assert_eq(f32_to_bf16(-middle), even | 0x8000);
        cr_assert_eq(f32_to_bf16(nextafterf(middle, 0)), u);
        cr_assert_eq(f32_to_bf16(nextafterf(middle, INFINITY)), u + 1);
    }
    cr_assert_eq(f32_to_bf16(INFINITY), 0x7F80);
    cr_assert_eq(f32_to_bf16(-INFINITY), 0xFF80);
    cr_assert_eq(f32_to_bf16(3.4028235e38f), 0x7F80);
    cr_assert(isnan(bf16_to_f32(f32_to_bf16(NAN))));
    cr_assert_eq(bf16_to_f32(0x3F80), 1.0f);
    cr_assert_eq(bf16_to_f32(0xC049), -3.140625f);
}

Test(float_formats, f16_borders) {
    for (uint32_t u = 0; u < 0x7BFF; u++) {
        const float low = f16_to_f32((uint16_t)u), high = f16_to_f32((uint16_t)(u + 1));
        const float middle = (low + high) / 2; /* exact */
        const uint16_t even = (uint16_t)(u + (u & 1));
        cr_assert(low < high);
        cr_assert_eq(f32_to_f16(low), u);
        cr_assert_eq(f32_to_f16(middle), even, "between %#x and the next", u);
        cr_assert_eq(f32_to_f16(-middle), even | 0x8000);
        cr_assert_eq(f32_to_f16(nextafterf(middle, 0)), u);
        cr_assert_eq(f32_to_f16(nextafterf(middle, INFINITY)), u + 1);
    }
}

Test(float_formats, f16_special) {
    cr_assert_eq(f16_to_f32(0x3C00), 1.0f);
    cr_assert_eq(f16_to_f32(0x0001), 0x1p-24f);
    cr_assert_eq(f16_to_f32(0x0400), 0x1p-14f);
    cr_assert_eq(f16_to_f32(0xFBFF), -65504.0f);
    cr_assert(signbit(f16_to_f32(0x8000)) && f16_to_f32(0x8000) == 0);
    cr_assert_eq(f16_to_f32(0x7C00), INFINITY);
    cr_assert(isnan(f16_to_f32(0x7C01)));
    cr_assert_eq(f32_to_f16(65504.0f), 0x7BFF);
    cr_assert_eq(f32_to_f16(65519.996f), 0x7BFF);
    cr_assert_eq(f32_to_f16(65520.0f), 0x7C00);
    cr_assert_eq(f32_to_f16(-3e38f), 0xFC00);
    cr_assert_eq(f32_to_f16(0x1p-25f), 0);
    cr_assert_eq(f32_to_f16(nextafterf(0x1p-25f, 1)), 1);
    cr_assert_eq(f32_to_f16(0x1p-149f), 0);
    cr_assert(isnan(f16_to_f32(f32_to_f16(NAN))));
}
