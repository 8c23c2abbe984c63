/* Faults while a model and a session are opened; and that nothing allocates afterwards. */
#include "src/bise.h"
#include "tests/fault/fault.h"
#include "tools/cmd/synth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char model_path[4096];
static struct bise_model *shared_model;

static bool write_model(const char *dir) {
    struct bise_error err;
    bool good = false;
    struct synth *s = calloc(1, sizeof *s);
    if (!s)
        return false;
    snprintf(model_path, sizeof model_path, "%s/model.bise", dir);
    s->type = TYPE_I4;
    s->n_threads = 1;
    synth_init_table(s);
    good = synth_parse_shape(&s->config, "dim=64,ffn=96,layers=2,heads=4,kv=2,vocab=96,window=32",
                             &err) == BISE_OK &&
           synth_write_bise(s, model_path, &err) == BISE_OK;
    free(s);
    return good;
}

static enum bise_status open_model(enum bise_memory memory, struct bise_error *err) {
    const struct bise_model_params params = {.memory = memory, .n_threads = 2};
    struct bise_model *model = NULL;
    enum bise_status status = bise_model_open(&model, model_path, &params, err);
    if (status == BISE_OK && bise_model_info(model)->vocab_size != 96)
        status = BISE_STATUS_COUNT;
    if (status != BISE_OK && model)
        status = BISE_STATUS_COUNT;
    bise_model_close(&model);
    return status;
}

static enum bise_status run_mmap(const char *dir, struct bise_error *err) {
    (void)dir;
    return open_model(BISE_MEMORY_MMAP, err);
}

static enum bise_status run_huge(const char *dir, struct bise_error *err) {
    (void)dir;
    return open_model(BISE_MEMORY_HUGE, err);
}

static bool open_shared_model(const char *dir) {
    return write_model(dir) && bise_model_open(&shared_model, model_path, NULL, NULL) == BISE_OK;
}

static void close_shared_model(void) {
    bise_model_close(&shared_model);
}

/* Calls that take memory, so far. */
static unsigned long n_allocations(void) {
    return fault_calls(CALL_MALLOC) + fault_calls(CALL_MMAP);
}

/* Prefill in chunks past the window's end, decode, sample: the sum of the ids, -1 after an error.
 */
static long generate(struct bise_session *session, struct bise_sampler *sampler,
                     struct bise_error *err) {
    int32_t ids[100];
    long sum = 0;
    for (int i = 0; i < 100; i++)
        ids[i] = i * 7 % 96;
    if (bise_prefill(session, ids, 100, NULL, NULL, err) != BISE_OK)
        return -1;
    for (int i = 0; i < 10; i++) {
        const int32_t id = bise_sample(sampler, bise_logits(session), NULL, ids, 100, 100);
        sum += id;
        if (bise_decode(session, id, err) != BISE_OK)
            return -1;
    }
    return sum;
}

static enum bise_status run_session(const char *dir, struct bise_error *err) {
    static long expected = -1; /* of the first run */
    (void)dir;
    const struct bise_engine_params params = {
        .n_ctx = 64, .chunk = 16, .n_threads = 3, .window = -1};
    const struct bise_sampler_params sampling = {
        .temp = 1, .top_k = 20, .repeat_penalty = 1.1f, .repeat_last = 16, .seed = 1};
    struct bise_session *session = NULL;
    struct bise_sampler *sampler = NULL;
    enum bise_status status = bise_session_open(&session, shared_model, &params, err);
    if (status == BISE_OK)
        status = bise_sampler_open(&sampler, 96, &sampling, err);
    if (status == BISE_OK) {
        const unsigned long before = n_allocations();
        const long sum = generate(session, sampler, err);
        if (expected < 0)
            expected = sum;
        if (sum < 0 || sum != expected || n_allocations() != before)
            status = BISE_STATUS_COUNT;
    }
    bise_sampler_close(&sampler);
    bise_session_close(&session);
    return status;
}

/* Three sequences: a prompt beside two that write, a copy, going back. The sum of the positions. */
static enum bise_status run_steps(struct bise_engine *engine, struct bise_error *err) {
    int32_t ids[16];
    for (int i = 0; i < 16; i++)
        ids[i] = i * 7 % 96;
    enum bise_status status = BISE_OK;
    for (int i = 0; i < 8 && status == BISE_OK; i++) {
        struct bise_run runs[] = {{.seq = 0, .ids = ids, .n = 16, .want = BISE_WANT_NONE},
                                  {.seq = 1, .ids = ids, .n = 1, .want = BISE_WANT_LAST},
                                  {.seq = 2, .ids = ids + 3, .n = 2, .want = BISE_WANT_LAST}};
        status = bise_step(engine, runs, 3, NULL, err);
    }
    if (status == BISE_OK)
        status = bise_seq_copy(engine, 2, 0, 128, err);
    return status == BISE_OK ? bise_seq_truncate(engine, 0, 120, err) : status;
}

static enum bise_status run_engine(const char *dir, struct bise_error *err) {
    (void)dir;
    const struct bise_engine_params params = {
        .n_ctx = 64, .chunk = 16, .n_threads = 3, .window = -1, .n_seqs = 3};
    struct bise_engine *engine = NULL;
    enum bise_status status = bise_engine_open(&engine, shared_model, &params, err);
    if (status == BISE_OK) {
        const unsigned long before = n_allocations();
        status = run_steps(engine, err);
        if (status != BISE_OK || n_allocations() != before)
            status = BISE_STATUS_COUNT;
    }
    bise_engine_close(&engine);
    return status;
}

const struct scenario session_scenarios[] = {
    {"model_mmap", write_model, run_mmap, NULL, NULL,
     MEETS(OPEN) | MEETS(READ) | MEETS(MMAP) | MEETS(CLOSE)},
    {"model_huge", write_model, run_huge, NULL, NULL,
     MEETS(OPEN) | MEETS(READ) | MEETS(MMAP) | MEETS(CLOSE) | MEETS(THREAD)},
    {"session", open_shared_model, run_session, NULL, close_shared_model,
     MEETS(MALLOC) | MEETS(THREAD)},
    {"engine", open_shared_model, run_engine, NULL, close_shared_model,
     MEETS(MALLOC) | MEETS(THREAD)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
