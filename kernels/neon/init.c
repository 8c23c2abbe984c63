/* What plain ARMv8.0 improves over the scalar table. */
#include "kernels/kernels.h"
#include "kernels/neon/matmul.h"

void kernels_init_neon(struct kernels *k) {
    k->matmul_f32_q32_i4 = matmul_f32_q32_i4_neon;
    k->matmul_f32_q128_i4 = matmul_f32_q128_i4_neon;
    k->matmul_f32_q32_i8 = matmul_f32_q32_i8_neon;
    k->matmul_f32_f32_f32 = matmul_f32_f32_f32_neon;
    k->matmul_f32_f32_bf16 = matmul_f32_f32_bf16_neon;
}
