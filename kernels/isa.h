/* The instruction sets there are kernels for. */
#ifndef BISE_KERNELS_ISA_H
#define BISE_KERNELS_ISA_H

#include <stdbool.h>

/* Ordered by speed within an architecture. */
enum isa {
    ISA_SCALAR = 0,
    ISA_SSE41,
    ISA_AVX2,
    ISA_AVXVNNI,
    ISA_AVX512,
    ISA_NEON,
    ISA_NEON_DOTPROD,
    ISA_NEON_I8MM,
    ISA_COUNT
};

/* CPU abilities that matter to dispatch; filled by src/os/cpu.c. */
struct cpu_features {
    bool isa[ISA_COUNT]; /* usable: CPU, OS register state and permissions; scalar is always true */
};

/* Whether this build has a folder for isa. */
bool kernels_built(enum isa isa);
const char *isa_name(enum isa isa);
/* ISA_COUNT if name is unknown. */
enum isa isa_from_name(const char *name);

#endif
