/* Names of the instruction sets, and the table for one of them. */
#include "kernels/kernels.h"
#include <string.h>

static const char *const isa_names[ISA_COUNT] = {
    [ISA_SCALAR] = "scalar",
    [ISA_SSE41] = "sse41",
    [ISA_AVX2] = "avx2",
    [ISA_AVXVNNI] = "avxvnni",
    [ISA_AVX512] = "avx512",
    [ISA_NEON] = "neon",
    [ISA_NEON_DOTPROD] = "neon_dotprod",
    [ISA_NEON_I8MM] = "neon_i8mm",
};

/* What an instruction set's folder lays its slots over; the scalar table lies below all. */
static const enum isa isa_implies[ISA_COUNT] = {
    [ISA_AVXVNNI] = ISA_AVX2,
    [ISA_AVX512] = ISA_AVX2,
    [ISA_NEON_DOTPROD] = ISA_NEON,
    [ISA_NEON_I8MM] = ISA_NEON_DOTPROD,
};

const char *isa_name(enum isa isa) {
    return isa < ISA_COUNT ? isa_names[isa] : "unknown";
}

enum isa isa_from_name(const char *name) {
    for (int i = 0; i < ISA_COUNT; i++)
        if (strcmp(name, isa_names[i]) == 0)
            return (enum isa)i;
    return ISA_COUNT;
}

/* The folder's init function, NULL if this build has no such folder. */
static kernels_init_fn *isa_init(enum isa isa) {
    switch (isa) {
    case ISA_SCALAR:
        return kernels_init_scalar;
#ifdef HAVE_KERNELS_sse41
    case ISA_SSE41:
        return kernels_init_sse41;
#endif
#ifdef HAVE_KERNELS_avx2
    case ISA_AVX2:
        return kernels_init_avx2;
#endif
#ifdef HAVE_KERNELS_avxvnni
    case ISA_AVXVNNI:
        return kernels_init_avxvnni;
#endif
#ifdef HAVE_KERNELS_avx512
    case ISA_AVX512:
        return kernels_init_avx512;
#endif
#ifdef HAVE_KERNELS_neon
    case ISA_NEON:
        return kernels_init_neon;
#endif
#ifdef HAVE_KERNELS_neon_dotprod
    case ISA_NEON_DOTPROD:
        return kernels_init_neon_dotprod;
#endif
#ifdef HAVE_KERNELS_neon_i8mm
    case ISA_NEON_I8MM:
        return kernels_init_neon_i8mm;
#endif
    default:
        return NULL;
    }
}

bool kernels_built(enum isa isa) {
    return isa < ISA_COUNT && isa_init(isa) != NULL;
}

bool kernels_init(struct kernels *k, enum isa isa) {
    kernels_init_fn *init = isa < ISA_COUNT ? isa_init(isa) : NULL;
    if (init == NULL)
        return false;
    if (isa != ISA_SCALAR && !kernels_init(k, isa_implies[isa]))
        return false;
    init(k);
    k->isa = isa;
    k->name = isa_name(isa);
    return true;
}
