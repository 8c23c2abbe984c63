/* A tiny .bise file for tests, written by the writer itself. */
#ifndef BISE_TESTS_UNIT_TINY_MODEL_H
#define BISE_TESTS_UNIT_TINY_MODEL_H

#include "quant/write/writer.h"
#include "src/base/error.h"
#include "src/model/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline struct model_config tiny_config(void) {
    return (struct model_config){
        .dim = 32,
        .n_layers = 2,
        .n_heads = 2,
        .n_kv_heads = 1,
        .head_dim = 16,
        .ffn_dim = 48,
        .vocab_size = 40,
        .window = 64,
        .max_context = 4096,
        .rope_theta = 10000,
        .norm_eps = 1e-5f,
        .bos_id = 1,
        .n_eos = 2,
        .eos_ids = {2, 7},
        .chat = CHAT_V1,
    };
}

/* Byte j of tensor i; small, so that scales read from them are not wild. */
static inline uint8_t tiny_byte(size_t i, uint64_t j) {
    return (uint8_t)((i * 31 + j * 7 + (j >> 8) * 13) % 61);
}

static const struct provenance tiny_provenance = {
    .source = "model.safetensors (12345 bytes)", .recipe = "bise test, i4", .eval = "none"};

/* The tensors of config as the writer wants them; all matrices of type, the router f32. */
static inline struct writer_tensor *tiny_tensors(const struct model_config *c,
                                                 enum tensor_type type,
                                                 struct tensor_shape **shapes, size_t *n,
                                                 struct bise_error *err) {
    if (config_shapes(c, shapes, n, err) != BISE_OK)
        return NULL;
    struct writer_tensor *list = calloc(*n, sizeof *list);
    if (!list)
        bise_fail(err, BISE_ERR_MEMORY, "no memory for a list of test tensors");
    for (size_t i = 0; list && i < *n; i++) {
        const struct tensor_shape *s = &(*shapes)[i];
        list[i] = (struct writer_tensor){s->name, s->is_vector || s->is_router ? TYPE_F32 : type,
                                         s->rows, s->cols, s->is_vector};
    }
    return list;
}

/* Writes tensor i of an open writer whole. */
static inline enum bise_status tiny_put(struct writer *w, size_t i, struct bise_error *err) {
    const uint64_t n = writer_tensor_bytes(w, i);
    uint8_t *bytes = malloc(n);
    if (!bytes)
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for a test tensor");
    for (uint64_t j = 0; j < n; j++)
        bytes[j] = tiny_byte(i, j);
    const enum bise_status s = writer_put(w, i, 0, bytes, n, err);
    free(bytes);
    return s;
}

static inline enum bise_status tiny_write_with(const char *path, const struct model_config *c,
                                               enum tensor_type type, const void *tokenizer,
                                               size_t tokenizer_len, struct bise_error *err) {
    static const int8_t codebook[CODEBOOK_SIZE] = {-32, -26, -21, -16, -12, -8, -5, -1,
                                                   2,   5,   8,   12,  16,  20, 25, 31};
    struct tensor_shape *shapes = NULL;
    struct writer *w = NULL;
    size_t n = 0;
    struct writer_tensor *list = tiny_tensors(c, type, &shapes, &n, err);
    enum bise_status s = BISE_ERR_MEMORY;
    if (list)
        s = writer_open(&w, path,
                        &(struct writer_plan){.config = c,
                                              .provenance = &tiny_provenance,
                                              .tokenizer = tokenizer,
                                              .tokenizer_len = tokenizer_len,
                                              .tensors = list,
                                              .n_tensors = n},
                        err);
    for (size_t i = 0; i < n && s == BISE_OK; i++) {
        s = tiny_put(w, i, err);
        writer_set_tensor(w, i, list[i].type == TYPE_I4 ? codebook : NULL,
                          list[i].is_vector ? 0.0f : 0.07f);
    }
    if (s == BISE_OK)
        s = writer_finish(&w, err);
    writer_abort(&w);
    free(list);
    free(shapes);
    return s;
}

static inline enum bise_status tiny_write(const char *path, const struct model_config *c,
                                          enum tensor_type type, struct bise_error *err) {
    return tiny_write_with(path, c, type, NULL, 0, err);
}

/* A whole file in memory; the caller frees it. NULL if it cannot be read. */
static inline uint8_t *tiny_slurp(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = NULL;
    if (f && fseek(f, 0, SEEK_END) == 0) {
        *n = (size_t)ftell(f);
        rewind(f);
        bytes = malloc(*n + 1);
        if (bytes && fread(bytes, 1, *n, f) != *n) {
            free(bytes);
            bytes = NULL;
        }
    }
    if (f)
        fclose(f);
    return bytes;
}

static inline bool tiny_dump(const char *path, const uint8_t *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    if (!f)
        return false;
    const bool ok = fwrite(bytes, 1, n, f) == n;
    return fclose(f) == 0 && ok;
}

/* A folder of this process's own under $TMPDIR; path [256]. */
static inline bool tiny_folder(char *path) {
    const char *base = getenv("TMPDIR");
    snprintf(path, 256, "%s/bise-test-XXXXXX", base && *base ? base : "/tmp");
    return mkdtemp(path) != NULL;
}

#endif
