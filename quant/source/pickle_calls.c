/* The only names a pickle may use, and what they rebuild. */
#include "quant/source/pickle_impl.h"

#include <string.h>

enum callee { CALL_ORDERED_DICT, CALL_TENSOR, CALL_PARAMETER, CALL_STORAGE };

static const struct {
    const char *module, *name;
    enum callee callee;
    enum raw_type type; /* of storages */
    unsigned element;
} globals[] = {
    {"collections", "OrderedDict", CALL_ORDERED_DICT, RAW_OTHER, 0},
    {"torch._utils", "_rebuild_tensor_v2", CALL_TENSOR, RAW_OTHER, 0},
    {"torch._utils", "_rebuild_parameter", CALL_PARAMETER, RAW_OTHER, 0},
    {"torch", "FloatStorage", CALL_STORAGE, RAW_F32, 4},
    {"torch", "HalfStorage", CALL_STORAGE, RAW_F16, 2},
    {"torch", "BFloat16Storage", CALL_STORAGE, RAW_BF16, 2},
    {"torch", "DoubleStorage", CALL_STORAGE, RAW_OTHER, 8},
    {"torch", "LongStorage", CALL_STORAGE, RAW_OTHER, 8},
    {"torch", "IntStorage", CALL_STORAGE, RAW_OTHER, 4},
    {"torch", "ShortStorage", CALL_STORAGE, RAW_OTHER, 2},
    {"torch", "CharStorage", CALL_STORAGE, RAW_OTHER, 1},
    {"torch", "ByteStorage", CALL_STORAGE, RAW_OTHER, 1},
    {"torch", "BoolStorage", CALL_STORAGE, RAW_OTHER, 1},
};
#define N_GLOBALS (sizeof globals / sizeof *globals)

static bool text_is(struct pickle_text t, const char *s) {
    return t.len == strlen(s) && memcmp(t.data, s, t.len) == 0;
}

/* For messages: at most 64 bytes. */
static int shown(struct pickle_text t) {
    return t.len < 64 ? (int)t.len : 64;
}

enum bise_status machine_global(struct machine *m, struct pickle_text module,
                                struct pickle_text name, struct value *out) {
    for (size_t i = 0; i < N_GLOBALS; i++)
        if (text_is(module, globals[i].module) && text_is(name, globals[i].name)) {
            *out = (struct value){.kind = VALUE_GLOBAL, .index = i};
            return BISE_OK;
        }
    return machine_fail(m, BISE_ERR_UNSUPPORTED,
                        "asks for %.*s.%.*s: only tensors are read, nothing is run", shown(module),
                        module.data, shown(name), name.data);
}

static bool is_global(const struct value *v, enum callee callee) {
    return v->kind == VALUE_GLOBAL && globals[v->index].callee == callee;
}

/* Item i of a tuple; NULL beyond its end. */
static const struct value *item(const struct machine *m, const struct value *tuple, size_t i) {
    return tuple->kind == VALUE_TUPLE && i < tuple->tuple.n ? &m->items.at[tuple->tuple.first + i]
                                                            : NULL;
}

static bool get_count(const struct value *v, uint64_t *out) {
    if (!v || v->kind != VALUE_INT || v->integer < 0)
        return false;
    *out = (uint64_t)v->integer;
    return true;
}

static enum bise_status add_tensor(struct machine *m, struct tensors *list, enum value_kind kind,
                                   const struct pickle_tensor *t, struct value *out) {
    const enum bise_status s = machine_grow(m, &list->at, list->n, &list->cap, sizeof *list->at);
    if (s)
        return s;
    *out = (struct value){.kind = kind, .index = list->n};
    list->at[list->n++] = *t;
    return BISE_OK;
}

enum bise_status machine_persistent(struct machine *m, const struct value *id, struct value *out) {
    const struct value *tag = item(m, id, 0), *type = item(m, id, 1), *key = item(m, id, 2);
    uint64_t n;
    if (!tag || tag->kind != VALUE_TEXT || !text_is(tag->text, "storage") || !type ||
        !is_global(type, CALL_STORAGE) || !key || key->kind != VALUE_TEXT || key->text.len == 0 ||
        !get_count(item(m, id, 4), &n) || id->tuple.n != 5)
        return machine_fail(m, BISE_ERR_FORMAT,
                            "expected a persistent id (\"storage\", type, key, device, count)");
    const struct pickle_tensor t = {.storage = key->text,
                                    .dtype = globals[type->index].name,
                                    .type = globals[type->index].type,
                                    .element = globals[type->index].element,
                                    .storage_elements = n};
    return add_tensor(m, &m->storages, VALUE_STORAGE, &t, out);
}

/* Reads sizes and checks that strides are those of contiguous rows. */
static enum bise_status read_sizes(struct machine *m, const struct value *sizes,
                                   const struct value *strides, struct pickle_tensor *t) {
    uint64_t size, stride, expected = 1;
    if (!sizes || !strides || sizes->kind != VALUE_TUPLE || strides->kind != VALUE_TUPLE ||
        sizes->tuple.n != strides->tuple.n || sizes->tuple.n > UINT16_MAX)
        return machine_fail(m, BISE_ERR_FORMAT,
                            "a tensor: expected sizes and strides, one for each dimension");
    t->n_dims = (unsigned)sizes->tuple.n;
    for (size_t i = t->n_dims; i-- > 0;) {
        if (!get_count(item(m, sizes, i), &size) || !get_count(item(m, strides, i), &stride))
            return machine_fail(m, BISE_ERR_FORMAT,
                                "a tensor: expected whole numbers as sizes and strides");
        if (size != 1 && stride != expected)
            return machine_fail(m, BISE_ERR_UNSUPPORTED,
                                "a tensor that is not contiguous: dimension %zu of %u: expected a "
                                "stride of %llu, found %llu",
                                i, t->n_dims, (unsigned long long)expected,
                                (unsigned long long)stride);
        if (__builtin_mul_overflow(expected, size, &expected))
            return machine_fail(m, BISE_ERR_FORMAT, "a tensor: the product of its shape overflows");
        if (i < 2)
            t->shape[i] = size;
    }
    t->n_elements = expected;
    return BISE_OK;
}

/* (storage, offset, sizes, strides, requires_grad, hooks[, metadata]) */
static enum bise_status rebuild_tensor(struct machine *m, const struct value *args,
                                       struct value *out) {
    const struct value *storage = item(m, args, 0);
    uint64_t offset;
    if (!storage || storage->kind != VALUE_STORAGE || !get_count(item(m, args, 1), &offset) ||
        args->tuple.n < 6 || args->tuple.n > 7)
        return machine_fail(m, BISE_ERR_FORMAT,
                            "_rebuild_tensor_v2: expected a storage, an offset, sizes, strides and "
                            "2 or 3 more arguments");
    struct pickle_tensor t = m->storages.at[storage->index];
    const enum bise_status s = read_sizes(m, item(m, args, 2), item(m, args, 3), &t);
    if (s)
        return s;
    if (offset > t.storage_elements || t.n_elements > t.storage_elements - offset)
        return machine_fail(m, BISE_ERR_FORMAT,
                            "a tensor of %llu elements at %llu lies outside its storage of %llu",
                            (unsigned long long)t.n_elements, (unsigned long long)offset,
                            (unsigned long long)t.storage_elements);
    t.offset = offset;
    return add_tensor(m, &m->tensors, VALUE_TENSOR, &t, out);
}

enum bise_status machine_call(struct machine *m, const struct value *callee,
                              const struct value *args, struct value *out) {
    if (callee->kind != VALUE_GLOBAL || args->kind != VALUE_TUPLE)
        return machine_fail(m, BISE_ERR_FORMAT, "calls %s with %s", value_describe(callee),
                            value_describe(args));
    const struct value *first = item(m, args, 0);
    switch (globals[callee->index].callee) {
    case CALL_ORDERED_DICT:
        if (args->tuple.n != 0)
            break;
        *out = (struct value){.kind = VALUE_DICT, .index = m->n_dicts++};
        return BISE_OK;
    case CALL_TENSOR:
        return rebuild_tensor(m, args, out);
    case CALL_PARAMETER: /* (tensor, requires_grad, hooks) */
        if (args->tuple.n != 3 || first->kind != VALUE_TENSOR)
            break;
        *out = *first;
        return BISE_OK;
    case CALL_STORAGE: /* named in persistent ids, never called */
        break;
    }
    return machine_fail(m, BISE_ERR_UNSUPPORTED, "calls %s with %zu other arguments",
                        globals[callee->index].name, args->tuple.n);
}
