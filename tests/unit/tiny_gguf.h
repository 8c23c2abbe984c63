/* The small checkpoint as a GGUF file, with a tokenizer of 40 pieces. */
#ifndef BISE_TESTS_UNIT_TINY_GGUF_H
#define BISE_TESTS_UNIT_TINY_GGUF_H

#include "src/os/file.h"
#include "tests/unit/tiny_torch.h"

static inline void tiny_gguf_text(struct tiny_bytes *b, const char *s) {
    tiny_u(b, strlen(s), 8);
    tiny_text(b, s);
}

static inline void tiny_gguf_u32(struct tiny_bytes *b, const char *key, uint32_t u) {
    tiny_gguf_text(b, key);
    tiny_u(b, 4, 4);
    tiny_u(b, u, 4);
}

static inline void tiny_gguf_string(struct tiny_bytes *b, const char *key, const char *s) {
    tiny_gguf_text(b, key);
    tiny_u(b, 8, 4);
    tiny_gguf_text(b, s);
}

static inline void tiny_gguf_array(struct tiny_bytes *b, const char *key, uint32_t type) {
    tiny_gguf_text(b, key);
    tiny_u(b, 9, 4);
    tiny_u(b, type, 4);
    tiny_u(b, 40, 8);
}

/* Pieces: <unk>, <s>, </s>, then letters. Returns the number of values. */
static inline size_t tiny_gguf_values(struct tiny_bytes *b, const struct tiny *t) {
    const struct model_config c = tiny_model(t);
    tiny_gguf_string(b, "general.architecture", "llama");
    tiny_gguf_u32(b, "llama.embedding_length", c.dim);
    tiny_gguf_u32(b, "llama.block_count", c.n_layers);
    tiny_gguf_u32(b, "llama.attention.head_count", c.n_heads);
    tiny_gguf_u32(b, "llama.attention.head_count_kv", c.n_kv_heads);
    tiny_gguf_u32(b, "llama.feed_forward_length", c.ffn_dim);
    tiny_gguf_u32(b, "llama.expert_count", c.n_experts);
    tiny_gguf_u32(b, "llama.expert_used_count", c.n_experts_used);
    tiny_gguf_string(b, "tokenizer.ggml.model", "llama");
    tiny_gguf_array(b, "tokenizer.ggml.tokens", 8);
    for (int i = 0; i < 40; i++) {
        static const char *const special[] = {"<unk>", "<s>", "</s>"};
        tiny_gguf_text(b, i < 3 ? special[i] : (char[]){(char)('A' + i), 0});
    }
    tiny_gguf_array(b, "tokenizer.ggml.scores", 6);
    for (int i = 0; i < 40; i++) {
        const float score = (float)-i;
        tiny_add(b, &score, 4);
    }
    tiny_gguf_array(b, "tokenizer.ggml.token_type", 5);
    for (int i = 0; i < 40; i++)
        tiny_u(b, i == 0 ? 2 : i < 3 ? 3 : 1, 4);
    tiny_gguf_string(b, "tokenizer.chat_template", "<|im_start|> <|im_end|>");
    return 13;
}

static inline uint32_t tiny_gguf_type(const char *dtype) {
    return strcmp(dtype, "F32") == 0 ? 0 : strcmp(dtype, "F16") == 0 ? 1 : 30;
}

/* Experts' matrices lie stacked: w1 of all, then w2, then w3, as config_shapes lists them one by
 * one. */
static inline void tiny_write_gguf(const struct tiny *t, const char *name) {
    struct tiny_bytes file = {0}, info = {0}, data = {0}, values = {0};
    const struct model_config c = tiny_model(t);
    struct tiny as_pairs = *t;
    static uint8_t one[1 << 16];
    struct tensor_shape *shapes;
    size_t n, n_tensors = 0;
    as_pairs.naming = NAMING_CONSOLIDATED; /* the order of rows */
    if (config_shapes(&c, &shapes, &n, NULL))
        abort();
    for (size_t i = 0; i < n; i++) {
        char origin[256], *expert;
        origin_name(origin, sizeof origin, shapes[i].name, NAMING_GGUF);
        const bool stacked = strstr(shapes[i].name, ".experts.") != NULL;
        expert = strrchr(origin, '.') - 2; /* ".E.weight" */
        if (stacked && strncmp(expert, ".0", 2) != 0)
            continue;
        const size_t at = data.n;
        for (size_t j = i; j < (stacked ? n : i + 1); j++) {
            char other[256];
            origin_name(other, sizeof other, shapes[j].name, NAMING_GGUF);
            if (j > i && (strncmp(other, origin, (size_t)(expert + 1 - origin)) != 0))
                continue;
            tiny_add(&data, one, tiny_fill(one, &as_pairs, &shapes[j], j, other));
        }
        if (stacked)
            strcpy(expert, "_exps.weight");
        tiny_gguf_text(&info, origin);
        tiny_u(&info, stacked ? 3 : shapes[i].is_vector ? 1 : 2, 4);
        tiny_u(&info, shapes[i].cols, 8);
        if (!shapes[i].is_vector)
            tiny_u(&info, shapes[i].rows, 8);
        if (stacked)
            tiny_u(&info, c.n_experts, 8);
        tiny_u(&info, tiny_gguf_type(t->dtype), 4);
        tiny_u(&info, at, 8);
        tiny_add(&data, NULL, (32 - data.n % 32) % 32);
        n_tensors++;
    }
    const size_t n_values = tiny_gguf_values(&values, t);
    tiny_text(&file, "GGUF");
    tiny_u(&file, 3, 4);
    tiny_u(&file, n_tensors, 8);
    tiny_u(&file, n_values, 8);
    tiny_add(&file, values.at, values.n);
    tiny_add(&file, info.at, info.n);
    tiny_add(&file, NULL, (32 - file.n % 32) % 32);
    tiny_add(&file, data.at, data.n);
    tiny_write_file(t->folder, name, file.at, file.n);
    free(file.at);
    free(info.at);
    free(data.at);
    free(values.at);
    free(shapes);
}

/* Takes a key out of the file, where it has it, by giving it another name. */
static inline void tiny_gguf_rename_key(uint8_t *bytes, size_t len, const char *key) {
    const size_t n = strlen(key);
    for (size_t i = 24; i + n <= len; i++)
        if (memcmp(bytes + i, key, n) == 0 && get_u64(bytes + i - 8) == n) {
            bytes[i] = '~';
            return;
        }
}

/* Adds a value before those of m.gguf, in place of one under the same key, and a filler, so that
 * what follows stays aligned. */
static inline void tiny_gguf_put_first(const struct tiny *t, struct tiny_bytes *value,
                                       const char *key) {
    static const char spaces[] = "                                ";
    struct tiny_bytes file = {0};
    char path[128];
    uint8_t *bytes;
    size_t len;
    const size_t filler = 8 + strlen("filler") + 4 + 8;
    tiny_gguf_string(value, "filler", spaces + (value->n + filler) % 32);
    snprintf(path, sizeof path, "%s/m.gguf", t->folder);
    if (file_read_whole(path, 1 << 20, &bytes, &len, NULL))
        abort();
    if (key)
        tiny_gguf_rename_key(bytes, len, key);
    put_u64(bytes + 16, get_u64(bytes + 16) + 2);
    tiny_add(&file, bytes, 24);
    tiny_add(&file, value->at, value->n);
    tiny_add(&file, bytes + 24, len - 24);
    tiny_write_file(t->folder, "m.gguf", file.at, file.n);
    free(file.at);
    free(value->at);
    free(bytes);
}

#endif
