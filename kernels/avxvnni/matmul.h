/* The matrix slots of kernels/avxvnni/. */
#ifndef BISE_KERNELS_AVXVNNI_MATMUL_H
#define BISE_KERNELS_AVXVNNI_MATMUL_H

#include "kernels/kernels.h"

void matmul_f32_q32_i4_avxvnni(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_q128_i4_avxvnni(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                                const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_q32_i8_avxvnni(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                               const struct wmat *w, size_t p0, size_t p1, void *scratch);

#endif
