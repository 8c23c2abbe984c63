/* A .bise file as a source: the weights its codes stand for, whatever the shapes. */
#include "quant/source/source.h"

#include "kernels/kernels.h"
#include "src/model/model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct bise_error err;
static const char *why;
static const char *const path = "tests/data/format/example.bise"; /* all types; 4 columns */

Test(bise_source, config_and_tensors) {
    struct source *s;
    struct bise_model *m;
    char note[512];
    size_t n, len;
    cr_assert_eq(source_open(&s, path, note, sizeof note, &err), BISE_OK, "%s", err.detail);
    cr_assert(strstr(note, "are rounded already"), "%s", note);
    cr_assert_eq(bise_model_open(&m, path, NULL, &err), BISE_OK);
    cr_assert_eq(source_config(s)->dim, m->config.dim);
    cr_assert_eq(source_guess_chat(s, NULL, &why), m->config.chat);
    cr_assert_null(source_tokenizer_path(s));
    cr_assert_eq(source_tokenizer_bytes(s, &len) != NULL, m->tokenizer != NULL);
    cr_assert(strncmp(source_description(s), "example.bise (", 14) == 0);
    const struct source_tensor *t = source_tensors(s, &n);
    cr_assert_eq(n, m->n_tensors);
    for (size_t i = 0; i < n; i++) {
        cr_assert_str_eq(t[i].name, m->tensors[i].name);
        cr_assert(t[i].rows == m->tensors[i].rows && t[i].cols == m->tensors[i].cols);
    }
    source_close(&s);
    bise_model_close(&m);
}

/* Reads whole and row by row, into memory of just that size. */
Test(bise_source, rows) {
    struct source *s;
    struct bise_model *m;
    char note[512];
    size_t n;
    cr_assert_eq(source_open(&s, path, note, sizeof note, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(bise_model_open(&m, path, NULL, &err), BISE_OK);
    const struct source_tensor *t = source_tensors(s, &n);
    for (size_t i = 0; i < n; i++) {
        const struct tensor *from = &m->tensors[i];
        const size_t count = (size_t)t[i].rows * t[i].cols;
        float *all = malloc(count * sizeof *all), *one = malloc(t[i].cols * sizeof *one);
        float *padded = malloc(from->w.k * sizeof *padded);
        cr_assert_eq(source_read_rows(s, i, 0, t[i].rows, all, &err), BISE_OK, "%s", err.detail);
        for (uint32_t row = 0; row < t[i].rows; row++) {
            const float *expected = padded;
            if (from->is_vector)
                expected = (const float *)(const void *)from->w.panels;
            else
                dequantize_row(padded, from->type, &from->w, row);
            cr_assert_eq(source_read_rows(s, i, row, 1, one, &err), BISE_OK);
            cr_assert_arr_eq(one, expected, t[i].cols * sizeof *one);
            cr_assert_arr_eq(all + (size_t)row * t[i].cols, expected, t[i].cols * sizeof *one);
        }
        cr_assert_eq(source_read_rows(s, i, t[i].rows, 1, one, &err), BISE_ERR_ARG);
        free(all);
        free(one);
        free(padded);
    }
    source_close(&s);
    bise_model_close(&m);
}

Test(bise_source, refused) {
    struct source *s;
    char note[64];
    cr_assert_eq(source_open(&s, "/nowhere/x.bise", note, sizeof note, &err), BISE_ERR_IO);
    cr_assert_null(s);
}
