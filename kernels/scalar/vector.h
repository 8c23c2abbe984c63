/* The vector and attention slots in scalar code: the definition of what every other folder computes
 * (kernels.h has the formulas). */
#ifndef BISE_KERNELS_SCALAR_VECTOR_H
#define BISE_KERNELS_SCALAR_VECTOR_H

#include "kernels/kernels.h"

bool quantize_q32_scalar(int8_t *q, float *d, int32_t *sum, const float *x, size_t k);
bool quantize_q128_scalar(int8_t *q, float *d, int32_t *sum, const float *x, size_t k);
bool quantize_block_scalar(int8_t *q, float *d, const float *x, size_t n);

bool rmsnorm_scalar(float *y, const float *x, const float *w, size_t n, float eps);
void rope_scalar(float *x, size_t n_heads, size_t head_dim, const float *cs);
void swiglu_scalar(float *y, const float *g, const float *u, size_t n);
void add_scalar(float *y, const float *x, size_t n);
void madd_scalar(float *y, const float *x, float a, size_t n);
void scale_scalar(float *y, float a, size_t n);

void scores_i8_scalar(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                      const int8_t *k, const float *kd, size_t hd, size_t n_groups);
void scores_f32_scalar(float *s, size_t lds, const float *q, float scale, size_t n_q,
                       const float *k, size_t hd, size_t n_groups);
void scores_f16_scalar(float *s, size_t lds, const float *q, float scale, size_t n_q,
                       const uint16_t *k, size_t hd, size_t n_groups);
float softmax_scalar(float *s, size_t lo, size_t hi, size_t n);
void values_i8_scalar(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                      const int8_t *v, const float *vd, size_t ldv, size_t hd, size_t n_pos);
void values_f32_scalar(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                       const float *v, size_t ldv, size_t hd, size_t n_pos);
void values_f16_scalar(float *out, size_t ldo, const float *p, size_t ldp, size_t n_q,
                       const uint16_t *v, size_t ldv, size_t hd, size_t n_pos);

/* Sixteen partial sums combined in the contract's tree; lane is overwritten. */
static inline float tree_sum(float lane[16]) {
    for (size_t s = 8; s > 0; s /= 2)
        for (size_t i = 0; i < s; i++)
            lane[i] += lane[i + s];
    return lane[0];
}

#endif
