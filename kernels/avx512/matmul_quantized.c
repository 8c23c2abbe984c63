/* i4 and i8 weights by vpdpbusd, which multiplies weights biased to unsigned by signed codes. */
#include "kernels/avx512/common.h"
#include "kernels/avx512/slots.h"

#define LANES       16
#define STREAM_COLS 8 /* 8 sums of integers, 16 of floats */
#define DOT_LINES   1
#define I8_BIAS     128

typedef __m512i vint;
typedef __m512 vfloat;

TILE_HELPER vint load(const void *p) {
    return _mm512_loadu_si512(p);
}

TILE_HELPER vint set_all(int32_t x) {
    return _mm512_set1_epi32(x);
}

TILE_HELPER vint codebook_table(const int8_t *codebook) {
    const __m128i t = _mm_loadu_si128((const void *)codebook);
    return _mm512_broadcast_i32x4(_mm_add_epi8(t, _mm_set1_epi8(I4_BIAS)));
}

TILE_HELPER void unpack(vint v[2], vint codes, vint table) {
    const vint nibble = _mm512_set1_epi8(15), high = _mm512_srli_epi16(codes, 4);
    v[0] = _mm512_shuffle_epi8(table, _mm512_and_si512(codes, nibble));
    v[1] = _mm512_shuffle_epi8(table, _mm512_and_si512(high, nibble));
}

/* The sum is kept where it is: GCC otherwise copies sums from register to register. */
TILE_HELPER vint dot(vint acc, const vint *w, const vint *q) {
    acc = _mm512_dpbusd_epi32(acc, *w, *q);
    __asm__("" : "+v"(acc));
    return acc;
}

TILE_HELPER vint dot_i8(vint acc, vint line, vint q) {
    return _mm512_dpbusd_epi32(acc, _mm512_xor_si512(line, _mm512_set1_epi8((char)0x80)), q);
}

TILE_HELPER vfloat to_float(vint v) {
    return _mm512_cvtepi32_ps(v);
}

TILE_HELPER vfloat load_float(const float *p) {
    return _mm512_loadu_ps(p);
}

TILE_HELPER void store_float(float *p, vfloat v) {
    _mm512_storeu_ps(p, v);
}

TILE_HELPER vfloat load_scales(const uint8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
}

TILE_HELPER vfloat all_floats(float x) {
    return _mm512_set1_ps(x);
}

TILE_HELPER vfloat mul(vfloat a, vfloat b) {
    return _mm512_mul_ps(a, b);
}

TILE_HELPER vfloat fused_mul_add(vfloat a, vfloat b, vfloat c) {
    return _mm512_fmadd_ps(a, b, c);
}

TILE_HELPER vfloat mul_add(vfloat a, vfloat b, vfloat c) {
    return _mm512_fmadd_ps(a, b, c);
}

#include "kernels/x86_tmpl.h"

void matmul_f32_q128_i4_avx512(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    matmul_i4(y, ldy, x, n, w, p0, p1, scratch);
}

void matmul_f32_q32_i8_avx512(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch) {
    (void)scratch;
    matmul_i8(y, ldy, x, n, w, p0, p1);
}
