/* The library's edges: NULL, models without tensors, two threads at once, the caller's float
 * mode. */
#include "src/base/float_mode.h"
#include "src/engine/engine.h"
#include "src/engine/session.h"
#include "tests/unit/synth_model.h"
#include "tests/unit/tiny_model.h"

#include <math.h>

#define SHAPE "dim=64,ffn=96,layers=2,heads=4,kv=2,vocab=96,window=24"
#define VOCAB 96

static char folder[256], path[300];
static struct bise_model *model;

static void setup(void) {
    cr_assert(tiny_folder(folder));
    snprintf(path, sizeof path, "%s/m.bise", folder);
    model = synth_model(path, SHAPE, TYPE_I8);
}

static void teardown(void) {
    bise_model_close(&model);
    unlink(path);
    rmdir(folder);
}

TestSuite(edges, .init = setup, .fini = teardown);

Test(edges, without_tensors_there_is_no_session) {
    const struct bise_model_params params = {.no_tensors = true};
    struct bise_model *header = NULL;
    struct bise_session *s;
    struct bise_engine *e;
    struct bise_error err = {0};
    cr_assert_eq(bise_model_open(&header, path, &params, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(bise_session_open(&s, header, NULL, &err), BISE_ERR_ARG);
    cr_assert_null(s);
    cr_assert_not_null(strstr(err.detail, "without its tensors"), "%s", err.detail);
    cr_assert_eq(bise_engine_open(&e, header, NULL, &err), BISE_ERR_ARG);
    bise_model_close(&header);
}

Test(edges, null_is_refused) {
    struct bise_error err = {0};
    struct bise_engine *e = NULL;
    struct bise_run run = {.n = 1};
    float logits[VOCAB];
    size_t n;
    cr_assert_eq(bise_engine_open(&e, NULL, NULL, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_engine_open(NULL, model, NULL, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_session_open(NULL, model, NULL, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_step(NULL, &run, 1, NULL, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_prefill(NULL, NULL, 1, NULL, NULL, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_decode(NULL, 1, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_prefill_logits(NULL, NULL, 1, logits, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_truncate(NULL, 0, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_reset_at(NULL, 0, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_tokenize(NULL, "a", 1, NULL, 0, &n, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_tokenize(model, NULL, 1, NULL, 0, &n, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_engine_open(&e, model, NULL, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(bise_step(e, NULL, 1, NULL, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_step(e, &run, 1, NULL, &err), BISE_ERR_ARG, "no ids");
    cr_assert_eq(bise_step(e, NULL, 0, NULL, &err), BISE_OK, "nothing to do");
    cr_assert_eq(bise_seq_truncate(e, 1, 0, &err), BISE_ERR_ARG, "no such sequence");
    cr_assert_eq(bise_seq_reset_at(e, 9, 0, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_seq_copy(e, 0, 3, 0, &err), BISE_ERR_ARG);
    bise_engine_close(&e);
}

Test(edges, a_second_thread_is_refused) {
    struct bise_error err = {0};
    struct bise_engine *e = NULL;
    const int32_t id = 1;
    struct bise_run run = {.ids = &id, .n = 1, .want = BISE_WANT_LAST};
    cr_assert_eq(bise_engine_open(&e, model, NULL, &err), BISE_OK);
    atomic_store(&e->busy, true); /* as by one that is in a step */
    cr_assert_eq(bise_step(e, &run, 1, NULL, &err), BISE_ERR_ARG);
    cr_assert_not_null(strstr(err.detail, "two threads"), "%s", err.detail);
    atomic_store(&e->busy, false);
    cr_assert_eq(bise_step(e, &run, 1, NULL, &err), BISE_OK);
    bise_engine_close(&e);
}

/* Logits of a text behind which the cache holds, and activations pass through, very small
 * numbers. */
static void run_text(int n_threads, float logits[VOCAB]) {
    const struct bise_engine_params params = {.n_threads = n_threads, .window = -1};
    struct bise_session *s = NULL;
    int32_t ids[20];
    for (int i = 0; i < 20; i++)
        ids[i] = i * 31 % VOCAB;
    cr_assert_eq(bise_session_open(&s, model, &params, NULL), BISE_OK);
    cr_assert_eq(bise_prefill(s, ids, 20, NULL, NULL, NULL), BISE_OK);
    memcpy(logits, bise_logits(s), VOCAB * sizeof *logits);
    bise_session_close(&s);
}

Test(edges, the_callers_float_mode_changes_nothing_and_stays) {
#if defined(__x86_64__)
    const uint64_t strange = 0x1f80 | 1u << 15 | 1u << 6 | 3u << 13; /* FTZ, DAZ, towards zero */
#elif defined(__aarch64__)
    const uint64_t strange = 1u << 24 | 3u << 22; /* FZ, towards zero */
#else
    const uint64_t strange = 0;
#endif
    float plain[VOCAB], found[VOCAB];
    run_text(2, plain);
    const uint64_t before = float_mode_read();
    for (int n_threads = 1; n_threads <= 3; n_threads += 2) {
        memset(found, 0, sizeof found);
        float_mode_write(strange);
        run_text(n_threads, found);
        const uint64_t after = float_mode_read();
        float_mode_write(before);
        cr_assert_eq(after & ~(uint64_t)FLOAT_MODE_STATUS, strange);
        cr_assert_arr_eq(found, plain, sizeof plain, "%d threads", n_threads);
    }
}

Test(edges, nothing_allowed_is_no_id) {
    const struct bise_sampler_params params = {.temp = 1, .seed = 1};
    struct bise_sampler *s = NULL;
    float logits[4] = {0, 1, 2, 3};
    uint8_t allowed[4] = {0};
    cr_assert_eq(bise_sampler_open(&s, 4, &params, NULL), BISE_OK);
    cr_assert_eq(bise_sample(s, logits, allowed, NULL, 0, 0), -1);
    allowed[2] = 1;
    cr_assert_eq(bise_sample(s, logits, allowed, NULL, 0, 0), 2);
    for (int i = 0; i < 4; i++)
        logits[i] = -INFINITY;
    cr_assert_eq(bise_sample(s, logits, allowed, NULL, 0, 0), 2, "the first allowed");
    bise_sampler_close(&s);
}
