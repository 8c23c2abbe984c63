/* Faults while a session is saved and loaded. */
#include "tests/fault/fault.h"
#include "tools/cmd/synth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct bise_model *model;
static struct bise_session *session;

static bool setup(const char *dir) {
    char path[4096];
    struct synth *s = calloc(1, sizeof *s);
    if (!s)
        return false;
    snprintf(path, sizeof path, "%s/model.bise", dir);
    s->type = TYPE_I4;
    s->n_threads = 1;
    synth_init_table(s);
    const bool written =
        synth_parse_shape(&s->config, "dim=32,ffn=32,layers=1,heads=2,kv=1,vocab=96,window=32",
                          NULL) == BISE_OK &&
        synth_write_bise(s, path, NULL) == BISE_OK;
    free(s);
    const struct bise_engine_params params = {.n_ctx = 64, .n_threads = 1, .window = -1};
    int32_t ids[50];
    for (int i = 0; i < 50; i++)
        ids[i] = i * 7 % 96;
    return written && bise_model_open(&model, path, NULL, NULL) == BISE_OK &&
           bise_session_open(&session, model, &params, NULL) == BISE_OK &&
           bise_prefill(session, ids, 50, NULL, NULL, NULL) == BISE_OK;
}

static void teardown(void) {
    bise_session_close(&session);
    bise_model_close(&model);
}

/* The file is there after success, and only then. */
static enum bise_status run_save(const char *dir, struct bise_error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/talk", dir);
    enum bise_status status = bise_session_save(session, 7, "note", 4, path, err);
    if (fault_file_exists(dir, "talk") != (status == BISE_OK))
        return BISE_STATUS_COUNT;
    remove(path);
    return status;
}

static bool setup_load(const char *dir) {
    char path[4096];
    snprintf(path, sizeof path, "%s/talk", dir);
    return setup(dir) && bise_session_save(session, 7, "note", 4, path, NULL) == BISE_OK;
}

static enum bise_status run_load(const char *dir, struct bise_error *err) {
    char path[4096];
    void *note;
    size_t len;
    uint64_t seed = 0;
    snprintf(path, sizeof path, "%s/talk", dir);
    enum bise_status status = bise_session_note(model, path, &note, &len, err);
    if (status == BISE_OK && (len != 4 || memcmp(note, "note", 4) != 0))
        status = BISE_STATUS_COUNT;
    free(note);
    if (status == BISE_OK)
        status = bise_session_load(session, &seed, path, err);
    if (status == BISE_OK && (bise_position(session) != 50 || seed != 7))
        status = BISE_STATUS_COUNT;
    return status;
}

const struct scenario session_file_scenarios[] = {
    {"session_save", setup, run_save, NULL, teardown, MEETS_NEW_FILE},
    {"session_load", setup_load, run_load, NULL, teardown,
     MEETS(OPEN) | MEETS(READ) | MEETS(CLOSE)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
