/*
 * load: what it takes to open a model file, and to read its weights once open, mapped and copied
 * into huge pages. Both are held at once and read in turn, so that drift meets both.
 *
 * usage: load FILE [THREADS] [REPEATS]        default all CPUs, 7
 */
#include "bench/limits/bandwidth.h"
#include "src/model/model.h"
#include "src/os/cpu.h"
#include "src/os/mem.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const names[] = {"mapped", "huge pages"};
static const enum bise_memory kinds[] = {BISE_MEMORY_MMAP, BISE_MEMORY_HUGE};

/* Opens with one kind of memory; the seconds it took, negative after an error. */
static double open_timed(struct bise_model **m, const char *path, int kind, int n_threads) {
    const struct bise_model_params params = {.memory = kinds[kind], .n_threads = n_threads};
    struct bise_error err;
    const double start = bench_now();
    if (bise_model_open(m, path, &params, &err) != BISE_OK) {
        fprintf(stderr, "load: %s\n", err.detail);
        return -1;
    }
    return bench_now() - start;
}

static double gb(const struct bise_model *m) {
    return (double)m->map_len / 1e9;
}

static bool report_open(const char *path, int n_threads, struct bise_model *models[2]) {
    double seconds[5];
    for (int kind = 0; kind < 2; kind++) {
        const size_t n = kind ? 2 : 5; /* the second copy takes the pages of the first */
        for (size_t i = 0; i < n; i++) {
            bise_model_close(&models[kind]);
            seconds[i] = open_timed(&models[kind], path, kind, n_threads);
            if (seconds[i] < 0)
                return false;
        }
        printf("| %s | %.1f ms, then %.1f ms | ", names[kind], 1e3 * seconds[0],
               1e3 * bench_median(seconds + 1, n - 1));
        if (kind)
            printf("%.1f GB/s, then %.1f GB/s |\n", gb(models[1]) / seconds[0],
                   gb(models[1]) / seconds[1]);
        else
            printf("- |\n");
    }
    return true;
}

static bool report_reading(struct bise_model *const models[2], int n_threads, size_t repeats) {
    double seconds[2][64], first[2];
    struct pool *pool = NULL;
    struct bise_error err;
    if (pool_open(&pool, n_threads, &err) != BISE_OK) {
        fprintf(stderr, "load: %s\n", err.detail);
        return false;
    }
    for (int kind = 0; kind < 2; kind++)
        first[kind] = bandwidth_read(pool, models[kind]->map, models[kind]->map_len);
    for (size_t i = 0; i < repeats; i++)
        for (int kind = 0; kind < 2; kind++)
            seconds[kind][i] = bandwidth_read(pool, models[kind]->map, models[kind]->map_len);
    pool_close(&pool);
    for (int kind = 0; kind < 2; kind++)
        printf("| %s | %d | %.1f | %.1f |\n", names[kind], n_threads,
               gb(models[kind]) / first[kind],
               gb(models[kind]) / bench_median(seconds[kind], repeats));
    return true;
}

int main(int argc, char **argv) {
    const int n_threads = argc > 2 ? atoi(argv[2]) : cpu_count();
    const size_t repeats = argc > 3 ? strtoul(argv[3], NULL, 10) : 7;
    struct bise_model *models[2] = {NULL, NULL};
    if (argc < 2 || n_threads < 1 || repeats < 1 || repeats > 64) {
        fprintf(stderr, "usage: load FILE [THREADS] [REPEATS, at most 64]\n");
        return 2;
    }
    printf("| memory | open | filled at |\n|---|---|---|\n");
    bool good = report_open(argv[1], n_threads, models);
    if (good)
        printf("\n| memory | threads | first reading, GB/s | others, GB/s |\n|---|---|---|---|\n");
    for (int t = 1; t <= n_threads && good;
         t = t < n_threads && 2 * t > n_threads ? n_threads : 2 * t)
        good = report_reading(models, t, repeats);
    bise_model_close(&models[0]);
    bise_model_close(&models[1]);
    return !good;
}
