/*
 * cold: what the first prompt costs beside the second, right after a file was opened: mapped and
 * copied into huge pages, with the file in the page cache and with it only on the disk. Each line is
 * a model opened anew; "prepare" is opening it and its session.
 *
 * usage: cold FILE [THREADS] [PROMPT] [TIMES] [ISA]      default all CPUs, 64 tokens, 3, the best
 */
#include "bench/limits/bandwidth.h"
#include "src/bise.h"
#include "src/os/cpu.h"
#include "src/os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static const char *const names[] = {"", "huge", "mapped"};

struct line {
    double prepare, first, second; /* seconds */
    long minor, major;             /* page faults from opening to the first prompt's end */
};

/* Gives up what the page cache holds of the file. */
static bool forget(const char *path, struct bise_error *err) {
    int fd;
    uint64_t size;
    if (file_open(path, &fd, &size, err) != BISE_OK)
        return false;
    file_forget(fd, 0, 0);
    file_close(&fd);
    return true;
}

/* Reads the whole file once, so that the page cache holds it. */
static bool warm(const char *path, struct bise_error *err) {
    enum { PIECE = 4 << 20 };
    static uint8_t buffer[PIECE];
    int fd;
    uint64_t size;
    size_t got = PIECE;
    if (file_open(path, &fd, &size, err) != BISE_OK)
        return false;
    for (uint64_t at = 0; at < size && got > 0; at += got)
        if (file_read_upto(fd, path, at, buffer, PIECE, &got, err) != BISE_OK)
            got = 0;
    file_close(&fd);
    return got > 0;
}

static double prompt(struct bise_session *s, const int32_t *ids, size_t n, struct bise_error *err) {
    const double start = bench_now();
    if (bise_prefill(s, ids, n, NULL, NULL, err) != BISE_OK)
        return -1;
    return bench_now() - start;
}

static bool measure(struct line *l, const char *path, enum bise_memory memory, bool in_cache,
                    const struct bise_engine_params *params, const int32_t *ids, size_t n,
                    struct bise_error *err) {
    const struct bise_model_params model_params = {.memory = memory,
                                                   .n_threads = params->n_threads};
    struct bise_model *model = NULL;
    struct bise_session *session = NULL;
    struct rusage before, after;
    if (!(in_cache ? warm : forget)(path, err))
        return false;
    (void)getrusage(RUSAGE_SELF, &before);
    const double start = bench_now();
    bool ok = bise_model_open(&model, path, &model_params, err) == BISE_OK &&
              bise_session_open(&session, model, params, err) == BISE_OK;
    l->prepare = bench_now() - start;
    if (ok)
        l->first = prompt(session, ids, n, err);
    (void)getrusage(RUSAGE_SELF, &after);
    l->minor = after.ru_minflt - before.ru_minflt;
    l->major = after.ru_majflt - before.ru_majflt;
    if (ok)
        l->second = prompt(session, ids, n, err);
    ok = ok && l->first >= 0 && l->second >= 0;
    bise_session_close(&session);
    bise_model_close(&model);
    return ok;
}

int main(int argc, char **argv) {
    enum { MOST = 4096 };
    struct bise_engine_params params = {.window = -1,
                                        .n_threads = argc > 2 ? atoi(argv[2]) : cpu_count()};
    const size_t n = argc > 3 ? strtoul(argv[3], NULL, 10) : 64;
    const int times = argc > 4 ? atoi(argv[4]) : 3;
    params.isa = argc > 5 ? argv[5] : NULL;
    static int32_t ids[MOST];
    struct bise_error err;
    if (argc < 2 || params.n_threads < 1 || n < 1 || n > MOST || times < 1) {
        fprintf(stderr, "usage: cold FILE [THREADS] [PROMPT, at most %d] [TIMES] [ISA]\n", MOST);
        return 2;
    }
    params.n_ctx = (uint32_t)(2 * n);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)(3 + i % 250);
    printf(
        "| memory | file | prepare, s | first prompt of %zu, s | second, s | all until the first "
        "answer, s | page faults, of these from disk |\n|---|---|---|---|---|---|---|\n",
        n);
    for (int i = 0; i < times; i++) {
        for (int kind = 0; kind < 4; kind++) {
            struct line l = {0};
            const enum bise_memory memory = kind / 2 ? BISE_MEMORY_MMAP : BISE_MEMORY_HUGE;
            if (!measure(&l, argv[1], memory, kind % 2 == 0, &params, ids, n, &err)) {
                fprintf(stderr, "cold: %s\n", err.detail);
                return 1;
            }
            printf("| %s | %s | %.2f | %.2f | %.2f | %.2f | %ld, %ld |\n", names[memory],
                   kind % 2 ? "on disk" : "in the page cache", l.prepare, l.first, l.second,
                   l.prepare + l.first, l.minor, l.major);
            fflush(stdout);
        }
    }
    return 0;
}
