/* The slots that kernels/avxvnni/ fills. */
#ifndef BISE_KERNELS_AVXVNNI_SLOTS_H
#define BISE_KERNELS_AVXVNNI_SLOTS_H

#include "kernels/kernels.h"

matmul_q128_fn matmul_f32_q128_i4_avxvnni;
matmul_q32_fn matmul_f32_q32_i8_avxvnni;
scores_i8_fn scores_i8_avxvnni;
values_i8_fn values_i8_avxvnni;

#endif
