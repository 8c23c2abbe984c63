/*
 * window: what a full window costs decode. A session that has just begun and one whose cache holds
 * the whole window (or DEPTH tokens) take turns of one token, so that drift meets both.
 *
 * usage: window FILE [THREADS] [ISA] [DEPTH] [REPEATS]     default all CPUs, the best, 4096, 200
 */
#include "bench/limits/bandwidth.h"
#include "src/bise.h"
#include "src/os/cpu.h"

#include <stdio.h>
#include <stdlib.h>

#define SHORT 16 /* tokens in the cache of the session that has just begun */

struct side {
    struct bise_session *session;
    size_t depth;
    double *seconds; /* [repeats] */
};

static bool open_side(struct side *s, const struct bise_model *model, int n_threads,
                      const char *isa, size_t depth, size_t repeats, struct bise_error *err) {
    const struct bise_engine_params params = {
        .n_ctx = (uint32_t)depth + 16, .n_threads = n_threads, .isa = isa, .window = -1};
    const uint32_t vocab = bise_model_info(model)->vocab_size;
    int32_t *const ids = malloc(depth * sizeof *ids);
    s->depth = depth;
    s->seconds = malloc(repeats * sizeof *s->seconds);
    bool good = ids != NULL && s->seconds != NULL &&
                bise_session_open(&s->session, model, &params, err) == BISE_OK;
    for (size_t i = 0; good && i < depth; i++)
        ids[i] = (int32_t)((uint32_t)(i * 2654435761u) % vocab);
    good = good && bise_prefill(s->session, ids, depth, NULL, NULL, err) == BISE_OK;
    free(ids);
    return good;
}

static bool time_token(struct side *s, size_t i, struct bise_error *err) {
    const double start = bench_now();
    if (bise_decode(s->session, 3, err) != BISE_OK)
        return false;
    s->seconds[i] = bench_now() - start;
    return bise_truncate(s->session, s->depth, err) == BISE_OK;
}

static bool measure(struct side *sides, size_t repeats, struct bise_error *err) {
    for (size_t i = 0; i < repeats; i++)
        if (!time_token(&sides[0], i, err) || !time_token(&sides[1], i, err))
            return false;
    const double few = bench_median(sides[0].seconds, repeats);
    const double full = bench_median(sides[1].seconds, repeats);
    printf("%s: %.3f ms a token behind %zu tokens, %.3f ms behind %zu: %.1f %% of its time\n",
           bise_session_isa(sides[0].session), 1e3 * few, sides[0].depth, 1e3 * full,
           sides[1].depth, 100 * (full - few) / full);
    return true;
}

int main(int argc, char **argv) {
    const int n_threads = argc > 2 ? atoi(argv[2]) : cpu_count();
    const char *const isa = argc > 3 ? argv[3] : NULL;
    const size_t depth = argc > 4 ? strtoul(argv[4], NULL, 10) : 4096;
    const size_t repeats = argc > 5 ? strtoul(argv[5], NULL, 10) : 200;
    if (argc < 2 || n_threads < 1 || depth < 1 || depth > 1000000 || repeats < 1 ||
        repeats > 100000) {
        fprintf(stderr, "usage: window FILE [THREADS] [ISA] [DEPTH] [REPEATS]\n");
        return 2;
    }
    struct bise_error err = {.detail = "no memory"};
    struct bise_model *model = NULL;
    struct side sides[2] = {{NULL, 0, NULL}, {NULL, 0, NULL}};
    const bool measured = bise_model_open(&model, argv[1], NULL, &err) == BISE_OK &&
                          open_side(&sides[0], model, n_threads, isa, SHORT, repeats, &err) &&
                          open_side(&sides[1], model, n_threads, isa, depth, repeats, &err) &&
                          measure(sides, repeats, &err);
    if (!measured)
        fprintf(stderr, "window: %s\n", err.detail);
    for (int i = 0; i < 2; i++) {
        bise_session_close(&sides[i].session);
        free(sides[i].seconds);
    }
    bise_model_close(&model);
    return measured ? 0 : 1;
}
