/* What vector slots in scalar code share. */
#ifndef BISE_KERNELS_SCALAR_VECTOR_H
#define BISE_KERNELS_SCALAR_VECTOR_H

#include "kernels/scalar/slots.h"

/* Sixteen partial sums combined in the contract's tree; lane is overwritten. */
static inline float tree_sum(float lane[16]) {
    for (size_t s = 8; s > 0; s /= 2)
        for (size_t i = 0; i < s; i++)
            lane[i] += lane[i + s];
    return lane[0];
}

#endif
