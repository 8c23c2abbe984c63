/* How fast this machine reads memory: the limit of decode. */
#ifndef BISE_BENCH_LIMITS_BANDWIDTH_H
#define BISE_BENCH_LIMITS_BANDWIDTH_H

#include "src/os/pool.h"

/* Reads all len bytes at p once (64-byte aligned; a tail shorter than 64 is left out), each thread
 * of the pool its own contiguous share, and returns the seconds it took. */
double bandwidth_read(struct pool *pool, const void *p, size_t len);

/* Monotonic time in seconds. */
double bench_now(void);

/* Median of x [n], n >= 1; sorts x. */
double bench_median(double *x, size_t n);

#endif
