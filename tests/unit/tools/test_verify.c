/* bise verify: files whose checksums are right and whose values are not. */
#include "tests/unit/tiny_model.h"
#include "tools/common/tools.h"

#include <criterion/criterion.h>
#include <math.h>

static char folder[256], path[300];

static void setup(void) {
    cr_assert(tiny_folder(folder));
    snprintf(path, sizeof path, "%s/m.bise", folder);
}

static void teardown(void) {
    unlink(path);
    rmdir(folder);
}

TestSuite(verify, .init = setup, .fini = teardown);

/* Exit code of verify for a model of this type, all zeros but for n bytes at `at` of one tensor. */
static int verify_with(enum tensor_type type, const char *tensor, size_t at, const void *bytes,
                       size_t n) {
    const struct model_config config = tiny_config();
    struct tensor_shape *shapes = NULL;
    struct bise_error err = {0};
    struct writer *w = NULL;
    size_t n_tensors, hit = 0;
    struct writer_tensor *tensors = tiny_tensors(&config, type, &shapes, &n_tensors, &err);
    const struct writer_plan plan = {.config = &config, .tensors = tensors, .n_tensors = n_tensors};
    cr_assert_not_null(tensors);
    cr_assert_eq(writer_open(&w, path, &plan, &err), BISE_OK, "%s", err.detail);
    for (size_t i = 0; i < n_tensors; i++) {
        const size_t len = (size_t)writer_tensor_bytes(w, i);
        uint8_t *data = calloc(1, len);
        if (strcmp(tensors[i].name, tensor) == 0) {
            cr_assert_leq(at + n, len);
            memcpy(data + at, bytes, n);
            hit++;
        }
        cr_assert_eq(writer_put(w, i, 0, data, len, &err), BISE_OK, "%s", err.detail);
        free(data);
    }
    cr_assert_eq(writer_finish(&w, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(hit, 1);
    free(tensors);
    free(shapes);
    char *argv[] = {"verify", path, NULL};
    return cmd_verify(2, argv);
}

Test(verify, scales_and_codes) {
    static const char wq[] = "layers.0.attention.wq", norm[] = "layers.0.attention_norm";
    const float nan = NAN, infinite = -INFINITY, one = 1;
    const uint8_t least = 0x80, half_nan[2] = {0xc0, 0x7f};
    cr_assert_eq(verify_with(TYPE_I8, wq, 0, &one, sizeof one), EXIT_DONE);
    cr_assert_eq(verify_with(TYPE_I8, wq, 60, &nan, sizeof nan), EXIT_INPUT,
                 "the last row's scale");
    cr_assert_eq(verify_with(TYPE_I8, wq, PANEL_HEAD + TILE_SCALES, &least, 1), EXIT_INPUT, "-128");
    cr_assert_eq(verify_with(TYPE_I8, wq, PANEL_HEAD + I8_TILE_BYTES - 1, &least, 1), EXIT_INPUT);
    cr_assert_eq(verify_with(TYPE_I8, wq, PANEL_HEAD, &least, 1), EXIT_DONE, "a block scale");
    cr_assert_eq(verify_with(TYPE_I4, wq, PANEL_HEAD + TILE_SCALES, &least, 1), EXIT_DONE);
    cr_assert_eq(verify_with(TYPE_I4, wq, 4, &infinite, sizeof infinite), EXIT_INPUT);
    cr_assert_eq(verify_with(TYPE_I4, wq, PANEL_HEAD + I4_TILE_BYTES, &least, 1), EXIT_DONE,
                 "the next panel's head");
    cr_assert_eq(verify_with(TYPE_BF16, wq, 2, half_nan, 2), EXIT_INPUT);
    cr_assert_eq(verify_with(TYPE_F32, wq, 8, &nan, sizeof nan), EXIT_INPUT);
    cr_assert_eq(verify_with(TYPE_I8, norm, 4, &infinite, sizeof infinite), EXIT_INPUT);
}
