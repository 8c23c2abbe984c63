/* Engines: sequences beside each other have the bits they have alone, runs fail alone, a stopped
 * step changes nothing, copies are the same. */
#include "src/base/random.h"
#include "src/engine/engine.h"
#include "src/os/cpu.h"
#include "tests/unit/synth_model.h"
#include "tests/unit/tiny_model.h"

#include <math.h>

#define VOCAB   96
#define DENSE   "dim=64,ffn=96,layers=2,heads=4,kv=2,vocab=96,window=24"
#define MIXTURE "dim=64,ffn=96,layers=2,heads=4,kv=1,vocab=96,experts=4"
#define N_SEQS  8
#define CHUNK   40
#define N_MOST  70 /* ids of a sequence */

static char folder[256], path[300];
static struct bise_model *model;

static void setup(void) {
    cr_assert(tiny_folder(folder));
    snprintf(path, sizeof path, "%s/m.bise", folder);
    model = synth_model(path, DENSE, TYPE_F32);
}

static void teardown(void) {
    bise_model_close(&model);
    unlink(path);
    rmdir(folder);
}

TestSuite(engine, .init = setup, .fini = teardown);

static struct bise_engine *open_engine(struct bise_engine_params p) {
    struct bise_error err = {0};
    struct bise_engine *e = NULL;
    p.chunk = p.chunk ? p.chunk : CHUNK;
    p.n_threads = p.n_threads ? p.n_threads : 2;
    cr_assert_eq(bise_engine_open(&e, model, &p, &err), BISE_OK, "%s", err.detail);
    return e;
}

static int32_t id_at(size_t text, size_t i) {
    return (int32_t)((i * 29 + i * i % 31 + text * 37) % VOCAB);
}

/* Ids of text from..to - 1 into sequence seq, alone, in calls of at most CHUNK. */
static void feed(struct bise_engine *e, uint32_t seq, size_t text, size_t from, size_t to) {
    struct bise_error err = {0};
    for (size_t n; from < to; from += n) {
        int32_t ids[CHUNK];
        n = to - from < CHUNK ? to - from : CHUNK;
        for (size_t i = 0; i < n; i++)
            ids[i] = id_at(text, from + i);
        struct bise_run run = {.seq = seq, .ids = ids, .n = n, .want = BISE_WANT_LAST};
        cr_assert_eq(bise_step(e, &run, 1, NULL, &err), BISE_OK, "%s", err.detail);
        cr_assert_eq(run.status, BISE_OK, "%s", err.detail);
    }
}

/* Logits of every id of every text, computed alone. */
static float *alone(struct bise_engine_params p, const size_t n[N_SEQS]) {
    float *const all = calloc(N_SEQS * N_MOST, VOCAB * sizeof *all);
    struct bise_engine *e = open_engine(p);
    for (size_t s = 0; s < N_SEQS; s++) {
        bise_seq_reset(e, 0);
        for (size_t i = 0; i < n[s]; i++) {
            feed(e, 0, s, i, i + 1);
            memcpy(all + (s * N_MOST + i) * VOCAB, bise_seq_logits(e, 0), VOCAB * sizeof *all);
        }
    }
    bise_engine_close(&e);
    return all;
}

/* Steps of random runs until every text has been read; each logits wanted is compared. */
static void beside(struct bise_engine_params p, const size_t n[N_SEQS], const float *want,
                   uint64_t seed) {
    static float logits[N_SEQS][CHUNK * VOCAB];
    struct random_state random;
    struct bise_error err = {0};
    size_t done[N_SEQS] = {0}, left = N_SEQS;
    p.n_seqs = N_SEQS;
    struct bise_engine *e = open_engine(p);
    random_seed(&random, seed);
    while (left > 0) {
        struct bise_run runs[N_SEQS];
        int32_t ids[N_SEQS][CHUNK];
        size_t n_runs = 0;
        for (uint32_t s = 0; s < N_SEQS; s++) {
            const uint64_t r = random_u64(&random);
            const size_t rest = n[s] - done[s];
            if (rest == 0 || r % 4 == 0)
                continue;
            struct bise_run *const run = &runs[n_runs++];
            *run = (struct bise_run){
                .seq = s, .ids = ids[s], .n = r >> 8 & 1 ? 1 : 1 + (r >> 9) % CHUNK};
            run->n = run->n < rest ? run->n : rest;
            run->want = run->n == rest ? BISE_WANT_LAST : (enum bise_want)((r >> 16) % 3);
            run->logits = run->want == BISE_WANT_ALL ? logits[s] : NULL;
            for (size_t i = 0; i < run->n; i++)
                ids[s][i] = id_at(s, done[s] + i);
        }
        cr_assert_eq(bise_step(e, runs, n_runs, NULL, &err), BISE_OK, "%s", err.detail);
        for (size_t i = 0; i < n_runs; i++) {
            const struct bise_run *const run = &runs[i];
            const float *const first = want + (run->seq * N_MOST + done[run->seq]) * VOCAB;
            const float *const own = bise_seq_logits(e, run->seq);
            cr_assert_eq(run->status, BISE_OK);
            done[run->seq] += run->n;
            left -= done[run->seq] == n[run->seq];
            cr_assert_eq(own == NULL, run->want == BISE_WANT_NONE);
            if (run->want == BISE_WANT_ALL)
                cr_assert_eq(memcmp(run->logits, first, run->n * VOCAB * sizeof *first), 0,
                             "seed %llu, sequence %u, at %zu", (unsigned long long)seed, run->seq,
                             done[run->seq]);
            if (own)
                cr_assert_eq(memcmp(own, first + (run->n - 1) * VOCAB, VOCAB * sizeof *own), 0,
                             "seed %llu, sequence %u, at %zu", (unsigned long long)seed, run->seq,
                             done[run->seq]);
        }
    }
    bise_engine_close(&e);
}

static void all_isas(struct bise_engine_params p, uint64_t seed) {
    struct cpu_features cpu;
    size_t n[N_SEQS];
    struct random_state random;
    cpu_detect(&cpu);
    random_seed(&random, seed);
    for (size_t s = 0; s < N_SEQS; s++)
        n[s] = 1 + random_u64(&random) % N_MOST;
    float *const want = alone(p, n);
    for (int i = 0; i < ISA_COUNT; i++)
        for (p.n_threads = 1; cpu.isa[i] && p.n_threads <= 4; p.n_threads++) {
            p.isa = isa_name((enum isa)i);
            beside(p, n, want, seed + (uint64_t)p.n_threads);
        }
    free(want);
}

Test(engine, sequences_have_the_bits_they_have_alone) {
    all_isas((struct bise_engine_params){.window = -1, .start_pos = 5}, 1);
    all_isas((struct bise_engine_params){.n_ctx = 80, .kv = BISE_KV_F16}, 2);
    all_isas((struct bise_engine_params){.n_ctx = 48, .n_sinks = 16, .kv = BISE_KV_I8}, 3);
}

/* Whatever power of two divides a head: keys are rotated by 8, 16, 32, 128, or not at all. */
Test(engine, caches_of_4_bits_have_the_same_bits_everywhere) {
    static const char *const shapes[] = {
        "dim=32,ffn=32,layers=2,heads=4,kv=2,head_dim=40,vocab=96",
        "dim=32,ffn=32,layers=2,heads=2,kv=1,head_dim=80,vocab=96",
        "dim=32,ffn=32,layers=2,heads=2,kv=2,head_dim=96,vocab=96",
        "dim=32,ffn=32,layers=1,heads=5,kv=1,head_dim=128,vocab=96",
        "dim=32,ffn=32,layers=2,heads=3,kv=3,head_dim=2,vocab=96"};
    static const struct bise_engine_params kinds[] = {
        {.n_ctx = 90, .kv = BISE_KV_I4},
        {.n_ctx = 48, .n_sinks = 16, .kv = BISE_KV_I4},
        {.window = 37, .start_pos = 11, .kv = BISE_KV_I4}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        bise_model_close(&model);
        model = synth_model(path, shapes[i], i % 2 ? TYPE_I8 : TYPE_I4);
        all_isas(kinds[i % 3], 20 + i);
    }
}

Test(engine, so_have_mixtures_and_quantized_ones) {
    static const enum tensor_type types[] = {TYPE_I4, TYPE_I8, TYPE_BF16};
    for (size_t i = 0; i < 3; i++) {
        bise_model_close(&model);
        model = synth_model(path, DENSE, types[i]);
        all_isas((struct bise_engine_params){.window = -1}, 4 + i);
        bise_model_close(&model);
        model = synth_model(path, MIXTURE, types[i]);
        all_isas((struct bise_engine_params){.window = 32}, 6 + i);
    }
}

/* A token far behind: its attention is cut by positions, heads and dimensions. */
Test(engine, deep_tokens_have_the_bits_of_chunks) {
    bise_model_close(&model);
    model = synth_model(path, "dim=64,ffn=32,layers=2,heads=6,kv=1,head_dim=48,vocab=96", TYPE_I8);
    static const struct bise_engine_params kinds[] = {
        {.n_ctx = 4000, .kv = BISE_KV_I8},  {.n_ctx = 4000, .kv = BISE_KV_F16, .start_pos = 7},
        {.n_ctx = 4000, .kv = BISE_KV_F32}, {.n_ctx = 4000, .kv = BISE_KV_I4, .start_pos = 30},
        {.n_ctx = 1500, .n_sinks = 32},     {.window = 1300}};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct bise_engine_params p = kinds[k];
        float want[2 * VOCAB];
        struct bise_error err = {0};
        p.n_seqs = 2;
        p.n_threads = 3;
        struct bise_engine *e = open_engine(p);
        feed(e, 0, 1, 0, 2200);
        const int32_t ids[] = {id_at(1, 2200), id_at(1, 2201)};
        cr_assert_eq(bise_seq_copy(e, 1, 0, bise_seq_position(e, 0), &err), BISE_OK, "%s",
                     err.detail);
        struct bise_run both = {
            .seq = 0, .ids = ids, .n = 2, .want = BISE_WANT_ALL, .logits = want};
        cr_assert_eq(bise_step(e, &both, 1, NULL, &err), BISE_OK);
        for (size_t i = 0; i < 2; i++) {
            feed(e, 1, 1, 2200 + i, 2201 + i);
            cr_assert_eq(memcmp(want + i * VOCAB, bise_seq_logits(e, 1), VOCAB * sizeof *want), 0,
                         "kind %zu, token %zu", k, i);
        }
        bise_engine_close(&e);
    }
}

/* Positions turn queries and keys alike, so that a text means the same wherever it begins: in one
 * block of attention's, or cut by a border of two, where what each made by its own maximum is added
 * up. */
Test(engine, where_blocks_are_cut_does_not_matter) {
    enum { N = 400 };
    bise_model_close(&model);
    model = synth_model(path, "dim=64,ffn=32,layers=2,heads=4,kv=1,vocab=96", TYPE_F32);
    static const struct {
        enum bise_kv kv;
        float near;
    } kinds[] = {
        {BISE_KV_F32, 1e-5f}, {BISE_KV_F16, 1e-3f}, {BISE_KV_I8, 2e-2f}, {BISE_KV_I4, 3e-1f}};
    static const uint64_t starts[] = {0, 112, 300, 500, 511}; /* the first two: one block */
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        float want[VOCAB];
        for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
            struct bise_engine *e = open_engine(
                (struct bise_engine_params){.n_ctx = N, .kv = kinds[k].kv, .start_pos = starts[i]});
            float most = 0;
            feed(e, 0, 1, 0, N);
            const float *const logits = bise_seq_logits(e, 0);
            if (i == 0)
                memcpy(want, logits, sizeof want);
            for (size_t v = 0; v < VOCAB; v++)
                most = fmaxf(most, fabsf(logits[v] - want[v]));
            cr_expect_leq(most, kinds[k].near, "cache %zu from %d: %g off", k, (int)starts[i],
                          (double)most);
            bise_engine_close(&e);
        }
    }
}

Test(engine, runs_fail_alone) {
    struct bise_engine *e = open_engine((struct bise_engine_params){.n_ctx = 30, .n_seqs = 3}), *f;
    struct bise_error err = {0};
    feed(e, 0, 0, 0, 28);
    feed(e, 1, 1, 0, 9);
    const float *const old = bise_seq_logits(e, 0);
    float before[VOCAB];
    memcpy(before, old, sizeof before);
    const int32_t ids[] = {1, 2, 3};
    struct bise_run runs[] = {{.seq = 0, .ids = ids, .n = 3, .want = BISE_WANT_LAST},
                              {.seq = 1, .ids = ids, .n = 3, .want = BISE_WANT_LAST}};
    cr_assert_eq(bise_step(e, runs, 2, NULL, &err), BISE_OK);
    cr_assert_eq(runs[0].status, BISE_ERR_CONTEXT);
    cr_assert_not_null(strstr(err.detail, "1 too many"), "%s", err.detail);
    cr_assert_eq(runs[1].status, BISE_OK);
    cr_assert_eq(bise_seq_position(e, 0), 28);
    cr_assert_eq(memcmp(before, bise_seq_logits(e, 0), sizeof before), 0);
    f = open_engine((struct bise_engine_params){.n_ctx = 30});
    feed(f, 0, 1, 0, 9);
    cr_assert_eq(
        bise_step(f, &(struct bise_run){.ids = ids, .n = 3, .want = BISE_WANT_LAST}, 1, NULL, &err),
        BISE_OK);
    cr_assert_eq(memcmp(bise_seq_logits(e, 1), bise_seq_logits(f, 0), sizeof before), 0);
    bise_engine_close(&f);
    bise_engine_close(&e);
}

/* An embedding row that is infinite fails the run that reads it, and no other. */
Test(engine, a_value_that_is_not_finite_fails_its_run_alone) {
    bise_model_close(&model);
    model = synth_model(path, DENSE, TYPE_F32);
    struct bise_engine *e = open_engine((struct bise_engine_params){.window = -1, .n_seqs = 3});
    struct bise_engine *f = open_engine((struct bise_engine_params){.window = -1, .n_seqs = 3});
    struct bise_error err = {0};
    const int32_t ids[] = {3, 4, 17, 5};
    const float inf = INFINITY;
    /* Row 17 of the first panel after it, first column. */
    memcpy((uint8_t *)(uintptr_t)model->embed->w.panels + panel_bytes(TYPE_F32, model->embed->w.k) +
               4,
           &inf, 4);
    for (uint32_t s = 0; s < 3; s++) {
        feed(e, s, 70 + s, 0, 1);
        feed(f, s, 70 + s, 0, 1);
    }
    struct bise_run runs[] = {{.seq = 0, .ids = ids, .n = 2, .want = BISE_WANT_LAST},
                              {.seq = 1, .ids = ids, .n = 4, .want = BISE_WANT_LAST},
                              {.seq = 2, .ids = ids, .n = 1, .want = BISE_WANT_LAST}};
    cr_assert_eq(bise_step(e, runs, 3, NULL, &err), BISE_OK);
    cr_assert_eq(runs[1].status, BISE_ERR_NONFINITE);
    cr_assert_not_null(strstr(err.detail, "layer 0, position 3"), "%s", err.detail);
    cr_assert_eq(bise_seq_position(e, 1), 1);
    for (uint32_t s = 0; s < 3; s += 2) {
        struct bise_run *const run = &runs[s];
        cr_assert_eq(run->status, BISE_OK);
        cr_assert_eq(bise_step(f, run, 1, NULL, &err), BISE_OK);
        cr_assert_eq(memcmp(bise_seq_logits(e, s), bise_seq_logits(f, s), VOCAB * sizeof(float)),
                     0);
    }
    bise_engine_close(&e);
    bise_engine_close(&f);
}

Test(engine, a_stopped_step_changes_nothing) {
    struct bise_engine *e = open_engine((struct bise_engine_params){.window = -1, .n_seqs = 2});
    struct bise_engine *f = open_engine((struct bise_engine_params){.window = -1, .n_seqs = 2});
    struct bise_error err = {0};
    const volatile int stop = 1;
    const int32_t ids[] = {1, 2};
    float before[VOCAB];
    feed(e, 0, 0, 0, 40);
    feed(f, 0, 0, 0, 40);
    memcpy(before, bise_seq_logits(e, 0), sizeof before);
    struct bise_run run = {.seq = 0, .ids = ids, .n = 2, .want = BISE_WANT_LAST};
    cr_assert_eq(bise_step(e, &run, 1, &stop, &err), BISE_ERR_INTERRUPTED);
    cr_assert_eq(bise_seq_position(e, 0), 40);
    cr_assert_eq(memcmp(before, bise_seq_logits(e, 0), sizeof before), 0);
    feed(e, 0, 0, 40, 60);
    feed(f, 0, 0, 40, 60);
    cr_assert_eq(memcmp(bise_seq_logits(e, 0), bise_seq_logits(f, 0), sizeof before), 0);
    bise_engine_close(&e);
    bise_engine_close(&f);
}

Test(engine, copies_go_on_alike) {
    static const struct bise_engine_params kinds[] = {
        {.window = -1, .kv = BISE_KV_I8},        {.window = -1, .kv = BISE_KV_F16},
        {.n_ctx = 200, .kv = BISE_KV_I8},        {.n_ctx = 200, .kv = BISE_KV_I4},
        {.window = -1, .kv = BISE_KV_I4},        {.n_ctx = 64, .n_sinks = 16},
        {.window = -1, .spare = BISE_SPARE_NONE}};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        for (size_t back = 0; back < 30; back += 5) {
            struct bise_engine_params p = kinds[k];
            struct bise_error err = {0};
            int32_t ids[2][20];
            p.n_seqs = 2;
            struct bise_engine *e = open_engine(p), *f = open_engine(p);
            feed(e, 0, 0, 0, 110);
            feed(e, 1, 3, 0, 50);
            feed(f, 0, 0, 0, 110 - back);
            const enum bise_status status = bise_seq_copy(e, 1, 0, 110 - back, &err);
            if (status == BISE_ERR_CONTEXT) {
                cr_assert(k == 6 && back > 0, "kind %zu, back %zu", k, back);
                cr_assert_eq(bise_seq_position(e, 1), 50);
            } else {
                cr_assert_eq(status, BISE_OK, "%s", err.detail);
                cr_assert_eq(bise_seq_logits(e, 1) == NULL, back > 0);
                cr_assert_eq(bise_seq_last_ids(e, 1, ids[0], 20), 20);
                cr_assert_eq(bise_seq_last_ids(f, 0, ids[1], 20), 20);
                cr_assert_eq(memcmp(ids[0], ids[1], sizeof ids[0]), 0);
                feed(e, 1, 5, 0, 10);
                feed(f, 0, 5, 0, 10);
                cr_assert_eq(
                    memcmp(bise_seq_logits(e, 1), bise_seq_logits(f, 0), VOCAB * sizeof(float)), 0,
                    "kind %zu, back %zu", k, back);
            }
            bise_engine_close(&e);
            bise_engine_close(&f);
        }
}

/* What was begun within reach of a text's end is not gone back to where that would show. */
Test(engine, what_depends_on_what_was_before_is_refused) {
    struct bise_engine *e = open_engine((struct bise_engine_params){.window = -1, .n_seqs = 2});
    struct bise_error err = {0};
    const uint64_t reach = bise_engine_reach(e);
    cr_assert_eq(bise_seq_reset_at(e, 0, 100, &err), BISE_OK);
    cr_assert_eq(bise_seq_start(e, 0), 100);
    feed(e, 0, 0, 100, 100 + reach + 10);
    cr_assert_eq(bise_seq_truncate(e, 0, 100 + reach - 2, &err), BISE_ERR_CONTEXT);
    cr_assert_eq(bise_seq_copy(e, 1, 0, 100 + reach - 2, &err), BISE_ERR_CONTEXT);
    cr_assert_eq(bise_seq_copy(e, 1, 0, 100 + reach - 1, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(bise_seq_truncate(e, 0, 100 + reach - 1, &err), BISE_OK, "%s", err.detail);
    cr_assert_null(bise_seq_logits(e, 0));
    cr_assert_eq(bise_seq_copy(e, 1, 1, 0, &err), BISE_ERR_ARG);
    bise_engine_close(&e);
}

Test(engine, steps_that_are_none) {
    struct bise_engine *e = open_engine((struct bise_engine_params){.window = -1, .n_seqs = 2});
    struct bise_error err = {0};
    const int32_t ids[CHUNK + 1] = {0};
    const struct bise_run good = {.seq = 0, .ids = ids, .n = 1, .want = BISE_WANT_LAST};
    struct bise_run runs[2] = {good, good};
    cr_assert_eq(bise_step(e, runs, 2, NULL, &err), BISE_ERR_ARG, "the same sequence twice");
    struct bise_run bad[] = {good, good, good, good};
    bad[0].seq = 2;
    bad[1].n = 0;
    bad[2].n = CHUNK + 1;
    bad[3].want = BISE_WANT_ALL;
    for (size_t i = 0; i < 4; i++) {
        runs[1] = bad[i];
        runs[1].seq = i ? 1 : 2;
        cr_assert_eq(bise_step(e, runs, 2, NULL, &err), BISE_ERR_ARG, "case %zu", i);
        cr_assert_eq(bise_seq_position(e, 0), 0, "nothing is done");
    }
    cr_assert_eq(bise_step(e, runs, 0, NULL, &err), BISE_OK);
    bise_engine_close(&e);
}

Test(engine, plan_counts_every_sequence) {
    struct bise_plan one, four;
    cr_assert_eq(bise_plan(model, &(struct bise_engine_params){.window = -1}, &one, NULL), BISE_OK);
    cr_assert_eq(
        bise_plan(model, &(struct bise_engine_params){.window = -1, .n_seqs = 4}, &four, NULL),
        BISE_OK);
    cr_assert_eq(four.cache, 4 * one.cache);
    cr_assert_eq(four.n_seqs, 4);
    cr_assert_eq(four.columns, four.chunk + 3);
    cr_assert_gt(four.scratch, one.scratch);
    cr_assert_eq(bise_plan(model,
                           &(struct bise_engine_params){.window = -1, .spare = BISE_SPARE_NONE},
                           &one, NULL),
                 BISE_OK);
    cr_assert_eq(one.ring, 304, "24 + 256, read in whole groups of 16");
    cr_assert_eq(bise_plan(model, &(struct bise_engine_params){.n_seqs = 100000}, &one, NULL),
                 BISE_ERR_ARG);
}
