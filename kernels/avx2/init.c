/* What AVX2 and FMA improve over the scalar table. */
#include "kernels/avx2/matmul.h"
#include "kernels/kernels.h"

void kernels_init_avx2(struct kernels *k) {
    k->matmul_f32_q32_i4 = matmul_f32_q32_i4_avx2;
    k->matmul_f32_q128_i4 = matmul_f32_q128_i4_avx2;
    k->matmul_f32_q32_i8 = matmul_f32_q32_i8_avx2;
    k->matmul_f32_f32_f32 = matmul_f32_f32_f32_avx2;
    k->matmul_f32_f32_bf16 = matmul_f32_f32_bf16_avx2;
}
