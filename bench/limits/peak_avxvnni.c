/* AVX-VNNI: one instruction for 6 and 8 bits. */
#include "bench/limits/peak.h"
#include "kernels/avxvnni/vnni.h"

typedef __m256i vec;

static inline vec ones(void) {
    return _mm256_set1_epi32(0x3f800000);
}

static inline void opaque(vec *v) {
    __asm__ volatile("" : "+x"(*v));
}

static inline vec step(enum peak_op op, vec acc, vec a, vec b) {
    if (op == PEAK_FMA)
        return _mm256_castps_si256(_mm256_fmadd_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b),
                                                   _mm256_castsi256_ps(acc)));
    return dpbusd(acc, a, b);
}

static inline double step_macs(enum peak_op op) {
    return op == PEAK_FMA ? 8.0 : 32.0;
}

#include "bench/limits/peak_loop.h"

double peak_loop_avxvnni(enum peak_op op, size_t n_sums, size_t iterations) {
    return loops_of(op, n_sums, iterations);
}
