/* What the matrix product of ARMv8.6 improves over the dot product. */
#include "kernels/neon_i8mm/slots.h"

void kernels_init_neon_i8mm(struct kernels *k) {
    k->matmul_f32_q128_i4 = matmul_f32_q128_i4_neon_i8mm;
    k->matmul_f32_q32_i8 = matmul_f32_q32_i8_neon_i8mm;
    k->scores_i8 = scores_i8_neon_i8mm;
    k->values_i8 = values_i8_neon_i8mm;
}
