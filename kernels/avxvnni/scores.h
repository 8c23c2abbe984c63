/* The attention slot of kernels/avxvnni/. */
#ifndef BISE_KERNELS_AVXVNNI_SCORES_H
#define BISE_KERNELS_AVXVNNI_SCORES_H

#include "kernels/kernels.h"

void scores_i8_avxvnni(float *s, size_t lds, const int8_t *q, const float *qd, size_t n_q,
                       const int8_t *k, const float *kd, size_t hd, size_t n_groups);

#endif
