/* Rows of a source's tensors as floats. */
#include "quant/source/blocks.h"
#include "quant/source/source_impl.h"
#include "src/base/bytes.h"
#include "src/model/format.h"
#include "src/model/shape.h"
#include "src/os/file.h"

#include <math.h>
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

/* Row of the file that is row `row` here. Within a head of n rows, Hugging Face's row i is row 2i
 * of the consolidated layout, its row i + n/2 is row 2i + 1. */
static uint32_t file_row(uint32_t row, uint32_t head_dim) {
    const uint32_t head = row / head_dim, i = row % head_dim, half = head_dim / 2;
    return head * head_dim + (i < half ? 2 * i : 2 * (i - half) + 1);
}

static bool is_wq_or_wk(const char *name) {
    return ends_with(name, ".wq") || ends_with(name, ".wk");
}

/* The blocks that fill the end of out [n] become the floats out [n]; each is read before the floats
 * that take its place are written. */
static void widen(float *out, size_t n, enum raw_type type) {
    const struct block_shape shape = block_shape(type);
    const size_t n_blocks = n / shape.values;
    const uint8_t *raw = (const uint8_t *)(out + n) - n_blocks * shape.bytes;
    for (size_t i = 0; i < n_blocks; i++) {
        uint8_t block[BLOCK_MAX_BYTES];
        memcpy(block, raw + i * shape.bytes, shape.bytes);
        block_read(type, block, out + i * shape.values);
    }
}

/* n_rows columns of the file's [cols][width] from column row on, as rows: out [n_rows][cols]. Each
 * is a few bytes of every row there, which stay in the page cache for the columns after them. */
static enum bise_status read_columns(const struct source *s, const struct raw_tensor *raw,
                                     uint32_t row, uint32_t n_rows, uint32_t cols, float *out,
                                     struct bise_error *err) {
    enum { AT_ONCE = 128 };
    const struct raw_file *file = &s->raw.files[raw->file];
    const size_t size = block_shape(raw->type).bytes; /* of a value */
    const uint64_t width = raw->shape[0];
    for (uint32_t first = 0; first < n_rows; first += AT_ONCE) {
        const uint32_t n = n_rows - first < AT_ONCE ? n_rows - first : AT_ONCE;
        for (uint32_t c = 0; c < cols; c++) {
            uint8_t values[AT_ONCE * sizeof(float)];
            const uint64_t at = raw->offset + (c * width + row + first) * size;
            const enum bise_status status =
                file_read_at(file->fd, file->path, at, values, n * size, err);
            if (status)
                return status;
            for (uint32_t r = 0; r < n; r++)
                block_read(raw->type, values + r * size, out + (size_t)(first + r) * cols + c);
        }
    }
    return BISE_OK;
}

/* n_rows rows of the file from row on, as they lie there. */
static enum bise_status read_rows(const struct source *s, const struct raw_tensor *raw,
                                  uint32_t row, uint32_t n_rows, uint32_t cols, float *out,
                                  struct bise_error *err) {
    const struct raw_file *file = &s->raw.files[raw->file];
    const struct block_shape shape = block_shape(raw->type);
    const size_t n = (size_t)n_rows * cols, row_bytes = (size_t)cols / shape.values * shape.bytes;
    const uint64_t at = raw->offset + (uint64_t)row * row_bytes;
    const size_t bytes = n_rows * row_bytes;
    uint8_t *into = (uint8_t *)(out + n) - bytes;
    const enum bise_status status = file_read_at(file->fd, file->path, at, into, bytes, err);
    if (status)
        return status;
    /* What has been read is not needed again: leave the page cache to others. */
    file_forget(file->fd, at, bytes);
    if (raw->type != RAW_F32)
        widen(out, n, raw->type);
    return BISE_OK;
}

/* Index of the first value that is infinite or not a number; n if there is none. */
static size_t first_not_finite(const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], sizeof u);
        if ((u & 0x7F800000) == 0x7F800000)
            return i;
    }
    return n;
}

enum bise_status source_read_rows(const struct source *s, size_t i, uint32_t row, uint32_t n,
                                  float *out, struct bise_error *err) {
    const struct source_tensor *t = &s->tensors[i];
    const struct raw_tensor *raw = s->model ? NULL : s->raws[i];
    const bool reorder = raw && naming_in_pairs(s->naming) && is_wq_or_wk(t->name);
    const size_t count = (size_t)n * t->cols;
    enum bise_status status = BISE_OK;
    if (row > t->rows || n > t->rows - row)
        return bise_fail(err, BISE_ERR_ARG, "tensor %s: rows %u to %u of %u", t->origin, row,
                         row + n, t->rows);
    if (!raw)
        status = bise_file_rows(s, i, row, n, out, err);
    else if (raw->transposed)
        status = read_columns(s, raw, row, n, t->cols, out, err);
    else if (!reorder)
        status = read_rows(s, raw, row, n, t->cols, out, err);
    for (uint32_t r = 0; r < n && reorder && !status; r++)
        status = read_rows(s, raw, file_row(row + r, s->config.head_dim), 1, t->cols,
                           out + (size_t)r * t->cols, err);
    if (status)
        return status;
    const size_t bad = first_not_finite(out, count);
    if (bad < count) {
        const uint32_t at = row + (uint32_t)(bad / t->cols);
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: tensor %s: expected finite weights, found %s at row %u, column %u",
                         raw ? s->raw.files[raw->file].path : s->description, t->origin,
                         isnan(out[bad]) ? "NaN" : "infinity",
                         reorder ? file_row(at, s->config.head_dim) : at,
                         (unsigned)(bad % t->cols));
    }
    return BISE_OK;
}
