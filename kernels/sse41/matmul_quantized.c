/*
 * i4 and i8 weights by maddubs, as kernels/avx2/matmul_quantized.c with half the width: two pairs
 * of products of i4 are added in 16 bits, of i8 one. The fma of a tile of i4, or of a block of i8,
 * is done in double.
 */
#include "kernels/sse41/common.h"
#include "kernels/sse41/slots.h"

#define LANES       4
#define STREAM_COLS 4
#define STREAM_WIDE 4
#define FEW         2
#define BLOCK_COLS  3 /* 6 sums, 4 weights, 5 others */
#define DOT_LINES   2
#define I8_BIAS     0

typedef __m128i vint;
typedef __m128 vfloat;

TILE_HELPER vint load(const void *p) {
    return _mm_loadu_si128(p);
}

TILE_HELPER void store(void *p, vint v) {
    _mm_storeu_si128(p, v);
}

TILE_HELPER vint set_all(int32_t x) {
    return _mm_set1_epi32(x);
}

TILE_HELPER vint codebook_table(const int8_t *codebook) {
    return _mm_add_epi8(load(codebook), _mm_set1_epi8(I4_BIAS));
}

TILE_HELPER void unpack(vint v[2], vint codes, vint table) {
    const vint nibble = _mm_set1_epi8(15), high = _mm_srli_epi16(codes, 4);
    v[0] = _mm_shuffle_epi8(table, _mm_and_si128(codes, nibble));
    v[1] = _mm_shuffle_epi8(table, _mm_and_si128(high, nibble));
}

/* acc + the sums of pairs of 16-bit integers; kept in a register: GCC otherwise stores some. */
TILE_HELPER vint add_pairs(vint acc, vint pairs) {
    acc = _mm_add_epi32(acc, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
    __asm__("" : "+x"(acc));
    return acc;
}

TILE_HELPER vint dot(vint acc, const vint w[2], const vint q[2]) {
    return add_pairs(acc,
                     _mm_add_epi16(_mm_maddubs_epi16(w[0], q[0]), _mm_maddubs_epi16(w[1], q[1])));
}

TILE_HELPER vint dot_i8(vint acc, vint line, vint q) {
    return add_pairs(acc, _mm_maddubs_epi16(_mm_abs_epi8(line), _mm_sign_epi8(q, line)));
}

TILE_HELPER vfloat to_float(vint v) {
    return _mm_cvtepi32_ps(v);
}

TILE_HELPER vfloat load_float(const float *p) {
    return _mm_loadu_ps(p);
}

TILE_HELPER void store_float(float *p, vfloat v) {
    _mm_storeu_ps(p, v);
}

TILE_HELPER vfloat load_scales(const uint8_t *p) {
    return _mm_cvtepi32_ps(_mm_cvtepi8_epi32(broadcast4(p)));
}

TILE_HELPER vfloat all_floats(float x) {
    return _mm_set1_ps(x);
}

TILE_HELPER vfloat mul(vfloat a, vfloat b) {
    return _mm_mul_ps(a, b);
}

TILE_HELPER vfloat mul_add(vfloat a, vfloat b, vfloat c) {
    return _mm_add_ps(_mm_mul_ps(a, b), c);
}

TILE_HELPER vfloat fused_mul_add(vfloat a, vfloat b, vfloat c) {
    return fma4(a, b, c);
}

#include "kernels/x86_tmpl.h"

void matmul_f32_q128_i4_sse41(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    matmul_i4(y, ldy, x, n, w, p0, p1, scratch);
}

void matmul_f32_q32_i8_sse41(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                             const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul_i8(y, ldy, x, n, w, p0, p1);
}
