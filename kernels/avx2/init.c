/* What AVX2 and FMA improve over the scalar table. */
#include "kernels/avx2/slots.h"

void kernels_init_avx2(struct kernels *k) {
    k->matmul_f32_q128_i4 = matmul_f32_q128_i4_avx2;
    k->matmul_f32_q32_i8 = matmul_f32_q32_i8_avx2;
    k->matmul_f32_f32_f32 = matmul_f32_f32_f32_avx2;
    k->matmul_f32_f32_bf16 = matmul_f32_f32_bf16_avx2;
    k->quantize_q32 = quantize_q32_avx2;
    k->quantize_q128 = quantize_q128_avx2;
    k->quantize_block = quantize_block_avx2;
    k->rmsnorm = rmsnorm_avx2;
    k->rope = rope_avx2;
    k->swiglu = swiglu_avx2;
    k->add = add_avx2;
    k->madd = madd_avx2;
    k->scale = scale_avx2;
    k->hadamard = hadamard_avx2;
    k->quantize_i4 = quantize_i4_avx2;
    k->unpack_keys_i4 = unpack_keys_i4_avx2;
    k->unpack_values_i4 = unpack_values_i4_avx2;
    k->scores_i8 = scores_i8_avx2;
    k->scores_f32 = scores_f32_avx2;
    k->scores_f16 = scores_f16_avx2;
    k->softmax = softmax_avx2;
    k->weigh_i8 = weigh_i8_avx2;
    k->values_i8 = values_i8_avx2;
    k->values_f32 = values_f32_avx2;
    k->values_f16 = values_f16_avx2;
}
