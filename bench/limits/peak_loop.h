/*
 * The loop of peak.h, for every instruction set. Before including it, a file defines
 *
 *   vec                                      a register of 32-bit lanes
 *   vec ones(void)                           every lane 0x3f800000: 1.0f, or small codes
 *   void opaque(vec *v)                      makes the compiler forget what it knows of *v
 *   vec step(enum peak_op op, vec acc, vec a, vec b)   the instructions that add to one sum
 *   double step_macs(enum peak_op op)        multiplications in one step
 */
#ifndef BISE_BENCH_LIMITS_PEAK_LOOP_H
#define BISE_BENCH_LIMITS_PEAK_LOOP_H

TILE_HELPER double loop(enum peak_op op, size_t iterations, const size_t n) {
    vec acc[24], a = ones(), b = ones();
    UNROLL
    for (size_t i = 0; i < n; i++)
        acc[i] = ones();
    for (size_t it = 0; it < iterations; it++) {
        UNROLL
        for (size_t i = 0; i < n; i++) {
            opaque(&a); /* or the compiler would do one step for all sums */
            acc[i] = step(op, acc[i], a, b);
        }
    }
    UNROLL
    for (size_t i = 0; i < n; i++)
        opaque(&acc[i]);
    return step_macs(op) * (double)n * (double)iterations;
}

/* Registers filled from 24 of them in the first level's cache: bytes in place of multiplications. */
TILE_HELPER double loop_read(size_t iterations, const size_t n) {
    static vec memory[24];
    for (size_t it = 0; it < iterations; it++) {
        __asm__ volatile("" : : "r"(memory) : "memory"); /* what lies there may be another */
        UNROLL
        for (size_t i = 0; i < n; i++) {
            vec v = memory[i];
            opaque(&v);
        }
    }
    return (double)(sizeof(vec) * n * iterations);
}

TILE_HELPER double loops(const enum peak_op op, size_t n_sums, size_t iterations) {
    if (op == PEAK_READ)
        return n_sums == 24 ? loop_read(iterations, 24) : 0.0;
    switch (n_sums) {
    case 4:
        return loop(op, iterations, 4);
    case 6:
        return loop(op, iterations, 6);
    case 8:
        return loop(op, iterations, 8);
    case 12:
        return loop(op, iterations, 12);
    case 16:
        return loop(op, iterations, 16);
    case 24:
        return loop(op, iterations, 24);
    default:
        return 0.0;
    }
}

TILE_HELPER double loops_of(enum peak_op op, size_t n_sums, size_t iterations) {
    if (op == PEAK_DOT6)
        return loops(PEAK_DOT6, n_sums, iterations);
    if (op == PEAK_DOT8)
        return loops(PEAK_DOT8, n_sums, iterations);
    if (op == PEAK_READ)
        return loops(PEAK_READ, n_sums, iterations);
    return loops(PEAK_FMA, n_sums, iterations);
}

#endif
