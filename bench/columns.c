/*
 * columns: the i4 matrix slot as the engine calls it, by columns: tasks of 128 rows over all
 * threads, weights that come from memory. Medians of wall time.
 *
 * usage: columns [ISA] [K] [THREADS]      default the best, 4096, all CPUs
 */
#include "bench/limits/bandwidth.h"
#include "bench/limits/peak.h"
#include "src/os/cpu.h"
#include "src/os/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TASK_ROWS 128
#define MOST      512                /* columns */
#define WEIGHTS   ((size_t)96 << 20) /* bytes at least: more than caches hold */
#define RUNS      9

struct work {
    struct kernels kernels;
    struct wmat w;
    struct act_q128 x;
    size_t n, task_bytes;
    float *y[POOL_MAX_THREADS];
    void *scratch[POOL_MAX_THREADS];
};

static void multiply(void *arg, size_t task, int thread) {
    const struct work *const a = arg;
    struct wmat w = a->w;
    w.panels += task * a->task_bytes;
    a->kernels.matmul_f32_q128_i4(a->y[thread], TASK_ROWS, &a->x, a->n, &w, 0,
                                  TASK_ROWS / PANEL_ROWS, a->scratch[thread]);
}

/* Any codes and scales will do, row scales must be numbers. */
static uint8_t *weights(size_t k, size_t n_panels) {
    const size_t bytes = panel_bytes(TYPE_I4, k);
    uint8_t *const w = mem_alloc(n_panels * bytes);
    uint32_t x = 1;
    for (size_t i = 0; w && i < n_panels * bytes; i++)
        w[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
    for (size_t p = 0; w && p < n_panels; p++)
        for (size_t r = 0; r < PANEL_ROWS; r++)
            ((float *)(void *)(w + p * bytes))[r] = 1e-3f;
    return w;
}

int main(int argc, char **argv) {
    static const size_t columns[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, MOST};
    static int8_t codebook[CODEBOOK_SIZE];
    struct cpu_features cpu;
    struct bise_error err;
    struct work a = {.w.codebook = codebook};
    struct pool *pool = NULL;
    cpu_detect(&cpu);
    int isa = ISA_COUNT - 1;
    while (isa > ISA_SCALAR && !cpu.isa[isa])
        isa--;
    for (int i = 0; argc > 1 && i < ISA_COUNT; i++)
        if (cpu.isa[i] && strcmp(isa_name((enum isa)i), argv[1]) == 0)
            isa = i;
    const size_t k = argc > 2 ? round_up(strtoul(argv[2], NULL, 10), TILE_K) : 4096;
    const int n_threads = argc > 3 ? atoi(argv[3]) : cpu_count();
    if (k == 0 || k > 65536 || !kernels_init(&a.kernels, (enum isa)isa) ||
        pool_open(&pool, n_threads, &err) != BISE_OK) {
        fprintf(stderr, "usage: columns [ISA] [K, at most 65536] [THREADS]\n");
        return 2;
    }
    for (int i = 0; i < CODEBOOK_SIZE; i++)
        codebook[i] = (int8_t)(4 * i - 30);
    a.task_bytes = TASK_ROWS / PANEL_ROWS * panel_bytes(TYPE_I4, k);
    const size_t n_tasks = WEIGHTS / a.task_bytes + 1, ld = MOST | 1;
    a.w.k = k;
    a.w.panels = weights(k, n_tasks * TASK_ROWS / PANEL_ROWS);
    int8_t *const q = mem_alloc(k * ld);
    bool ok = a.w.panels && q;
    for (int t = 0; t < n_threads; t++) {
        a.y[t] = mem_alloc(MOST * TASK_ROWS * sizeof(float));
        a.scratch[t] = mem_alloc(KERNEL_SCRATCH_BYTES);
        ok = ok && a.y[t] && a.scratch[t];
    }
    a.x = (struct act_q128){.q = q,
                            .d = mem_alloc(MOST * k / TILE_K * sizeof(float)),
                            .start = mem_alloc(MOST * k / BLOCK_K * sizeof(int32_t))};
    if (!ok || !a.x.d || !a.x.start) {
        fprintf(stderr, "columns: no memory\n");
        return 1;
    }
    for (size_t i = 0; i < k * ld; i++)
        q[i] = (int8_t)(i * 7919 % 255 - 127);
    const double peak = peak_gmacs(pool, (enum isa)isa, PEAK_DOT6, NULL);
    printf("%s, %d threads, k %zu; from registers %.0f GMAC/s\n\n| columns | GMAC/s | share "
           "|\n|---|---|---|\n",
           isa_name((enum isa)isa), n_threads, k, peak);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        double seconds[RUNS];
        a.n = columns[i];
        a.x.ld = a.n | 1;
        for (size_t r = 0; r < RUNS; r++) {
            const double start = bench_now();
            pool_run(pool, multiply, &a, n_tasks);
            seconds[r] = bench_now() - start;
        }
        const double gmacs =
            1e-9 * (double)(a.n * n_tasks * TASK_ROWS) * (double)k / bench_median(seconds, RUNS);
        printf("| %zu | %.1f | %.3f |\n", a.n, gmacs, peak > 0 ? gmacs / peak : 0);
    }
    pool_close(&pool);
    return 0;
}
