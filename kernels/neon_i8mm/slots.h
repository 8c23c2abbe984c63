/* The slots that kernels/neon_i8mm/ fills. */
#ifndef BISE_KERNELS_NEON_I8MM_SLOTS_H
#define BISE_KERNELS_NEON_I8MM_SLOTS_H

#include "kernels/kernels.h"

matmul_q128_fn matmul_f32_q128_i4_neon_i8mm;
matmul_q32_fn matmul_f32_q32_i8_neon_i8mm;
scores_i8_fn scores_i8_neon_i8mm;
values_i8_fn values_i8_neon_i8mm;

#endif
