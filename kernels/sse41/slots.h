/* The slots that kernels/sse41/ fills. */
#ifndef BISE_KERNELS_SSE41_SLOTS_H
#define BISE_KERNELS_SSE41_SLOTS_H

#include "kernels/kernels.h"

matmul_q128_fn matmul_f32_q128_i4_sse41;
matmul_q32_fn matmul_f32_q32_i8_sse41;
matmul_float_fn matmul_f32_f32_f32_sse41;
matmul_float_fn matmul_f32_f32_bf16_sse41;
quantize_q32_fn quantize_q32_sse41;
quantize_q128_fn quantize_q128_sse41;
quantize_block_fn quantize_block_sse41;
rmsnorm_fn rmsnorm_sse41;
rope_fn rope_sse41;
swiglu_fn swiglu_sse41;
add_fn add_sse41;
madd_fn madd_sse41;
scale_fn scale_sse41;
hadamard_fn hadamard_sse41;
quantize_i4_fn quantize_i4_sse41;
unpack_i4_fn unpack_keys_i4_sse41;
unpack_i4_fn unpack_values_i4_sse41;
scores_i8_fn scores_i8_sse41;
scores_f32_fn scores_f32_sse41;
scores_f16_fn scores_f16_sse41;
softmax_fn softmax_sse41;
weigh_i8_fn weigh_i8_sse41;
values_i8_fn values_i8_sse41;
values_f32_fn values_f32_sse41;
values_f16_fn values_f16_sse41;

#endif
