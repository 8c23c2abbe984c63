#include "quant/reference.h"

#include "quant/convert.h"
#include "quant/types.h"
#include "src/base/error.h"
#include "src/os/file.h"
#include "src/os/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum bise_status write_model(const struct source *source, enum tensor_type type,
                                    const struct model_config *config,
                                    const struct bundle *tokenizer, const char *path, int n_threads,
                                    const struct listener *listener, struct bise_error *err) {
    const struct listener silent = {.progress = listener ? listener->progress : NULL,
                                    .user = listener ? listener->user : NULL};
    struct convert c = {.source = source, .n_threads = n_threads, .listener = &silent};
    const char *const name = tensor_type_name(type);
    const struct type_options all = {.type = name, .attention = name};
    struct types types;
    struct tensor_shape *shapes = NULL;
    struct writer_tensor *tensors = NULL;
    size_t n;
    enum bise_status s = types_parse(&types, &all, err);
    if (!s)
        s = types_apply(&types, &all, config, &shapes, &tensors, &n, err);
    if (!s)
        s = writer_open(&c.writer, path, config, NULL, tokenizer->bytes, tokenizer->len, tensors, n,
                        err);
    c.tensors = tensors;
    if (!s)
        s = convert_all(&c, err);
    if (!s)
        s = writer_finish(&c.writer, err);
    writer_abort(&c.writer);
    types_close(&types);
    free(tensors);
    free(shapes);
    return s;
}

static bool is_bise(const char *path) {
    const size_t len = strlen(path);
    return len > 5 && strcmp(path + len - 5, ".bise") == 0;
}

uint64_t reference_bytes(const struct model_config *config, const char *source_path) {
    struct tensor_shape *shapes;
    size_t n;
    uint64_t bytes = 0;
    if (is_bise(source_path) || config_shapes(config, &shapes, &n, NULL) != BISE_OK)
        return 0;
    for (size_t i = 0; i < n; i++) {
        const bool f32 = shapes[i].is_vector || shapes[i].is_router;
        bytes += tensor_bytes(f32 ? TYPE_F32 : TYPE_BF16, shapes[i].rows, shapes[i].cols,
                              shapes[i].is_vector);
    }
    free(shapes);
    return bytes;
}

enum bise_status reference_open(struct reference *r, const struct source *source,
                                const char *source_path, const struct model_config *config,
                                const struct bundle *tokenizer, const char *beside,
                                enum tensor_type type, int n_threads,
                                const struct listener *listener, struct bise_error *err) {
    const struct bise_model_params params = {.memory = BISE_MEMORY_MMAP, .n_threads = n_threads};
    const size_t cap = strlen(beside) + sizeof ".reference-" + 20;
    *r = (struct reference){0};
    if (is_bise(source_path))
        return bise_model_open(&r->model, source_path, &params, err);
    char *path = malloc(cap);
    if (!path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", beside);
    snprintf(path, cap, "%s.reference-%ld", beside, process_id());
    enum bise_status s =
        write_model(source, type, config, tokenizer, path, n_threads, listener, err);
    if (!s)
        s = bise_model_open(&r->model, path, &params, err);
    (void)file_remove(path, NULL); /* what is mapped stays until it is closed, even by a kill */
    free(path);
    return s;
}

void reference_close(struct reference *r) {
    bise_model_close(&r->model);
}
