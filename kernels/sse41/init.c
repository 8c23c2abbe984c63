/* What SSSE3 and SSE4.1 improve over the scalar table. */
#include "kernels/sse41/slots.h"

void kernels_init_sse41(struct kernels *k) {
    k->matmul_f32_q128_i4 = matmul_f32_q128_i4_sse41;
    k->matmul_f32_q32_i8 = matmul_f32_q32_i8_sse41;
    k->matmul_f32_f32_f32 = matmul_f32_f32_f32_sse41;
    k->matmul_f32_f32_bf16 = matmul_f32_f32_bf16_sse41;
    k->quantize_q32 = quantize_q32_sse41;
    k->quantize_q128 = quantize_q128_sse41;
    k->quantize_block = quantize_block_sse41;
    k->rmsnorm = rmsnorm_sse41;
    k->rope = rope_sse41;
    k->swiglu = swiglu_sse41;
    k->add = add_sse41;
    k->madd = madd_sse41;
    k->scale = scale_sse41;
    k->hadamard = hadamard_sse41;
    k->quantize_i4 = quantize_i4_sse41;
    k->unpack_keys_i4 = unpack_keys_i4_sse41;
    k->unpack_values_i4 = unpack_values_i4_sse41;
    k->scores_i8 = scores_i8_sse41;
    k->scores_f32 = scores_f32_sse41;
    k->scores_f16 = scores_f16_sse41;
    k->softmax = softmax_sse41;
    k->weigh_i8 = weigh_i8_sse41;
    k->values_i8 = values_i8_sse41;
    k->values_f32 = values_f32_sse41;
    k->values_f16 = values_f16_sse41;
}
