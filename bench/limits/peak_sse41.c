/* SSSE3 and SSE4.1, with an fma done in double: see kernels/sse41/. */
#include "bench/limits/peak.h"
#include "kernels/sse41/common.h"

typedef __m128i vec;

static inline vec ones(void) {
    return _mm_set1_epi32(0x3f800000);
}

static inline void opaque(vec *v) {
    __asm__ volatile("" : "+x"(*v));
}

static inline vec step(enum peak_op op, vec acc, vec a, vec b) {
    const vec ones16 = _mm_set1_epi16(1);
    if (op == PEAK_FMA)
        return _mm_castps_si128(
            fma4(_mm_castsi128_ps(a), _mm_castsi128_ps(b), _mm_castsi128_ps(acc)));
    if (op == PEAK_DOT8)
        return _mm_add_epi32(acc,
                             _mm_madd_epi16(_mm_maddubs_epi16(b, _mm_sign_epi8(a, b)), ones16));
    vec c = a; /* the other pair's activations */
    opaque(&c);
    const vec pairs = _mm_add_epi16(_mm_maddubs_epi16(b, a), _mm_maddubs_epi16(b, c));
    return _mm_add_epi32(acc, _mm_madd_epi16(pairs, ones16));
}

static inline double step_macs(enum peak_op op) {
    return op == PEAK_FMA ? 4.0 : op == PEAK_DOT8 ? 16.0 : 32.0;
}

#include "bench/limits/peak_loop.h"

double peak_loop_sse41(enum peak_op op, size_t n_sums, size_t iterations) {
    return loops_of(op, n_sums, iterations);
}
