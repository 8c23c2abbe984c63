/* The arithmetic that results are defined by: round to nearest even, denormals kept, no traps. The
 * CPU's control word may say otherwise: programs compiled with -ffast-math, audio hosts and others
 * set it to flush denormals in their threads. What computes sets it for the time of a call. */
#ifndef BISE_SRC_BASE_FLOAT_MODE_H
#define BISE_SRC_BASE_FLOAT_MODE_H

#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

struct float_mode {
    uint64_t word;
};

/* x86: MXCSR with all exceptions masked; ARM: FPCR, where 0 is all of it. Sticky flags, which say
 * what has happened and change nothing, are left out of the comparison. */
#if defined(__x86_64__)
#define FLOAT_MODE_DEFAULT 0x1f80u
#define FLOAT_MODE_STATUS  0x3fu
static inline uint64_t float_mode_read(void) {
    return _mm_getcsr();
}
static inline void float_mode_write(uint64_t word) {
    _mm_setcsr((unsigned)word);
}
#elif defined(__aarch64__)
#define FLOAT_MODE_DEFAULT 0u
#define FLOAT_MODE_STATUS  0u
static inline uint64_t float_mode_read(void) {
    uint64_t word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    return word;
}
static inline void float_mode_write(uint64_t word) {
    __asm__ volatile("msr fpcr, %0" ::"r"(word) : "memory");
}
#else
#define FLOAT_MODE_DEFAULT 0u
#define FLOAT_MODE_STATUS  0u
static inline uint64_t float_mode_read(void) {
    return 0;
}
static inline void float_mode_write(uint64_t word) {
    (void)word;
}
#endif

/* Sets it for the calling thread and returns what was there. */
static inline struct float_mode float_mode_begin(void) {
    const struct float_mode before = {float_mode_read()};
    if ((before.word & ~(uint64_t)FLOAT_MODE_STATUS) != FLOAT_MODE_DEFAULT)
        float_mode_write(FLOAT_MODE_DEFAULT);
    return before;
}

static inline void float_mode_end(struct float_mode before) {
    if ((before.word & ~(uint64_t)FLOAT_MODE_STATUS) != FLOAT_MODE_DEFAULT)
        float_mode_write(before.word);
}

#endif
