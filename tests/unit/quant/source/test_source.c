/* Checkpoints in every layout, sound and not. */
#include "quant/source/source.h"
#include "src/os/file.h"
#include "src/text/tokenizer.h"
#include "tests/unit/tiny_torch.h"

#include <criterion/criterion.h>

static struct bise_error err;
static const char *why;
static char note[1024];

static struct source *open_ok(const char *path) {
    struct source *s = NULL;
    const enum bise_status status = source_open(&s, path, note, sizeof note, &err);
    cr_assert_eq(status, BISE_OK, "%s: %s", path, err.detail);
    return s;
}

static void refuse(const char *path, enum bise_status status, const char *message) {
    struct source *s = NULL;
    cr_assert_eq(source_open(&s, path, note, sizeof note, &err), status, "%s: %s", path,
                 err.detail);
    cr_assert_null(s);
    cr_assert(strstr(err.detail, message), "expected \"%s\" in \"%s\"", message, err.detail);
}

/* Every value of every tensor, in portions of 7 rows, wherever rows are reordered. */
static void check_values(const struct source *s) {
    size_t n;
    const struct source_tensor *t = source_tensors(s, &n);
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        float rows[7 * 48];
        bytes += t[i].bytes;
        for (uint32_t r = 0; r < t[i].rows; r += 7) {
            const uint32_t m = t[i].rows - r < 7 ? t[i].rows - r : 7;
            cr_assert_eq(source_read_rows(s, i, r, m, rows, &err), BISE_OK, "%s", err.detail);
            for (uint32_t j = 0; j < m * t[i].cols; j++)
                cr_assert_eq(rows[j], tiny_value(i, r + j / t[i].cols, j % t[i].cols), "%s row %u",
                             t[i].name, r + j / t[i].cols);
        }
        cr_assert_eq(source_read_rows(s, i, t[i].rows, 1, rows, &err), BISE_ERR_ARG);
    }
    cr_assert_eq(source_bytes(s), bytes);
}

Test(source, every_layout_gives_the_same_rows) {
    static const char *const dtypes[] = {"F32", "F16", "BF16"};
    for (int variant = 0; variant < 12; variant++) {
        struct tiny t = {.naming = variant % 2 ? NAMING_CONSOLIDATED : NAMING_HF,
                         .dtype = dtypes[variant / 2 % 3],
                         .experts = variant / 6 ? 4 : 0};
        tiny_write(&t);
        struct source *s = open_ok(t.folder);
        const struct model_config *c = source_config(s);
        cr_assert(c->dim == 32 && c->head_dim == 8 && c->n_experts == t.experts);
        cr_assert_str_eq(note, "");
        cr_assert_null(source_tokenizer_path(s));
        cr_assert(strstr(source_description(s), "safetensors ("));
        check_values(s);
        source_close(&s);
        cr_assert_null(s);
        tiny_remove(&t);
    }
    source_close(NULL);
}

/* The same from torch's files, whole or in shards. */
Test(source, torch) {
    static const char *const dtypes[] = {"F32", "F16", "BF16"};
    static const char index[] = "{\"weight_map\":{\"a\":\"pytorch_model-1.bin\"}}";
    for (int variant = 0; variant < 6; variant++) {
        struct tiny t = {.naming = variant % 2 ? NAMING_CONSOLIDATED : NAMING_HF,
                         .dtype = dtypes[variant / 2 % 3],
                         .experts = variant == 5 ? 4 : 0};
        char path[128];
        tiny_write(&t);
        snprintf(path, sizeof path, "%s/%s.safetensors", t.folder,
                 t.naming == NAMING_HF ? "model" : "consolidated");
        remove(path);
        tiny_write_torch(&t, t.naming == NAMING_CONSOLIDATED ? "consolidated.00.pth"
                             : variant == 0                  ? "pytorch_model-1.bin"
                                                             : "pytorch_model.bin");
        if (variant == 0)
            tiny_write_file(t.folder, "pytorch_model.bin.index.json", index, sizeof index - 1);
        struct source *s = open_ok(t.folder);
        check_values(s);
        source_close(&s);
        if (t.naming == NAMING_CONSOLIDATED) {
            tiny_write_file(t.folder, "consolidated.01.pth", "x", 1);
            refuse(t.folder, BISE_ERR_UNSUPPORTED, "found matrices split over several");
        }
        tiny_remove(&t);
    }
}

Test(source, single_file_and_tied_head) {
    struct tiny t = {.tied = true};
    char path[128];
    tiny_write(&t);
    snprintf(path, sizeof path, "%s/model.safetensors", t.folder);
    struct source *s = open_ok(path);
    size_t n;
    const struct source_tensor *last = source_tensors(s, &n) + n - 1;
    cr_assert(source_config(s)->tied_head);
    cr_assert_str_eq(last->name, "norm");
    check_values(s);
    source_close(&s);
    tiny_remove(&t);
}

Test(source, tensors_that_are_wrong) {
    static const struct {
        struct tiny t;
        enum bise_status status;
        const char *message;
    } cases[] = {
        {{.missing = "model.layers.1.mlp.up_proj.weight"},
         BISE_ERR_FORMAT,
         "missing tensor model.layers.1.mlp.up_proj.weight"},
        {{.missing = "model.embed_tokens.weight"},
         BISE_ERR_FORMAT,
         "missing tensor: expected model.embed_tokens.weight, tok_embeddings.weight or "
         "token_embd.weight"},
        {{.transposed = "model.layers.0.mlp.up_proj.weight"},
         BISE_ERR_FORMAT,
         "tensor model.layers.0.mlp.up_proj.weight: expected shape [48][32], found [32][48]"},
        {{.as_i16 = "lm_head.weight"},
         BISE_ERR_UNSUPPORTED,
         "tensor lm_head.weight: expected dtype F32, F16 or BF16, found I16"},
        {{.extra = "model.layers.0.self_attn.q_proj.bias"},
         BISE_ERR_UNSUPPORTED,
         "tensor model.layers.0.self_attn.q_proj.bias is not part of this architecture"},
        {{.extra = "model.layers.2.input_layernorm.weight"},
         BISE_ERR_UNSUPPORTED,
         "tensor model.layers.2.input_layernorm.weight is not part of this architecture"},
        {{.extra = "rope_freqs.weight"},
         BISE_ERR_UNSUPPORTED,
         "tensor rope_freqs.weight is not part of this architecture"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tiny t = cases[i].t;
        tiny_write(&t);
        refuse(t.folder, cases[i].status, cases[i].message);
        tiny_remove(&t);
    }
}

Test(source, tables_are_left_out) {
    struct tiny t = {.extra = "model.layers.0.self_attn.rotary_emb.inv_freq"};
    tiny_write(&t);
    struct source *s = open_ok(t.folder);
    cr_assert_str_eq(note, "tensor model.layers.0.self_attn.rotary_emb.inv_freq is not needed\n");
    check_values(s);
    source_close(&s);
    tiny_remove(&t);
}

/* Named by the checkpoint's own tensor, row and column, in both layouts. */
Test(source, values_that_are_not_finite) {
    static const struct {
        enum naming naming;
        const char *dtype, *tensor;
    } cases[] = {
        {NAMING_HF, "BF16", "model.layers.1.self_attn.q_proj.weight"},
        {NAMING_HF, "F32", "model.layers.0.mlp.down_proj.weight"},
        {NAMING_CONSOLIDATED, "F16", "layers.1.attention.wk.weight"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tiny t = {
            .naming = cases[i].naming, .dtype = cases[i].dtype, .not_finite = cases[i].tensor};
        char message[160];
        size_t n, found = 0;
        tiny_write(&t);
        struct source *s = open_ok(t.folder);
        const struct source_tensor *tensors = source_tensors(s, &n);
        snprintf(message, sizeof message,
                 "tensor %s: expected finite weights, found NaN at row 3, column 5",
                 cases[i].tensor);
        for (size_t j = 0; j < n; j++) {
            float rows[48 * 48];
            if (source_read_rows(s, j, 0, tensors[j].rows, rows, &err) == BISE_OK)
                continue;
            cr_assert(strstr(err.detail, message), "%s", err.detail);
            found++;
        }
        cr_assert_eq(found, 1);
        source_close(&s);
        tiny_remove(&t);
    }
}

Test(source, shards) {
    struct source *s = open_ok("tests/data/golden/sharded-odd");
    cr_assert(strstr(source_description(s), "model-00003-of-00003.safetensors (113816 bytes)"));
    cr_assert_eq(source_config(s)->vocab_size, 203);
    source_close(&s);
}

static uint64_t identity_of(const char *path) {
    struct source *s = open_ok(path);
    const uint64_t identity = source_identity(s);
    cr_assert(strlen(source_description(s)) <= 1023);
    source_close(&s);
    return identity;
}

/* Also the last of so many shards that the description has no room for it. */
Test(source, a_shard_written_anew_changes_the_identity) {
    enum { SHARDS = 25 };
    static const char empty[] = "\x02\0\0\0\0\0\0\0{}", padded[] = "\x03\0\0\0\0\0\0\0{} ";
    struct tiny t = {0};
    char index[4096] = "{\"weight_map\":{\"a\":\"model.safetensors\"", name[64];
    tiny_write(&t);
    for (int i = 0; i < SHARDS; i++) {
        const size_t n = strlen(index);
        snprintf(name, sizeof name, "model-%05d-of-000%d.safetensors", i, SHARDS);
        snprintf(index + n, sizeof index - n, ",\"%d\":\"%s\"", i, name);
        tiny_write_file(t.folder, name, empty, sizeof empty - 1);
    }
    strcat(index, "}}");
    tiny_write_file(t.folder, "model.safetensors.index.json", index, strlen(index));
    const uint64_t before = identity_of(t.folder);
    cr_assert_eq(identity_of(t.folder), before);
    tiny_write_file(t.folder, name, padded, sizeof padded - 1);
    cr_assert_neq(identity_of(t.folder), before);
    tiny_remove(&t);
}

Test(source, two_sets_of_weights) {
    struct tiny t = {0};
    tiny_write(&t);
    t.naming = NAMING_CONSOLIDATED;
    tiny_write_weights(&t, "consolidated.safetensors");
    struct source *s = open_ok(t.folder);
    cr_assert(strstr(note, "two sets of weights: model.safetensors is taken, "
                           "consolidated.safetensors is left out"),
              "%s", note);
    source_close(&s);
    static const char index[] = "{\"weight_map\":{\"norm.weight\":\"consolidated.safetensors\"}}";
    tiny_write_file(t.folder, "model.safetensors.index.json", index, sizeof index - 1);
    tiny_write_config(&t);
    s = open_ok(t.folder);
    cr_assert(strstr(note, "the shards are taken, model.safetensors is left out"), "%s", note);
    check_values(s);
    source_close(&s);
    tiny_remove(&t);
}

Test(source, index_faults) {
    static const struct {
        const char *index, *message;
    } cases[] = {
        {"{", "byte 1: expected a key"},
        {"{}", "expected a weight_map with tensors, found nothing"},
        {"{\"weight_map\":{}}", "expected a weight_map with tensors"},
        {"{\"weight_map\":{\"a\":7}}", "expected the name of a file in the folder, found a number"},
        {"{\"weight_map\":{\"a\":\"../x\"}}", "expected the name of a file in the folder"},
        {"{\"weight_map\":{\"a\":\"model-00002-of-00002.safetensors\"}}",
         "missing shard model-00002-of-00002.safetensors"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tiny t = {0};
        tiny_write(&t);
        tiny_write_file(t.folder, "model.safetensors.index.json", cases[i].index,
                        strlen(cases[i].index));
        refuse(t.folder, BISE_ERR_FORMAT, cases[i].message);
        tiny_remove(&t);
    }
}

Test(source, folders_without_a_checkpoint) {
    struct tiny t = {0};
    char path[128];
    tiny_write(&t);
    snprintf(path, sizeof path, "%s/config.json", t.folder);
    refuse(path, BISE_ERR_UNSUPPORTED, ".pth, .pt, .bin or .gguf file");
    remove(path);
    refuse(t.folder, BISE_ERR_FORMAT, "expected config.json beside the weights");
    snprintf(path, sizeof path, "%s/model.safetensors", t.folder);
    remove(path);
    refuse(t.folder, BISE_ERR_FORMAT, "found no weights");
    tiny_write_file(t.folder, "model-00001-of-00002.safetensors", "x", 1);
    refuse(t.folder, BISE_ERR_FORMAT, "missing shard model-00002-of-00002.safetensors");
    tiny_remove(&t);
    refuse("/tmp/bise-there-is-no-such-folder", BISE_ERR_IO, "No such file");
}

static struct tokenizer *open_tokenizer(const char *path) {
    struct tokenizer *t = NULL;
    uint8_t *bytes;
    size_t len;
    cr_assert_eq(file_read_whole(path, 1 << 20, &bytes, &len, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(tokenizer_open(&t, bytes, len, path, &err), BISE_OK, "%s", err.detail);
    free(bytes);
    return t;
}

Test(source, tokenizers_and_chat) {
    static const char config[] =
        "{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"x\"},"
        "{\"name\":\"default\",\"template\":\"<|im_start|> <|im_end|>\"}]}";
    struct tiny t = {0};
    tiny_write(&t);
    struct source *s = open_ok(t.folder);
    cr_assert_eq(source_guess_chat(s, NULL, &why), CHAT_UNKNOWN);
    source_close(&s);
    tiny_write_file(t.folder, "tokenizer_config.json", "{}", 2);
    s = open_ok(t.folder);
    cr_assert_eq(source_guess_chat(s, NULL, &why), CHAT_NONE);
    cr_assert_null(why);
    source_close(&s);
    tiny_write_file(t.folder, "tokenizer.json", "{}", 2);
    s = open_ok(t.folder);
    cr_assert(strstr(source_tokenizer_path(s), "/tokenizer.json"));
    source_close(&s);
    tiny_write_file(t.folder, "tokenizer_config.json", config, sizeof config - 1);
    tiny_write_file(t.folder, "tokenizer.model.v3", "x", 1);
    s = open_ok(t.folder);
    cr_assert_eq(source_guess_chat(s, NULL, &why), CHAT_CHATML);
    cr_assert(strstr(source_tokenizer_path(s), "/tokenizer.model.v3"));
    source_close(&s);
    tiny_write_file(t.folder, "chat_template.jinja", "[INST] <<SYS>> [/INST]", 22);
    s = open_ok(t.folder);
    cr_assert_eq(source_guess_chat(s, NULL, &why), CHAT_LLAMA2);
    source_close(&s);
    tiny_write_file(t.folder, "chat_template.jinja", "[INST] [/INST]", 14);
    s = open_ok(t.folder);
    struct tokenizer *tokenizer = open_tokenizer("tests/data/demo/tokenizer.model");
    cr_assert_eq(source_guess_chat(s, NULL, &why), CHAT_UNKNOWN);
    cr_assert_eq(source_guess_chat(s, tokenizer, &why), CHAT_V1); /* its piece 3 is no [INST] */
    tokenizer_close(&tokenizer);
    source_close(&s);
    tiny_remove(&t);
}

Test(source, tekken) {
    struct tiny t = {0};
    tiny_write(&t);
    tiny_write_file(t.folder, "tekken.json", "{}", 2);
    refuse(t.folder, BISE_ERR_UNSUPPORTED, "tekken tokenizers are not supported");
    tiny_remove(&t);
}
