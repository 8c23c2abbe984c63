/* What the dot products of AVX-VNNI improve over AVX2. */
#include "kernels/avxvnni/slots.h"

void kernels_init_avxvnni(struct kernels *k) {
    k->matmul_f32_q128_i4 = matmul_f32_q128_i4_avxvnni;
    k->matmul_f32_q32_i8 = matmul_f32_q32_i8_avxvnni;
    k->scores_i8 = scores_i8_avxvnni;
    k->values_i8 = values_i8_avxvnni;
}
