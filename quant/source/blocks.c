/* Layouts: ggml's block formats, little-endian. d, m: scale and offset in half precision. */
#include "quant/source/blocks.h"

#include "kernels/float_formats.h"
#include "kernels/layout.h"
#include "src/base/bytes.h"

static float half_at(const uint8_t *p) {
    return f16_to_f32(get_u16(p));
}

struct block_shape block_shape(enum raw_type type) {
    static const struct block_shape shapes[] = {
        [RAW_F32] = {1, 4},      [RAW_F16] = {1, 2},      [RAW_BF16] = {1, 2},
        [RAW_Q4_0] = {32, 18},   [RAW_Q4_1] = {32, 20},   [RAW_Q5_0] = {32, 22},
        [RAW_Q5_1] = {32, 24},   [RAW_Q8_0] = {32, 34},   [RAW_Q4_K] = {256, 144},
        [RAW_Q5_K] = {256, 176}, [RAW_Q6_K] = {256, 210}, [RAW_OTHER] = {0, 0}};
    return shapes[type];
}

/* 32 values: d, [m], [the fifth bits in 4 bytes], nibbles: value i is low in byte i, value i + 16
 * high. */
static void read_legacy(const uint8_t *block, float *out, bool has_min, bool five_bits) {
    const float d = half_at(block), m = has_min ? half_at(block + 2) : 0;
    const uint8_t *p = block + (has_min ? 4 : 2);
    const uint32_t high = five_bits ? get_u32(p) : 0;
    const int bias = has_min ? 0 : five_bits ? 16 : 8;
    p += five_bits ? 4 : 0;
    for (unsigned i = 0; i < 32; i++) {
        const unsigned nibble = i < 16 ? p[i] & 15 : p[i - 16] >> 4;
        const int q = (int)(nibble | (high >> i & 1) << 4) - bias;
        out[i] = has_min ? (float)q * d + m : (float)q * d;
    }
}

static void read_q8_0(const uint8_t *block, float *out) {
    const float d = half_at(block);
    for (unsigned i = 0; i < 32; i++)
        out[i] = (float)(int8_t)block[2 + i] * d;
}

/* Scale and offset number j of 8, six bits each, packed in 12 bytes. */
static void six_bits(const uint8_t p[12], unsigned j, unsigned *scale, unsigned *min) {
    if (j < 4) {
        *scale = p[j] & 63;
        *min = p[j + 4] & 63;
    } else {
        *scale = (p[j + 4] & 15) | (unsigned)(p[j - 4] >> 6) << 4;
        *min = p[j + 4] >> 4 | (unsigned)(p[j] >> 6) << 4;
    }
}

/* 8 groups of 32: d, dmin, the scales' 12 bytes, [the fifth bits: group j is bit j of byte i],
 * nibbles: groups 2g low and 2g + 1 high in bytes 32g on. */
static void read_k4_k5(const uint8_t *block, float *out, bool five_bits) {
    const float d = half_at(block), dmin = half_at(block + 2);
    const uint8_t *high = block + 16, *low = high + (five_bits ? 32 : 0);
    for (unsigned j = 0; j < 8; j++) {
        unsigned scale, min;
        six_bits(block + 4, j, &scale, &min);
        const float ds = d * (float)scale, ms = dmin * (float)min;
        for (unsigned i = 0; i < 32; i++) {
            const uint8_t byte = low[j / 2 * 32 + i];
            unsigned q = j % 2 ? byte >> 4 : byte & 15;
            if (five_bits)
                q |= (high[i] >> j & 1u) << 4;
            out[32 * j + i] = ds * (float)q - ms;
        }
    }
}

/* Two halves of 128 values. In each: 64 bytes of low nibbles (all low ones first), 32 bytes of four
 * pairs of high bits; 16 scales of 16 values, one byte each, and d follow for both. */
static void read_q6_k(const uint8_t *block, float *out) {
    const float d = half_at(block + 208);
    for (unsigned i = 0; i < 256; i++) {
        const unsigned half = i / 128, within = i % 128, quarter = within / 32, l = within % 32;
        const uint8_t low = block[half * 64 + within % 64];
        const unsigned high = block[128 + half * 32 + l] >> (2 * quarter) & 3;
        const int q = (int)((within < 64 ? low & 15u : low >> 4) | high << 4) - 32;
        const float ds = d * (float)(int8_t)block[192 + i / 16];
        out[i] = ds * (float)q;
    }
}

void block_read(enum raw_type type, const uint8_t *block, float *out) {
    switch (type) {
    case RAW_F32:
        *out = get_f32(block);
        break;
    case RAW_F16:
        *out = half_at(block);
        break;
    case RAW_BF16:
        *out = bf16_to_f32(get_u16(block));
        break;
    case RAW_Q4_0:
        read_legacy(block, out, false, false);
        break;
    case RAW_Q4_1:
        read_legacy(block, out, true, false);
        break;
    case RAW_Q5_0:
        read_legacy(block, out, false, true);
        break;
    case RAW_Q5_1:
        read_legacy(block, out, true, true);
        break;
    case RAW_Q8_0:
        read_q8_0(block, out);
        break;
    case RAW_Q4_K:
        read_k4_k5(block, out, false);
        break;
    case RAW_Q5_K:
        read_k4_k5(block, out, true);
        break;
    case RAW_Q6_K:
        read_q6_k(block, out);
        break;
    case RAW_OTHER:
        break;
    }
}
