/* Attention's weighted sums of int8 values: codes are unsigned, values signed. */
#include "kernels/avx2/vectors.h"
#include "kernels/avxvnni/slots.h"
#include "kernels/avxvnni/vnni.h"

#define VALUE_PARTS 1

/* The sum is kept in a register: GCC otherwise stores those of a full register tile every time. */
TILE_HELPER vint dot_values(vint acc, vint v, vint codes) {
    acc = dpbusd(acc, codes, v);
    __asm__("" : "+x"(acc));
    return acc;
}

#include "kernels/x86_values_tmpl.h"

void values_i8_avxvnni(float *out, size_t ldo, const uint8_t *c, const float *cd, size_t ldc,
                       size_t n_q, const int8_t *v, size_t hd, size_t n_groups) {
    values_i8(out, ldo, c, cd, ldc, n_q, v, hd, n_groups);
}
