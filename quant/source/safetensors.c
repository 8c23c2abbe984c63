#include "quant/source/safetensors.h"

#include "src/base/bytes.h"
#include "src/os/file.h"
#include "src/os/mem.h"
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned bytes;
    enum raw_type type;
} dtypes[] = {
    {"F32", 4, RAW_F32},       {"F16", 2, RAW_F16},       {"BF16", 2, RAW_BF16},
    {"BOOL", 1, RAW_OTHER},    {"U8", 1, RAW_OTHER},      {"I8", 1, RAW_OTHER},
    {"F8_E8M0", 1, RAW_OTHER}, {"F8_E5M2", 1, RAW_OTHER}, {"F8_E4M3", 1, RAW_OTHER},
    {"U16", 2, RAW_OTHER},     {"I16", 2, RAW_OTHER},     {"U32", 4, RAW_OTHER},
    {"I32", 4, RAW_OTHER},     {"U64", 8, RAW_OTHER},     {"I64", 8, RAW_OTHER},
    {"F64", 8, RAW_OTHER},
};
#define N_DTYPES (sizeof dtypes / sizeof *dtypes)

enum bise_status safetensors_header_length(const uint8_t first[8], uint64_t file_size,
                                           const char *name, size_t *len, struct bise_error *err) {
    const uint64_t n = get_u64(first);
    if (n > file_size - 8)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: expected a safetensors header within the file, found a header of "
                         "%llu bytes in a file of %llu",
                         name, (unsigned long long)n, (unsigned long long)file_size);
    if (n > SAFETENSORS_MAX_HEADER)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: expected a safetensors header of at most %u bytes, found %llu", name,
                         SAFETENSORS_MAX_HEADER, (unsigned long long)n);
    *len = (size_t)n;
    return BISE_OK;
}

/* A number >= 0. */
static bool get_count(const struct json_value *v, uint64_t *out) {
    if (!v || v->kind != JSON_NUMBER || !v->is_integer || v->integer < 0)
        return false;
    *out = (uint64_t)v->integer;
    return true;
}

static enum bise_status read_dtype(struct raw_tensor *t, const struct json_value *v,
                                   const char *file, unsigned *bytes, struct bise_error *err) {
    if (!v || v->kind != JSON_STRING)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: tensor %s: expected a dtype, found %s", file,
                         t->name, json_describe(v));
    for (size_t i = 0; i < N_DTYPES; i++)
        if (json_is(v, dtypes[i].name)) {
            t->dtype = dtypes[i].name;
            t->type = dtypes[i].type;
            *bytes = dtypes[i].bytes;
            return BISE_OK;
        }
    return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s: tensor %s: unknown dtype \"%.32s\"", file,
                     t->name, v->string);
}

/* The dimensions; *bytes, of one element, becomes those of the whole tensor. */
static enum bise_status read_shape(struct raw_tensor *t, const struct json_value *v,
                                   const char *file, uint64_t *bytes, struct bise_error *err) {
    if (!v || v->kind != JSON_ARRAY)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: tensor %s: expected a shape, found %s", file,
                         t->name, json_describe(v));
    for (const struct json_value *d = json_first(v); d; d = json_next(v, d)) {
        uint64_t size;
        if (!get_count(d, &size))
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: tensor %s: expected whole numbers as its shape, found %s", file,
                             t->name, json_describe(d));
        if (__builtin_mul_overflow(*bytes, size, bytes))
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: tensor %s: the product of its shape overflows", file, t->name);
        if (t->n_dims < 3)
            t->shape[t->n_dims] = size;
        t->n_dims++;
    }
    return BISE_OK;
}

/* data_offsets against the file and against the size that shape and dtype give. */
static enum bise_status read_offsets(struct raw_tensor *t, const struct json_value *v,
                                     const char *file, uint64_t data_start, uint64_t data_size,
                                     struct bise_error *err) {
    const struct json_value *first = json_first(v);
    uint64_t begin, end;
    if (!v || v->kind != JSON_ARRAY || v->len != 2 || !get_count(first, &begin) ||
        !get_count(json_next(v, first), &end))
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: tensor %s: expected data_offsets of two whole numbers", file,
                         t->name);
    if (begin > end || end > data_size)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: tensor %s: offsets %llu to %llu lie outside the %llu bytes of data "
                         "(is the file truncated?)",
                         file, t->name, (unsigned long long)begin, (unsigned long long)end,
                         (unsigned long long)data_size);
    if (end - begin != t->bytes)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: tensor %s: its shape and dtype %s take %llu bytes, its offsets %llu",
                         file, t->name, t->dtype, (unsigned long long)t->bytes,
                         (unsigned long long)(end - begin));
    t->offset = data_start + begin;
    return BISE_OK;
}

static enum bise_status read_tensor(struct raw_tensor *t, const struct json_value *v,
                                    const char *file, uint64_t data_start, uint64_t data_size,
                                    struct bise_error *err) {
    unsigned element = 0;
    if (v->kind != JSON_OBJECT)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: tensor %s: expected an object, found %s", file,
                         t->name, json_describe(v));
    enum bise_status s = read_dtype(t, json_get(v, "dtype"), file, &element, err);
    t->bytes = element;
    if (!s)
        s = read_shape(t, json_get(v, "shape"), file, &t->bytes, err);
    if (!s)
        s = read_offsets(t, json_get(v, "data_offsets"), file, data_start, data_size, err);
    return s;
}

static int by_offset(const void *a, const void *b) {
    const struct raw_tensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* Tensors must follow each other without overlap or gap and fill the file. */
static enum bise_status check_cover(struct raw_tensor *t, size_t n, uint64_t at, uint64_t file_size,
                                    const char *file, struct bise_error *err) {
    if (n > 0)
        qsort(t, n, sizeof *t, by_offset);
    for (size_t i = 0; i < n; i++) {
        if (t[i].offset < at)
            return bise_fail(err, BISE_ERR_FORMAT, "%s: tensors %s and %s overlap", file,
                             t[i - 1].name, t[i].name);
        if (t[i].offset > at)
            return bise_fail(err, BISE_ERR_FORMAT,
                             "%s: %llu bytes before tensor %s belong to no tensor", file,
                             (unsigned long long)(t[i].offset - at), t[i].name);
        at += t[i].bytes;
    }
    if (at != file_size)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: expected a file of %llu bytes, found %llu",
                         file, (unsigned long long)at, (unsigned long long)file_size);
    return BISE_OK;
}

enum bise_status safetensors_add(struct raw_set *set, unsigned file, const struct json *header,
                                 size_t header_len, uint64_t file_size, const char *name,
                                 struct bise_error *err) {
    const struct json_value *root = json_root(header);
    const uint64_t start = 8 + (uint64_t)header_len;
    if (root->kind != JSON_OBJECT)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: header: expected an object, found %s", name,
                         json_describe(root));
    enum bise_status s = raw_reserve(set, root->len, err);
    if (s)
        return s;
    const size_t first = set->n_tensors;
    for (const struct json_value *v = json_first(root); v; v = json_next(root, v)) {
        if (strcmp(v->key, "__metadata__") == 0)
            continue;
        struct raw_tensor *t = &set->tensors[set->n_tensors];
        *t = (struct raw_tensor){.name = v->key, .file = file};
        s = read_tensor(t, v, name, start, file_size - start, err);
        if (s)
            return s;
        set->n_tensors++;
    }
    return check_cover(set->tensors + first, set->n_tensors - first, start, file_size, name, err);
}

enum bise_status raw_add_safetensors(struct raw_set *set, const char *path,
                                     struct bise_error *err) {
    unsigned index = 0;
    uint8_t first[8];
    char *text = NULL;
    struct json *header = NULL;
    size_t len = 0;
    enum bise_status s = raw_add_file(set, path, &index, err);
    if (s)
        return s;
    struct raw_file *f = &set->files[index];
    if (f->size < 8)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: expected a safetensors file, found one of %llu bytes", path,
                         (unsigned long long)f->size);
    s = file_read_at(f->fd, path, 0, first, sizeof first, err);
    if (!s)
        s = safetensors_header_length(first, f->size, path, &len, err);
    if (s)
        return s;
    text = malloc(len + 1);
    if (!text)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for a header of %zu bytes", path,
                         len);
    s = file_read_at(f->fd, path, 8, text, len, err);
    if (!s)
        s = json_parse(&header, text, len, path, err);
    free(text);
    f->header = header; /* closed with the set */
    return s ? s : safetensors_add(set, index, header, len, f->size, path, err);
}
