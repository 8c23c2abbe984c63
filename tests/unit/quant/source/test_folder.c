/* Which files make up a checkpoint, and what lies there in a checkpoint's place. */
#include "quant/source/folder.h"
#include "quant/source/source.h"
#include "tests/unit/tiny_gguf.h"

#include <criterion/criterion.h>

static struct bise_error err;
static char note[2048];

static const char *in(const struct tiny *t, const char *name) {
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", t->folder, name);
    return path[turn];
}

static void move(const struct tiny *t, const char *from, const char *to) {
    cr_assert_eq(rename(in(t, from), in(t, to)), 0);
}

/* Opens, and compares one value of every tensor. */
static void read_all(const char *path) {
    struct source *s = NULL;
    size_t n;
    cr_assert_eq(source_open(&s, path, note, sizeof note, &err), BISE_OK, "%s", err.detail);
    const struct source_tensor *list = source_tensors(s, &n);
    for (size_t i = 0; i < n; i++) {
        float row[64];
        cr_assert_eq(source_read_rows(s, i, list[i].rows - 1, 1, row, &err), BISE_OK);
        cr_assert_eq(row[3], tiny_value(i, list[i].rows - 1, 3), "%s", list[i].name);
    }
    source_close(&s);
}

static void refuse(const char *path, enum bise_status status, const char *message) {
    struct source *s = NULL;
    cr_assert_eq(source_open(&s, path, note, sizeof note, &err), status, "%s", err.detail);
    cr_assert_null(s);
    cr_assert(strstr(err.detail, message), "expected \"%s\" in \"%s\"", message, err.detail);
}

/* model.safetensors becomes two files of half of the tensors each. */
static void split_safetensors(struct tiny *t) {
    tiny_write(t);
    char missing[2][128];
    for (int half = 0; half < 2; half++) /* one tensor here, the others there */
        snprintf(missing[half], sizeof missing[half], "model-0000%d-of-00002.safetensors",
                 half + 1);
    t->missing = "lm_head.weight";
    tiny_write_weights(t, missing[0]);
    static uint8_t file[1 << 16];
    const struct model_config c = tiny_model(t);
    struct tensor_shape *shapes;
    size_t n;
    cr_assert_eq(config_shapes(&c, &shapes, &n, NULL), BISE_OK);
    struct tiny one = *t;
    one.missing = NULL;
    char *header = (char *)file + 8;
    header[0] = '{';
    size_t head = 1, len = (size_t)40 * 32 * 2;
    head += tiny_entry(header + head, &one, &shapes[n - 1], "lm_head.weight", 0, len);
    header[head++] = '}';
    put_u64(file, head);
    tiny_fill(file + 8 + head, &one, &shapes[n - 1], n - 1, "lm_head.weight");
    tiny_write_file(t->folder, missing[1], file, 8 + head + len);
    free(shapes);
    cr_assert_eq(remove(in(t, "model.safetensors")), 0);
    t->missing = NULL;
}

Test(folder, shard_names) {
    struct shard_name s;
    char other[64];
    cr_assert(shard_parse("model-00002-of-00013.safetensors", &s));
    cr_assert(s.stem == 5 && s.no == 2 && s.n == 13 && strcmp(s.end, ".safetensors") == 0);
    cr_assert(shard_print("model-00002-of-00013.safetensors", &s, 13, other, sizeof other));
    cr_assert_str_eq(other, "model-00013-of-00013.safetensors");
    cr_assert_not(shard_print("model-00002-of-00013.safetensors", &s, 13, other, 20));
    cr_assert(shard_parse("a-of-b-00001-of-00001.gguf", &s) && s.stem == 6);
    static const char *const others[] = {"model.safetensors",    "model-2-of-00003.bin",
                                         "m-00004-of-00003.bin", "m-00000-of-00003.bin",
                                         "m-00001-of-99999.bin", "-00001-of-",
                                         "-00001-of-0000",       "00001-of-00002"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_assert_not(shard_parse(others[i], &s), "%s", others[i]);
}

Test(folder, shards_without_an_index) {
    struct tiny t = {0};
    split_safetensors(&t);
    read_all(t.folder);
    cr_assert_str_eq(note, "");
    read_all(in(&t, "model-00002-of-00002.safetensors"));
    cr_assert(strstr(note, "is one of 2 parts: all of them are read"), "%s", note);
    move(&t, "model-00002-of-00002.safetensors", "away");
    refuse(t.folder, BISE_ERR_FORMAT, "missing shard model-00002-of-00002.safetensors");
    refuse(in(&t, "model-00001-of-00002.safetensors"), BISE_ERR_FORMAT, "missing shard");
    move(&t, "away", "model-00002-of-00002.safetensors.incomplete");
    refuse(t.folder, BISE_ERR_FORMAT, "its download is not finished");
    tiny_remove(&t);
}

Test(folder, torch_shards_without_an_index) {
    struct tiny t = {0};
    tiny_write(&t);
    cr_assert_eq(remove(in(&t, "model.safetensors")), 0);
    tiny_write_torch(&t, "pytorch_model-00001-of-00001.bin");
    read_all(t.folder);
    tiny_remove(&t);
}

/* Whatever names a file, it is refused where its set is of another kind. */
Test(folder, a_shard_of_another_kind) {
    static const char index[] = "{\"weight_map\":{\"a\":\"m.gguf\",\"b\":\"model.safetensors\"}}";
    struct tiny t = {0};
    tiny_write(&t);
    tiny_write_gguf(&t, "m.gguf");
    tiny_write_file(t.folder, "model.safetensors.index.json", index, sizeof index - 1);
    refuse(t.folder, BISE_ERR_FORMAT, "m.gguf: expected a safetensors file as its set is made of");
    cr_assert_eq(remove(in(&t, "model.safetensors.index.json")), 0);
    move(&t, "model.safetensors", "model-00001-of-00002.safetensors");
    move(&t, "m.gguf", "model-00002-of-00002.safetensors");
    refuse(t.folder, BISE_ERR_FORMAT, "found a GGUF file");
    tiny_remove(&t);
}

Test(folder, gguf_files) {
    struct tiny t = {0};
    tiny_write(&t);
    cr_assert_eq(remove(in(&t, "model.safetensors")), 0);
    tiny_write_gguf(&t, "m.GGUF");
    read_all(in(&t, "m.GGUF"));
    read_all(t.folder);
    move(&t, "m.GGUF", "sha256-0f3a");
    read_all(in(&t, "sha256-0f3a"));
    move(&t, "sha256-0f3a", "b.gguf");
    tiny_write_gguf(&t, "a.gguf");
    refuse(t.folder, BISE_ERR_UNSUPPORTED, "holds 2 GGUF files: give the one to read, as");
    tiny_remove(&t);
}

/* A part without tensors, which says what it is. */
static void write_part(const struct tiny *t, const char *name, uint32_t no, uint32_t count) {
    struct tiny_bytes b = {0};
    tiny_text(&b, "GGUF");
    tiny_u(&b, 3, 4);
    tiny_u(&b, 0, 8);
    tiny_u(&b, 2, 8);
    tiny_gguf_u32(&b, "split.no", no);
    tiny_gguf_u32(&b, "split.count", count);
    tiny_write_file(t->folder, name, b.at, b.n);
    free(b.at);
}

Test(folder, split_gguf) {
    struct tiny t = {0};
    struct tiny_bytes value = {0};
    tiny_write(&t);
    cr_assert_eq(remove(in(&t, "model.safetensors")), 0);
    tiny_write_gguf(&t, "m.gguf");
    tiny_gguf_u32(&value, "split.count", 2);
    tiny_gguf_put_first(&t, &value, "split.count");
    refuse(in(&t, "m.gguf"), BISE_ERR_FORMAT, "m.gguf is part 1 of 2");
    move(&t, "m.gguf", "m-00001-of-00002.gguf");
    refuse(t.folder, BISE_ERR_FORMAT, "missing shard m-00002-of-00002.gguf");
    write_part(&t, "m-00002-of-00002.gguf", 1, 2);
    read_all(t.folder);
    read_all(in(&t, "m-00002-of-00002.gguf"));
    write_part(&t, "m-00002-of-00002.gguf", 0, 2);
    refuse(t.folder, BISE_ERR_FORMAT, "expected part 2 of 2 as its name says, found part 1 of 2");
    tiny_remove(&t);
}

Test(folder, what_is_no_model) {
    static const struct {
        const char *name, *bytes;
        enum bise_status status;
        const char *message;
    } cases[] = {
        {"model.safetensors",
         "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 13644280\n",
         BISE_ERR_FORMAT, "is a git-lfs pointer, not the file of 13644280 bytes"},
        {"model.safetensors", "\n <!DOCTYPE html><html>", BISE_ERR_FORMAT, "page of HTML"},
        {"model.safetensors", "<?xml version='1.0'?><Error>", BISE_ERR_FORMAT, "HTML or XML"},
        {"model.safetensors", "\x1f\x8b\x08", BISE_ERR_FORMAT, "is compressed by gzip"},
        {"pytorch_model.bin", "tjgg\3", BISE_ERR_UNSUPPORTED, "a ggml file from before GGUF"},
        {"model.safetensors.incomplete", "x", BISE_ERR_FORMAT, "a download that is not finished"},
        {"model.safetensors.part", "x", BISE_ERR_FORMAT, "a download that is not finished"},
        {"adapter_model.safetensors", "x", BISE_ERR_UNSUPPORTED, "holds a LoRA adapter alone"},
        {"adapter_config.json", "{}", BISE_ERR_UNSUPPORTED, "holds a LoRA adapter alone"},
        {"other.safetensors", "x", BISE_ERR_UNSUPPORTED, "found other.safetensors"},
        {"notes.txt", "x", BISE_ERR_FORMAT, "found no weights"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tiny t = {0};
        tiny_write(&t);
        cr_assert_eq(remove(in(&t, "model.safetensors")), 0);
        tiny_write_file(t.folder, cases[i].name, cases[i].bytes, strlen(cases[i].bytes));
        refuse(t.folder, cases[i].status, cases[i].message);
        tiny_remove(&t);
    }
    struct tiny t = {0};
    tiny_write(&t);
    move(&t, "model.safetensors", "model.safetensors.crdownload");
    refuse(in(&t, "model.safetensors.crdownload"), BISE_ERR_FORMAT, "download");
    tiny_remove(&t);
}

/* Weights that others have quantized, by the name of who did. */
Test(folder, quantized_by_others) {
    static const struct {
        const char *tensor, *message;
    } cases[] = {
        {"model.layers.0.mlp.up_proj.g_idx", "quantized by GPTQ"},
        {"model.layers.0.mlp.up_proj.qweight", "quantized by AWQ"},
        {"model.layers.0.mlp.up_proj.weight.absmax", "quantized by bitsandbytes"},
        {"model.layers.0.mlp.up_proj.SCB", "quantized by bitsandbytes"},
        {"model.layers.0.mlp.up_proj.biases", "quantized by MLX"},
        {"model.layers.0.mlp.up_proj.weight_scale_inv", "FP8 weights"},
        {"model.layers.0.mlp.up_proj.weight_packed", "quantized by compressed-tensors"},
        {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", "a LoRA adapter"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tiny t = {.extra = cases[i].tensor};
        tiny_write(&t);
        refuse(t.folder, BISE_ERR_UNSUPPORTED, cases[i].message);
        tiny_remove(&t);
    }
    static const char fp8[] =
        "{\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}";
    uint8_t file[8 + sizeof fp8];
    struct tiny t = {0};
    tiny_write(&t);
    put_u64(file, sizeof fp8 - 1);
    memcpy(file + 8, fp8, sizeof fp8);
    tiny_write_file(t.folder, "model.safetensors", file, sizeof file);
    refuse(t.folder, BISE_ERR_UNSUPPORTED, "holds FP8 weights (tensor w)");
    tiny_remove(&t);
}

/* Llama 2's own params.json: what it leaves open is told by the shapes. */
Test(folder, sizes_that_shapes_tell) {
    static const char params[] = "{\"dim\":32,\"multiple_of\":256,\"n_heads\":4,\"n_kv_heads\":2,"
                                 "\"n_layers\":2,\"norm_eps\":1e-05,\"vocab_size\":-1}";
    struct tiny t = {.naming = NAMING_CONSOLIDATED};
    struct source *s = NULL;
    tiny_write(&t);
    tiny_write_file(t.folder, "params.json", params, sizeof params - 1);
    read_all(t.folder);
    cr_assert_eq(source_open(&s, t.folder, note, sizeof note, &err), BISE_OK);
    cr_assert(source_config(s)->ffn_dim == 48 && source_config(s)->vocab_size == 40);
    source_close(&s);
    tiny_remove(&t);
}

/* A model that sees has its language's tensors under a name before theirs; the others are left out.
 */
Test(folder, a_model_that_takes_more_than_text) {
    static const char config[] =
        "{\"architectures\":[\"Mistral3ForConditionalGeneration\"],\"vision_config\":{\"a\":1},"
        "\"text_config\":{\"model_type\":\"mistral\",\"hidden_size\":32,"
        "\"intermediate_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
        "\"num_key_value_heads\":2,\"vocab_size\":40,\"rms_norm_eps\":1e-05}}";
    static uint8_t file[1 << 17];
    struct tiny t = {.extra = "vision_tower.transformer.layers.0.attention.q_proj.weight"};
    uint8_t *bytes;
    size_t len, at = 8;
    tiny_write(&t);
    cr_assert_eq(file_read_whole(in(&t, "model.safetensors"), 1 << 20, &bytes, &len, &err),
                 BISE_OK);
    const size_t head = (size_t)get_u64(bytes);
    for (size_t i = 8; i < 8 + head; i++) { /* "model. and "lm_head get the prefix */
        file[at++] = bytes[i];
        if (memcmp(bytes + i, "\"model.", 7) == 0 || memcmp(bytes + i, "\"lm_head", 8) == 0) {
            memcpy(file + at, "language_model.", 15);
            at += 15;
        }
    }
    put_u64(file, at - 8);
    memcpy(file + at, bytes + 8 + head, len - 8 - head);
    tiny_write_file(t.folder, "model.safetensors", file, at + len - 8 - head);
    tiny_write_file(t.folder, "config.json", config, sizeof config - 1);
    read_all(t.folder);
    cr_assert(strstr(note, "text_config is read"), "%s", note);
    cr_assert(strstr(note, "tensor vision_tower"), "%s", note);
    free(bytes);
    tiny_remove(&t);
}
