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
        [RAW_Q5_K] = {256, 176}, [RAW_Q6_K] = {256, 210}, [RAW_Q2_K] = {256, 84},
        [RAW_Q3_K] = {256, 110}, [RAW_IQ4_NL] = {32, 18}, [RAW_IQ4_XS] = {256, 136},
        [RAW_OTHER] = {0, 0}};
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

/* Two bits of each of 256 values: in each half of 32 bytes, value i of its 128 is two bits of byte
 * i mod 32, the lowest for the first 32 values. */
static unsigned two_bits(const uint8_t *p, unsigned i) {
    return p[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
}

/* 16 groups of 16: a byte of scale (low) and offset (high) for each, two bits a value, d, dmin. */
static void read_q2_k(const uint8_t *block, float *out) {
    const float d = half_at(block + 80), dmin = half_at(block + 82);
    for (unsigned i = 0; i < 256; i++) {
        const uint8_t scale = block[i / 16];
        const float ds = d * (float)(scale & 15), ms = dmin * (float)(scale >> 4);
        out[i] = ds * (float)two_bits(block + 16, i) - ms;
    }
}

/* 16 groups of 16: a third bit for each value (not set: minus 4; those of group i / 32 are bit i
 * / 32 of 32 bytes), two bits a value, the scales of six bits in 12 bytes, d. */
static void read_q3_k(const uint8_t *block, float *out) {
    const uint8_t *scales = block + 96;
    const float d = half_at(block + 108);
    for (unsigned i = 0; i < 256; i++) {
        const unsigned j = i / 16, low = j < 8 ? scales[j] & 15u : scales[j - 8] >> 4;
        const unsigned high = scales[8 + j % 4] >> (j / 4 * 2) & 3u;
        const float ds = d * (float)((int)(low | high << 4) - 32);
        const bool set = block[i % 32] >> (i / 32) & 1;
        out[i] = ds * (float)((int)two_bits(block + 32, i) - (set ? 0 : 4));
    }
}

/* The 16 values of IQ4's codes. */
static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};

/* 32 values of one scale: 16 low nibbles, then the high ones. */
static void read_iq4_codes(const uint8_t codes[16], float d, float *out) {
    for (unsigned i = 0; i < 16; i++) {
        out[i] = d * (float)iq4_values[codes[i] & 15];
        out[i + 16] = d * (float)iq4_values[codes[i] >> 4];
    }
}

/* 8 groups of 32: d, two high bits of each scale, four low ones of each, the codes. */
static void read_iq4_xs(const uint8_t *block, float *out) {
    const float d = half_at(block);
    const unsigned high = get_u16(block + 2);
    for (unsigned j = 0; j < 8; j++) {
        const unsigned low = block[4 + j / 2] >> (j % 2 * 4) & 15u;
        const int scale = (int)(low | (high >> (2 * j) & 3u) << 4) - 32;
        read_iq4_codes(block + 8 + 16 * j, d * (float)scale, out + 32 * j);
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
    case RAW_Q2_K:
        read_q2_k(block, out);
        break;
    case RAW_Q3_K:
        read_q3_k(block, out);
        break;
    case RAW_IQ4_NL:
        read_iq4_codes(block + 2, half_at(block), out);
        break;
    case RAW_IQ4_XS:
        read_iq4_xs(block, out);
        break;
    case RAW_OTHER:
        break;
    }
}
