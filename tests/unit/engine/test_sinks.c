/* Attention sinks: the first tokens stay, the others pass by in a window, in fixed memory. */
#include "src/base/crc32c.h"
#include "src/engine/session.h"
#include "src/os/cpu.h"
#include "tests/unit/synth_model.h"
#include "tests/unit/tiny_model.h"

#include <math.h>

#define VOCAB 96
#define LAYER "dim=64,ffn=96,layers=1,heads=4,kv=2,vocab=96"
#define THREE "dim=64,ffn=96,layers=3,heads=4,kv=2,vocab=96"
#define N_CTX 80
#define SINKS 16 /* and so a window of 64 */

static char folder[256], path[300], file[300];
static struct bise_model *model;

static void setup(void) {
    cr_assert(tiny_folder(folder));
    snprintf(path, sizeof path, "%s/m.bise", folder);
    snprintf(file, sizeof file, "%s/talk", folder);
}

static void teardown(void) {
    bise_model_close(&model);
    unlink(path);
    unlink(file);
    cr_assert_eq(rmdir(folder), 0);
}

TestSuite(sinks, .init = setup, .fini = teardown);

static const int32_t *some_ids(void) {
    static int32_t ids[600];
    for (int i = 0; i < 600; i++)
        ids[i] = (i * 29 + i * i % 31) % VOCAB;
    return ids;
}

static void feed(struct bise_session *s, const int32_t *ids, size_t n) {
    struct bise_error err = {0};
    cr_assert_eq(bise_prefill(s, ids, n, NULL, NULL, &err), BISE_OK, "%s", err.detail);
}

static bool same_logits(const struct bise_session *a, const struct bise_session *b) {
    return memcmp(bise_logits(a), bise_logits(b), VOCAB * sizeof(float)) == 0;
}

Test(sinks, full_attention_as_long_as_all_fits) {
    model = synth_model(path, THREE, TYPE_F32);
    for (enum bise_kv kv = BISE_KV_I8; kv < BISE_KV_COUNT; kv++)
        for (size_t n = 1; n <= N_CTX; n += n < 40 ? 1 : 13) {
            struct bise_session *with =
                open_session(model, (struct bise_engine_params){
                                        .n_ctx = N_CTX, .n_sinks = SINKS, .kv = kv, .chunk = 24});
            struct bise_session *without =
                open_session(model, (struct bise_engine_params){.n_ctx = N_CTX, .kv = kv});
            feed(with, some_ids(), n);
            feed(without, some_ids(), n);
            cr_assert(same_logits(with, without), "cache type %d, %zu tokens", kv, n);
            bise_session_close(&with);
            bise_session_close(&without);
        }
}

/* With one layer keys and values depend on their own token alone, and RoPE on distances: the last
 * token sees what it would see of the sinks and the last tokens written one after the other. */
Test(sinks, then_the_sinks_stand_before_the_window) {
    model = synth_model(path, LAYER, TYPE_F32);
    struct bise_session *with = open_session(
        model, (struct bise_engine_params){.n_ctx = N_CTX, .n_sinks = SINKS, .kv = BISE_KV_F32});
    size_t done = 0;
    for (size_t n = N_CTX; n < 500; n += 61) {
        int32_t ids[N_CTX];
        feed(with, some_ids() + done, n - done);
        done = n;
        memcpy(ids, some_ids(), SINKS * sizeof *ids);
        memcpy(ids + SINKS, some_ids() + n - (N_CTX - SINKS), (N_CTX - SINKS) * sizeof *ids);
        struct bise_session *plain =
            open_session(model, (struct bise_engine_params){.n_ctx = N_CTX, .kv = BISE_KV_F32});
        feed(plain, ids, N_CTX);
        double worst = 0, most = 0;
        for (int i = 0; i < VOCAB; i++) {
            worst = fmax(worst, fabs((double)bise_logits(with)[i] - (double)bise_logits(plain)[i]));
            most = fmax(most, fabs((double)bise_logits(plain)[i]));
        }
        cr_assert_leq(worst, 1e-5 * most + 1e-6, "after %zu tokens: %g", n, worst);
        bise_session_close(&plain);
    }
    bise_session_close(&with);
}

Test(sinks, the_same_bits_everywhere) {
    struct cpu_features cpu;
    cpu_detect(&cpu);
    model = synth_model(path, THREE, TYPE_I4);
    for (enum bise_kv kv = BISE_KV_I8; kv < BISE_KV_COUNT; kv++) {
        struct bise_engine_params p = {.n_ctx = N_CTX,
                                       .n_sinks = SINKS,
                                       .kv = kv,
                                       .chunk = 64,
                                       .n_threads = 1,
                                       .isa = "scalar"};
        struct bise_session *want = open_session(model, p);
        feed(want, some_ids(), 333);
        for (int i = 0; i < ISA_COUNT; i++) {
            if (!cpu.isa[i])
                continue;
            p.isa = isa_name((enum isa)i);
            p.n_threads = 1 + i % 3;
            p.chunk = 21 + 16 * (uint32_t)i;
            struct bise_session *got = open_session(model, p);
            feed(got, some_ids(), 333);
            cr_assert(same_logits(want, got), "%s, cache type %d", p.isa, kv);
            bise_session_close(&got);
        }
        bise_session_close(&want);
    }
}

Test(sinks, matter) {
    model = synth_model(path, THREE, TYPE_F32);
    int32_t other[300];
    memcpy(other, some_ids(), sizeof other);
    other[3] = (other[3] + 1) % VOCAB;
    const struct bise_engine_params p = {.n_ctx = N_CTX, .n_sinks = SINKS};
    struct bise_session *a = open_session(model, p), *b = open_session(model, p);
    feed(a, some_ids(), 300);
    feed(b, other, 300);
    cr_assert_not(same_logits(a, b), "far beyond what windows reach");
    bise_session_close(&a);
    bise_session_close(&b);
}

Test(sinks, going_back_and_beginning_within_reach) {
    model = synth_model(path, THREE, TYPE_F32);
    const struct bise_engine_params p = {.n_ctx = N_CTX, .n_sinks = SINKS, .chunk = 32};
    struct bise_session *s = open_session(model, p), *want = open_session(model, p);
    feed(s, some_ids(), 400);
    feed(want, some_ids(), 380);
    cr_assert_eq(bise_truncate(s, 370, NULL), BISE_OK);
    feed(s, some_ids() + 370, 10);
    cr_assert(same_logits(s, want));
    const size_t reach = (size_t)bise_reach(s);
    cr_assert_eq(reach, 3 * 63 + 1);
    cr_assert_eq(bise_reset_at(s, 380 - reach, NULL), BISE_OK);
    feed(s, some_ids() + 380 - reach, reach);
    cr_assert(same_logits(s, want), "the sinks stayed");
    bise_reset(s);
    feed(s, some_ids(), 7);
    cr_assert_eq(bise_reset_at(s, 100, NULL), BISE_ERR_ARG, "not all sinks are there");
    bise_session_close(&s);
    bise_session_close(&want);
}

Test(sinks, go_on_from_a_file) {
    model = synth_model(path, THREE, TYPE_I4);
    for (enum bise_kv kv = BISE_KV_I8; kv < BISE_KV_COUNT; kv++) {
        struct bise_engine_params p = {.n_ctx = N_CTX, .n_sinks = SINKS, .kv = kv, .chunk = 16};
        struct bise_session *a = open_session(model, p);
        p.chunk = 50;
        struct bise_session *b = open_session(model, p);
        struct bise_error err = {0};
        feed(a, some_ids(), 200);
        cr_assert_eq(bise_session_save(a, 0, NULL, 0, file, &err), BISE_OK, "%s", err.detail);
        feed(a, some_ids() + 200, 30);
        feed(b, some_ids() + 50, 120);
        cr_assert_eq(bise_session_load(b, NULL, file, &err), BISE_OK, "%s", err.detail);
        feed(b, some_ids() + 200, 30);
        cr_assert(same_logits(a, b), "cache type %d", kv);
        bise_session_close(&b);
        p.n_sinks = 32;
        b = open_session(model, p);
        cr_assert_eq(bise_session_load(b, NULL, file, &err), BISE_ERR_ARG);
        cr_assert_not_null(strstr(err.detail, "16 sinks"), "%s", err.detail);
        bise_session_close(&a);
        bise_session_close(&b);
    }
}

Test(sinks, arguments) {
    model = synth_model(path, THREE, TYPE_F32);
    struct bise_session *s = NULL;
    struct bise_error err = {0};
    const struct bise_engine_params bad[] = {{.n_ctx = 64, .n_sinks = 33},
                                             {.n_ctx = 64, .n_sinks = 16, .start_pos = 16}};
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(bise_session_open(&s, model, &bad[i], &err), BISE_ERR_ARG);
        cr_assert_not_null(strstr(err.detail, "sinks: expected at most 32"), "%s", err.detail);
    }
    s = open_session(model, (struct bise_engine_params){.n_ctx = 64, .n_sinks = 5});
    cr_assert_eq(bise_session_plan(s)->n_sinks, 16);
    cr_assert_eq(bise_session_plan(s)->window, 48);
    bise_session_close(&s);
    s = open_session(model, (struct bise_engine_params){.n_ctx = 64, .n_sinks = 16, .window = 32});
    cr_assert_eq(bise_session_plan(s)->n_sinks, 0, "a window needs none");
    bise_session_close(&s);
}
