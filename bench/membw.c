/*
 * membw: read bandwidth of this machine per page size and thread count, the limit of decode.
 *
 * usage: membw [MiB] [MAX_THREADS] [REPEATS]        default 2048 MiB, all CPUs, 5
 */
#include "bench/limits/bandwidth.h"
#include "src/os/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *map_pages(size_t len, bool huge) {
    const size_t align = (size_t)2 << 20;
    char *p = mmap(NULL, len + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    p += -(uintptr_t)p & (align - 1);
    madvise(p, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    memset(p, 1, len);
    return p;
}

int main(int argc, char **argv) {
    const size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 2048;
    const int max_threads = argc > 2 ? atoi(argv[2]) : cpu_count();
    const size_t repeats = argc > 3 ? strtoul(argv[3], NULL, 10) : 5;
    const size_t len = mib << 20;
    double seconds[64];
    if (mib < 1 || mib > 1u << 20 || max_threads < 1 || repeats < 1 || repeats > 64) {
        fprintf(stderr, "usage: membw [MiB] [MAX_THREADS] [REPEATS, at most 64]\n");
        return 2;
    }
    printf("| pages | threads | GB/s |\n|---|---|---|\n");
    for (int huge = 0; huge < 2; huge++) {
        void *p = map_pages(len, huge);
        if (!p) {
            fprintf(stderr, "membw: no %zu MiB of memory\n", mib);
            return 1;
        }
        for (int t = 1; t <= max_threads; t++) {
            struct pool *pool = NULL;
            struct bise_error err;
            if (pool_open(&pool, t, &err) != BISE_OK) {
                fprintf(stderr, "membw: %s\n", err.detail);
                return 1;
            }
            for (size_t i = 0; i < repeats; i++)
                seconds[i] = bandwidth_read(pool, p, len);
            pool_close(&pool);
            printf("| %s | %d | %.1f |\n", huge ? "2 MB" : "4 KB", t,
                   (double)len / bench_median(seconds, repeats) / 1e9);
        }
        munmap(p, len);
    }
    return 0;
}
