/* How many multiplications this machine does: the limit of prefill and of attention. */
#ifndef BISE_BENCH_LIMITS_PEAK_H
#define BISE_BENCH_LIMITS_PEAK_H

#include "kernels/kernels.h"
#include "src/os/pool.h"

/* The sequences of instructions that kernels are made of. */
enum peak_op {
    PEAK_DOT6 = 0, /* 6-bit values times int8 activations: i4 */
    PEAK_DOT8,     /* 8-bit values times int8 ones: i8, scores of an int8 cache */
    PEAK_FMA,      /* floats */
    PEAK_READ,     /* vectors read from the first level's cache: GB/s in place of GMAC/s */
    PEAK_OPS
};

/* The best rate in GMAC/s, all threads of the pool together, over loops of 4 to 24 independent sums
 * in registers; *n_sums (NULL: not wanted): of the best loop. 0 where the build has no such loop;
 * the CPU must have the instruction set. */
double peak_gmacs(struct pool *pool, enum isa isa, enum peak_op op, size_t *n_sums);
/* That loop's rate once more, on the average of about so many seconds; *best becomes that of the
 * fastest part of it, where that is faster. */
double peak_average(struct pool *pool, enum isa isa, enum peak_op op, size_t n_sums, double seconds,
                    double *best);

/* One file for each instruction set, compiled with its flags. Runs op on n_sums sums, iterations
 * times; returns the multiplications done, 0 if it has no loop of so many sums. */
typedef double peak_loop(enum peak_op op, size_t n_sums, size_t iterations);
peak_loop peak_loop_sse41, peak_loop_avx2, peak_loop_avxvnni, peak_loop_avx512;
peak_loop peak_loop_neon, peak_loop_neon_dotprod, peak_loop_neon_i8mm;

#endif
