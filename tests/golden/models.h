/* What the golden programs share: checkpoints made into .bise files, runs of token lists. */
#ifndef BISE_TESTS_GOLDEN_MODELS_H
#define BISE_TESTS_GOLDEN_MODELS_H

#include "src/bise.h"
#include "src/os/cpu.h"
#include "tools/common/tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_IDS 256

static int n_failed;

/* Prints a result the way tests/run.sh counts it. Returns good. */
static inline bool result(bool good, const char *model, const char *what) {
    printf("%s %s: %s\n", good ? "ok" : "not ok", model, what);
    n_failed += !good;
    return good;
}

static inline void die(const char *what, const char *detail) {
    printf("not ok %s: %s\n", what, detail);
    exit(1);
}

static inline void must(enum bise_status status, const char *what, const struct bise_error *err) {
    if (status != BISE_OK)
        die(what, err->detail);
}

/* Every instruction set this CPU and build have, scalar first; returns their number. */
static inline size_t isa_names(const char *names[ISA_COUNT]) {
    struct cpu_features cpu;
    cpu_detect(&cpu);
    size_t n = 0;
    for (int i = 0; i < ISA_COUNT; i++)
        if (cpu.isa[i])
            names[n++] = isa_name((enum isa)i);
    return n;
}

/* Quantizes checkpoint folder `from` to file `to`; i4 with the defaults for head and embedding, any
 * other type throughout. */
static inline void make_file(const char *from, const char *to, const char *type) {
    char *argv[] = {"quantize", (char *)from, "-o",      (char *)to,   "--type", (char *)type,
                    "--head",   (char *)type, "--embed", (char *)type, NULL};
    const int argc = strcmp(type, "i4") == 0 ? 6 : 10;
    fflush(stdout);
    if (cmd_quantize(argc, argv) != EXIT_DONE)
        die("quantize", from);
}

/* Whitespace-separated ids of a file; returns their number. */
static inline size_t read_ids(const char *path, int32_t ids[MAX_IDS]) {
    FILE *f = fopen(path, "r");
    size_t n = 0;
    if (f == NULL)
        die("open", path);
    while (n < MAX_IDS && fscanf(f, "%d", &ids[n]) == 1)
        n++;
    fclose(f);
    return n;
}

static inline struct bise_session *open_session(const struct bise_model *model, const char *isa,
                                                int n_threads, uint32_t chunk, uint64_t start_pos) {
    struct bise_session *s;
    struct bise_error err;
    const struct bise_engine_params params = {.n_ctx = 512,
                                              .chunk = chunk,
                                              .n_threads = n_threads,
                                              .isa = isa,
                                              .window = -1,
                                              .start_pos = start_pos};
    must(bise_session_open(&s, model, &params, &err), "session", &err);
    return s;
}

/* Logits of all n ids [n][vocab], in calls of call_len tokens. */
static inline void run_logits(struct bise_session *s, const int32_t *ids, size_t n, size_t call_len,
                              size_t vocab, float *logits) {
    struct bise_error err;
    for (size_t i = 0; i < n; i += call_len) {
        const size_t len = n - i < call_len ? n - i : call_len;
        must(bise_prefill_logits(s, ids + i, len, logits + i * vocab, &err), "prefill", &err);
    }
}

static inline size_t argmax(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = x[i] > x[best] ? i : best;
    return best;
}

#endif
