#include "quant/reference.h"

#include "quant/convert.h"
#include "quant/types.h"
#include "src/base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes the source into a file without a name and opens it. */
static enum bise_status write_and_open(struct bise_model **model, const struct origin *from,
                                       enum tensor_type type, const char *path,
                                       struct bise_error *err) {
    const struct bise_model_params params = {.memory = BISE_MEMORY_MMAP,
                                             .n_threads = from->n_threads};
    struct listener listener = from->listener ? *from->listener : (struct listener){.note = NULL};
    struct convert c = {.source = from->source,
                        .n_threads = from->n_threads,
                        .listener = &listener,
                        .name = "writing a reference"};
    const char *const name = tensor_type_name(type);
    const struct type_options all = {.type = name, .attention = name};
    struct types types;
    struct tensor_shape *shapes = NULL;
    struct writer_tensor *tensors = NULL;
    listener.detail = NULL; /* of tensors that nobody keeps */
    enum bise_status s = types_parse(&types, &all, err);
    if (!s)
        s = types_apply(&types, &all, from->config, &shapes, &tensors, &c.n_tensors, err);
    c.tensors = tensors;
    const struct writer_plan plan = {.config = from->config,
                                     .tokenizer = from->tokenizer->bytes,
                                     .tokenizer_len = from->tokenizer->len,
                                     .tensors = tensors,
                                     .n_tensors = c.n_tensors,
                                     .kind = WRITER_NAMELESS};
    if (!s)
        s = writer_open(&c.writer, path, &plan, err);
    if (!s)
        s = convert_all(&c, err);
    if (!s)
        s = writer_seal(c.writer, err);
    if (!s)
        s = bise_model_open(model, writer_temp_path(c.writer), &params, err);
    writer_abort(&c.writer); /* what is mapped stays until it is closed */
    types_close(&types);
    free(tensors);
    free(shapes);
    return s;
}

static bool is_bise(const char *path) {
    const size_t len = strlen(path);
    return len > 5 && strcmp(path + len - 5, ".bise") == 0;
}

uint64_t reference_bytes(const struct origin *from) {
    struct tensor_shape *shapes;
    size_t n;
    uint64_t bytes = 0;
    if (is_bise(from->path) || config_shapes(from->config, &shapes, &n, NULL) != BISE_OK)
        return 0;
    for (size_t i = 0; i < n; i++) {
        const bool f32 = shapes[i].is_vector || shapes[i].is_router;
        bytes += tensor_bytes(f32 ? TYPE_F32 : TYPE_BF16, shapes[i].rows, shapes[i].cols,
                              shapes[i].is_vector);
    }
    free(shapes);
    return bytes;
}

enum bise_status reference_open(struct bise_model **model, const struct origin *from,
                                enum tensor_type type, struct bise_error *err) {
    const struct bise_model_params params = {.memory = BISE_MEMORY_MMAP,
                                             .n_threads = from->n_threads};
    const size_t cap = strlen(from->out) + sizeof ".reference";
    *model = NULL;
    if (is_bise(from->path))
        return bise_model_open(model, from->path, &params, err);
    char *path = malloc(cap);
    if (!path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", from->out);
    snprintf(path, cap, "%s.reference", from->out);
    const enum bise_status s = write_and_open(model, from, type, path, err);
    free(path);
    return s;
}
