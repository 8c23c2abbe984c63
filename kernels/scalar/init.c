/* The scalar table: every slot. */
#include "kernels/scalar/slots.h"

void kernels_init_scalar(struct kernels *k) {
    k->matmul_f32_q128_i4 = matmul_f32_q128_i4_scalar;
    k->matmul_f32_q32_i8 = matmul_f32_q32_i8_scalar;
    k->matmul_f32_f32_f32 = matmul_f32_f32_f32_scalar;
    k->matmul_f32_f32_bf16 = matmul_f32_f32_bf16_scalar;

    k->quantize_q32 = quantize_q32_scalar;
    k->quantize_q128 = quantize_q128_scalar;
    k->quantize_block = quantize_block_scalar;
    k->rmsnorm = rmsnorm_scalar;
    k->rope = rope_scalar;
    k->swiglu = swiglu_scalar;
    k->add = add_scalar;
    k->madd = madd_scalar;
    k->scale = scale_scalar;
    k->hadamard = hadamard_scalar;
    k->quantize_i4 = quantize_i4_scalar;
    k->unpack_keys_i4 = unpack_keys_i4_scalar;
    k->unpack_values_i4 = unpack_values_i4_scalar;
    k->scores_i8 = scores_i8_scalar;
    k->scores_f32 = scores_f32_scalar;
    k->scores_f16 = scores_f16_scalar;
    k->softmax = softmax_scalar;
    k->weigh_i8 = weigh_i8_scalar;
    k->values_i8 = values_i8_scalar;
    k->values_f32 = values_f32_scalar;
    k->values_f16 = values_f16_scalar;
}
