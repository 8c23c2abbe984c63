/* The slots that kernels/avx2/ fills. */
#ifndef BISE_KERNELS_AVX2_SLOTS_H
#define BISE_KERNELS_AVX2_SLOTS_H

#include "kernels/kernels.h"

matmul_q128_fn matmul_f32_q128_i4_avx2;
matmul_q32_fn matmul_f32_q32_i8_avx2;
matmul_float_fn matmul_f32_f32_f32_avx2;
matmul_float_fn matmul_f32_f32_bf16_avx2;
quantize_q32_fn quantize_q32_avx2;
quantize_q128_fn quantize_q128_avx2;
quantize_block_fn quantize_block_avx2;
rmsnorm_fn rmsnorm_avx2;
rope_fn rope_avx2;
swiglu_fn swiglu_avx2;
add_fn add_avx2;
madd_fn madd_avx2;
scale_fn scale_avx2;
hadamard_fn hadamard_avx2;
quantize_i4_fn quantize_i4_avx2;
unpack_i4_fn unpack_keys_i4_avx2;
unpack_i4_fn unpack_values_i4_avx2;
scores_i8_fn scores_i8_avx2;
scores_f32_fn scores_f32_avx2;
scores_f16_fn scores_f16_avx2;
softmax_fn softmax_avx2;
weigh_i8_fn weigh_i8_avx2;
values_i8_fn values_i8_avx2;
values_f32_fn values_f32_avx2;
values_f16_fn values_f16_avx2;

#endif
