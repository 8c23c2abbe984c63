/* Attention's weighted sums of int8 values. */
#include "kernels/neon/neon.h"
#include "kernels/neon/slots.h"

#define VALUE_COLUMNS 2

/* Values are biased by 128 to be unsigned, as codes are; sums start at -128 times those of the
 * codes. A product fills the 16 bits that it is made in. */
TILE_HELPER void dot_values(int32x4_t isum[][4], const int8_t *v, size_t row,
                            const uint8x16_t codes[], int n_cols) {
    uint32x4_t pairs[VALUE_COLUMNS][8]; /* of positions of two dimensions each */
    UNROLL for (int i = 0; i < n_cols * 8; i++) pairs[i / 8][i % 8] = vdupq_n_u32(0);
    UNROLL for (int quad = 0; quad < 4; quad++) {
        uint8x16_t values[4];
        UNROLL for (int j = 0; j < 4; j++) values[j] =
            veorq_u8(vreinterpretq_u8_s8(vld1q_s8(v + quad * row + 16 * j)), vdupq_n_u8(0x80));
        UNROLL for (int i = 0; i < n_cols; i++) {
            const uint8x16_t four =
                vreinterpretq_u8_u32(vdupq_laneq_u32(vreinterpretq_u32_u8(codes[i]), quad));
            UNROLL for (int j = 0; j < 4; j++) {
                uint32x4_t *const sum = pairs[i] + 2 * j;
                sum[0] = vpadalq_u16(sum[0], vmull_u8(vget_low_u8(values[j]), vget_low_u8(four)));
                sum[1] = vpadalq_u16(sum[1], vmull_high_u8(values[j], four));
            }
        }
    }
    UNROLL for (int i = 0; i < n_cols; i++) {
        const int32x4_t start = vdupq_n_s32(-128 * (int32_t)vaddlvq_u8(codes[i]));
        UNROLL for (int j = 0; j < 4; j++) isum[i][j] = vaddq_s32(
            start, vreinterpretq_s32_u32(vpaddq_u32(pairs[i][2 * j], pairs[i][2 * j + 1])));
    }
}

#include "kernels/neon/values_tmpl.h"

void values_i8_neon(float *out, size_t ldo, const uint8_t *c, const float *cd, size_t ldc,
                    size_t n_q, const int8_t *v, size_t hd, size_t n_groups) {
    values_i8(out, ldo, c, cd, ldc, n_q, v, hd, n_groups);
}

void weigh_i8_neon(uint8_t *c, float *cd, const float *p, const float *vd, size_t n_groups) {
    for (size_t g = 0; g < n_groups; g++, c += ATTN_GROUP, p += ATTN_GROUP, vd += ATTN_GROUP) {
        float32x4_t w[4];
        uint16x4_t codes[4];
        UNROLL for (int i = 0; i < 4; i++) w[i] =
            vmulq_f32(vld1q_f32(p + 4 * i), vld1q_f32(vd + 4 * i));
        const float m = vmaxvq_f32(vmaxq_f32(vmaxq_f32(w[0], w[1]), vmaxq_f32(w[2], w[3])));
        const float inverse = m < 1e-30f ? 0 : WEIGHT_MAX / m;
        cd[g] = m < 1e-30f ? 0 : m / WEIGHT_MAX;
        UNROLL for (int i = 0; i < 4; i++) codes[i] =
            vmovn_u32(vcvtnq_u32_f32(vmulq_n_f32(w[i], inverse)));
        vst1q_u8(c, vcombine_u8(vmovn_u16(vcombine_u16(codes[0], codes[1])),
                                vmovn_u16(vcombine_u16(codes[2], codes[3]))));
    }
}
