/*
 * verify: what it costs to run 1, 2, ... tokens in one call of decode arithmetic, as the checking
 * of drafts does (bise run --lookup). Lengths take turns, so that drift meets all.
 *
 * usage: verify FILE [THREADS] [REPEATS] [ISA] [LONGEST]      default all CPUs, 5, the best, 15
 */
#include "bench/limits/bandwidth.h"
#include "src/bise.h"
#include "src/os/cpu.h"

#include <stdio.h>
#include <stdlib.h>

#define N_PROMPT    64
#define MAX_LENGTH  15
#define MAX_REPEATS 64

struct bench {
    struct bise_model *model;
    struct bise_session *session;
    float *logits; /* [MAX_LENGTH][vocab_size] */
    int32_t ids[N_PROMPT];
};

static bool open_bench(struct bench *b, const char *path, int n_threads, const char *isa,
                       struct bise_error *err) {
    if (bise_model_open(&b->model, path, NULL, err) != BISE_OK)
        return false;
    const struct bise_engine_params params = {
        .n_ctx = 512, .n_threads = n_threads, .isa = isa, .window = -1};
    const uint32_t vocab = bise_model_info(b->model)->vocab_size;
    for (int i = 0; i < N_PROMPT; i++)
        b->ids[i] = (int32_t)((uint32_t)(i * 2654435761u) % vocab);
    b->logits = malloc((size_t)MAX_LENGTH * vocab * sizeof *b->logits);
    return b->logits && bise_session_open(&b->session, b->model, &params, err) == BISE_OK &&
           bise_prefill(b->session, b->ids, N_PROMPT, NULL, NULL, err) == BISE_OK;
}

/* Seconds of one call with n tokens; negative after an error. */
static double time_call(struct bench *b, size_t n, struct bise_error *err) {
    const uint64_t pos = bise_position(b->session);
    const double start = bench_now();
    if (bise_prefill_logits(b->session, b->ids, n, b->logits, err) != BISE_OK)
        return -1;
    const double seconds = bench_now() - start;
    return bise_truncate(b->session, pos, err) == BISE_OK ? seconds : -1;
}

static bool measure(struct bench *b, size_t longest, size_t repeats, struct bise_error *err) {
    static double seconds[MAX_LENGTH + 1][MAX_REPEATS];
    for (size_t i = 0; i <= repeats; i++) /* the first round warms up */
        for (size_t n = 1; n <= longest; n++) {
            const double t = time_call(b, n, err);
            if (t < 0)
                return false;
            seconds[n][i ? i - 1 : 0] = t;
        }
    printf("| tokens | ms | of one token | ms per token |\n|---|---|---|---|\n");
    const double one = bench_median(seconds[1], repeats);
    for (size_t n = 1; n <= longest; n++) {
        const double t = bench_median(seconds[n], repeats);
        printf("| %zu | %.2f | %.2f | %.2f |\n", n, 1e3 * t, t / one, 1e3 * t / (double)n);
    }
    return true;
}

int main(int argc, char **argv) {
    const int n_threads = argc > 2 ? atoi(argv[2]) : cpu_count();
    const size_t repeats = argc > 3 ? strtoul(argv[3], NULL, 10) : 5;
    const size_t longest = argc > 5 ? strtoul(argv[5], NULL, 10) : MAX_LENGTH;
    struct bench b = {.model = NULL};
    struct bise_error err = {.detail = "no memory"};
    if (argc < 2 || n_threads < 1 || repeats < 1 || repeats > MAX_REPEATS || longest < 1 ||
        longest > MAX_LENGTH) {
        fprintf(stderr, "usage: verify FILE [THREADS] [REPEATS] [ISA] [LONGEST]\n");
        return 2;
    }
    const bool good = open_bench(&b, argv[1], n_threads, argc > 4 ? argv[4] : NULL, &err);
    if (good)
        printf("%s, %d threads, %s\n", argv[1], n_threads, bise_session_isa(b.session));
    const bool measured = good && measure(&b, longest, repeats, &err);
    if (!measured)
        fprintf(stderr, "verify: %s\n", err.detail);
    free(b.logits);
    bise_session_close(&b.session);
    bise_model_close(&b.model);
    return measured ? 0 : 1;
}
