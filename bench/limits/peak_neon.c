/* Plain ARMv8.0: products of 8 bits in 16, widened every 8 (6 bits) or every 2 (8 bits) of them;
 * see kernels/neon/products.h. */
#include "bench/limits/peak.h"
#include "kernels/tile.h"
#include <arm_neon.h>

typedef int32x4_t vec;

static inline vec ones(void) {
    return vdupq_n_s32(0x3f800000);
}

static inline void opaque(vec *v) {
    __asm__ volatile("" : "+w"(*v));
}

static inline vec step(enum peak_op op, vec acc, vec a, vec b) {
    if (op == PEAK_FMA)
        return vreinterpretq_s32_f32(vfmaq_f32(vreinterpretq_f32_s32(acc), vreinterpretq_f32_s32(a),
                                               vreinterpretq_f32_s32(b)));
    /* sums of pairs of rows in 16 bits: the first product starts them, the others join */
    const int8x8_t a8 = vget_low_s8(vreinterpretq_s8_s32(a)),
                   b8 = vget_low_s8(vreinterpretq_s8_s32(b));
    int16x8_t sum = vmull_s8(a8, b8);
    const int n = op == PEAK_DOT6 ? 8 : 2;
    UNROLL
    for (int i = 1; i < 8; i++) {
        opaque(&a);
        sum = i < n ? vmlal_s8(sum, vget_low_s8(vreinterpretq_s8_s32(a)), b8) : sum;
    }
    return vpadalq_s16(acc, sum);
}

static inline double step_macs(enum peak_op op) {
    return op == PEAK_FMA ? 4.0 : op == PEAK_DOT6 ? 64.0 : 16.0;
}

#include "bench/limits/peak_loop.h"

double peak_loop_neon(enum peak_op op, size_t n_sums, size_t iterations) {
    return loops_of(op, n_sums, iterations);
}
