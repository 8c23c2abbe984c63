/* The scalar table: every slot. */
#include "kernels/kernels.h"
#include "kernels/scalar/matmul.h"

void kernels_init_scalar(struct kernels *k) {
    k->matmul_f32_q32_i4 = matmul_f32_q32_i4_scalar;
    k->matmul_f32_q128_i4 = matmul_f32_q128_i4_scalar;
    k->matmul_f32_q32_i8 = matmul_f32_q32_i8_scalar;
    k->matmul_f32_f32_f32 = matmul_f32_f32_f32_scalar;
    k->matmul_f32_f32_bf16 = matmul_f32_f32_bf16_scalar;
}
