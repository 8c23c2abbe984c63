#include "quant/source/gguf.h"

#include "quant/source/blocks.h"
#include "src/base/bytes.h"
#include "src/os/file.h"
#include <stdio.h>
#include <stdlib.h>

#define MIN_VALUE_BYTES   13u /* an empty key, a type, one byte */
#define MIN_TENSOR_BYTES  32u
#define MAX_NAME          128u
#define MAX_DIMS          4u
#define DEFAULT_ALIGNMENT 32u
#define MAX_ALIGNMENT     (1u << 20)

/* What a header may ask for, so that the memory it takes is in proportion to it: a model has some
 * hundred values and, with all experts, below 50,000 tensors. */
#define MAX_VALUES  65536u
#define MAX_TENSORS 100000u

/* The types by their numbers in the file; RAW_OTHER: known by name only. */
static const struct {
    const char *name;
    uint32_t number;
    enum raw_type type;
} types[] = {
    {"F32", 0, RAW_F32},         {"F16", 1, RAW_F16},         {"Q4_0", 2, RAW_Q4_0},
    {"Q4_1", 3, RAW_Q4_1},       {"Q5_0", 6, RAW_Q5_0},       {"Q5_1", 7, RAW_Q5_1},
    {"Q8_0", 8, RAW_Q8_0},       {"Q8_1", 9, RAW_OTHER},      {"Q2_K", 10, RAW_Q2_K},
    {"Q3_K", 11, RAW_Q3_K},      {"Q4_K", 12, RAW_Q4_K},      {"Q5_K", 13, RAW_Q5_K},
    {"Q6_K", 14, RAW_Q6_K},      {"Q8_K", 15, RAW_OTHER},     {"IQ2_XXS", 16, RAW_OTHER},
    {"IQ2_XS", 17, RAW_OTHER},   {"IQ3_XXS", 18, RAW_OTHER},  {"IQ1_S", 19, RAW_OTHER},
    {"IQ4_NL", 20, RAW_IQ4_NL},  {"IQ3_S", 21, RAW_OTHER},    {"IQ2_S", 22, RAW_OTHER},
    {"IQ4_XS", 23, RAW_IQ4_XS},  {"I8", 24, RAW_OTHER},       {"I16", 25, RAW_OTHER},
    {"I32", 26, RAW_OTHER},      {"I64", 27, RAW_OTHER},      {"F64", 28, RAW_OTHER},
    {"IQ1_M", 29, RAW_OTHER},    {"BF16", 30, RAW_BF16},      {"Q4_0_4_4", 31, RAW_OTHER},
    {"Q4_0_4_8", 32, RAW_OTHER}, {"Q4_0_8_8", 33, RAW_OTHER}, {"TQ1_0", 34, RAW_OTHER},
    {"TQ2_0", 35, RAW_OTHER},    {"MXFP4", 39, RAW_OTHER},    {"NVFP4", 40, RAW_OTHER},
};
#define N_TYPES (sizeof types / sizeof *types)

struct reader {
    const uint8_t *data;
    size_t len, at;
    const char *file;
    struct bise_error *err;
};

static enum bise_status fail(const struct reader *r, const char *what) {
    return bise_fail(r->err, BISE_ERR_FORMAT, "%s: GGUF, byte %zu: %s", r->file, r->at, what);
}

static enum bise_status take(struct reader *r, uint64_t n, const uint8_t **out) {
    *out = r->data + r->at;
    if (n > r->len - r->at)
        return fail(r, "cut short, or a header beyond 64 MB");
    r->at += (size_t)n;
    return BISE_OK;
}

static enum bise_status take_u32(struct reader *r, uint32_t *out) {
    const uint8_t *p;
    const enum bise_status s = take(r, 4, &p);
    *out = s ? 0 : get_u32(p);
    return s;
}

static enum bise_status take_u64(struct reader *r, uint64_t *out) {
    const uint8_t *p;
    const enum bise_status s = take(r, 8, &p);
    *out = s ? 0 : get_u64(p);
    return s;
}

static enum bise_status take_text(struct reader *r, struct gguf_text *out) {
    uint64_t len;
    const uint8_t *p = NULL;
    enum bise_status s = take_u64(r, &len);
    if (!s)
        s = take(r, len, &p);
    *out = (struct gguf_text){(const char *)p, s ? 0 : (size_t)len};
    return s;
}

/* Bytes of a number of a type; 0 for those without a fixed size. */
static size_t number_bytes(uint32_t type) {
    static const uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

static enum bise_status take_array(struct reader *r, struct gguf_value *v) {
    uint32_t item;
    enum bise_status s = take_u32(r, &item);
    if (!s)
        s = take_u64(r, &v->n);
    if (s)
        return s;
    if (item > GGUF_F64 || item == GGUF_ARRAY)
        return fail(r, "an array of a type that does not exist, or of arrays");
    v->item = (enum gguf_type)item;
    v->data = r->data + r->at;
    const size_t bytes = number_bytes(item);
    if (bytes) {
        const uint8_t *p;
        return v->n > r->len / bytes ? fail(r, "an array longer than the file")
                                     : take(r, v->n * bytes, &p);
    }
    for (uint64_t i = 0; i < v->n && !s; i++) { /* each takes 8 bytes at least, so this ends */
        struct gguf_text text;
        s = take_text(r, &text);
    }
    return s;
}

static enum bise_status take_value(struct reader *r, struct gguf_value *v) {
    uint32_t type;
    *v = (struct gguf_value){0};
    enum bise_status s = take_text(r, &v->key);
    if (!s)
        s = take_u32(r, &type);
    if (s)
        return s;
    if (type > GGUF_F64)
        return fail(r, "a value of a type that does not exist");
    v->type = (enum gguf_type)type;
    if (type == GGUF_STRING)
        return take_text(r, &v->text);
    return type == GGUF_ARRAY ? take_array(r, v) : take(r, number_bytes(type), &v->data);
}

/* One entry of the table; offset is still relative to the data. dims: [cols, rows, ...]. bytes:
 * check_entry's. */
struct entry {
    char name[MAX_NAME];
    uint64_t dims[MAX_DIMS], offset, bytes;
    unsigned n_dims;
    const char *dtype;
    enum raw_type type;
};

static enum bise_status take_entry(struct reader *r, struct entry *e) {
    struct gguf_text name;
    uint32_t number = 0;
    enum bise_status s = take_text(r, &name);
    if (s)
        return s;
    if (name.len == 0 || name.len >= sizeof e->name || memchr(name.data, 0, name.len))
        return fail(r, "a tensor's name: expected 1 to 127 bytes");
    memcpy(e->name, name.data, name.len);
    e->name[name.len] = 0;
    s = take_u32(r, &e->n_dims);
    if (!s && (e->n_dims == 0 || e->n_dims > MAX_DIMS))
        s = fail(r, "a tensor: expected 1 to 4 dimensions");
    for (unsigned i = 0; i < e->n_dims && !s; i++)
        s = take_u64(r, &e->dims[i]);
    if (!s)
        s = take_u32(r, &number);
    if (!s)
        s = take_u64(r, &e->offset);
    if (s)
        return s;
    const char *known = NULL;
    char number_text[24];
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].number == number) {
            e->dtype = known = types[i].name;
            e->type = types[i].type;
        }
    snprintf(number_text, sizeof number_text, "number %u", number);
    if (known && e->type != RAW_OTHER)
        return BISE_OK;
    return bise_fail(r->err, BISE_ERR_UNSUPPORTED,
                     "%s: tensor %s: type %s is not read (F32, F16, BF16, Q8_0, Q2_K to Q6_K, Q4_0 "
                     "to Q5_1, IQ4_NL and IQ4_XS are): take the model's Q8_0 or F16 file",
                     r->file, e->name, known ? known : number_text);
}

/* Fills bytes; its place against the file. */
static enum bise_status check_entry(const struct reader *r, struct entry *e, uint64_t data_size,
                                    uint64_t alignment) {
    const struct block_shape shape = block_shape(e->type);
    e->bytes = e->dims[0] / shape.values;
    bool ok = e->dims[0] % shape.values == 0 && e->dims[0] > 0 && e->offset % alignment == 0 &&
              !__builtin_mul_overflow(e->bytes, shape.bytes, &e->bytes);
    for (unsigned i = 1; i < e->n_dims && ok; i++)
        ok = e->dims[i] > 0 && !__builtin_mul_overflow(e->bytes, e->dims[i], &e->bytes);
    if (!ok)
        return bise_fail(r->err, BISE_ERR_FORMAT,
                         "%s: tensor %s: expected rows of whole blocks of %u, an aligned offset, "
                         "and a product that fits in 64 bits",
                         r->file, e->name, shape.values);
    if (e->offset > data_size || e->bytes > data_size - e->offset)
        return bise_fail(r->err, BISE_ERR_FORMAT,
                         "%s: tensor %s: %llu bytes at %llu lie outside the %llu bytes of data (is "
                         "the file truncated?)",
                         r->file, e->name, (unsigned long long)e->bytes,
                         (unsigned long long)e->offset, (unsigned long long)data_size);
    return BISE_OK;
}

/* Adds one tensor, or one for each expert of a stack blk.N.ffn_X_exps.weight. names [..] has room
 * for MAX_NAME bytes for each. */
static void add_entry(struct raw_set *set, unsigned file, const struct entry *e, uint64_t n_parts,
                      uint64_t data_start, char *names) {
    static const char stack[] = "_exps.weight";
    const size_t stem = strlen(e->name) - (n_parts > 1 ? strlen(stack) : 0);
    for (uint64_t i = 0; i < n_parts; i++) {
        char *name = names + i * MAX_NAME;
        if (n_parts > 1)
            snprintf(name, MAX_NAME, "%.*s.%u.weight", (int)stem, e->name, (unsigned)i);
        else
            memcpy(name, e->name, MAX_NAME);
        struct raw_tensor *t = &set->tensors[set->n_tensors++];
        *t = (struct raw_tensor){.name = name,
                                 .dtype = e->dtype,
                                 .type = e->type,
                                 .n_dims = n_parts > 1 ? 2 : e->n_dims,
                                 .file = file,
                                 .bytes = e->bytes / n_parts};
        t->offset = data_start + e->offset + i * t->bytes;
        t->shape[0] = e->n_dims > 1 ? e->dims[1] : e->dims[0];
        t->shape[1] = e->n_dims > 1 ? e->dims[0] : 0;
    }
}

static uint64_t parts_of(const struct entry *e) {
    const char *end = strstr(e->name, "_exps.weight");
    const bool stack = end && end[strlen("_exps.weight")] == 0 && e->n_dims == 3;
    return stack && e->dims[2] <= MAX_EXPERTS ? e->dims[2] : 1;
}

static enum bise_status take_tensors(struct reader *r, struct raw_set *set, unsigned file, size_t n,
                                     uint64_t alignment, uint64_t file_size, char **names) {
    enum bise_status s = BISE_OK;
    size_t n_parts = 0;
    struct entry *entries = calloc(n + 1, sizeof *entries);
    if (!entries)
        return bise_fail(r->err, BISE_ERR_MEMORY, "%s: no memory for %zu tensors", r->file, n);
    for (size_t i = 0; i < n && !s; i++) {
        s = take_entry(r, &entries[i]);
        n_parts += s ? 0 : (size_t)parts_of(&entries[i]);
        if (n_parts > MAX_TENSORS)
            s = fail(r, "more tensors than any model has");
    }
    const uint64_t start = (r->at + alignment - 1) / alignment * alignment;
    const uint64_t data_size = start < file_size ? file_size - start : 0;
    for (size_t i = 0; i < n && !s; i++)
        s = check_entry(r, &entries[i], data_size, alignment);
    if (!s)
        s = raw_reserve(set, n_parts, r->err);
    if (!s && !(*names = calloc(n_parts + 1, MAX_NAME)))
        s = bise_fail(r->err, BISE_ERR_MEMORY, "%s: no memory for %zu names", r->file, n_parts);
    char *name = *names;
    for (size_t i = 0; i < n && !s; i++) {
        const uint64_t parts = parts_of(&entries[i]);
        add_entry(set, file, &entries[i], parts, start, name);
        name += parts * MAX_NAME;
    }
    free(entries);
    return s;
}

static bool get_alignment(const struct gguf *g, uint64_t *out) {
    const struct gguf_value *v = gguf_find(g, "general.alignment");
    *out = v ? 0 : DEFAULT_ALIGNMENT;
    if (v && v->type == GGUF_U32)
        *out = get_u32(v->data);
    return *out > 0 && *out <= MAX_ALIGNMENT && (*out & (*out - 1)) == 0;
}

static int compare_keys(const struct gguf_text *a, const struct gguf_text *b) {
    const int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static int by_key(const void *a, const void *b) {
    return compare_keys(&((const struct gguf_value *)a)->key, &((const struct gguf_value *)b)->key);
}

/* By key; none is empty or comes twice. */
static enum bise_status sort_values(const struct reader *r, struct gguf *g) {
    if (g->n_values > 0)
        qsort(g->values, g->n_values, sizeof *g->values, by_key);
    for (size_t i = 0; i < g->n_values; i++) {
        const struct gguf_text *key = &g->values[i].key;
        if (key->len == 0)
            return fail(r, "a value without a key");
        if (i > 0 && by_key(&g->values[i - 1], &g->values[i]) == 0)
            return bise_fail(r->err, BISE_ERR_FORMAT, "%s: GGUF: the key %.*s comes twice", r->file,
                             key->len < 64 ? (int)key->len : 64, key->data);
    }
    return BISE_OK;
}

enum bise_status gguf_parse(struct gguf *g, struct raw_set *set, unsigned file, uint64_t file_size,
                            char **names, const char *name, struct bise_error *err) {
    struct reader r = {.data = g->bytes, .len = g->len, .file = name, .err = err};
    uint32_t magic, version = 0;
    uint64_t n_tensors = 0, n_values = 0, alignment;
    enum bise_status s = take_u32(&r, &magic);
    if (!s && magic != 0x46554747)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: expected a GGUF file", name);
    if (!s)
        s = take_u32(&r, &version);
    if (!s && version != 2 && version != 3)
        return bise_fail(err, BISE_ERR_UNSUPPORTED, "%s: expected GGUF version 2 or 3, found %u",
                         name, version);
    if (!s)
        s = take_u64(&r, &n_tensors);
    if (!s)
        s = take_u64(&r, &n_values);
    if (!s && (n_tensors > r.len / MIN_TENSOR_BYTES || n_values > r.len / MIN_VALUE_BYTES))
        s = fail(&r, "more tensors or values than the file has room for");
    if (!s && (n_tensors > MAX_TENSORS || n_values > MAX_VALUES))
        s = fail(&r, "more tensors or values than any model has");
    if (s)
        return s;
    g->values = calloc((size_t)n_values + 1, sizeof *g->values);
    if (!g->values)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %llu values", name,
                         (unsigned long long)n_values);
    while (g->n_values < n_values && !s) {
        s = take_value(&r, &g->values[g->n_values]);
        g->n_values += !s;
    }
    if (!s)
        s = sort_values(&r, g);
    if (!s && !get_alignment(g, &alignment))
        s = fail(&r, "general.alignment: expected a power of two up to 1 MB");
    return s ? s : take_tensors(&r, set, file, (size_t)n_tensors, alignment, file_size, names);
}

enum bise_status raw_add_gguf(struct raw_set *set, struct gguf *g, const char *path,
                              struct bise_error *err) {
    unsigned index = 0;
    enum bise_status s = raw_add_file(set, path, &index, err);
    if (s)
        return s;
    struct raw_file *f = &set->files[index];
    g->len = f->size < GGUF_MAX_HEADER ? (size_t)f->size : GGUF_MAX_HEADER;
    g->bytes = malloc(g->len + 1);
    if (!g->bytes)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its header", path);
    s = file_read_at(f->fd, path, 0, g->bytes, g->len, err);
    return s ? s : gguf_parse(g, set, index, f->size, &f->names, path, err);
}

void gguf_close(struct gguf *g) {
    free(g->values);
    free(g->bytes);
    *g = (struct gguf){0};
}

const struct gguf_value *gguf_find(const struct gguf *g, const char *key) {
    const struct gguf_value wanted = {.key = {key, strlen(key)}};
    return g->n_values ? bsearch(&wanted, g->values, g->n_values, sizeof *g->values, by_key) : NULL;
}

struct gguf_text gguf_next_string(const uint8_t **at) {
    const struct gguf_text text = {(const char *)*at + 8, (size_t)get_u64(*at)};
    *at += 8 + text.len;
    return text;
}
