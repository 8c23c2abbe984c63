/*
 * i4 and i8 weights by maddubs, which adds pairs of products of unsigned by signed bytes in 16
 * bits.
 *
 * i4: biased values are at most 63, two pairs at most 4 * 63 * 127 = 32,004 < 2^15: added in 16
 * bits, then widened by one madd. i8: |w| is unsigned and the code takes the sign of w; one pair,
 * at most 2 * 128 * 127, is all that fits.
 */
#include "kernels/avx2/slots.h"
#include "kernels/avx2/vectors.h"

#define STREAM_COLS 8
#define STREAM_WIDE 4
#define FEW         16
#define BLOCK_COLS  3 /* 6 sums, 4 weights, 5 others */
#define DOT_LINES   2
#define I8_BIAS     0

/* acc + the sums of pairs of 16-bit integers; kept in a register: GCC otherwise stores some. */
TILE_HELPER vint add_pairs(vint acc, vint pairs) {
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    __asm__("" : "+x"(acc));
    return acc;
}

TILE_HELPER vint dot(vint acc, const vint w[2], const vint q[2]) {
    return add_pairs(
        acc, _mm256_add_epi16(_mm256_maddubs_epi16(w[0], q[0]), _mm256_maddubs_epi16(w[1], q[1])));
}

TILE_HELPER vint dot_i8(vint acc, vint line, vint q) {
    return add_pairs(acc, _mm256_maddubs_epi16(_mm256_abs_epi8(line), _mm256_sign_epi8(q, line)));
}

#include "kernels/x86_tmpl.h"

void matmul_f32_q128_i4_avx2(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                             const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    matmul_i4(y, ldy, x, n, w, p0, p1, scratch);
}

void matmul_f32_q32_i8_avx2(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul_i8(y, ldy, x, n, w, p0, p1);
}
