/* Faults while a session's inputs are summed up, written to a file and read back. */
#include "quant/gptq/moments.h"
#include "tests/fault/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct bise_model *model;

static bool setup(const char *dir) {
    (void)dir;
    return bise_model_open(&model, "tests/data/format/example.bise", NULL, NULL) == BISE_OK;
}

static void teardown(void) {
    bise_model_close(&model);
}

static bool left_behind(const char *dir) {
    return fault_file_exists(dir, "stats");
}

static enum bise_status collect(struct moment_sums *m, struct bise_error *err) {
    const struct bise_engine_params params = {
        .n_ctx = 64, .chunk = 16, .n_threads = 1, .window = -1};
    const int32_t ids[40] = {1, 2, 3};
    struct bise_session *session = NULL;
    enum bise_status s = bise_session_open(&session, model, &params, err);
    if (s == BISE_OK) {
        session_observe(session, &m->observer);
        s = bise_prefill(session, ids, 40, NULL, NULL, err);
    }
    bise_session_close(&session);
    return s;
}

static enum bise_status run_moments(const char *dir, struct bise_error *err) {
    struct moment_sums m;
    struct moments back = {0};
    char path[4096];
    snprintf(path, sizeof path, "%s/stats", dir);
    enum bise_status s = moment_sums_open(&m, &model->config, err);
    if (s != BISE_OK)
        return s;
    s = collect(&m, err);
    if (s == BISE_OK)
        s = moments_write(moment_sums_take(&m), path, err);
    if (s == BISE_OK) {
        s = moments_read(&back, path, err);
        if (s == BISE_OK)
            s = moments_check(&back, &model->config, path, err);
        if (remove(path) != 0 || (s == BISE_OK && back.entries[0].count != 40))
            s = BISE_STATUS_COUNT;
    }
    moments_close(&back);
    moment_sums_close(&m);
    return s;
}

const struct scenario moments_scenarios[] = {
    {"moments", setup, run_moments, left_behind, teardown, MEETS_NEW_FILE | MEETS(READ)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
