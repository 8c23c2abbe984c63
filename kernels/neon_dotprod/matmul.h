/* The slots of kernels/neon_dotprod/. */
#ifndef BISE_KERNELS_NEON_DOTPROD_MATMUL_H
#define BISE_KERNELS_NEON_DOTPROD_MATMUL_H

#include "kernels/kernels.h"

void matmul_f32_q32_i4_neon_dotprod(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                                    const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_q128_i4_neon_dotprod(float *y, size_t ldy, const struct act_q128 *x, size_t n,
                                     const struct wmat *w, size_t p0, size_t p1, void *scratch);
void matmul_f32_q32_i8_neon_dotprod(float *y, size_t ldy, const struct act_q8 *x, size_t n,
                                    const struct wmat *w, size_t p0, size_t p1, void *scratch);

void scores_i8_neon_dotprod(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                            const int8_t *k, const float *kd, size_t hd, size_t n_groups);

#endif
