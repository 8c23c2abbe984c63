/*
 * The kernel table and its arithmetic contract.
 *
 * Every slot of every instruction set gives the same bits as kernels/scalar/, which is the
 * definition. The scalar table fills every slot; each ISA's init function overlays what it
 * improves; no slot is ever NULL. Kernels see pointers and sizes only: no allocation, threads or
 * globals. Nothing is read or written outside the stated extents. Function names follow
 * <op>_<out>_<act>_<wgt>_<isa> for matrix slots and <op>_<isa> for the others.
 *
 * ARITHMETIC. IEEE single (double where said), round to nearest even, denormals kept. "fma" is one
 * rounding; everything written as separate operations rounds each time. No reciprocal estimates, no
 * horizontal reassociation. Integer sums are exact. rne() rounds to nearest, ties to even.
 *
 * QUANTIZED ACTIVATIONS. A vector of k values (k a multiple of TILE_K, padding zero) becomes int8
 * codes with one scale per block of 32 (q32) or 128 (q128): m = max|x|; if m < 1e-30f all codes and
 * d are zero; else d = m / 127, q = rne(x * (127 / m)), |q| <= 127.
 *
 * MATRIX SLOTS. y[c][16p .. 16p+15] for every column c < n and panel p0 <= p < p1; all 16 rows of a
 * panel are written (padding rows are zero). One arithmetic for each type of weights, whatever n
 * is. Per output row, in ascending k, isum_b = exact sum of value * q over the 32 k of block b:
 *
 *   f32, bf16 weights, f32 activations:
 *       acc = +0; for each k: acc = fma(w, x, acc); y = acc
 *   i8 weights, q32 activations:
 *       acc = +0; for each block b: t = (float)isum_b * (float)block_scale_b;
 *       acc = fma(t, d[b], acc); y = acc * row_scale
 *   i4 weights, q128 activations:
 *       acc = +0; for each tile of 128 k: s = +0;
 *       for b = 0..3: s = fma((float)isum_b, (float)block_scale_b, s);  acc = fma(s, d[tile], acc);
 *       y = acc * row_scale
 *
 * i4's products are exact (at most 32 * 32 * 127 * 128 < 2^24), so that s may be formed by
 * multiplying and adding, fused or not. s itself may pass 2^24: the order of b stands.
 *
 * VECTOR SLOTS. Reductions use 16 partial results, lane = index mod 16 (indices ascending within a
 * lane), combined in this tree: for s in 8, 4, 2, 1: lane[i] += lane[i + s], i < s. Lengths need
 * not be multiples of 16; missing elements leave their lane untouched.
 *
 * exp and the rest of the scalar mathematics are in kernels/fmath.h.
 */
#ifndef BISE_KERNELS_KERNELS_H
#define BISE_KERNELS_KERNELS_H

#include "kernels/isa.h"
#include "kernels/layout.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A matrix as the kernels see it. */
struct wmat {
    const uint8_t *panels;  /* panel p starts at p * panel_bytes(type, k); 64-byte aligned */
    size_t k;               /* columns, padded: a multiple of TILE_K */
    const int8_t *codebook; /* i4 only: [CODEBOOK_SIZE], values -32..31 */
};

/* n activation vectors with one scale per BLOCK_K. */
struct act_q8 {
    const int8_t *q;    /* [n][k] */
    const float *d;     /* [n][k / 32] */
    const int32_t *sum; /* [n][k / 32]: exact sums of the codes */
};

#define PACK_K    64 /* codes of a vector that lie side by side in q128 */
#define I4_BIAS   32 /* makes the values of i4 unsigned: 0..63 */
#define TILE_SUMS (TILE_K / BLOCK_K)

/* n activation vectors with one scale per TILE_K, in the order in which several are read. */
struct act_q128 {
    const int8_t *q; /* [k / 64][ld][64], ld >= n */
    size_t ld;
    const float *d;       /* [n][k / 128] */
    const int32_t *start; /* [n][k / 32]: -32 times the sum of the block's codes. A sum of products
                             that starts there, of values biased by 32, ends as isum */
};

/* Those from vector c on. */
static inline struct act_q128 act_q128_from(const struct act_q128 *x, size_t c, size_t k) {
    return (struct act_q128){x->q + c * PACK_K, x->ld, x->d + c * (k / TILE_K),
                             x->start + c * (k / BLOCK_K)};
}

/* Bytes of scratch, 64-byte aligned, that a matrix slot may use. */
#define KERNEL_SCRATCH_BYTES ((size_t)128 << 10)

#define ATTN_GROUP 16  /* positions in a group of the cache; rings are multiples of it */
#define WEIGHT_MAX 254 /* of the codes that int8 values are multiplied with */

/* The types of the slots, of which each folder declares its functions: one line a function. */

/* y [n][ldy], ldy >= 16 * p1. x as its type says. scratch: KERNEL_SCRATCH_BYTES. */
typedef void matmul_q128_fn(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch);
typedef void matmul_q32_fn(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                           const struct wmat *w, size_t p0, size_t p1, void *scratch);
typedef void matmul_float_fn(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                             const struct wmat *w, size_t p0, size_t p1, void *scratch);

/* One vector of k values to int8. All return false, q undefined, if any x is not finite.
 * q32: q [k], d and sum [k / 32], as in act_q8. q128: value i at q[i / 64 * ld + i % 64], ld in
 * bytes, d [k / 128], start [k / 32], as in act_q128. block: any length n (a multiple of 32) under
 * one scale, by the same rule; for heads. */
typedef bool quantize_q32_fn(int8_t *q, float *d, int32_t *sum, const float *x, size_t k);
typedef bool quantize_q128_fn(int8_t *q, size_t ld, float *d, int32_t *start, const float *x,
                              size_t k);
typedef bool quantize_block_fn(int8_t *q, float *d, const float *x, size_t n);

/* y = (x * r) * w, r = 1 / sqrt(s / n + eps), s = sum of fma(x, x, lane) over lanes and tree.
 * (float)n is the divisor. Returns false if s is not finite. y may be x. RMSNorm, arXiv
 * 1910.07467. */
typedef bool rmsnorm_fn(float *y, const float *x, const float *w, size_t n, float eps);
/* x [n_heads][head_dim] rotated in half-split pairs (i, i + head_dim/2) by cs [2][head_dim/2]
 * (cosines, then sines): lo' = lo*c - hi*s, hi' = hi*c + lo*s, each operation rounded.
 * RoPE, arXiv 2104.09864, in Hugging Face's order. */
typedef void rope_fn(float *x, size_t n_heads, size_t head_dim, const float *cs);
/* y = (g / (1 + exp(-g))) * u, with fmath.h's exp. y may be g. SwiGLU, arXiv 2002.05202. */
typedef void swiglu_fn(float *y, const float *g, const float *u, size_t n);
typedef void add_fn(float *y, const float *x, size_t n);           /* y += x */
typedef void madd_fn(float *y, const float *x, float a, size_t n); /* y = fma(a, x, y) */
typedef void scale_fn(float *y, float a, size_t n);                /* y *= a */

/* ATTENTION. Keys lie in groups of 16 positions of one KV head; n_q query heads (of the group,
 * possibly of several tokens) are served by one pass. hd: head_dim padded to 32, padding zero.
 *
 * scores: s[q][16g + lane] for n_groups contiguous groups.
 *   i8:  k [n_groups][hd/4][16][4], scales kd [n_groups][16]; codes q [n_q][hd], scales qd
 *        [n_q], 1/sqrt(head_dim) among them: s = ((float)isum * kd) * qd
 *   f32: k [n_groups][hd][16]; q [n_q][hd]:
 *        acc = +0; ascending d: acc = fma(k, q, acc); s = acc * scale
 *   f16: the same, k IEEE half, converted exactly.
 * lds: row stride of s in floats, a multiple of 16; s 64-byte aligned. */
typedef void scores_i8_fn(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                          const int8_t *k, const float *kd, size_t hd, size_t n_groups);
typedef void scores_f32_fn(float *s, size_t lds, const float *q, float scale, size_t n_q,
                           const float *k, size_t hd, size_t n_groups);
typedef void scores_f16_fn(float *s, size_t lds, const float *q, float scale, size_t n_q,
                           const uint16_t *k, size_t hd, size_t n_groups);
/* CACHES OF 4 BITS are read as int8 caches: unpacked, exactly, block by block. Each 32 dimensions
 * of a position have a grid (grid.h), grids [n_groups][hd/32][16]. 64 bytes of codes become twice
 * 64 of the int8 layout, the low four bits the first:
 *   keys    codes [n_groups][hd/8][16][4] to k [n_groups][hd/4][16][4]
 *   values  codes [n_groups][4][hd/32][16][4] to v [n_groups][4][hd][4]
 * A grid that is not sound gives the low 8 bits of what it says. */
typedef void unpack_i4_fn(int8_t *x, const uint8_t *codes, const uint8_t *grids, size_t hd,
                          size_t n_groups);
/* One vector of n numbers, a multiple of 32, at most 1024, to codes q [n], a byte each, grids
 * [n / 32], and a scale. For each block of 32, lo and hi the ends of what it spans with 0:
 *   zero = rne(-lo / (hi - lo) * 15), at least 4, at most 11
 *   want = max(-lo / zero, hi / (15 - zero)) * 0.96; hi - lo < 1e-30f: zero = 8, want = 0
 *   d = max over blocks of want / most, most the largest step 0..15 whose values are int8; less
 *       than 1e-30f: 0
 *   step = min(rne(want / d), most), 0 if d is
 *   q = rne(x * (1 / (step * d))) + zero, at least 0, at most 15; step 0: zero
 * Returns false, the rest undefined, if any x is not finite. */
typedef bool quantize_i4_fn(uint8_t *q, uint8_t *grids, float *d, const float *x, size_t n);
/* x [n][size], size a power of two (1: nothing is done): each row becomes its Hadamard transform,
 * not scaled. For half = size/2, size/4 .. 1, of elements i and i + half of each 2 half: a + b and
 * a - b. Keys and queries: their products are size times what they were, and keys have no outliers
 * (QuaRot, arXiv 2404.00456). */
typedef void hadamard_fn(float *x, size_t n, size_t size);
/* s [n], n a multiple of 16, s[0] at an absolute position that is a multiple of 16. Entries
 * lo <= i < hi (lo < hi <= n) become exp(s - max), max over them; all others become +0. Returns
 * the sum (16 lanes and tree), or a NaN, s undefined, if a score in [lo, hi) is not finite. */
typedef float softmax_fn(float *s, size_t lo, size_t hi, size_t n, float *max);
/* What values of an int8 cache are multiplied with: for each of n_groups groups of 16 positions
 * w = p * vd (rounded, neither negative), m = max w; if m < 1e-30f c and cd are zero, else
 * cd = m / WEIGHT_MAX, c = rne(w * (WEIGHT_MAX / m)), at most WEIGHT_MAX. c [n_groups][16], cd
 * [n_groups]. */
typedef void weigh_i8_fn(uint8_t *c, float *cd, const float *p, const float *vd, size_t n_groups);
/* out [n_q][hd], stride ldo, is added to over positions, ascending.
 *   i8:  v [n_groups][4][hd][4]: four positions side by side; c [n_q] rows of 16 ldc codes, cd
 *        [n_q] rows of ldc scales: isum = exact sum of c * v over a group's positions,
 *        out = out + (float)isum * cd, both rounded
 *   f32, f16: v [n_pos][hd], p [n_q] rows of stride ldp: out = fma(p, v, out)
 * hd is a multiple of 32. */
typedef void values_i8_fn(float *out, size_t ldo, const uint8_t *c, const float *cd, size_t ldc,
                          size_t n_q, const int8_t *v, size_t hd, size_t n_groups);
typedef void values_f32_fn(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                           const float *v, size_t hd, size_t n_pos);
typedef void values_f16_fn(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                           const uint16_t *v, size_t hd, size_t n_pos);

struct kernels {
    enum isa isa;
    const char *name;
    matmul_q128_fn *matmul_f32_q128_i4;
    matmul_q32_fn *matmul_f32_q32_i8;
    matmul_float_fn *matmul_f32_f32_f32;
    matmul_float_fn *matmul_f32_f32_bf16;
    quantize_q32_fn *quantize_q32;
    quantize_q128_fn *quantize_q128;
    quantize_block_fn *quantize_block;
    rmsnorm_fn *rmsnorm;
    rope_fn *rope;
    swiglu_fn *swiglu;
    add_fn *add;
    madd_fn *madd;
    scale_fn *scale;
    hadamard_fn *hadamard;
    quantize_i4_fn *quantize_i4;
    unpack_i4_fn *unpack_keys_i4;
    unpack_i4_fn *unpack_values_i4;
    scores_i8_fn *scores_i8;
    scores_f32_fn *scores_f32;
    scores_f16_fn *scores_f16;
    softmax_fn *softmax;
    weigh_i8_fn *weigh_i8;
    values_i8_fn *values_i8;
    values_f32_fn *values_f32;
    values_f16_fn *values_f16;
};

/* Fills *k for isa by laying its folder's slots over the scalar ones (and over those of the ISAs it
 * implies). Returns false if this build has no such folder. Does not look at the CPU, and runs code
 * compiled for isa: only to be called where the CPU has it. */
bool kernels_init(struct kernels *k, enum isa isa);

typedef void kernels_init_fn(struct kernels *k);
kernels_init_fn kernels_init_scalar, kernels_init_sse41, kernels_init_avx2, kernels_init_avxvnni;
kernels_init_fn kernels_init_avx512;
kernels_init_fn kernels_init_neon, kernels_init_neon_dotprod, kernels_init_neon_i8mm;

/* Row of a matrix as floats: out [k_pad] gets row_scale * (float)block_scale, rounded, then *
 * value, rounded (i4, i8), or the value (f32, bf16). The same code on every CPU; used for
 * embeddings. */
void dequantize_row(float *out, enum tensor_type type, const struct wmat *w, size_t row);

#endif
