/* Little-endian numbers in byte buffers, whatever the machine's own order and alignment. */
#ifndef BISE_SRC_BASE_BYTES_H
#define BISE_SRC_BASE_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline bool all_zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static inline uint16_t get_u16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t get_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t get_u64(const uint8_t *p) {
    return (uint64_t)get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

static inline float get_f32(const uint8_t *p) {
    const uint32_t u = get_u32(p);
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline double get_f64(const uint8_t *p) {
    const uint64_t u = get_u64(p);
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline void put_u32(uint8_t *p, uint32_t u) {
    p[0] = (uint8_t)u;
    p[1] = (uint8_t)(u >> 8);
    p[2] = (uint8_t)(u >> 16);
    p[3] = (uint8_t)(u >> 24);
}

static inline void put_u64(uint8_t *p, uint64_t u) {
    put_u32(p, (uint32_t)u);
    put_u32(p + 4, (uint32_t)(u >> 32));
}

static inline void put_f32(uint8_t *p, float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    put_u32(p, u);
}

static inline void put_f64(uint8_t *p, double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    put_u64(p, u);
}

#endif
