/* Memory, CPU and pool: what the rest stands on. */
#include "src/os/cpu.h"
#include "src/os/mem.h"
#include "src/os/pool.h"
#include "src/os/sysfile.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <string.h>

Test(mem, blocks_are_zeroed_and_aligned) {
    static const size_t sizes[] = {1, 63, 64, 4096, (1 << 20) - 1, 1 << 20, (3 << 20) + 5};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *p = mem_alloc(sizes[i]);
        cr_assert_not_null(p);
        cr_assert_eq((uintptr_t)p % 64, 0);
        for (size_t j = 0; j < sizes[i]; j++)
            cr_assert_eq(p[j], 0, "byte %zu of %zu", j, sizes[i]);
        memset(p, 0xff, sizes[i]);
        mem_free(p, sizes[i]);
    }
    mem_free(NULL, 1 << 22);
}

Test(mem, impossible_sizes_are_refused) {
    cr_assert_null(mem_alloc(SIZE_MAX));
    cr_assert_null(mem_alloc(SIZE_MAX / 2));
}

Test(mem, facts_are_plausible) {
    struct mem_facts m;
    mem_facts(&m);
    cr_assert_gt(m.ram, 0);
    cr_assert_leq(m.available, m.ram);
    cr_assert_gt(m.limit, 0);
    cr_assert_gt(mem_resident(), 0);
}

Test(mem, resident_memory_follows_use) {
    const size_t size = (size_t)64 << 20;
    const uint64_t before = mem_resident();
    uint8_t *p = mem_alloc(size);
    cr_assert_lt(mem_resident(), before + size / 2, "untouched memory is not resident");
    memset(p, 1, size);
    cr_assert_geq(mem_resident(), before + size / 2);
    mem_free(p, size);
    cr_assert_lt(mem_resident(), before + size / 2);
}

Test(sysfile, finds_numbers_at_line_starts) {
    uint64_t v = 0;
    const char *text = "MemTotal:       123 kB\ntotal_cache 7\ncache 5\nlast -1";
    cr_assert(sysfile_find_u64(text, "MemTotal:", &v));
    cr_assert_eq(v, 123);
    cr_assert(sysfile_find_u64(text, "cache ", &v));
    cr_assert_eq(v, 5);
    cr_assert_not(sysfile_find_u64(text, "last ", &v), "a negative number is none");
    cr_assert_not(sysfile_find_u64(text, "absent", &v));
    cr_assert_not(sysfile_find_u64(text, "total_cache 7\ncache 5\nlast -1 and more", &v));
    char buf[8];
    cr_assert_not(sysfile_read("/proc/self/no-such-file", buf, sizeof buf));
    cr_assert_str_eq(buf, "");
}

Test(cpu, counts_follow_the_affinity_mask) {
    cr_assert_geq(cpu_count(), 1);
    cr_assert_leq(cpu_default_threads(), cpu_count());
    cpu_set_t set, one;
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &set))
            CPU_SET(cpu, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    cr_assert_eq(cpu_count(), 1);
    cr_assert_eq(cpu_default_threads(), 1);
}

static void mark(void *arg, size_t task, int thread) {
    (void)thread;
    ((uint8_t *)arg)[task]++;
}

Test(cpu, fast_cores_are_allowed_cores) {
    cpu_set_t before, after, both;
    cr_assert_eq(sched_getaffinity(0, sizeof before, &before), 0);
    cpu_prefer_fast(0);
    cr_assert_eq(sched_getaffinity(0, sizeof after, &after), 0);
    CPU_AND(&both, &before, &after);
    cr_assert(CPU_EQUAL(&both, &after));
    cr_assert_geq(CPU_COUNT(&after), cpu_default_threads());
}

Test(cpu, has_its_own_name) {
    char name[CPU_NAME], text[8192] = "";
    if (!cpu_name(name))
        cr_skip_test("this system does not tell");
    cr_assert_neq(name[0], ' ');
    cr_assert_neq(name[strlen(name) - 1], ' ');
    for (const char *c = name; *c; c++)
        cr_assert(*c >= ' ' && *c < 127);
#if defined(__aarch64__)
    /* Under an emulator /proc/cpuinfo may be the host's: that is not this CPU's name. */
    cr_assert(sysfile_read("/proc/cpuinfo", text, sizeof text));
    cr_assert(!strstr(text, "vendor_id") || strcmp(name, "an emulated CPU") == 0);
#else
    (void)text;
#endif
}

Test(pool, every_task_runs_once) {
    static uint8_t seen[1000];
    for (int n_threads = 1; n_threads <= 5; n_threads++) {
        struct pool *pool;
        cr_assert_eq(pool_open(&pool, n_threads, NULL), BISE_OK);
        cr_assert_eq(pool_threads(pool), n_threads);
        for (size_t n = 0; n < sizeof seen; n += 37) {
            memset(seen, 0, sizeof seen);
            pool_run(pool, mark, seen, n);
            for (size_t i = 0; i < sizeof seen; i++)
                cr_assert_eq(seen[i], i < n, "task %zu of %zu", i, n);
        }
        pool_close(&pool);
        cr_assert_null(pool);
    }
}

Test(pool, bad_counts_are_refused) {
    struct bise_error err;
    struct pool *pool;
    cr_assert_eq(pool_open(&pool, 0, &err), BISE_ERR_ARG);
    cr_assert_not_null(strstr(err.detail, "found 0"));
    cr_assert_eq(pool_open(&pool, 1 << 20, &err), BISE_ERR_ARG);
    cr_assert_null(pool);
    pool_close(&pool);
}
