/* What this machine can do. */
#ifndef BISE_SRC_OS_CPU_H
#define BISE_SRC_OS_CPU_H

#include "kernels/isa.h"

#include <stdint.h>

/* By cpuid and xgetbv (x86), HWCAP (ARM): CPU, OS register state and this build's folders. */
void cpu_detect(struct cpu_features *f);
/* The fastest usable. */
enum isa cpu_best_isa(const struct cpu_features *f);
#define CPU_NAME 64
/* The maker's name for the model, of the emulated CPU under an emulator; false: unknown. */
bool cpu_name(char name[CPU_NAME]);
/* CPUs this process may use: affinity mask and cgroup quota; at least 1. */
int cpu_count(void);
/* Default number of threads: performance cores within cpu_count. */
int cpu_default_threads(void);

#define CPU_SET_MAX 1024

struct cpu_set {
    uint64_t bits[CPU_SET_MAX / 64]; /* CPU i: bit i mod 64 of bits[i / 64] */
};
static inline bool cpu_in(const struct cpu_set *set, int cpu) {
    return set->bits[cpu / 64] >> cpu % 64 & 1;
}
static inline void cpu_add(struct cpu_set *set, int cpu) {
    set->bits[cpu / 64] |= (uint64_t)1 << cpu % 64;
}
static inline void cpu_remove(struct cpu_set *set, int cpu) {
    set->bits[cpu / 64] &= ~((uint64_t)1 << cpu % 64);
}
/* Takes the slower ones out of set: those below 3/4 of the best cpu_capacity or, where the system
 * does not tell that, 4/5 of the highest frequency. sysfs: "/sys", or a folder like it. */
void cpu_drop_slow(struct cpu_set *set, const char *sysfs);
/* Keeps the calling thread, and those it starts later, on the performance cores, where there are
 * slower ones beside them and n_threads (0: the default) of the fast. For programs, not libraries:
 * the system then no longer moves threads to slow cores in the middle of a layer. */
void cpu_prefer_fast(int n_threads);

#endif
