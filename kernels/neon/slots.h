/* The slots that kernels/neon/ fills. */
#ifndef BISE_KERNELS_NEON_SLOTS_H
#define BISE_KERNELS_NEON_SLOTS_H

#include "kernels/kernels.h"

matmul_q128_fn matmul_f32_q128_i4_neon;
matmul_q32_fn matmul_f32_q32_i8_neon;
matmul_float_fn matmul_f32_f32_f32_neon;
matmul_float_fn matmul_f32_f32_bf16_neon;
quantize_q32_fn quantize_q32_neon;
quantize_q128_fn quantize_q128_neon;
quantize_block_fn quantize_block_neon;
rmsnorm_fn rmsnorm_neon;
rope_fn rope_neon;
swiglu_fn swiglu_neon;
add_fn add_neon;
madd_fn madd_neon;
scale_fn scale_neon;
hadamard_fn hadamard_neon;
quantize_i4_fn quantize_i4_neon;
unpack_i4_fn unpack_keys_i4_neon;
unpack_i4_fn unpack_values_i4_neon;
scores_i8_fn scores_i8_neon;
scores_f32_fn scores_f32_neon;
scores_f16_fn scores_f16_neon;
softmax_fn softmax_neon;
weigh_i8_fn weigh_i8_neon;
values_i8_fn values_i8_neon;
values_f32_fn values_f32_neon;
values_f16_fn values_f16_neon;

#endif
