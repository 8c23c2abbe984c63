/*
 * llama.cpp's side of bench/peer_arm.sh, which compiles it against llama.cpp's headers; no part of
 * the build.
 *
 * usage: peer_arm make FILE             writes a GGUF file of SHAPE, Q4_0, random weights
 *        peer_arm run FILE BACKEND P N  reads P tokens, then N one by one, on one thread;
 *                                       BACKEND: the libggml-cpu-*.so to use
 */
#include <ggml-backend.h>
#include <ggml.h>
#include <gguf.h>
#include <llama.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 512, FFN = 1536, LAYERS = 2, HEADS = 4, KV_HEADS = 2, VOCAB = 512, CONTEXT = 256 };

static void die(const char *what, const char *name) {
    fprintf(stderr, "peer_arm: %s: %s\n", what, name);
    exit(1);
}

/* A tensor [rows][columns] of random weights; norms (rows = 0) are ones. */
static void add_tensor(struct gguf_context *file, struct ggml_context *memory, const char *name,
                       int64_t rows, int64_t columns, enum ggml_type type) {
    const int64_t n = columns * (rows > 0 ? rows : 1);
    struct ggml_tensor *t = rows > 0 ? ggml_new_tensor_2d(memory, type, columns, rows)
                                     : ggml_new_tensor_1d(memory, GGML_TYPE_F32, columns);
    float *values = malloc((size_t)n * sizeof *values);
    if (t == NULL || values == NULL)
        die("memory", name);
    for (int64_t i = 0; i < n; i++)
        values[i] = rows > 0 ? ((float)rand() / (float)RAND_MAX - 0.5f) / 16 : 1;
    if (rows > 0)
        ggml_quantize_chunk(type, values, t->data, 0, rows, columns, NULL);
    else
        memcpy(t->data, values, (size_t)n * sizeof *values);
    ggml_set_name(t, name);
    gguf_add_tensor(file, t);
    free(values);
}

static void make(const char *path) {
    static const struct {
        const char *name;
        int64_t rows, columns;
    } layer[] = {
        {"attn_norm", 0, DIM},    {"attn_q", DIM, DIM},      {"attn_k", DIM / 2, DIM},
        {"attn_v", DIM / 2, DIM}, {"attn_output", DIM, DIM}, {"ffn_norm", 0, DIM},
        {"ffn_gate", FFN, DIM},   {"ffn_up", FFN, DIM},      {"ffn_down", DIM, FFN},
    };
    static const struct {
        const char *key;
        uint32_t value;
    } config[] = {
        {"llama.context_length", 32768},
        {"llama.embedding_length", DIM},
        {"llama.block_count", LAYERS},
        {"llama.feed_forward_length", FFN},
        {"llama.attention.head_count", HEADS},
        {"llama.attention.head_count_kv", KV_HEADS},
        {"llama.rope.dimension_count", DIM / HEADS},
        {"llama.vocab_size", VOCAB},
    };
    const struct ggml_init_params params = {.mem_size = 64u << 20};
    struct ggml_context *memory = ggml_init(params);
    struct gguf_context *file = gguf_init_empty();
    gguf_set_val_str(file, "general.architecture", "llama");
    gguf_set_val_str(file, "tokenizer.ggml.model", "no_vocab");
    gguf_set_val_f32(file, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_set_val_f32(file, "llama.rope.freq_base", 1e4f);
    for (size_t i = 0; i < sizeof config / sizeof *config; i++)
        gguf_set_val_u32(file, config[i].key, config[i].value);
    add_tensor(file, memory, "token_embd.weight", VOCAB, DIM, GGML_TYPE_Q8_0);
    add_tensor(file, memory, "output_norm.weight", 0, DIM, GGML_TYPE_F32);
    add_tensor(file, memory, "output.weight", VOCAB, DIM, GGML_TYPE_Q8_0);
    for (int l = 0; l < LAYERS; l++) {
        for (size_t i = 0; i < sizeof layer / sizeof *layer; i++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s.weight", l, layer[i].name);
            add_tensor(file, memory, name, layer[i].rows, layer[i].columns, GGML_TYPE_Q4_0);
        }
    }
    if (!gguf_write_to_file(file, path, false))
        die("write", path);
    gguf_free(file);
    ggml_free(memory);
}

static void quiet(enum ggml_log_level level, const char *text, void *data) {
    (void)data;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(text, stderr);
}

static void run(const char *path, const char *backend, int n_prompt, int n_gen) {
    llama_log_set(quiet, NULL);
    if (ggml_backend_load(backend) == NULL)
        die("backend", backend);
    struct llama_model *model = llama_model_load_from_file(path, llama_model_default_params());
    if (model == NULL)
        die("model", path);
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = CONTEXT;
    params.n_threads = params.n_threads_batch = 1;
    struct llama_context *context = llama_init_from_model(model, params);
    llama_token ids[CONTEXT];
    if (context == NULL || n_prompt < 1 || n_prompt > CONTEXT)
        die("context", path);
    for (int i = 0; i < n_prompt; i++)
        ids[i] = 3 + i * 7 % (VOCAB - 3);
    if (llama_decode(context, llama_batch_get_one(ids, n_prompt)) != 0)
        die("decode", "prompt");
    for (int i = 0; i < n_gen; i++) { /* the likeliest, as bise's --temp 0 */
        const float *logits = llama_get_logits_ith(context, -1);
        ids[0] = 0;
        for (llama_token id = 1; id < VOCAB; id++)
            ids[0] = logits[id] > logits[ids[0]] ? id : ids[0];
        if (llama_decode(context, llama_batch_get_one(ids, 1)) != 0)
            die("decode", "token");
    }
    llama_free(context);
    llama_model_free(model);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "make") == 0)
        make(argv[2]);
    else if (argc == 6 && strcmp(argv[1], "run") == 0)
        run(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]));
    else
        die("usage", "peer_arm make FILE | run FILE BACKEND P N");
    return 0;
}
