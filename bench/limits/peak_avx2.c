/* AVX2 and FMA: see kernels/avx2/matmul_quantized.c, values.c. */
#include "bench/limits/peak.h"
#include "kernels/tile.h"
#include <immintrin.h>

typedef __m256i vec;

static inline vec ones(void) {
    return _mm256_set1_epi32(0x3f800000);
}

static inline void opaque(vec *v) {
    __asm__ volatile("" : "+x"(*v));
}

static inline vec step(enum peak_op op, vec acc, vec a, vec b) {
    const vec ones16 = _mm256_set1_epi16(1);
    if (op == PEAK_FMA)
        return _mm256_castps_si256(_mm256_fmadd_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b),
                                                   _mm256_castsi256_ps(acc)));
    if (op == PEAK_DOT8) {
        const vec pairs = _mm256_maddubs_epi16(b, _mm256_sign_epi8(a, b));
        return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, ones16));
    }
    vec c = a; /* the other pair's activations */
    opaque(&c);
    const vec pairs = _mm256_add_epi16(_mm256_maddubs_epi16(b, a), _mm256_maddubs_epi16(b, c));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, ones16));
}

static inline double step_macs(enum peak_op op) {
    return op == PEAK_FMA ? 8.0 : op == PEAK_DOT8 ? 32.0 : 64.0;
}

#include "bench/limits/peak_loop.h"

double peak_loop_avx2(enum peak_op op, size_t n_sums, size_t iterations) {
    return loops_of(op, n_sums, iterations);
}
