/* The slots that kernels/avx512/ fills. */
#ifndef BISE_KERNELS_AVX512_SLOTS_H
#define BISE_KERNELS_AVX512_SLOTS_H

#include "kernels/kernels.h"

matmul_q128_fn matmul_f32_q128_i4_avx512;
matmul_q32_fn matmul_f32_q32_i8_avx512;
matmul_float_fn matmul_f32_f32_f32_avx512;
quantize_q32_fn quantize_q32_avx512;
quantize_q128_fn quantize_q128_avx512;
quantize_block_fn quantize_block_avx512;
rmsnorm_fn rmsnorm_avx512;
rope_fn rope_avx512;
swiglu_fn swiglu_avx512;
add_fn add_avx512;
madd_fn madd_avx512;
scale_fn scale_avx512;
hadamard_fn hadamard_avx512;
quantize_i4_fn quantize_i4_avx512;
unpack_i4_fn unpack_keys_i4_avx512;
unpack_i4_fn unpack_values_i4_avx512;
scores_i8_fn scores_i8_avx512;
scores_f32_fn scores_f32_avx512;
scores_f16_fn scores_f16_avx512;
softmax_fn softmax_avx512;
weigh_i8_fn weigh_i8_avx512;
values_i8_fn values_i8_avx512;
values_f32_fn values_f32_avx512;
values_f16_fn values_f16_avx512;

#endif
