#include "quant/source/bise_file.h"

#include "quant/source/source_impl.h"
#include "src/base/bytes.h"
#include "src/model/format.h"
#include "src/model/shape.h"
#include "src/os/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool is_bise_file(const char *path) {
    const size_t n = strlen(path);
    return n > 5 && strcmp(path + n - 5, ".bise") == 0;
}

static void note_rounded(const struct bise_model *m, const char *path, struct note *note) {
    for (size_t i = 0; i < m->n_tensors; i++)
        if (m->tensors[i].type == TYPE_I4 || m->tensors[i].type == TYPE_I8) {
            note_add(note,
                     "%s: its weights are rounded already (%s: %s): rounding them again adds to "
                     "the loss",
                     path, m->tensors[i].name, tensor_type_name(m->tensors[i].type));
            return;
        }
}

enum bise_status bise_file_open(struct source *s, const char *path, struct note *note,
                                struct bise_error *err) {
    const struct bise_model_params params = {.memory = BISE_MEMORY_MMAP};
    enum bise_status status = bise_model_open(&s->model, path, &params, err);
    if (status)
        return status;
    const struct bise_model *m = s->model;
    s->config = m->config;
    s->n_tensors = m->n_tensors;
    s->tensors = calloc(s->n_tensors, sizeof *s->tensors);
    s->tokenizer_len = m->tokenizer_len;
    if (m->tokenizer)
        s->tokenizer_bytes = malloc(m->tokenizer_len);
    if (!s->tensors || (m->tokenizer && !s->tokenizer_bytes))
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", path);
    if (m->tokenizer)
        memcpy(s->tokenizer_bytes, m->tokenizer_bytes, m->tokenizer_len);
    for (size_t i = 0; i < s->n_tensors; i++) {
        const struct tensor *from = &m->tensors[i];
        struct source_tensor *t = &s->tensors[i];
        memcpy(t->name, from->name, sizeof t->name);
        snprintf(t->origin, sizeof t->origin, "%s", from->name);
        t->rows = from->rows;
        t->cols = from->cols;
        t->is_vector = from->is_vector;
        t->bytes = from->length;
    }
    snprintf(s->description, sizeof s->description, "%s (%llu bytes)", file_base(path),
             (unsigned long long)m->info.file_bytes);
    s->identity = get_u32(m->map + AT_HEADER_CRC); /* the header holds the tensors' CRCs */
    note_rounded(m, path, note);
    return BISE_OK;
}

enum bise_status bise_file_rows(const struct source *s, size_t i, uint32_t row, uint32_t n,
                                float *out, struct bise_error *err) {
    const struct tensor *t = &s->model->tensors[i];
    if (t->is_vector) {
        memcpy(out, t->w.panels, t->cols * sizeof *out);
        return BISE_OK;
    }
    /* A row comes with its padding, which the next row overwrites; the last one has no room for it
     * behind it. */
    float *last = n > 0 ? malloc(t->w.k * sizeof *last) : NULL;
    if (n > 0 && !last)
        return bise_fail(err, BISE_ERR_MEMORY, "tensor %s: no memory for a row", t->name);
    const uint32_t roomy = (uint32_t)((t->w.k + t->cols - 1) / t->cols); /* rows at the end */
    for (uint32_t r = 0; r < n; r++) {
        float *to = out + (size_t)r * t->cols;
        dequantize_row(n - r <= roomy ? last : to, t->type, &t->w, row + r);
        if (n - r <= roomy)
            memcpy(to, last, t->cols * sizeof *to);
    }
    free(last);
    return BISE_OK;
}
