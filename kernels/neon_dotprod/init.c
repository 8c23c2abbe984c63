/* What the dot product of ARMv8.2 improves over plain NEON. */
#include "kernels/neon_dotprod/slots.h"

void kernels_init_neon_dotprod(struct kernels *k) {
    k->matmul_f32_q128_i4 = matmul_f32_q128_i4_neon_dotprod;
    k->matmul_f32_q32_i8 = matmul_f32_q32_i8_neon_dotprod;
    k->scores_i8 = scores_i8_neon_dotprod;
    k->values_i8 = values_i8_neon_dotprod;
}
