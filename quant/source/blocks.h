/* The blocks of quantized weights that GGUF files hold, as floats. Internal to quant/source. */
#ifndef BISE_QUANT_SOURCE_BLOCKS_H
#define BISE_QUANT_SOURCE_BLOCKS_H

#include "quant/source/raw.h"

#define BLOCK_MAX_BYTES 256u

/* Values and bytes of a block of one type; of the plain types, one value. RAW_OTHER has none. */
struct block_shape {
    unsigned values, bytes;
};
struct block_shape block_shape(enum raw_type type);
/* One block [bytes] as floats out [values]: by the formulas of the format, each product and sum
 * rounded to single. */
void block_read(enum raw_type type, const uint8_t *block, float *out);

#endif
