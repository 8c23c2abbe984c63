/* The matrix slots for AVX2 with FMA. */
#ifndef BISE_KERNELS_AVX2_MATMUL_H
#define BISE_KERNELS_AVX2_MATMUL_H

#include "kernels/kernels.h"

void matmul_f32_q32_i4_avx2(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_q128_i4_avx2(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                             const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_q32_i8_avx2(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_f32_f32_avx2(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                             const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_f32_bf16_avx2(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch);

#endif
