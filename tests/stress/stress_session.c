/*
 * Threads and the forward pass: sessions of several threads beside each other on one model give the
 * logits of one thread, bit for bit. Plain C, so that it can be built with -fsanitize=thread.
 */
#include "src/bise.h"
#include "tools/cmd/synth.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VOCAB    96
#define N_PROMPT 70 /* past the window and the ring */
#define N_DECODE 20

static struct bise_model *model;

struct work {
    int n_threads;
    enum bise_status status;
    float logits[VOCAB];
};

static enum bise_status write_model(const char *path, const char *shape) {
    struct bise_error err = {0};
    struct synth *s = calloc(1, sizeof *s);
    if (!s)
        return BISE_ERR_MEMORY;
    s->type = TYPE_I4;
    s->n_threads = 3;
    synth_init_table(s);
    enum bise_status status = synth_parse_shape(&s->config, shape, &err);
    if (status == BISE_OK)
        status = synth_write_bise(s, path, &err);
    if (status != BISE_OK)
        printf("%s\n", err.detail);
    free(s);
    return status;
}

/* Prefill and decode; the last logits stay in the work. */
static void *run(void *arg) {
    struct work *w = arg;
    const struct bise_engine_params params = {
        .n_ctx = 128, .chunk = 32, .n_threads = w->n_threads, .window = -1};
    struct bise_session *session = NULL;
    int32_t ids[N_PROMPT];
    for (int i = 0; i < N_PROMPT; i++)
        ids[i] = i * 11 % VOCAB;
    w->status = bise_session_open(&session, model, &params, NULL);
    if (w->status == BISE_OK)
        w->status = bise_prefill(session, ids, N_PROMPT, NULL, NULL, NULL);
    for (int i = 0; i < N_DECODE && w->status == BISE_OK; i++)
        w->status = bise_decode(session, i * 7 % VOCAB, NULL);
    if (w->status == BISE_OK)
        memcpy(w->logits, bise_logits(session), sizeof w->logits);
    bise_session_close(&session);
    return NULL;
}

/* One session alone, then sessions of 1 to 4 threads at the same time. */
static bool same_bits(void) {
    struct work alone = {.n_threads = 1}, beside[4];
    pthread_t ids[4];
    bool same = true;
    run(&alone);
    for (int i = 0; i < 4; i++) {
        beside[i] = (struct work){.n_threads = i + 1};
        if (pthread_create(&ids[i], NULL, run, &beside[i]) != 0)
            return false;
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(ids[i], NULL);
        same = same && beside[i].status == BISE_OK &&
               memcmp(beside[i].logits, alone.logits, sizeof alone.logits) == 0;
    }
    return same && alone.status == BISE_OK;
}

static bool test(const char *name, const char *folder, const char *shape) {
    const struct bise_model_params params = {.memory = BISE_MEMORY_HUGE, .n_threads = 3};
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.bise", folder, name);
    const bool good = write_model(path, shape) == BISE_OK &&
                      bise_model_open(&model, path, &params, NULL) == BISE_OK && same_bits();
    bise_model_close(&model);
    unlink(path);
    printf("%s %s\n", good ? "ok" : "not ok", name);
    return good;
}

int main(void) {
    const char *base = getenv("TMPDIR");
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/bise-stress-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder)) {
        printf("not ok no folder\n");
        return 1;
    }
    const bool dense =
        test("dense", folder, "dim=128,ffn=200,layers=2,heads=4,kv=2,vocab=96,window=32");
    const bool mixture =
        test("mixture", folder, "dim=128,ffn=96,layers=2,heads=4,kv=2,vocab=96,experts=4");
    rmdir(folder);
    return !(dense && mixture);
}
