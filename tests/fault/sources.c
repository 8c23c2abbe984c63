/* Faults while checkpoints of other kinds than safetensors are opened and read. */
#include "tests/fault/fault.h"

#include "quant/source/source.h"
#include "tests/unit/tiny_gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tiny tiny;

static void use(const char *dir, enum naming naming, uint32_t experts) {
    tiny = (struct tiny){.naming = naming, .dtype = "F16", .experts = experts};
    snprintf(tiny.folder, sizeof tiny.folder, "%s", dir);
}

static bool setup_torch(const char *dir) {
    use(dir, NAMING_HF, 0);
    tiny_write_config(&tiny);
    tiny_write_torch(&tiny, "pytorch_model.bin");
    return true;
}

static bool setup_stacked(const char *dir) {
    use(dir, NAMING_STACKED, 4);
    tiny_write_config(&tiny);
    tiny_write_stacked(&tiny);
    return true;
}

static bool setup_gguf(const char *dir) {
    use(dir, NAMING_GGUF, 0);
    tiny_write_gguf(&tiny, "m.gguf");
    return true;
}

/* Opens path and reads every tensor in two pieces. */
static enum bise_status read_all(const char *path, struct bise_error *err) {
    static float rows[1 << 14];
    struct source *s = NULL;
    char note[512];
    size_t n = 0;
    enum bise_status status = source_open(&s, path, note, sizeof note, err);
    const struct source_tensor *t = status == BISE_OK ? source_tensors(s, &n) : NULL;
    for (size_t i = 0; i < n && status == BISE_OK; i++) {
        const uint32_t half = t[i].rows / 2;
        status = source_read_rows(s, i, 0, half, rows, err);
        if (status == BISE_OK)
            status = source_read_rows(s, i, half, t[i].rows - half, rows, err);
        if (status == BISE_OK && rows[0] != tiny_value(i, half, 0))
            status = BISE_STATUS_COUNT;
    }
    source_close(&s);
    return status;
}

static enum bise_status run_folder(const char *dir, struct bise_error *err) {
    return read_all(dir, err);
}

static enum bise_status run_gguf(const char *dir, struct bise_error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/m.gguf", dir);
    return read_all(path, err);
}

const struct scenario source_scenarios[] = {
    {"source_torch", setup_torch, run_folder, NULL, NULL,
     MEETS(OPEN) | MEETS(READ) | MEETS(CLOSE) | MEETS(MALLOC)},
    {"source_stacked", setup_stacked, run_folder, NULL, NULL,
     MEETS(OPEN) | MEETS(READ) | MEETS(CLOSE) | MEETS(MALLOC)},
    {"source_gguf", setup_gguf, run_gguf, NULL, NULL,
     MEETS(OPEN) | MEETS(READ) | MEETS(CLOSE) | MEETS(MALLOC)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
