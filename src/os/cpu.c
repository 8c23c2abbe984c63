#include "src/os/cpu.h"

#include "src/os/sysfile.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SYSFS "/sys"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

/* ---- instruction sets -------------------------------------------------------------------- */

#if defined(__x86_64__)

/* Register state the OS saves (XCR0), 0 if it does not use xsave. */
static uint64_t saved_state(void) {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

#define STATE_AVX    0x6u  /* SSE, AVX */
#define STATE_AVX512 0xe6u /* and opmask, upper halves, registers 16..31 */

static bool all(uint32_t reg, uint32_t bits) {
    return (reg & bits) == bits;
}

bool cpu_name(char name[CPU_NAME]) {
    uint32_t reg[12] = {0};
    char brand[sizeof reg + 1] = "";
    for (uint32_t i = 0; i < 3; i++)
        (void)__get_cpuid(0x80000002u + i, &reg[4 * i], &reg[4 * i + 1], &reg[4 * i + 2],
                          &reg[4 * i + 3]);
    memcpy(brand, reg, sizeof reg);
    size_t len = strlen(brand);
    while (len && brand[len - 1] == ' ')
        brand[--len] = 0;
    snprintf(name, CPU_NAME, "%s", brand + strspn(brand, " "));
    return *name;
}

static void detect(bool isa[ISA_COUNT]) {
    const uint64_t state = saved_state();
    uint32_t a, b, c, d, b7, c7, d7, a71 = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return;
    const uint32_t ssse3_sse41 = 1u << 9 | 1u << 19;
    isa[ISA_SSE41] = all(c, ssse3_sse41);
    if ((state & STATE_AVX) != STATE_AVX)
        return;
    const bool avx_fma_f16c = all(c, 1u << 28 | 1u << 12 | 1u << 29);
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) || !avx_fma_f16c || !all(b7, 1u << 5))
        return;
    isa[ISA_AVX2] = true;
    const uint32_t max_subleaf = a;
    if (max_subleaf >= 1)
        (void)__get_cpuid_count(7, 1, &a71, &b, &c, &d);
    isa[ISA_AVXVNNI] = all(a71, 1u << 4);
    const uint32_t f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31, vnni = 1u << 11;
    isa[ISA_AVX512] =
        (state & STATE_AVX512) == STATE_AVX512 && all(b7, f_dq_bw_vl) && all(c7, vnni);
#ifdef VNNI_BY_EVEX /* a test build, see the Makefile */
    isa[ISA_AVXVNNI] = isa[ISA_AVX512];
#endif
}

#elif defined(__aarch64__)

static void detect(bool isa[ISA_COUNT]) {
    const unsigned long cap = getauxval(AT_HWCAP), cap2 = getauxval(AT_HWCAP2);
    isa[ISA_NEON] = cap & 1ul << 1;
    isa[ISA_NEON_DOTPROD] = isa[ISA_NEON] && (cap & 1ul << 20);
    isa[ISA_NEON_I8MM] = isa[ISA_NEON_DOTPROD] && (cap2 & 1ul << 13);
}

#else

static void detect(bool isa[ISA_COUNT]) {
    (void)isa;
}

#endif

#if !defined(__x86_64__)

bool cpu_name(char name[CPU_NAME]) {
    static const char *const keys[] = {"model name", "Model", "CPU part"};
    char text[8192];
    *name = 0;
    if (!sysfile_read("/proc/cpuinfo", text, sizeof text))
        return false;
    if (strstr(text, "vendor_id")) { /* an x86 host's */
        snprintf(name, CPU_NAME, "an emulated CPU");
        return true;
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !*name; i++) {
        const char *at = strstr(text, keys[i]);
        if ((at = at ? strchr(at, ':') : NULL) != NULL)
            (void)sscanf(at + 1, " %63[^\n]", name);
    }
    return *name;
}

#endif

void cpu_detect(struct cpu_features *f) {
    memset(f, 0, sizeof *f);
    detect(f->isa);
    for (int i = 0; i < ISA_COUNT; i++)
        f->isa[i] = f->isa[i] && kernels_built((enum isa)i);
    f->isa[ISA_SCALAR] = true;
}

enum isa cpu_best_isa(const struct cpu_features *f) {
    int best = ISA_COUNT - 1; /* enum isa is ordered by speed within an architecture */
    while (best > ISA_SCALAR && !f->isa[best])
        best--;
    return (enum isa)best;
}

/* ---- how many ---------------------------------------------------------------------------- */

static int count(const struct cpu_set *set) {
    int n = 0;
    for (int cpu = 0; cpu < CPU_SET_MAX; cpu++)
        n += cpu_in(set, cpu);
    return n;
}

/* The affinity mask; false if it cannot be had (more CPUs than a set holds). */
static bool allowed_cpus(struct cpu_set *set) {
    cpu_set_t mask;
    *set = (struct cpu_set){{0}};
    CPU_ZERO(&mask);
    if (sched_getaffinity(0, sizeof mask, &mask) != 0)
        return false;
    for (int cpu = 0; cpu < CPU_SETSIZE && cpu < CPU_SET_MAX; cpu++)
        if (CPU_ISSET(cpu, &mask))
            cpu_add(set, cpu);
    return count(set) > 0;
}

/* Has the calling thread, and those it starts later, run on these alone. */
static bool run_on(const struct cpu_set *set) {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    for (int cpu = 0; cpu < CPU_SETSIZE && cpu < CPU_SET_MAX; cpu++)
        if (cpu_in(set, cpu))
            CPU_SET(cpu, &mask);
    return sched_setaffinity(0, sizeof mask, &mask) == 0;
}

static int within_quota(int n) {
    const int quota = cgroup_cpu_quota();
    return quota > 0 && quota < n ? quota : n;
}

int cpu_count(void) {
    struct cpu_set set;
    if (allowed_cpus(&set))
        return within_quota(count(&set));
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return within_quota(n > 0 ? (int)n : 1);
}

/* A file of devices/system/cpu/cpuN; fallback where it is missing. */
static uint64_t cpu_fact(const char *sysfs, int cpu, const char *name, uint64_t fallback) {
    char path[512];
    uint64_t value;
    snprintf(path, sizeof path, "%s/devices/system/cpu/cpu%d/%s", sysfs, cpu, name);
    return sysfile_read_u64(path, &value) ? value : fallback;
}

/* Intel hybrid CPUs name their kind of core in leaf 0x1A, each for itself: the calling thread
 * visits them. Clears the efficiency cores' bits unless that leaves none. */
static void drop_efficiency_cores(struct cpu_set *set) {
#if defined(__x86_64__)
    uint32_t a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & 1u << 15) ||
        __get_cpuid_max(0, NULL) < 0x1A)
        return;
    struct cpu_set home, one, fast = *set;
    if (!allowed_cpus(&home))
        return;
    for (int cpu = 0; cpu < CPU_SET_MAX; cpu++) {
        one = (struct cpu_set){{0}};
        cpu_add(&one, cpu);
        if (!cpu_in(set, cpu) || !run_on(&one))
            continue;
        const uint32_t atom = 0x20;
        if (__get_cpuid_count(0x1A, 0, &a, &b, &c, &d) && a >> 24 == atom)
            cpu_remove(&fast, cpu);
    }
    (void)run_on(&home);
    if (count(&fast) > 0)
        *set = fast;
#else
    (void)set;
#endif
}

void cpu_drop_slow(struct cpu_set *set, const char *sysfs) {
    uint64_t speed[CPU_SET_MAX] = {0}, best = 0;
    bool capacity = false;
    for (int cpu = 0; cpu < CPU_SET_MAX; cpu++) {
        const uint64_t of_cpu = cpu_in(set, cpu) ? cpu_fact(sysfs, cpu, "cpu_capacity", 0) : 0;
        capacity = capacity || of_cpu > 0;
        speed[cpu] = of_cpu;
    }
    for (int cpu = 0; cpu < CPU_SET_MAX; cpu++) {
        if (!capacity && cpu_in(set, cpu))
            speed[cpu] = cpu_fact(sysfs, cpu, "cpufreq/cpuinfo_max_freq", 1);
        best = speed[cpu] > best ? speed[cpu] : best;
    }
    const uint64_t least = best - best / (capacity ? 4 : 5);
    for (int cpu = 0; cpu < CPU_SET_MAX; cpu++) {
        if (cpu_in(set, cpu) && speed[cpu] < least)
            cpu_remove(set, cpu);
    }
}

/* Cores among the CPUs of set: hardware threads of one core count once. */
static int count_cores(const struct cpu_set *set) {
    uint64_t seen[CPU_SET_MAX];
    int n = 0;
    for (int cpu = 0; cpu < CPU_SET_MAX; cpu++) {
        if (!cpu_in(set, cpu))
            continue;
        const uint64_t core = cpu_fact(SYSFS, cpu, "topology/core_id", (uint64_t)cpu) |
                              cpu_fact(SYSFS, cpu, "topology/physical_package_id", 0) << 32;
        int i = 0;
        while (i < n && seen[i] != core)
            i++;
        seen[i] = core;
        n += i == n;
    }
    return n;
}

/* The performance cores among those allowed; false if nothing is known. */
static bool fast_cpus(struct cpu_set *set) {
    if (!allowed_cpus(set))
        return false;
    drop_efficiency_cores(set);
    cpu_drop_slow(set, SYSFS);
    return true;
}

void cpu_prefer_fast(int n_threads) {
    struct cpu_set allowed, fast;
    const int n = n_threads > 0 ? n_threads : cpu_default_threads();
    if (allowed_cpus(&allowed) && fast_cpus(&fast) && count(&fast) < count(&allowed) &&
        n <= count(&fast))
        (void)run_on(&fast);
}

int cpu_default_threads(void) {
    const int limit = cpu_count();
    struct cpu_set set;
    if (!fast_cpus(&set))
        return limit;
    const int cores = count_cores(&set);
    return cores < limit ? cores : limit;
}
