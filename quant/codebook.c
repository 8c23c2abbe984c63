/* Found by bench/fit_codebook.c; docs/decisions.md says how it compares. */
#include "quantize.h"

const int8_t codebook_default[CODEBOOK_SIZE] = {-32, -24, -19, -15, -11, -8, -5, -2,
                                                1,   4,   7,   10,  14,  18, 23, 30};
