/* Faults while a checkpoint is read and becomes a .bise file. */
#include "tests/fault/fault.h"

#include "quant/convert.h"
#include "quant/reference.h"
#include "quant/source/source.h"
#include "tests/unit/tiny_model.h"

#include <dirent.h>

static bool left_behind(const char *dir) {
    return fault_file_exists(dir, "out.bise");
}

static enum bise_status convert(const char *dir, const struct source *source,
                                const struct writer_tensor *tensors, size_t n,
                                struct bise_error *err) {
    struct convert c = {.source = source, .tensors = tensors, .n_tensors = n, .n_threads = 2};
    char path[4096];
    snprintf(path, sizeof path, "%s/out.bise", dir);
    enum bise_status s = writer_open(
        &c.writer, path,
        &(struct writer_plan){.config = source_config(source), .tensors = tensors, .n_tensors = n},
        err);
    if (s == BISE_OK)
        s = convert_all(&c, err);
    if (s == BISE_OK)
        s = writer_finish(&c.writer, err);
    writer_abort(&c.writer);
    if (s == BISE_OK && remove(path) != 0)
        s = BISE_STATUS_COUNT;
    return s;
}

static enum bise_status run_folder(const char *dir, const char *folder, enum tensor_type type,
                                   struct bise_error *err) {
    struct source *source = NULL;
    struct tensor_shape *shapes = NULL;
    struct writer_tensor *tensors = NULL;
    size_t n = 0;
    char note[256];
    enum bise_status s = source_open(&source, folder, note, sizeof note, err);
    if (s == BISE_OK && !(tensors = tiny_tensors(source_config(source), type, &shapes, &n, err)))
        s = BISE_ERR_MEMORY;
    if (s == BISE_OK)
        s = convert(dir, source, tensors, n, err);
    free(tensors);
    free(shapes);
    source_close(&source);
    return s;
}

static enum bise_status run_shards(const char *dir, struct bise_error *err) {
    return run_folder(dir, "tests/data/golden/sharded-odd", TYPE_I4, err);
}

static enum bise_status run_consolidated(const char *dir, struct bise_error *err) {
    return run_folder(dir, "tests/data/golden/consolidated-swa", TYPE_BF16, err);
}

static enum bise_status run_bise(const char *dir, struct bise_error *err) {
    return run_folder(dir, "tests/data/format/example.bise", TYPE_I8, err);
}

static bool reference_left_behind(const char *dir) {
    DIR *d = opendir(dir);
    bool found = false;
    for (const struct dirent *e = d ? readdir(d) : NULL; e && !found; e = readdir(d))
        found = strstr(e->d_name, "reference") != NULL;
    if (d)
        closedir(d);
    return found;
}

/* The source as a model that runs, from a file that is gone when it is open. */
static enum bise_status run_reference(const char *dir, struct bise_error *err) {
    static const char folder[] = "tests/data/golden/gqa-swa";
    const struct bundle none = {0};
    struct origin from = {.path = folder, .tokenizer = &none, .n_threads = 2};
    struct bise_model *model = NULL;
    struct source *source = NULL;
    char note[256], beside[4096];
    snprintf(beside, sizeof beside, "%s/out.bise", dir);
    enum bise_status s = source_open(&source, folder, note, sizeof note, err);
    if (s == BISE_OK) {
        from.source = source;
        from.out = beside;
        from.config = source_config(source);
        s = reference_open(&model, &from, TYPE_BF16, err);
    }
    if (reference_left_behind(dir) && !fault_may_leave())
        s = BISE_STATUS_COUNT;
    bise_model_close(&model);
    source_close(&source);
    return s;
}

const struct scenario quantize_scenarios[] = {
    {"quantize_shards", NULL, run_shards, left_behind, NULL, MEETS_NEW_FILE | MEETS(READ)},
    {"quantize_consolidated", NULL, run_consolidated, left_behind, NULL,
     MEETS_NEW_FILE | MEETS(READ)},
    {"quantize_reference", NULL, run_reference, left_behind, NULL,
     MEETS(OPEN) | MEETS(WRITE) | MEETS(FALLOCATE) | MEETS(READ) | MEETS(MMAP)},
    {"quantize_bise", NULL, run_bise, left_behind, NULL, MEETS_NEW_FILE | MEETS(READ)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
