/*
 * window: what a full window costs decode. A session that has just begun and one whose cache holds
 * the whole window (or DEPTH tokens) take turns of one token, so that drift meets both; with several
 * types of cache, one such session for each.
 *
 * usage: window FILE [THREADS] [ISA] [DEPTH] [REPEATS] [KV...]
 *        default all CPUs, the best, 4096, 200, the model's
 */
#include "bench/limits/bandwidth.h"
#include "src/bise.h"
#include "src/os/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT     16 /* tokens in the cache of the session that has just begun */
#define MAX_SIDES (1 + BISE_KV_COUNT)

struct side {
    struct bise_session *session;
    size_t depth;
    double *seconds; /* [repeats] */
};

static bool open_side(struct side *s, const struct bise_model *model, int n_threads,
                      const char *isa, enum bise_kv kv, size_t depth, size_t repeats,
                      struct bise_error *err) {
    const struct bise_engine_params params = {
        .n_ctx = (uint32_t)depth + 16, .n_threads = n_threads, .isa = isa, .window = -1, .kv = kv};
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

static bool measure(struct side *sides, size_t n, size_t repeats, struct bise_error *err) {
    for (size_t i = 0; i < repeats; i++)
        for (size_t j = 0; j < n; j++)
            if (!time_token(&sides[j], i, err))
                return false;
    const double few = bench_median(sides[0].seconds, repeats);
    for (size_t j = 1; j < n; j++) {
        const double full = bench_median(sides[j].seconds, repeats);
        printf(
            "%s, %s: %.3f ms a token behind %zu tokens, %.3f ms behind %zu: %.1f %% of its time\n",
            bise_session_isa(sides[0].session),
            bise_kv_name(bise_session_plan(sides[j].session)->kv), 1e3 * few, sides[0].depth,
            1e3 * full, sides[j].depth, 100 * (full - few) / full);
    }
    return true;
}

static bool type_of(const char *name, enum bise_kv *kv) {
    for (*kv = BISE_KV_AUTO; *kv < BISE_KV_COUNT; (*kv)++)
        if (strcmp(name, bise_kv_name(*kv)) == 0)
            return true;
    return false;
}

int main(int argc, char **argv) {
    const int n_threads = argc > 2 ? atoi(argv[2]) : cpu_count();
    const char *const isa = argc > 3 ? argv[3] : NULL;
    const size_t depth = argc > 4 ? strtoul(argv[4], NULL, 10) : 4096;
    const size_t repeats = argc > 5 ? strtoul(argv[5], NULL, 10) : 200;
    const size_t n = argc > 6 ? (size_t)argc - 5 : 2;
    enum bise_kv kv[MAX_SIDES] = {BISE_KV_AUTO};
    bool good = argc >= 2 && n_threads >= 1 && depth >= 1 && depth <= 1000000 && repeats >= 1 &&
                repeats <= 100000 && n <= MAX_SIDES;
    for (int i = 6; i < argc && good; i++)
        good = type_of(argv[i], &kv[i - 5]);
    if (!good) {
        fprintf(stderr, "usage: window FILE [THREADS] [ISA] [DEPTH] [REPEATS] [KV...]\n");
        return 2;
    }
    struct bise_error err = {.detail = "no memory"};
    struct bise_model *model = NULL;
    struct side sides[MAX_SIDES] = {{NULL, 0, NULL}};
    bool measured = bise_model_open(&model, argv[1], NULL, &err) == BISE_OK;
    for (size_t i = 0; i < n && measured; i++)
        measured = open_side(&sides[i], model, n_threads, isa, kv[i], i == 0 ? SHORT : depth,
                             repeats, &err);
    measured = measured && measure(sides, n, repeats, &err);
    if (!measured)
        fprintf(stderr, "window: %s\n", err.detail);
    for (size_t i = 0; i < n; i++) {
        bise_session_close(&sides[i].session);
        free(sides[i].seconds);
    }
    bise_model_close(&model);
    return measured ? 0 : 1;
}
