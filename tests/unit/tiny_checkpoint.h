/* A small checkpoint written for a test, in either layout, whole or with one thing wrong. */
#ifndef BISE_TESTS_UNIT_TINY_CHECKPOINT_H
#define BISE_TESTS_UNIT_TINY_CHECKPOINT_H

#include "kernels/float_formats.h"
#include "quant/source/names.h"
#include "src/base/bytes.h"
#include "src/model/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct tiny {
    char folder[64];
    enum naming naming;
    const char *dtype; /* "F32", "F16", "BF16" */
    bool tied;
    uint32_t experts;
    /* Faults; each may be NULL. Names are the checkpoint's. */
    const char *missing, *transposed, *as_i16, *extra;
    const char *not_finite; /* gets a NaN at file row 3, column 5 */
};

static inline struct model_config tiny_model(const struct tiny *t) {
    return (struct model_config){.dim = 32,
                                 .n_layers = 2,
                                 .n_heads = 4,
                                 .n_kv_heads = 2,
                                 .head_dim = 8,
                                 .ffn_dim = 48,
                                 .vocab_size = 40,
                                 .n_experts = t->experts,
                                 .n_experts_used = t->experts ? 2 : 0,
                                 .tied_head = t->tied,
                                 .rope_theta = 1e4,
                                 .norm_eps = 1e-5f};
}

/* Value of tensor i of config_shapes at a row (in model.h's order) and column: exact in every
 * dtype. */
static inline float tiny_value(size_t i, uint32_t row, uint32_t col) {
    return (float)((int)((i * 37 + row * 5 + col) % 129) - 64) / 64;
}

/* Row of the file where model.h's row r of wq or wk stands, heads of 8: pairs (0, 4), (1, 5) ... */
static inline uint32_t tiny_file_row(uint32_t r) {
    static const uint32_t within[8] = {0, 2, 4, 6, 1, 3, 5, 7};
    return r / 8 * 8 + within[r % 8];
}

static inline void tiny_put(uint8_t *at, float x, const char *dtype) {
    const uint16_t u = dtype[0] == 'B' ? f32_to_bf16(x) : f32_to_f16(x);
    if (strcmp(dtype, "F32") == 0)
        memcpy(at, &x, 4);
    else
        memcpy(at, &u, 2);
}

/* Fills the data of tensor i; returns its length. */
static inline size_t tiny_fill(uint8_t *data, const struct tiny *t, const struct tensor_shape *s,
                               size_t i, const char *origin) {
    const size_t n = strlen(s->name), width = strcmp(t->dtype, "F32") == 0 ? 4 : 2;
    const bool pairs = (t->naming == NAMING_CONSOLIDATED || t->naming == NAMING_STACKED) &&
                       s->name[n - 2] == 'w' && (s->name[n - 1] == 'q' || s->name[n - 1] == 'k');
    for (uint32_t r = 0; r < s->rows; r++)
        for (uint32_t c = 0; c < s->cols; c++) {
            const uint32_t at = pairs ? tiny_file_row(r) : r;
            tiny_put(data + ((size_t)at * s->cols + c) * width, tiny_value(i, r, c), t->dtype);
        }
    if (t->not_finite && strcmp(origin, t->not_finite) == 0)
        tiny_put(data + ((size_t)3 * s->cols + 5) * width, 0.0f / 0.0f, t->dtype);
    return (size_t)s->rows * s->cols * width;
}

static inline void tiny_write_file(const char *folder, const char *name, const void *data,
                                   size_t len) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, len, f) != len || fclose(f) != 0)
        abort();
}

/* Appends one tensor's entry to the header text. */
static inline size_t tiny_entry(char *out, const struct tiny *t, const struct tensor_shape *s,
                                const char *origin, size_t begin, size_t end) {
    const bool i16 = t->as_i16 && strcmp(origin, t->as_i16) == 0;
    const bool swap = t->transposed && strcmp(origin, t->transposed) == 0;
    char shape[32];
    if (s->is_vector)
        snprintf(shape, sizeof shape, "[%u]", s->cols);
    else
        snprintf(shape, sizeof shape, "[%u,%u]", swap ? s->cols : s->rows,
                 swap ? s->rows : s->cols);
    return (size_t)sprintf(out,
                           "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                           begin ? "," : "", origin, i16 ? "I16" : t->dtype, shape, begin, end);
}

static inline void tiny_write_weights(const struct tiny *t, const char *name) {
    static uint8_t file[1 << 20], data[1 << 20];
    const struct model_config c = tiny_model(t);
    struct tensor_shape *shapes;
    size_t n, used = 0, head = 8;
    if (config_shapes(&c, &shapes, &n, NULL))
        abort();
    file[head++] = '{';
    for (size_t i = 0; i < n; i++) {
        char origin[256];
        origin_name(origin, sizeof origin, shapes[i].name, t->naming);
        if (t->missing && strcmp(origin, t->missing) == 0)
            continue;
        const size_t len = tiny_fill(data + used, t, &shapes[i], i, origin);
        head += tiny_entry((char *)file + head, t, &shapes[i], origin, used, used + len);
        used += len;
    }
    if (t->extra)
        head +=
            (size_t)sprintf((char *)file + head,
                            ",\"%s\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[%zu,%zu]}",
                            t->extra, used, used);
    file[head++] = '}';
    put_u64(file, head - 8);
    memcpy(file + head, data, used);
    tiny_write_file(t->folder, name, file, head + used);
    free(shapes);
}

static inline void tiny_write_config(const struct tiny *t) {
    char text[1024];
    int n;
    if (t->naming == NAMING_HF)
        n = snprintf(text, sizeof text,
                     "{\"architectures\":[\"%s\"],\"hidden_size\":32,\"intermediate_size\":48,"
                     "\"num_hidden_layers\":2,\"num_attention_heads\":4,"
                     "\"num_key_value_heads\":2,\"vocab_size\":40,\"rms_norm_eps\":1e-05,"
                     "\"tie_word_embeddings\":%s,\"num_local_experts\":%u,"
                     "\"num_experts_per_tok\":2}",
                     t->experts ? "MixtralForCausalLM" : "MistralForCausalLM",
                     t->tied ? "true" : "false", t->experts);
    else
        n = snprintf(text, sizeof text,
                     "{\"dim\":32,\"hidden_dim\":48,\"n_layers\":2,\"n_heads\":4,\"n_kv_heads\":2,"
                     "\"head_dim\":8,\"vocab_size\":40,\"norm_eps\":1e-05,\"sliding_window\":16%s}",
                     t->experts ? ",\"moe\":{\"num_experts\":4,\"num_experts_per_tok\":2}" : "");
    tiny_write_file(t->folder, t->naming == NAMING_HF ? "config.json" : "params.json", text,
                    (size_t)n);
}

/* Makes t->folder under /tmp and writes config and weights there. */
static inline void tiny_write(struct tiny *t) {
    strcpy(t->folder, "/tmp/bise-tiny-XXXXXX");
    if (!mkdtemp(t->folder))
        abort();
    if (!t->dtype)
        t->dtype = "BF16";
    tiny_write_config(t);
    tiny_write_weights(t,
                       t->naming == NAMING_HF ? "model.safetensors" : "consolidated.safetensors");
}

static inline void tiny_remove(struct tiny *t) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", t->folder);
    if (system(command) != 0)
        abort();
}

#endif
