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
 * d are zero; else d = m / 127, q = rne(x * (127 / m)), |q| <= 127; sum = exact sum of the codes.
 *
 * MATRIX SLOTS. y[c][16p .. 16p+15] for every column c < n and panel p0 <= p < p1; all 16 rows of a
 * panel are written (padding rows are zero). Per output row, in ascending k:
 *
 *   f32, bf16 weights, f32 activations (one arithmetic):
 *       acc = +0; for each k: acc = fma(w, x, acc); y = acc
 *   i8 weights, q32 activations (one arithmetic), and i4 weights, q32 activations ("decode"):
 *       acc = +0; for each block b of 32: t = (float)isum * (float)block_scale;
 *       acc = fma(t, d[b], acc); y = acc * row_scale,    isum = exact sum of value * q
 *   i4 weights, q128 activations ("prefill"): every tile of 128 k is first requantized to 7 bits
 *   (-64..64) with one scale per row; blocks whose scale is the largest keep their values exactly:
 *       M = max over the tile's 4 blocks of |block_scale|; if M = 0 all r and t are zero, else
 *       g = 256.0f / (float)M;  F[b] = (int) rne((float)block_scale[b] * g)           |F| <= 256
 *       r = (value * F[b] + 64) >> 7 (arithmetic shift)                                |r| <= 64
 *       t = (float)M * 0.5f
 *       acc = +0; for each tile: p = (float)isum * t; acc = fma(p, d[tile], acc);
 *       y = acc * row_scale, isum = exact sum of r * q over the 128 k
 *
 * Which arithmetic an i4 matrix uses is decided by the length of the call to the model alone
 * (fewer than 16 tokens: decode), never by n here: both slots accept any n >= 1.
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
    const int32_t *sum; /* [n][k / 32] */
};

#define PACK_K       64 /* codes of a vector side by side for prefill */
#define PACKED_SLACK 15 /* vectors behind the last of the last k that may be read */

/* n activation vectors with one scale per TILE_K, in the order in which register tiles of several
 * vectors read them. */
struct act_q128 {
    const uint8_t *q; /* [k / 64][ld][64]: codes exclusive-or the table's q128_flip; ld >= n */
    size_t ld;
    const float *d; /* [n][k / 128] */
};

/* Those from vector c on. */
static inline struct act_q128 act_q128_from(const struct act_q128 *x, size_t c, size_t k) {
    return (struct act_q128){x->q + c * PACK_K, x->ld, x->d + c * (k / TILE_K)};
}

/* Bytes of scratch, 64-byte aligned, that a matrix slot may use for a matrix of k columns. */
static inline size_t kernel_scratch_bytes(size_t k) {
    return 4 * (16 * k + k / TILE_K * 256) + 65536;
}

#define ATTN_GROUP 16 /* positions in a group of the key cache; rings are multiples of it */

struct kernels {
    enum isa isa;
    uint8_t q128_flip; /* 0x80 where prefill multiplies codes + 128, unsigned; else 0 */
    const char *name;

    /* y [n][ldy], ldy >= 16 * p1. x as its type says. scratch: kernel_scratch_bytes(w->k). */
    void (*matmul_f32_q32_i4)(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch);
    void (*matmul_f32_q128_i4)(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch);
    void (*matmul_f32_q32_i8)(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch);
    void (*matmul_f32_f32_f32)(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch);
    void (*matmul_f32_f32_bf16)(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                                const struct wmat *w, size_t p0, size_t p1, void *scratch);

    /* One vector of k values to int8. k: a multiple of 32 (q32) or 128 (q128).
     * q [k], d and sum [k / block]. Returns false, q undefined, if any x is not finite. */
    bool (*quantize_q32)(int8_t *q, float *d, int32_t *sum, const float *x, size_t k);
    bool (*quantize_q128)(int8_t *q, float *d, int32_t *sum, const float *x, size_t k);
    /* One block of any length n (a multiple of 32) under one scale, by the same rule; for heads. */
    bool (*quantize_block)(int8_t *q, float *d, const float *x, size_t n);

    /* y = (x * r) * w, r = 1 / sqrt(s / n + eps), s = sum of fma(x, x, lane) over lanes and tree.
     * (float)n is the divisor. Returns false if s is not finite. y may be x. RMSNorm, arXiv
     * 1910.07467. */
    bool (*rmsnorm)(float *y, const float *x, const float *w, size_t n, float eps);
    /* x [n_heads][head_dim] rotated in half-split pairs (i, i + head_dim/2) by cs [2][head_dim/2]
     * (cosines, then sines): lo' = lo*c - hi*s, hi' = hi*c + lo*s, each operation rounded.
     * RoPE, arXiv 2104.09864, in Hugging Face's order. */
    void (*rope)(float *x, size_t n_heads, size_t head_dim, const float *cs);
    /* y = (g / (1 + exp(-g))) * u, with fmath.h's exp. y may be g. SwiGLU, arXiv 2002.05202. */
    void (*swiglu)(float *y, const float *g, const float *u, size_t n);
    void (*add)(float *y, const float *x, size_t n);           /* y += x */
    void (*madd)(float *y, const float *x, float a, size_t n); /* y = fma(a, x, y) */
    void (*scale)(float *y, float a, size_t n);                /* y *= a */

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
    void (*scores_i8)(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                      const int8_t *k, const float *kd, size_t hd, size_t n_groups);
    void (*scores_f32)(float *s, size_t lds, const float *q, float scale, size_t n_q,
                       const float *k, size_t hd, size_t n_groups);
    void (*scores_f16)(float *s, size_t lds, const float *q, float scale, size_t n_q,
                       const uint16_t *k, size_t hd, size_t n_groups);
    /* s [n], n a multiple of 16, s[0] at an absolute position that is a multiple of 16. Entries
     * lo <= i < hi (lo < hi <= n) become exp(s - max), max over them; all others become +0. Returns
     * the sum (16 lanes and tree), or a NaN if a score in [lo, hi) is not finite. */
    float (*softmax)(float *s, size_t lo, size_t hi, size_t n);
    /* out[q][0..hd) accumulated over n_pos positions, ascending: out = fma(w, v, out), where
     *   i8:  v [n_pos][ldv] codes, vd [n_pos] scales, w = p * vd (rounded)
     *   f32, f16: w = p.
     * out [n_q] rows of stride ldo is read and written; p [n_q] rows of stride ldp. Of the ldv
     * elements from one position to the next the first hd are read: hd is a multiple of 16. */
    void (*values_i8)(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                      const int8_t *v, const float *vd, size_t ldv, size_t hd, size_t n_pos);
    void (*values_f32)(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                       const float *v, size_t ldv, size_t hd, size_t n_pos);
    void (*values_f16)(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                       const uint16_t *v, size_t ldv, size_t hd, size_t n_pos);
};

/* Fills *k for isa by laying its folder's slots over the scalar ones (and over those of the ISAs it
 * implies). Returns false if this build has no such folder. Does not look at the CPU, and runs code
 * compiled for isa: only to be called where the CPU has it. */
bool kernels_init(struct kernels *k, enum isa isa);

void kernels_init_scalar(struct kernels *k);
void kernels_init_avx2(struct kernels *k);
void kernels_init_avxvnni(struct kernels *k);
void kernels_init_avx512(struct kernels *k);
void kernels_init_amx(struct kernels *k);
void kernels_init_neon(struct kernels *k);
void kernels_init_neon_dotprod(struct kernels *k);
void kernels_init_neon_i8mm(struct kernels *k);

/* Row of a matrix as floats: out [k_pad] gets row_scale * (float)block_scale, rounded, then *
 * value, rounded (i4, i8), or the value (f32, bf16). The same code on every CPU; used for
 * embeddings. */
void dequantize_row(float *out, enum tensor_type type, const struct wmat *w, size_t row);

#endif
