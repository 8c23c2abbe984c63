/* Found by bench/fit_codebook.c; docs/decisions.md says how it compares. */
#include "quant/round/quantize.h"

const int8_t codebook_default[CODEBOOK_SIZE] = {-32, -24, -19, -15, -11, -8, -5, -2,
                                                1,   4,   7,   10,  14,  18, 23, 30};

const int8_t codebook_tails[CODEBOOK_SIZE] = {-32, -23, -18, -13, -10, -7, -4, -2,
                                              0,   3,   6,   9,   12,  17, 22, 30};
