/* ARMv8.2 with the dot product, by lane. */
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
    return vdotq_laneq_s32(acc, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b), 1);
}

static inline double step_macs(enum peak_op op) {
    return op == PEAK_FMA ? 4.0 : 16.0;
}

#include "bench/limits/peak_loop.h"

double peak_loop_neon_dotprod(enum peak_op op, size_t n_sums, size_t iterations) {
    return loops_of(op, n_sums, iterations);
}
