/* bise quantize from every kind of source that tests can write: the same weights give the same
 * tensors, whatever they came from. */
#include "tests/unit/tiny_gguf.h"
#include "tools/common/tools.h"

#include "src/model/model.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

static struct bise_error err;

/* What the commands print is not looked at here. */
static void quiet(void) {
    const int fd = open("/dev/null", O_WRONLY);
    cr_assert(fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
}

TestSuite(conversions, .init = quiet);

static int quantize(const char *source, const char *out, const char *type, const char *more,
                    const char *value) {
    const char *argv[] = {"quantize", source, "-o", out, "--type", type, more, value, NULL};
    return cmd_quantize(more ? value ? 8 : 7 : 6, (char **)(uintptr_t)argv);
}

static struct bise_model *open_model(const char *path) {
    struct bise_model *m;
    cr_assert_eq(bise_model_open(&m, path, NULL, &err), BISE_OK, "%s", err.detail);
    return m;
}

static void check_same(const char *a_path, const char *b_path) {
    struct bise_model *a = open_model(a_path), *b = open_model(b_path);
    cr_assert_eq(a->n_tensors, b->n_tensors);
    for (size_t i = 0; i < a->n_tensors; i++) {
        cr_assert_str_eq(a->tensors[i].name, b->tensors[i].name);
        cr_assert_eq(a->tensors[i].crc, b->tensors[i].crc, "%s", a->tensors[i].name);
    }
    bise_model_close(&a);
    bise_model_close(&b);
}

/* Safetensors with these weights, as out.bise in t->folder. */
static void write_reference(const struct tiny *t, const char *type, char *out, size_t cap) {
    struct tiny plain = {.naming = NAMING_HF, .dtype = t->dtype, .experts = t->experts};
    tiny_write(&plain);
    snprintf(out, cap, "%s/reference.bise", t->folder);
    cr_assert_eq(quantize(plain.folder, out, type, NULL, NULL), EXIT_DONE);
    tiny_remove(&plain);
}

static void begin(struct tiny *t) {
    strcpy(t->folder, "/tmp/bise-tiny-XXXXXX");
    cr_assert(mkdtemp(t->folder) != NULL);
}

/* Converts source and compares; then removes the folder. */
static void check(struct tiny *t, const char *source, const char *type) {
    char out[128], reference[128];
    snprintf(out, sizeof out, "%s/out.bise", t->folder);
    write_reference(t, type, reference, sizeof reference);
    cr_assert_eq(quantize(source, out, type, NULL, NULL), EXIT_DONE, "%s", source);
    const char *verify[] = {"verify", out, NULL};
    cr_assert_eq(cmd_verify(2, (char **)(uintptr_t)verify), EXIT_DONE);
    check_same(out, reference);
    tiny_remove(t);
}

static const char *const types[] = {"i4", "i8", "bf16", "f32"};

Test(conversions, torch) {
    for (int variant = 0; variant < 8; variant++) {
        struct tiny t = {.naming = variant % 2 ? NAMING_CONSOLIDATED : NAMING_HF,
                         .dtype = variant % 3 ? "BF16" : "F16",
                         .experts = variant / 4 ? 4 : 0};
        begin(&t);
        tiny_write_config(&t);
        tiny_write_torch(&t, t.naming == NAMING_HF ? "pytorch_model.bin" : "consolidated.00.pth");
        check(&t, t.folder, types[variant % 4]);
    }
}

Test(conversions, early_mixtral) {
    struct tiny t = {.naming = NAMING_STACKED, .dtype = "BF16", .experts = 4};
    begin(&t);
    tiny_write_config(&t);
    tiny_write_stacked(&t);
    check(&t, t.folder, "i4");
}

Test(conversions, gguf) {
    for (int variant = 0; variant < 4; variant++) {
        struct tiny t = {.naming = NAMING_GGUF, .dtype = "F16", .experts = variant / 2 ? 4 : 0};
        char path[128];
        begin(&t);
        tiny_write_gguf(&t, "m.gguf");
        snprintf(path, sizeof path, "%s/m.gguf", t.folder);
        check(&t, path, types[variant]);
    }
}

/* Its tokenizer comes along; a window is given; another model's added tokens beside it are not
 * looked at, unless they lie beside a tokenizer that was asked for. */
Test(conversions, gguf_and_its_neighbours) {
    struct tiny t = {.naming = NAMING_GGUF, .dtype = "F16"};
    char path[128], out[128];
    begin(&t);
    tiny_write_gguf(&t, "m.gguf");
    snprintf(path, sizeof path, "%s/m.gguf", t.folder);
    snprintf(out, sizeof out, "%s/out.bise", t.folder);
    tiny_write_file(t.folder, "added_tokens.json", "{\"<|foreign|>\": 99}", 19);
    cr_assert_eq(quantize(path, out, "i4", "--window", "16"), EXIT_DONE);
    struct bise_model *m = open_model(out);
    cr_assert_eq(m->config.window, 16);
    cr_assert_not_null(m->tokenizer);
    bise_model_close(&m);
    tiny_remove(&t);
}
