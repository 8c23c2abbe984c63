/* Faults while a baseline is written and read. */
#include "quant/measure/kl_base.h"

#include "tests/fault/fault.h"

#include <stdio.h>
#include <unistd.h>

static const struct eval_shape shape = {2, 6, 3, 2, 0};
static const int32_t ids[6] = {1, 2, 3, 1, 4, 5};
static const float logits[6] = {0, 1, 2, 3, 4, 5};

static bool left_behind(const char *dir) {
    return fault_file_exists(dir, "base");
}

static enum bise_status write_base(const char *path, struct bise_error *err) {
    struct kl_base *b = NULL;
    enum bise_status s = kl_base_create(&b, path, &shape, ids, "model", err);
    for (int i = 0; i < 4 && !s; i++)
        s = kl_base_put(b, logits, err);
    if (!s)
        s = kl_base_finish(b, err);
    kl_base_close(&b);
    return s;
}

static enum bise_status read_base(const char *path, struct bise_error *err) {
    struct kl_base *b = NULL;
    float row[6];
    enum bise_status s = kl_base_open(&b, path, err);
    for (int i = 0; i < 4 && !s; i++) {
        s = kl_base_next(b, row, err);
        if (!s && (row[5] != 5 || row[0] > 1e-3f))
            s = BISE_STATUS_COUNT;
    }
    kl_base_close(&b);
    return s;
}

static enum bise_status run_write(const char *dir, struct bise_error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/base", dir);
    enum bise_status s = write_base(path, err);
    if (!s && remove(path) != 0)
        s = BISE_STATUS_COUNT;
    return s;
}

static bool setup_read(const char *dir) {
    char path[4096];
    snprintf(path, sizeof path, "%s/kept", dir);
    return write_base(path, NULL) == BISE_OK;
}

static enum bise_status run_read(const char *dir, struct bise_error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/kept", dir);
    return read_base(path, err);
}

const struct scenario kl_base_scenarios[] = {
    {"kl_base_write", NULL, run_write, left_behind, NULL, MEETS_NEW_FILE},
    {"kl_base_read", setup_read, run_read, NULL, NULL,
     MEETS(OPEN) | MEETS(READ) | MEETS(CLOSE) | MEETS(MALLOC)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
