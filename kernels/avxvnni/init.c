/* What the dot products of AVX-VNNI improve over AVX2. */
#include "kernels/avxvnni/scores.h"

void kernels_init_avxvnni(struct kernels *k) {
    k->scores_i8 = scores_i8_avxvnni;
}
