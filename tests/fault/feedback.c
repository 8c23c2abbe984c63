/* Faults while a text runs through a checkpoint's layers and these are rounded. */
#include "tests/fault/fault.h"

#include "quant/convert_layers.h"
#include "src/base/error.h"
#include "tests/unit/tiny_model.h"

#define FOLDER "tests/data/format/example.bise"
#define LENGTH 32 /* of a sequence; four of them: more than MOMENTS_LEAST */

static bool left_behind(const char *dir) {
    return fault_file_exists(dir, "out.bise");
}

static enum bise_status convert(struct convert *c, const char *dir, size_t n,
                                struct bise_error *err) {
    int32_t ids[4 * LENGTH];
    const struct model_config *const config = source_config(c->source);
    const struct calibration_text text = {.ids = ids, .n = 4 * LENGTH, .length = LENGTH, .bos = 1};
    struct moments moments = {0};
    char path[4096];
    for (int32_t i = 0; i < 4 * LENGTH; i++)
        ids[i] = (i * 37 + 5) % (int32_t)config->vocab_size;
    snprintf(path, sizeof path, "%s/out.bise", dir);
    enum bise_status s = writer_open(
        &c->writer, path,
        &(struct writer_plan){.config = config, .tensors = c->tensors, .n_tensors = n}, err);
    if (s == BISE_OK)
        s = convert_layers(c, &text, &moments, err);
    c->moments = &moments; /* until it is closed */
    if (s == BISE_OK)
        s = convert_all(c, err);
    if (s == BISE_OK)
        s = writer_finish(&c->writer, err);
    writer_abort(&c->writer);
    c->moments = NULL;
    moments_close(&moments);
    if (s == BISE_OK && remove(path) != 0)
        s = BISE_STATUS_COUNT;
    return s;
}

static enum bise_status run_feedback(const char *dir, struct bise_error *err) {
    struct convert c = {.n_threads = 1};
    struct source *source = NULL;
    struct tensor_shape *shapes = NULL;
    struct writer_tensor *tensors = NULL;
    size_t n = 0;
    char note[256];
    enum bise_status s = source_open(&source, FOLDER, note, sizeof note, err);
    if (s == BISE_OK && !(tensors = tiny_tensors(source_config(source), TYPE_I4, &shapes, &n, err)))
        s = BISE_ERR_MEMORY;
    c.source = source;
    c.tensors = tensors;
    c.n_tensors = n;
    if (s == BISE_OK)
        s = convert(&c, dir, n, err);
    free(tensors);
    free(shapes);
    source_close(&source);
    return s;
}

const struct scenario feedback_scenarios[] = {
    {"feedback", NULL, run_feedback, left_behind, NULL,
     MEETS_NEW_FILE | MEETS(READ) | MEETS(FALLOCATE) | MEETS(FTRUNCATE) | MEETS(FCHMOD)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
