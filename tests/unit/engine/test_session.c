/* Sessions: positions, going back, limits, cache types, faults in values. */
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
    model = synth_model(path, SHAPE, TYPE_F32);
}

static void teardown(void) {
    bise_model_close(&model);
    unlink(path);
    rmdir(folder);
}

TestSuite(session, .init = setup, .fini = teardown);

static struct bise_session *open_with(const struct bise_model *m, struct bise_engine_params p) {
    struct bise_error err = {0};
    struct bise_session *s = NULL;
    p.n_threads = 2;
    cr_assert_eq(bise_session_open(&s, m, &p, &err), BISE_OK, "%s", err.detail);
    return s;
}

static const int32_t *some_ids(void) {
    static int32_t ids[400];
    for (int i = 0; i < 400; i++)
        ids[i] = (i * 29 + i * i % 31) % VOCAB;
    return ids;
}

static void feed(struct bise_session *s, size_t from, size_t to) {
    struct bise_error err = {0};
    cr_assert_eq(bise_prefill(s, some_ids() + from, to - from, NULL, NULL, &err), BISE_OK, "%s",
                 err.detail);
}

/* Logits after the first n of some_ids, from a session of its own. */
static void fresh(const struct bise_model *m, struct bise_engine_params p, size_t n,
                  float logits[VOCAB]) {
    struct bise_session *s = open_with(m, p);
    feed(s, 0, n);
    memcpy(logits, bise_logits(s), VOCAB * sizeof *logits);
    bise_session_close(&s);
}

Test(session, going_back_gives_the_bits_of_a_fresh_run) {
    const struct bise_engine_params p = {.chunk = 8, .window = -1};
    struct bise_session *s = open_with(model, p);
    float want[VOCAB];
    feed(s, 0, 300);
    static const size_t back[] = {299, 290, 280};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(bise_truncate(s, back[i], NULL), BISE_OK, "back to %zu", back[i]);
        cr_assert_eq(bise_position(s), back[i]);
        feed(s, back[i], back[i] + 10);
        fresh(model, p, back[i] + 10, want);
        cr_assert_eq(memcmp(want, bise_logits(s), sizeof want), 0, "after %zu", back[i]);
    }
    bise_session_close(&s);
}

Test(session, going_back_too_far_is_refused_and_changes_nothing) {
    struct bise_session *s =
        open_with(model, (struct bise_engine_params){.chunk = 8, .window = -1, .spare = 24});
    struct bise_error err = {0};
    const uint32_t ring = bise_session_plan(s)->ring, window = bise_session_plan(s)->window;
    feed(s, 0, 300);
    const uint64_t least = 300 - ring + window - 1;
    cr_assert_eq(bise_truncate(s, least - 1, &err), BISE_ERR_CONTEXT);
    cr_assert_not_null(strstr(err.detail, "begins at"));
    cr_assert_eq(bise_position(s), 300);
    cr_assert_eq(bise_truncate(s, 301, NULL), BISE_ERR_ARG);
    cr_assert_eq(bise_truncate(s, least, NULL), BISE_OK);
    /* What was overwritten stays so, however the session moves: now nothing older is held. */
    cr_assert_eq(bise_truncate(s, least - 1, NULL), BISE_ERR_CONTEXT);
    bise_session_close(&s);
}

/* Around where the ring begins to overwrite: what may still be gone back to is there. */
Test(session, all_that_is_held_is_sound) {
    const struct bise_engine_params p = {.chunk = 8, .window = -1, .spare = 24};
    for (size_t n = 60; n < 120; n++) {
        struct bise_session *s = open_with(model, p);
        float want[VOCAB];
        size_t pos = 16; /* fewer tokens use decode arithmetic */
        feed(s, 0, n);
        while (pos < n && bise_truncate(s, pos, NULL) != BISE_OK)
            pos++;
        cr_assert_lt(pos, n);
        feed(s, pos, pos + 16);
        fresh(model, p, pos + 16, want);
        cr_assert_eq(memcmp(want, bise_logits(s), sizeof want), 0, "%zu to %zu", n, pos);
        bise_session_close(&s);
    }
}

Test(session, whole_context_can_be_gone_back_through) {
    const struct bise_engine_params p = {.n_ctx = 100, .chunk = 16};
    struct bise_session *s = open_with(model, p);
    float want[VOCAB];
    feed(s, 0, 100);
    cr_assert_eq(bise_truncate(s, 0, NULL), BISE_OK);
    feed(s, 0, 20);
    fresh(model, p, 20, want);
    cr_assert_eq(memcmp(want, bise_logits(s), sizeof want), 0);
    bise_session_close(&s);
}

Test(session, a_full_context_gives_the_bits_of_a_larger_one) {
    const struct bise_engine_params larger = {.n_ctx = 200, .start_pos = 5};
    struct bise_session *s =
        open_with(model, (struct bise_engine_params){.n_ctx = 112, .start_pos = 5});
    float want[VOCAB];
    feed(s, 0, 112); /* into groups of 16: positions 5 .. 116 touch eight, 112 fill seven */
    fresh(model, larger, 112, want);
    cr_assert_eq(memcmp(want, bise_logits(s), sizeof want), 0);
    bise_session_close(&s);
}

Test(session, context_is_refused_whole_and_by_number) {
    struct bise_session *s = open_with(model, (struct bise_engine_params){.n_ctx = 50});
    struct bise_error err = {0};
    cr_assert_eq(bise_prefill(s, some_ids(), 53, NULL, NULL, &err), BISE_ERR_CONTEXT);
    cr_assert_not_null(strstr(err.detail, "3 too many"), "%s", err.detail);
    cr_assert_eq(bise_position(s), 0);
    feed(s, 0, 50);
    cr_assert_eq(bise_decode(s, 1, &err), BISE_ERR_CONTEXT);
    bise_reset(s);
    feed(s, 0, 50);
    bise_session_close(&s);
}

Test(session, reset_forgets) {
    const struct bise_engine_params p = {.chunk = 8, .window = -1, .start_pos = 5};
    struct bise_session *s = open_with(model, p);
    float want[VOCAB];
    feed(s, 100, 250);
    bise_reset(s);
    cr_assert_eq(bise_position(s), 5);
    feed(s, 0, 30);
    fresh(model, p, 30, want);
    cr_assert_eq(memcmp(want, bise_logits(s), sizeof want), 0);
    bise_session_close(&s);
}

Test(session, beginning_within_reach_gives_the_bits_of_the_whole) {
    const struct bise_engine_params p = {.chunk = 16, .window = -1};
    struct bise_session *s = open_with(model, p);
    struct bise_error err = {0};
    float want[VOCAB];
    fresh(model, p, 300, want);
    const size_t reach = (size_t)bise_reach(s);
    cr_assert_eq(reach, 2 * 23 + 1);
    feed(s, 0, 100);
    cr_assert_eq(bise_reset_at(s, 300 - reach, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(bise_last_ids(s, NULL, 400), 0);
    feed(s, 300 - reach, 300);
    cr_assert_eq(bise_position(s), 300);
    cr_assert_eq(memcmp(want, bise_logits(s), sizeof want), 0);
    cr_assert_eq(bise_truncate(s, 300 - reach - 1, NULL), BISE_ERR_ARG, "nothing is before");
    cr_assert_eq(bise_reset_at(s, (uint64_t)1 << 50, NULL), BISE_OK);
    cr_assert_eq(bise_reset_at(s, ((uint64_t)1 << 50) + 1, NULL), BISE_ERR_ARG);
    bise_reset(s);
    cr_assert_eq(bise_position(s), 0);
    bise_session_close(&s);
    s = open_with(model, (struct bise_engine_params){.n_ctx = 64});
    cr_assert_eq(bise_reach(s), UINT64_MAX);
    cr_assert_eq(bise_reset_at(s, 16, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_reset_at(s, 0, &err), BISE_OK);
    bise_session_close(&s);
}

Test(session, last_ids_are_kept_as_far_as_the_context) {
    struct bise_session *s =
        open_with(model, (struct bise_engine_params){.n_ctx = 32, .window = -1});
    int32_t ids[64];
    cr_assert_eq(bise_last_ids(s, ids, 64), 0);
    feed(s, 0, 10);
    cr_assert_eq(bise_last_ids(s, ids, 64), 10);
    cr_assert_eq(memcmp(ids, some_ids(), 10 * sizeof *ids), 0);
    feed(s, 10, 45);
    cr_assert_eq(bise_last_ids(s, ids, 64), 32);
    cr_assert_eq(memcmp(ids, some_ids() + 13, 32 * sizeof *ids), 0);
    cr_assert_eq(bise_truncate(s, 40, NULL), BISE_OK);
    cr_assert_eq(bise_last_ids(s, ids, 64), 27, "13..44 are held, 40 on are cut off");
    cr_assert_eq(memcmp(ids, some_ids() + 13, 27 * sizeof *ids), 0);
    cr_assert_eq(bise_last_ids(s, ids, 2), 2);
    cr_assert_eq(ids[1], some_ids()[39]);
    bise_session_close(&s);
}

Test(session, bad_arguments) {
    struct bise_session *s = open_with(model, (struct bise_engine_params){.chunk = 8});
    struct bise_error err = {0};
    const int32_t bad[] = {1, VOCAB, 3};
    float logits[9 * VOCAB];
    cr_assert_eq(bise_prefill(s, bad, 3, NULL, NULL, &err), BISE_ERR_ARG);
    cr_assert_not_null(strstr(err.detail, "token 1: expected an id below 96, found 96"));
    cr_assert_eq(bise_decode(s, -1, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_prefill(s, bad, 0, NULL, NULL, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_prefill_logits(s, some_ids(), 9, logits, &err), BISE_ERR_ARG);
    cr_assert_eq(bise_position(s), 0);
    bise_session_close(&s);
    static const struct bise_engine_params wrong[] = {
        {.n_ctx = 1u << 30},       {.chunk = 1u << 20},   {.window = -2},
        {.window = 1ll << 40},     {.n_threads = -1},     {.kv = 9},
        {.start_pos = 1ull << 60}, {.n_threads = 100000},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        err.detail[0] = 0;
        cr_assert_eq(bise_session_open(&s, model, &wrong[i], &err), BISE_ERR_ARG, "case %zu", i);
        cr_assert_null(s);
        cr_assert_neq(err.detail[0], 0);
    }
    const struct bise_engine_params isa = {.isa = "abacus"};
    cr_assert_eq(bise_session_open(&s, model, &isa, &err), BISE_ERR_CPU);
    cr_assert_not_null(strstr(err.detail, "abacus"));
    bise_session_close(NULL);
}

static bool stop_at_16(void *user, size_t done, size_t total) {
    *(size_t *)user = total;
    return done >= 16;
}

Test(session, interrupted_prefill_keeps_what_is_done) {
    const struct bise_engine_params p = {.chunk = 8, .window = -1};
    struct bise_session *s = open_with(model, p);
    struct bise_error err = {0};
    size_t total = 0;
    float want[VOCAB];
    cr_assert_eq(bise_prefill(s, some_ids(), 40, stop_at_16, &total, &err), BISE_ERR_INTERRUPTED);
    cr_assert_eq(total, 40);
    cr_assert_eq(bise_position(s), 16);
    feed(s, 16, 40);
    fresh(model, p, 40, want);
    cr_assert_eq(memcmp(want, bise_logits(s), sizeof want), 0);
    bise_session_close(&s);
}

Test(session, cache_types_agree_closely) {
    float want[VOCAB], got[VOCAB];
    static const struct {
        enum bise_kv kv;
        double within;
    } kinds[] = {{BISE_KV_AUTO, 0}, {BISE_KV_F16, 0.02}, {BISE_KV_I8, 0.2}, {BISE_KV_I4, 2}};
    fresh(model, (struct bise_engine_params){.kv = BISE_KV_F32, .window = -1}, 60, want);
    for (size_t k = 0; k < 4; k++) {
        double worst = 0;
        fresh(model, (struct bise_engine_params){.kv = kinds[k].kv, .window = -1}, 60, got);
        for (int i = 0; i < VOCAB; i++)
            worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        cr_assert_leq(worst, kinds[k].within, "cache type %d: %g", kinds[k].kv, worst);
        cr_assert(k == 0 || worst > 0, "cache type %d makes no difference", kinds[k].kv);
    }
}

Test(session, window_can_be_chosen) {
    float own[VOCAB], same[VOCAB], none[VOCAB];
    fresh(model, (struct bise_engine_params){.window = -1}, 60, own);
    fresh(model, (struct bise_engine_params){.window = 24}, 60, same);
    fresh(model, (struct bise_engine_params){.window = 0}, 60, none);
    cr_assert_eq(memcmp(own, same, sizeof own), 0);
    cr_assert_neq(memcmp(own, none, sizeof own), 0);
    fresh(model, (struct bise_engine_params){.window = -1}, 24, own);
    fresh(model, (struct bise_engine_params){.window = 0}, 24, none);
    cr_assert_eq(memcmp(own, none, sizeof own), 0, "within the window there is no difference");
}

/* Overwrites one value of a tensor; the model of these tests is a copy in memory. */
static void poison(const struct tensor *t, float value) {
    memcpy((void *)(uintptr_t)t->w.panels, &value, sizeof value);
}

Test(session, values_that_are_not_finite_are_named) {
    struct bise_error err = {0};
    float old;
    for (enum bise_kv kv = BISE_KV_I8; kv < BISE_KV_COUNT; kv++) {
        const struct bise_engine_params p = {.kv = kv, .window = -1, .chunk = 16};
        struct bise_session *s = open_with(model, p);
        const struct tensor *const places[] = {model->layers[1].attn_norm, model->layers[1].wv,
                                               model->layers[1].w2[0], model->norm};
        feed(s, 0, 5);
        for (size_t i = 0; i < 4; i++) {
            memcpy(&old, places[i]->w.panels, sizeof old);
            poison(places[i], INFINITY);
            cr_assert_eq(bise_prefill(s, some_ids() + 5, 3, NULL, NULL, &err), BISE_ERR_NONFINITE,
                         "%s", places[i]->name);
            cr_assert_not_null(strstr(err.detail, i < 2 ? "layer 1" : "output head"), "%s: %s",
                               places[i]->name, err.detail);
            cr_assert_eq(bise_position(s), 5);
            poison(places[i], old);
        }
        float want[VOCAB];
        feed(s, 5, 30);
        fresh(model, p, 30, want);
        for (int i = 0; i < VOCAB; i++)
            cr_assert(isfinite(bise_logits(s)[i]), "the cache stayed sound");
        bise_session_close(&s);
    }
}

Test(session, plan_says_what_is_taken) {
    struct bise_plan plan;
    struct bise_error err = {0};
    const struct bise_engine_params p = {.n_ctx = 160, .kv = BISE_KV_I8, .n_threads = 3};
    cr_assert_eq(bise_plan(model, &p, &plan, &err), BISE_OK);
    cr_assert_eq(plan.ring, 160);
    cr_assert_eq(plan.cache, (uint64_t)160 * 2 * 2 * 2 * (32 + 4),
                 "positions, layers, heads, K and V");
    cr_assert_eq(plan.total, plan.weights + plan.cache + plan.scratch);
    cr_assert_eq(plan.n_threads, 3);
    const struct bise_engine_params half = {.n_ctx = 160, .kv = BISE_KV_I4};
    cr_assert_eq(bise_plan(model, &half, &plan, &err), BISE_OK);
    cr_assert_eq(plan.cache, (uint64_t)160 * 2 * 2 * 2 * (16 + 4 + 1));
    cr_assert_eq(plan.kv_fits, BISE_KV_AUTO);
    cr_assert_eq(bise_plan(model, NULL, &plan, &err), BISE_OK);
    cr_assert_eq(plan.window, 24, "the model's own");
    cr_assert_eq(plan.kv, BISE_KV_F32);
    struct bise_session *s = open_with(model, (struct bise_engine_params){.window = -1});
    cr_assert_eq(bise_session_plan(s)->cache, plan.cache);
    bise_session_close(&s);
}

Test(session, what_cannot_fit_is_refused_before_it_is_taken) {
    struct bise_model *deep =
        synth_model(path, "dim=32,ffn=32,layers=32,heads=8,kv=8,head_dim=128,vocab=96", TYPE_I4);
    const struct bise_engine_params p = {.n_ctx = 1u << 24, .kv = BISE_KV_F32};
    struct bise_session *s;
    struct bise_error err = {0};
    cr_assert_eq(bise_session_open(&s, deep, &p, &err), BISE_ERR_MEMORY);
    cr_assert_not_null(strstr(err.detail, "MiB are free"), "%s", err.detail);
    bise_model_close(&deep);
}

Test(session, none_runs_on_a_model_without_its_tensors) {
    const struct bise_model_params header = {.no_tensors = true};
    struct bise_error err = {0};
    struct bise_model *m = NULL;
    struct bise_session *s = NULL;
    cr_assert_eq(bise_model_open(&m, path, &header, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(bise_session_open(&s, m, NULL, &err), BISE_ERR_ARG);
    cr_assert(s == NULL && strstr(err.detail, "m.bise: opened without its tensors"), "%s",
              err.detail);
    bise_model_close(&m);
}
