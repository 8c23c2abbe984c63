/* bf16 and f16 to float and back. Exact; to bf16 and f16 rounded to nearest even. */
#ifndef BISE_KERNELS_FLOAT_FORMATS_H
#define BISE_KERNELS_FLOAT_FORMATS_H

#include <stdint.h>

float bf16_to_f32(uint16_t u);
uint16_t f32_to_bf16(float x);
float f16_to_f32(uint16_t u);
uint16_t f32_to_f16(float x);

#endif
