/* i4 and i8 weights by vpdpbusd, which multiplies weights biased to unsigned by signed codes. */
#include "kernels/avx2/vectors.h"
#include "kernels/avxvnni/slots.h"
#include "kernels/avxvnni/vnni.h"

#define STREAM_COLS 4
#define STREAM_WIDE 4
#define FEW         4
#define BLOCK_COLS  6 /* 12 sums, 2 weights, 1 activation */
#define DOT_LINES   1
#define I8_BIAS     128

/* The sum is kept in a register: GCC otherwise stores those of a full register tile every time. */
TILE_HELPER vint dot(vint acc, const vint *w, const vint *q) {
    acc = dpbusd(acc, *w, *q);
    __asm__("" : "+x"(acc));
    return acc;
}

TILE_HELPER vint dot_i8(vint acc, vint line, vint q) {
    return dpbusd(acc, _mm256_xor_si256(line, _mm256_set1_epi8((char)0x80)), q);
}

#include "kernels/x86_tmpl.h"

void matmul_f32_q128_i4_avxvnni(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                                const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    matmul_i4(y, ldy, x, n, w, p0, p1, scratch);
}

void matmul_f32_q32_i8_avxvnni(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul_i8(y, ldy, x, n, w, p0, p1);
}
