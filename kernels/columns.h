/* The activations of a group of columns, for the x86 folders' loops over weights with one scale per
 * block of 32 k. */
#ifndef BISE_KERNELS_COLUMNS_H
#define BISE_KERNELS_COLUMNS_H

#include "kernels/kernels.h"

struct columns {
    const int8_t *q;    /* [cols][k] */
    const float *d;     /* [cols][k / 32] */
    const int32_t *sum; /* [cols][k / 32] */
    size_t k;
};

/* Those from column c on. */
static inline struct columns columns_from(const struct act_q8 *x, size_t c, size_t k) {
    const size_t n_blocks = k / BLOCK_K;
    return (struct columns){x->q + c * k, x->d + c * n_blocks, x->sum + c * n_blocks, k};
}

#endif
