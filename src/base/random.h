/* xoshiro256** 1.0 (Blackman and Vigna, arXiv 1805.01407), seeded by splitmix64; and numbers that
 * are a function of seed and position (splitmix64, Steele, Lea and Flood, OOPSLA 2014). */
#ifndef BISE_SRC_BASE_RANDOM_H
#define BISE_SRC_BASE_RANDOM_H

#include <stdint.h>

struct random_state {
    uint64_t s[4];
};

static inline uint64_t random_rotl(uint64_t x, int k) {
    return x << k | x >> (64 - k);
}

#define RANDOM_STEP UINT64_C(0x9e3779b97f4a7c15)

/* splitmix64's finalizer. */
static inline uint64_t random_mix(uint64_t z) {
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline uint64_t random_splitmix(uint64_t *x) {
    return random_mix(*x += RANDOM_STEP);
}

static inline void random_seed(struct random_state *r, uint64_t seed) {
    for (int i = 0; i < 4; i++)
        r->s[i] = random_splitmix(&seed);
}

static inline uint64_t random_u64(struct random_state *r) {
    uint64_t *s = r->s;
    const uint64_t result = random_rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = random_rotl(s[3], 45);
    return result;
}

/* In [0, 1): a multiple of 2^-53. */
static inline double random_unit(struct random_state *r) {
    return (double)(random_u64(r) >> 11) * 0x1p-53;
}

/* The number in [0, 1) that belongs to a position; seeds are mixed first, so that neighbours have
 * nothing in common. */
static inline double random_unit_at(uint64_t seed, uint64_t position) {
    const uint64_t key = random_mix(seed + RANDOM_STEP);
    return (double)(random_mix(key + (position + 1) * RANDOM_STEP) >> 11) * 0x1p-53;
}

#endif
