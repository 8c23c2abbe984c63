/* The slots that kernels/scalar/ fills. */
#ifndef BISE_KERNELS_SCALAR_SLOTS_H
#define BISE_KERNELS_SCALAR_SLOTS_H

#include "kernels/kernels.h"

matmul_q128_fn matmul_f32_q128_i4_scalar;
matmul_q32_fn matmul_f32_q32_i8_scalar;
matmul_float_fn matmul_f32_f32_f32_scalar;
matmul_float_fn matmul_f32_f32_bf16_scalar;
quantize_q32_fn quantize_q32_scalar;
quantize_q128_fn quantize_q128_scalar;
quantize_block_fn quantize_block_scalar;
rmsnorm_fn rmsnorm_scalar;
rope_fn rope_scalar;
swiglu_fn swiglu_scalar;
add_fn add_scalar;
madd_fn madd_scalar;
scale_fn scale_scalar;
hadamard_fn hadamard_scalar;
quantize_i4_fn quantize_i4_scalar;
unpack_i4_fn unpack_keys_i4_scalar;
unpack_i4_fn unpack_values_i4_scalar;
scores_i8_fn scores_i8_scalar;
scores_f32_fn scores_f32_scalar;
scores_f16_fn scores_f16_scalar;
softmax_fn softmax_scalar;
weigh_i8_fn weigh_i8_scalar;
values_i8_fn values_i8_scalar;
values_f32_fn values_f32_scalar;
values_f16_fn values_f16_scalar;

#endif
