/*
 * peak: multiplications a second of each instruction set this CPU has, from registers: the limits
 * of prefill (6-bit dot products, or 8-bit for i8 files) and of attention's values (fma); and what the
 * first level's cache gives.
 *
 * usage: peak [MAX_THREADS]        default all CPUs
 */
#include "bench/limits/peak.h"
#include "src/os/cpu.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    const int max_threads = argc > 1 ? atoi(argv[1]) : cpu_count();
    if (argc > 2 || max_threads < 1) {
        fprintf(stderr, "usage: peak [MAX_THREADS]\n");
        return 2;
    }
    struct cpu_features cpu;
    cpu_detect(&cpu);
    printf("| isa | threads | 6-bit GMAC/s | 8-bit GMAC/s | fma GMAC/s | cache GB/s |\n"
           "|---|---|---|---|---|---|\n");
    for (int isa = ISA_SCALAR + 1; isa < ISA_COUNT; isa++) {
        for (int t = 1; cpu.isa[isa] && t <= max_threads; t++) {
            struct pool *pool = NULL;
            struct bise_error err;
            if (pool_open(&pool, t, &err) != BISE_OK) {
                fprintf(stderr, "peak: %s\n", err.detail);
                return 1;
            }
            printf("| %s | %d |", isa_name((enum isa)isa), t);
            for (int op = 0; op < PEAK_OPS; op++) {
                const double gmacs = peak_gmacs(pool, (enum isa)isa, (enum peak_op)op, NULL);
                printf(gmacs > 0.0 ? " %.0f |" : " - |", gmacs);
            }
            printf("\n");
            pool_close(&pool);
        }
    }
    return 0;
}
