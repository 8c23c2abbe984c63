/* What plain ARMv8.0 improves over the scalar table. */
#include "kernels/neon/slots.h"

void kernels_init_neon(struct kernels *k) {
    k->matmul_f32_q128_i4 = matmul_f32_q128_i4_neon;
    k->matmul_f32_q32_i8 = matmul_f32_q32_i8_neon;
    k->matmul_f32_f32_f32 = matmul_f32_f32_f32_neon;
    k->matmul_f32_f32_bf16 = matmul_f32_f32_bf16_neon;

    k->quantize_q32 = quantize_q32_neon;
    k->quantize_q128 = quantize_q128_neon;
    k->quantize_block = quantize_block_neon;
    k->rmsnorm = rmsnorm_neon;
    k->rope = rope_neon;
    k->swiglu = swiglu_neon;
    k->add = add_neon;
    k->madd = madd_neon;
    k->scale = scale_neon;
    k->hadamard = hadamard_neon;
    k->quantize_i4 = quantize_i4_neon;
    k->unpack_keys_i4 = unpack_keys_i4_neon;
    k->unpack_values_i4 = unpack_values_i4_neon;
    k->scores_i8 = scores_i8_neon;
    k->scores_f32 = scores_f32_neon;
    k->scores_f16 = scores_f16_neon;
    k->softmax = softmax_neon;
    k->weigh_i8 = weigh_i8_neon;
    k->values_i8 = values_i8_neon;
    k->values_f32 = values_f32_neon;
    k->values_f16 = values_f16_neon;
}
