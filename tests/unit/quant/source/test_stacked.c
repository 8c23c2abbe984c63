/* The first upload of Mixtral: numbered .pt files with stacked experts, w2 transposed. */
#include "quant/source/source.h"
#include "tests/unit/tiny_torch.h"

#include <criterion/criterion.h>
#include <unistd.h>

static struct bise_error err;
static char note[1024];

static void make(struct tiny *t) {
    t->naming = NAMING_STACKED;
    t->experts = 4;
    strcpy(t->folder, "/tmp/bise-tiny-XXXXXX");
    cr_assert(mkdtemp(t->folder) != NULL);
    tiny_write_config(t);
    tiny_write_stacked(t);
}

static void refuse(struct tiny *t, enum bise_status status, const char *message) {
    struct source *s = NULL;
    cr_assert_eq(source_open(&s, t->folder, note, sizeof note, &err), status, "%s", err.detail);
    cr_assert_null(s);
    cr_assert(strstr(err.detail, message), "expected \"%s\" in \"%s\"", message, err.detail);
}

Test(stacked, every_value) {
    static const char *const dtypes[] = {"F32", "F16", "BF16"};
    for (int variant = 0; variant < 3; variant++) {
        struct tiny t = {.dtype = dtypes[variant]};
        struct source *s;
        size_t n;
        uint64_t bytes = 0;
        make(&t);
        cr_assert_eq(source_open(&s, t.folder, note, sizeof note, &err), BISE_OK, "%s", err.detail);
        cr_assert_str_eq(note, "");
        cr_assert(strstr(source_description(s), "consolidated.01.pt ("));
        const struct source_tensor *list = source_tensors(s, &n);
        for (size_t i = 0; i < n; i++) {
            float rows[7 * 48];
            bytes += list[i].bytes;
            for (uint32_t r = 0; r < list[i].rows; r += 7) {
                const uint32_t m = list[i].rows - r < 7 ? list[i].rows - r : 7;
                cr_assert_eq(source_read_rows(s, i, r, m, rows, &err), BISE_OK, "%s", err.detail);
                for (uint32_t j = 0; j < m * list[i].cols; j++)
                    cr_assert_eq(rows[j], tiny_value(i, r + j / list[i].cols, j % list[i].cols),
                                 "%s row %u", list[i].name, r + j / list[i].cols);
            }
        }
        cr_assert_eq(source_bytes(s), bytes);
        source_close(&s);
        tiny_remove(&t);
    }
}

Test(stacked, what_is_missing_is_named) {
    struct tiny t = {.dtype = "BF16", .missing = "layers.1.block_sparse_moe.w2"};
    make(&t);
    refuse(&t, BISE_ERR_FORMAT, "missing tensor layers.1.block_sparse_moe.w2");
    tiny_remove(&t);
    t.missing = NULL;
    make(&t);
    char path[128], third[128];
    snprintf(path, sizeof path, "%s/consolidated.01.pt", t.folder);
    snprintf(third, sizeof third, "%s/consolidated.02.pt", t.folder);
    cr_assert_eq(rename(path, third), 0);
    refuse(&t, BISE_ERR_FORMAT, "missing consolidated.01.pt");
    cr_assert_eq(unlink(third), 0);
    refuse(&t, BISE_ERR_FORMAT, "missing tensor layers.1.");
    tiny_remove(&t);
}

Test(stacked, another_number_of_experts) {
    struct tiny t = {.dtype = "F32"};
    make(&t);
    static const char params[] =
        "{\"dim\":32,\"hidden_dim\":48,\"n_layers\":2,\"n_heads\":4,\"n_kv_heads\":2,"
        "\"head_dim\":8,\"vocab_size\":40,\"norm_eps\":1e-05,"
        "\"moe\":{\"num_experts\":5,\"num_experts_per_tok\":2}}";
    tiny_write_file(t.folder, "params.json", params, sizeof params - 1);
    refuse(&t, BISE_ERR_FORMAT, "expected shape");
    tiny_remove(&t);
}

/* transformers 5: gate_up_proj and down_proj hold all experts of a layer, in Hugging Face's
 * order. */
static void write_fused(struct tiny *t, const char *leave_out) {
    static uint8_t file[1 << 20], data[1 << 20];
    const struct model_config c = tiny_model(t);
    struct tensor_shape *shapes;
    size_t n, used = 0, head = 9;
    cr_assert_eq(config_shapes(&c, &shapes, &n, NULL), BISE_OK);
    file[8] = '{';
    for (size_t i = 0; i < n; i++) {
        char origin[256], stem[64];
        origin_name(origin, sizeof origin, shapes[i].name, NAMING_FUSED);
        const char *expert = strstr(shapes[i].name, ".experts.");
        if ((expert && strcmp(expert, ".experts.0.w1") != 0 &&
             strcmp(expert, ".experts.0.w2") != 0) ||
            (leave_out && strcmp(origin, leave_out) == 0))
            continue;
        const size_t begin = used;
        const bool is_down = expert && expert[strlen(expert) - 1] == '2';
        snprintf(stem, sizeof stem, "%.*s", expert ? (int)(expert - shapes[i].name) : 0,
                 shapes[i].name);
        for (uint32_t e = 0; expert && e < c.n_experts; e++)
            for (size_t j = 0; j < n; j++) { /* w1 comes before w3 */
                char w1[128], w2[128], w3[128];
                snprintf(w1, sizeof w1, "%s.experts.%u.w1", stem, e);
                snprintf(w2, sizeof w2, "%s.experts.%u.w2", stem, e);
                snprintf(w3, sizeof w3, "%s.experts.%u.w3", stem, e);
                if (is_down ? strcmp(shapes[j].name, w2) == 0
                            : strcmp(shapes[j].name, w1) == 0 || strcmp(shapes[j].name, w3) == 0)
                    used += tiny_fill(data + used, t, &shapes[j], j, "");
            }
        if (!expert)
            used += tiny_fill(data + used, t, &shapes[i], i, origin);
        head += (size_t)sprintf((char *)file + head, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                                begin ? "," : "", origin, t->dtype);
        if (expert)
            head += (size_t)sprintf((char *)file + head, "%u,%u,", c.n_experts,
                                    is_down ? c.dim : 2 * c.ffn_dim);
        else if (!shapes[i].is_vector)
            head += (size_t)sprintf((char *)file + head, "%u,", shapes[i].rows);
        head += (size_t)sprintf((char *)file + head, "%u],\"data_offsets\":[%zu,%zu]}",
                                shapes[i].cols, begin, used);
    }
    file[head++] = '}';
    put_u64(file, head - 8);
    memcpy(file + head, data, used);
    tiny_write_file(t->folder, "model.safetensors", file, head + used);
    free(shapes);
}

Test(stacked, fused_as_transformers_5_has_it) {
    static const char *const dtypes[] = {"F32", "BF16"};
    for (int variant = 0; variant < 2; variant++) {
        struct tiny t = {.dtype = dtypes[variant], .experts = 4};
        struct source *s;
        size_t n;
        tiny_write(&t);
        write_fused(&t, NULL);
        cr_assert_eq(source_open(&s, t.folder, note, sizeof note, &err), BISE_OK, "%s", err.detail);
        cr_assert_str_eq(note, "");
        const struct source_tensor *list = source_tensors(s, &n);
        for (size_t i = 0; i < n; i++) {
            float rows[48 * 48];
            cr_assert_eq(source_read_rows(s, i, 0, list[i].rows, rows, &err), BISE_OK);
            for (uint32_t j = 0; j < list[i].rows * list[i].cols; j++)
                cr_assert_eq(rows[j], tiny_value(i, j / list[i].cols, j % list[i].cols), "%s",
                             list[i].name);
        }
        source_close(&s);
        write_fused(&t, "model.layers.1.mlp.experts.down_proj");
        refuse(&t, BISE_ERR_FORMAT, "missing tensor model.layers.1.mlp.experts.down_proj");
        tiny_remove(&t);
    }
}
