/* AVX-512 with VNNI: one instruction for 6 and 8 bits. */
#include "bench/limits/peak.h"
#include "kernels/tile.h"
#include <immintrin.h>

typedef __m512i vec;

static inline vec ones(void) {
    return _mm512_set1_epi32(0x3f800000);
}

static inline void opaque(vec *v) {
    __asm__ volatile("" : "+v"(*v));
}

static inline vec step(enum peak_op op, vec acc, vec a, vec b) {
    if (op == PEAK_FMA)
        return _mm512_castps_si512(_mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b),
                                                   _mm512_castsi512_ps(acc)));
    return _mm512_dpbusd_epi32(acc, a, b);
}

static inline double step_macs(enum peak_op op) {
    return op == PEAK_FMA ? 16.0 : 64.0;
}

#include "bench/limits/peak_loop.h"

double peak_loop_avx512(enum peak_op op, size_t n_sums, size_t iterations) {
    return loops_of(op, n_sums, iterations);
}
