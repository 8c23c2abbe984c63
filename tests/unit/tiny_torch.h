/* The small checkpoint as torch.save writes it: a zip archive with zip64 fields and a pickle. */
#ifndef BISE_TESTS_UNIT_TINY_TORCH_H
#define BISE_TESTS_UNIT_TINY_TORCH_H

#include "tests/unit/tiny_checkpoint.h"

struct tiny_bytes {
    uint8_t *at;
    size_t n;
};

static inline void tiny_add(struct tiny_bytes *b, const void *data, size_t n) {
    b->at = realloc(b->at, b->n + n + 1);
    if (!b->at)
        abort();
    if (data)
        memcpy(b->at + b->n, data, n);
    else
        memset(b->at + b->n, 0, n);
    b->n += n;
}

/* n may be more than eight: the rest is zero. */
static inline void tiny_u(struct tiny_bytes *b, uint64_t u, size_t n) {
    for (size_t i = 0; i < n; i++, u >>= 8)
        tiny_add(b, &(uint8_t){(uint8_t)u}, 1);
}

static inline void tiny_text(struct tiny_bytes *b, const char *s) {
    tiny_add(b, s, strlen(s));
}

/* One entry with its header before it; its directory header goes to central. Sizes and offset are
 * in zip64 fields, as large files have them. */
static inline void tiny_zip(struct tiny_bytes *zip, struct tiny_bytes *central, const char *name,
                            const void *data, size_t size) {
    const size_t at = zip->n, padding = 13;
    tiny_u(zip, 0x04034b50, 4);
    tiny_u(zip, 0, 22);
    tiny_u(zip, strlen(name), 2);
    tiny_u(zip, padding, 2);
    tiny_text(zip, name);
    tiny_add(zip, NULL, padding);
    tiny_add(zip, data, size);
    tiny_u(central, 0x02014b50, 4);
    tiny_u(central, 0, 16);
    tiny_u(central, UINT32_MAX, 4);
    tiny_u(central, UINT32_MAX, 4);
    tiny_u(central, strlen(name), 2);
    tiny_u(central, 28, 2);
    tiny_u(central, 0, 10);
    tiny_u(central, UINT32_MAX, 4);
    tiny_text(central, name);
    tiny_u(central, 1, 2);
    tiny_u(central, 24, 2);
    tiny_u(central, size, 8);
    tiny_u(central, size, 8);
    tiny_u(central, at, 8);
}

static inline void tiny_zip_end(struct tiny_bytes *zip, const struct tiny_bytes *central,
                                size_t n_entries) {
    const size_t directory = zip->n, end64 = directory + central->n;
    tiny_add(zip, central->at, central->n);
    tiny_u(zip, 0x06064b50, 4);
    tiny_u(zip, 44, 8);
    tiny_u(zip, 0, 12);
    tiny_u(zip, n_entries, 8);
    tiny_u(zip, n_entries, 8);
    tiny_u(zip, central->n, 8);
    tiny_u(zip, directory, 8);
    tiny_u(zip, 0x07064b50, 4);
    tiny_u(zip, 0, 4);
    tiny_u(zip, end64, 8);
    tiny_u(zip, 1, 4);
    tiny_u(zip, 0x06054b50, 4);
    tiny_u(zip, 0, 4);
    tiny_u(zip, UINT16_MAX, 2);
    tiny_u(zip, UINT16_MAX, 2);
    tiny_u(zip, UINT32_MAX, 4);
    tiny_u(zip, UINT32_MAX, 4);
    tiny_u(zip, 0, 2);
}

static inline void tiny_unicode(struct tiny_bytes *b, const char *s) {
    tiny_text(b, "X");
    tiny_u(b, strlen(s), 4);
    tiny_text(b, s);
}

static inline void tiny_int(struct tiny_bytes *b, uint64_t u) {
    tiny_text(b, "J");
    tiny_u(b, u, 4);
}

/* name: tensor of shape s, at `offset` of storage `key` of n_storage elements. */
static inline void tiny_pickle_tensor(struct tiny_bytes *b, const char *name, const char *dtype,
                                      const struct tensor_shape *s, const char *key, size_t offset,
                                      size_t n_storage) {
    tiny_unicode(b, name);
    tiny_text(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    tiny_unicode(b, "storage");
    tiny_text(b, dtype[0] == 'B'             ? "ctorch\nBFloat16Storage\n"
                 : strcmp(dtype, "F16") == 0 ? "ctorch\nHalfStorage\n"
                                             : "ctorch\nFloatStorage\n");
    tiny_unicode(b, key);
    tiny_unicode(b, "cpu");
    tiny_int(b, n_storage);
    tiny_text(b, "tQ");
    tiny_int(b, offset);
    if (!s->is_vector)
        tiny_int(b, s->rows);
    tiny_int(b, s->cols);
    tiny_text(b, s->is_vector ? "\x85" : "\x86");
    if (!s->is_vector)
        tiny_int(b, s->cols);
    tiny_text(b, s->is_vector ? "K\1\x85" : "K\1\x86");
    tiny_text(b, "\x89"
                 "ccollections\nOrderedDict\n)RtR");
}

/* Tensors go in pairs: two share a storage. */
static inline void tiny_write_torch(const struct tiny *t, const char *name) {
    struct tiny_bytes zip = {0}, central = {0}, pickle = {0};
    const struct model_config c = tiny_model(t);
    const size_t width = strcmp(t->dtype, "F32") == 0 ? 4 : 2;
    static uint8_t data[1 << 16];
    struct tensor_shape *shapes;
    size_t n, n_entries = 2;
    if (config_shapes(&c, &shapes, &n, NULL))
        abort();
    tiny_text(&pickle, "\x80\2}(");
    for (size_t i = 0; i < n; i += 2) {
        const size_t pair = n - i < 2 ? 1 : 2;
        char origin[2][256], key[32], path[64];
        size_t used[3] = {0};
        for (size_t j = 0; j < pair; j++) {
            origin_name(origin[j], sizeof origin[j], shapes[i + j].name, t->naming);
            used[j + 1] = used[j] + tiny_fill(data + used[j], t, &shapes[i + j], i + j, origin[j]);
        }
        snprintf(key, sizeof key, "%zu", i);
        for (size_t j = 0; j < pair; j++)
            tiny_pickle_tensor(&pickle, origin[j], t->dtype, &shapes[i + j], key, used[j] / width,
                               used[pair] / width);
        snprintf(path, sizeof path, "archive/data/%s", key);
        tiny_zip(&zip, &central, path, data, used[pair]);
        n_entries++;
    }
    tiny_text(&pickle, "u.");
    tiny_zip(&zip, &central, "archive/data.pkl", pickle.at, pickle.n);
    tiny_zip(&zip, &central, "archive/byteorder", "little", 6);
    tiny_zip_end(&zip, &central, n_entries);
    tiny_write_file(t->folder, name, zip.at, zip.n);
    free(zip.at);
    free(central.at);
    free(pickle.at);
    free(shapes);
}

/* The data of one tensor as the early Mixtral files have it: of an expert's matrix, those of all
 * experts, w2 transposed. Returns the length of tensor i and sets its shape in the file. */
static inline size_t tiny_fill_stacked(uint8_t *data, const struct tiny *t,
                                       const struct tensor_shape *shapes, size_t i,
                                       struct tensor_shape *whole) {
    const size_t width = strcmp(t->dtype, "F32") == 0 ? 4 : 2;
    const struct tensor_shape *s = &shapes[i];
    const bool expert = strstr(s->name, ".experts.") != NULL;
    const bool w2 = expert && strcmp(s->name + strlen(s->name) - 3, ".w2") == 0;
    *whole = *s;
    if (!expert)
        return tiny_fill(data, t, s, i, "");
    whole->rows = (w2 ? s->cols : s->rows) * t->experts;
    whole->cols = w2 ? s->rows : s->cols;
    uint8_t *at = data;
    for (uint32_t e = 0; e < t->experts; e++) /* w1, w2, w3 of each follow each other */
        for (uint32_t r = 0; r < (w2 ? s->cols : s->rows); r++)
            for (uint32_t c = 0; c < whole->cols; c++, at += width)
                tiny_put(at, w2 ? tiny_value(i + 3 * e, c, r) : tiny_value(i + 3 * e, r, c),
                         t->dtype);
    return (size_t)(at - data);
}

/* Whether tensor `name` goes to file number `file` of two: layer 1, and the others. */
static inline bool tiny_in_file(const char *name, int file) {
    return (strncmp(name, "layers.1.", 9) == 0) == (file == 1);
}

/* consolidated.00.pt and consolidated.01.pt, t->naming NAMING_STACKED. */
static inline void tiny_write_stacked(const struct tiny *t) {
    const struct model_config c = tiny_model(t);
    const size_t width = strcmp(t->dtype, "F32") == 0 ? 4 : 2;
    static uint8_t data[1 << 16];
    struct tensor_shape *shapes, whole;
    size_t n;
    if (config_shapes(&c, &shapes, &n, NULL))
        abort();
    for (int file = 0; file < 2; file++) {
        struct tiny_bytes zip = {0}, central = {0}, pickle = {0};
        size_t n_entries = 2;
        char origin[256], key[32], path[64];
        tiny_text(&pickle, "\x80\2}(");
        for (size_t i = 0; i < n; i++) {
            const char *expert = strstr(shapes[i].name, ".experts.");
            if (!tiny_in_file(shapes[i].name, file) || (expert && expert[9] != '0'))
                continue;
            origin_name(origin, sizeof origin, shapes[i].name, NAMING_STACKED);
            if (t->missing && strcmp(origin, t->missing) == 0)
                continue;
            const size_t len = tiny_fill_stacked(data, t, shapes, i, &whole);
            snprintf(key, sizeof key, "%zu", i);
            snprintf(path, sizeof path, "archive/data/%s", key);
            tiny_pickle_tensor(&pickle, origin, t->dtype, &whole, key, 0, len / width);
            tiny_zip(&zip, &central, path, data, len);
            n_entries++;
        }
        tiny_text(&pickle, "u.");
        tiny_zip(&zip, &central, "archive/data.pkl", pickle.at, pickle.n);
        tiny_zip(&zip, &central, "archive/byteorder", "little", 6);
        tiny_zip_end(&zip, &central, n_entries);
        tiny_write_file(t->folder, file ? "consolidated.01.pt" : "consolidated.00.pt", zip.at,
                        zip.n);
        free(zip.at);
        free(central.at);
        free(pickle.at);
    }
    free(shapes);
}

#endif
