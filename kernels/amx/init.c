/* What int8 tiles improve over AVX-512: prefill of i4, whose sums run over 128 k. */
#include "kernels/amx/matmul.h"

void kernels_init_amx(struct kernels *k) {
    k->q128_flip = 0;
    k->matmul_f32_q128_i4 = matmul_f32_q128_i4_amx;
}
