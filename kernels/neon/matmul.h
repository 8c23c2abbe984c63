/* The matrix slots of kernels/neon/. */
#ifndef BISE_KERNELS_NEON_MATMUL_H
#define BISE_KERNELS_NEON_MATMUL_H

#include "kernels/kernels.h"

void matmul_f32_q32_i4_neon(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_q128_i4_neon(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                             const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_q32_i8_neon(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                            const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_f32_f32_neon(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                             const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_f32_bf16_neon(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch);

#endif
