/*
 * Threads and the forward pass: sessions of several threads beside each other on one model give the
 * logits of one thread, bit for bit, and so does an engine whose steps are stopped again and again
 * in the middle. Plain C, so that it can be built with -fsanitize=thread.
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

#define MIN_STOPS 10      /* steps go on until so many were stopped, however seldom */
#define MAX_STEPS 1000000 /* the other thread gets to run */

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

/* Stops whatever runs, after a while that is another each time, until it is ended. */
struct stopper {
    int stop, ended;
    size_t n_stops;
};

static void *stop_often(void *arg) {
    struct stopper *const s = arg;
    for (unsigned wait = 1; !__atomic_load_n(&s->ended, __ATOMIC_RELAXED); wait = wait * 5 % 977) {
        for (volatile unsigned i = 0; i < wait * 40; i++)
            ;
        __atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* A step of two sequences, as often as it takes; in the end undisturbed. */
static bool step_through(struct bise_engine *e, struct bise_run *runs, struct stopper *s) {
    for (size_t tries = 0;; tries++) {
        const enum bise_status status = bise_step(e, runs, 2, tries < 20 ? &s->stop : NULL, NULL);
        if (status != BISE_ERR_INTERRUPTED)
            return status == BISE_OK && runs[0].status == BISE_OK && runs[1].status == BISE_OK;
        s->n_stops++;
        __atomic_store_n(&s->stop, 0, __ATOMIC_RELAXED);
    }
}

/* Two sequences, their steps stopped, and the same with nobody to stop them. */
static bool same_when_stopped(void) {
    const struct bise_engine_params params = {
        .n_ctx = 128, .chunk = 16, .n_threads = 3, .window = -1, .n_seqs = 2};
    struct bise_engine *e[2] = {NULL};
    struct stopper s[2] = {{.stop = 0}};
    pthread_t id;
    bool good = bise_engine_open(&e[0], model, &params, NULL) == BISE_OK &&
                bise_engine_open(&e[1], model, &params, NULL) == BISE_OK &&
                pthread_create(&id, NULL, stop_often, &s[0]) == 0;
    for (int i = 0; (i < 40 || (s[0].n_stops < MIN_STOPS && i < MAX_STEPS)) && good; i++) {
        int32_t ids[12];
        for (int j = 0; j < 12; j++)
            ids[j] = (i * 31 + j * 7) % VOCAB;
        for (int k = 0; k < 2 && good; k++) {
            if (i % 8 == 0)
                bise_seq_reset(e[k], 0);
            if (i % 100 == 99)
                bise_seq_reset(e[k], 1);
            struct bise_run runs[] = {{.seq = 0, .ids = ids, .n = 12, .want = BISE_WANT_LAST},
                                      {.seq = 1, .ids = ids, .n = 1, .want = BISE_WANT_LAST}};
            good = step_through(e[k], runs, &s[k]);
        }
        for (uint32_t seq = 0; seq < 2 && good; seq++)
            good = memcmp(bise_seq_logits(e[0], seq), bise_seq_logits(e[1], seq),
                          VOCAB * sizeof(float)) == 0;
    }
    __atomic_store_n(&s[0].ended, 1, __ATOMIC_RELAXED);
    if (e[1])
        pthread_join(id, NULL);
    bise_engine_close(&e[0]);
    bise_engine_close(&e[1]);
    return good && s[0].n_stops > 0;
}

static bool test(const char *name, const char *folder, const char *shape) {
    const struct bise_model_params params = {.memory = BISE_MEMORY_HUGE, .n_threads = 3};
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.bise", folder, name);
    const bool good = write_model(path, shape) == BISE_OK &&
                      bise_model_open(&model, path, &params, NULL) == BISE_OK && same_bits() &&
                      same_when_stopped();
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
