/* What AVX-512 with VNNI improves over AVX2. */
#include "kernels/avx512/slots.h"

void kernels_init_avx512(struct kernels *k) {
    k->matmul_f32_q128_i4 = matmul_f32_q128_i4_avx512;
    k->matmul_f32_q32_i8 = matmul_f32_q32_i8_avx512;
    k->matmul_f32_f32_f32 = matmul_f32_f32_f32_avx512;

    k->quantize_q32 = quantize_q32_avx512;
    k->quantize_q128 = quantize_q128_avx512;
    k->quantize_block = quantize_block_avx512;
    k->rmsnorm = rmsnorm_avx512;
    k->rope = rope_avx512;
    k->swiglu = swiglu_avx512;
    k->add = add_avx512;
    k->madd = madd_avx512;
    k->scale = scale_avx512;
    k->hadamard = hadamard_avx512;
    k->quantize_i4 = quantize_i4_avx512;
    k->unpack_keys_i4 = unpack_keys_i4_avx512;
    k->unpack_values_i4 = unpack_values_i4_avx512;
    k->scores_i8 = scores_i8_avx512;
    k->scores_f32 = scores_f32_avx512;
    k->scores_f16 = scores_f16_avx512;
    k->softmax = softmax_avx512;
    k->weigh_i8 = weigh_i8_avx512;
    k->values_i8 = values_i8_avx512;
    k->values_f32 = values_f32_avx512;
    k->values_f16 = values_f16_avx512;
}
