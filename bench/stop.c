/*
 * stop: how long a step goes on after its stop word is set. A chunk is read again and again; another
 * thread sets the word at a moment that is another each time, and from then on is timed.
 *
 * usage: stop FILE [THREADS] [ISA] [CHUNK] [TIMES]      default all CPUs, the best, 256, 40
 */
#include "bench/limits/bandwidth.h"
#include "src/bise.h"
#include "src/os/cpu.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct stopper {
    int stop;
    useconds_t wait;
    double at;
};

static void *set_stop(void *arg) {
    struct stopper *const s = arg;
    usleep(s->wait);
    s->at = bench_now();
    __atomic_store_n(&s->stop, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* Seconds from the word to the step's end; -1: it had ended before, -2: it failed. */
static double try_once(struct bise_engine *e, const int32_t *ids, size_t n, double seconds, int i,
                       int times) {
    struct stopper s = {.wait = (useconds_t)(1e6 * seconds * (i + 0.5) / times)};
    struct bise_run run = {.ids = ids, .n = n, .want = BISE_WANT_LAST};
    pthread_t id;
    bise_seq_reset(e, 0);
    if (pthread_create(&id, NULL, set_stop, &s) != 0)
        return -2;
    const enum bise_status status = bise_step(e, &run, 1, &s.stop, NULL);
    const double end = bench_now();
    pthread_join(id, NULL);
    return status == BISE_ERR_INTERRUPTED ? end - s.at : status == BISE_OK ? -1 : -2;
}

int main(int argc, char **argv) {
    struct bise_model *model = NULL;
    struct bise_engine *e = NULL;
    struct bise_error err = {0};
    const int times = argc > 5 ? atoi(argv[5]) : 40;
    const struct bise_engine_params params = {.n_threads = argc > 2 ? atoi(argv[2]) : cpu_count(),
                                              .isa = argc > 3 ? argv[3] : NULL,
                                              .chunk = argc > 4 ? (uint32_t)atoi(argv[4]) : 256,
                                              .window = -1};
    double took[1000];
    int n = 0;
    if (argc < 2 || times < 1 || times > 1000) {
        fprintf(stderr, "usage: stop FILE [THREADS] [ISA] [CHUNK] [TIMES]\n");
        return 2;
    }
    if (bise_model_open(&model, argv[1], NULL, &err) != BISE_OK ||
        bise_engine_open(&e, model, &params, &err) != BISE_OK) {
        fprintf(stderr, "stop: %s\n", err.detail);
        return 1;
    }
    const size_t chunk = bise_engine_plan(e)->chunk;
    int32_t *const ids = calloc(chunk, sizeof *ids);
    for (size_t i = 0; ids && i < chunk; i++)
        ids[i] = (int32_t)(i * 7919 % bise_model_info(model)->vocab_size);
    double whole = 0;
    for (int i = 0; ids && i < 2; i++) { /* the second time all is in memory */
        struct bise_run run = {.ids = ids, .n = chunk, .want = BISE_WANT_LAST};
        const double start = bench_now();
        bise_seq_reset(e, 0);
        (void)bise_step(e, &run, 1, NULL, NULL);
        whole = bench_now() - start;
    }
    for (int i = 0; ids && i < times; i++) {
        const double t = try_once(e, ids, chunk, whole, i, times);
        if (t >= 0)
            took[n++] = t;
    }
    if (n > 0) {
        const double median = bench_median(took, (size_t)n); /* sorts them */
        printf("%s, %d threads, a chunk of %zu takes %.0f ms: stopped %d times, after %.2f ms "
               "(median), %.2f ms at most\n",
               bise_engine_isa(e), bise_engine_plan(e)->n_threads, chunk, 1e3 * whole, n,
               1e3 * median, 1e3 * took[n - 1]);
    }
    free(ids);
    bise_engine_close(&e);
    bise_model_close(&model);
    return n == 0;
}
