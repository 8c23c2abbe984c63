/* The matrix slots in scalar code: the definition of what every other folder computes. */
#ifndef BISE_KERNELS_SCALAR_MATMUL_H
#define BISE_KERNELS_SCALAR_MATMUL_H

#include "kernels/kernels.h"

void matmul_f32_q32_i4_scalar(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_q128_i4_scalar(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_q32_i8_scalar(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                              const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_f32_f32_scalar(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_f32_bf16_scalar(float *y, size_t ldy, const float *x, size_t ldx, size_t n,
                                const struct wmat *w, size_t p0, size_t p1, void *scratch);

#endif
