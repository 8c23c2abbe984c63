#include "quant/source/pickle.h"

#include "src/base/array.h"
#include "src/base/bytes.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* So that memory and time are in proportion to the pickle; 7B's lists have some thousand
 * entries. */
#define MAX_LIST_BYTES ((size_t)16 << 20)
#define MAX_NAME       255u /* bytes of a tensor's name */
#define MAX_DIMS       64u

enum value_kind {
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT, /* its number is not kept */
    VALUE_TEXT,
    VALUE_TUPLE,
    VALUE_LIST, /* its items are not kept */
    VALUE_DICT,
    VALUE_GLOBAL,
    VALUE_STORAGE,
    VALUE_TENSOR,
    VALUE_MARK
};

struct value {
    enum value_kind kind;
    union {
        int64_t integer; /* INT, BOOL */
        struct pickle_text text;
        struct {
            size_t first, n; /* TUPLE: in machine.items */
        } tuple;
        size_t index; /* GLOBAL: of the table; STORAGE, TENSOR: in their lists; DICT: its number */
    };
};

/* A list that grows; items of one size. */
struct values {
    struct value *at;
    size_t n, cap;
};
struct tensors {
    struct pickle_tensor *at;
    size_t n, cap;
};

struct machine {
    const uint8_t *data;
    size_t len, at, opcode_at;
    const char *file;
    struct bise_error *err;
    struct values stack, items, memo; /* items: of all tuples */
    struct tensors storages;          /* only the fields of storages are set */
    struct tensors tensors;
    struct tensors entries; /* tensors put into dictionaries: dicts[i] is the number of the one */
    size_t *dicts, cap_dicts, n_dicts;
};

enum opcode {
    OP_MARK = '(',
    OP_STOP = '.',
    OP_BINFLOAT = 'G',
    OP_BININT = 'J',
    OP_BININT1 = 'K',
    OP_BININT2 = 'M',
    OP_NONE = 'N',
    OP_BINPERSID = 'Q',
    OP_REDUCE = 'R',
    OP_BINUNICODE = 'X',
    OP_EMPTY_LIST = ']',
    OP_APPEND = 'a',
    OP_BUILD = 'b',
    OP_GLOBAL = 'c',
    OP_APPENDS = 'e',
    OP_BINGET = 'h',
    OP_LONG_BINGET = 'j',
    OP_BINPUT = 'q',
    OP_LONG_BINPUT = 'r',
    OP_SETITEM = 's',
    OP_TUPLE = 't',
    OP_SETITEMS = 'u',
    OP_EMPTY_DICT = '}',
    OP_EMPTY_TUPLE = ')',
    OP_PROTO = 0x80,
    OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86,
    OP_TUPLE3 = 0x87,
    OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89,
    OP_LONG1 = 0x8a,
    OP_SHORT_BINUNICODE = 0x8c,
    OP_STACK_GLOBAL = 0x93,
    OP_MEMOIZE = 0x94,
    OP_FRAME = 0x95
};

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static enum bise_status
machine_fail(struct machine *m, enum bise_status status, const char *fmt, ...) {
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return bise_fail(m->err, status, "%s: pickle, byte %zu: %s", m->file, m->opcode_at, what);
}

#ifdef __clang_analyzer__ /* as in error.h */
#define machine_fail(m, status, ...) (machine_fail(m, status, __VA_ARGS__), (status))
#endif

/* Room for one more in a list of items of size bytes. Errors: MEMORY. */
static enum bise_status machine_grow(struct machine *m, void *at, size_t n, size_t *cap,
                                     size_t size) {
    if (n == *cap && 2 * n * size > MAX_LIST_BYTES)
        return machine_fail(m, BISE_ERR_FORMAT, "more than %zu values at once: no model's", n);
    return array_grow(at, cap, n + 1, size)
               ? BISE_OK
               : machine_fail(m, BISE_ERR_MEMORY, "no memory for %zu values", n + 1);
}

/* "an integer" ... */
static const char *value_describe(const struct value *v) {
    static const char *const names[] = {
        [VALUE_NONE] = "None",         [VALUE_BOOL] = "a bool",       [VALUE_INT] = "an integer",
        [VALUE_FLOAT] = "a float",     [VALUE_TEXT] = "a string",     [VALUE_TUPLE] = "a tuple",
        [VALUE_LIST] = "a list",       [VALUE_DICT] = "a dictionary", [VALUE_GLOBAL] = "a name",
        [VALUE_STORAGE] = "a storage", [VALUE_TENSOR] = "a tensor",   [VALUE_MARK] = "a mark"};
    return names[v->kind];
}

static enum bise_status append(struct machine *m, struct values *list, struct value v) {
    const enum bise_status s = machine_grow(m, &list->at, list->n, &list->cap, sizeof v);
    if (!s)
        list->at[list->n++] = v;
    return s;
}

static enum bise_status push(struct machine *m, struct value v) {
    return append(m, &m->stack, v);
}

static enum bise_status push_int(struct machine *m, enum value_kind kind, int64_t integer) {
    return push(m, (struct value){.kind = kind, .integer = integer});
}

/* The top n values, none of them a mark. */
static enum bise_status pop(struct machine *m, size_t n, const struct value **out) {
    if (m->stack.n < n)
        return machine_fail(m, BISE_ERR_FORMAT, "takes more than was put");
    m->stack.n -= n;
    *out = m->stack.at + m->stack.n;
    for (size_t i = 0; i < n; i++)
        if ((*out)[i].kind == VALUE_MARK)
            return machine_fail(m, BISE_ERR_FORMAT, "a mark where a value is expected");
    return BISE_OK;
}

/* The values above the topmost mark; takes the mark too. */
static enum bise_status pop_mark(struct machine *m, const struct value **out, size_t *n) {
    size_t at = m->stack.n;
    while (at > 0 && m->stack.at[at - 1].kind != VALUE_MARK)
        at--;
    if (at == 0)
        return machine_fail(m, BISE_ERR_FORMAT, "no mark");
    *out = m->stack.at + at;
    *n = m->stack.n - at;
    m->stack.n = at - 1;
    return BISE_OK;
}

static enum bise_status take(struct machine *m, size_t n, const uint8_t **out) {
    if (n > m->len - m->at)
        return machine_fail(m, BISE_ERR_FORMAT, "cut short");
    *out = m->data + m->at;
    m->at += n;
    return BISE_OK;
}

/* An argument of n <= 8 bytes, little-endian. */
static enum bise_status take_number(struct machine *m, size_t n, uint64_t *out) {
    const uint8_t *p = NULL;
    const enum bise_status s = take(m, n, &p);
    *out = 0;
    for (size_t i = 0; i < n && !s; i++)
        *out |= (uint64_t)p[i] << (8 * i);
    return s;
}

/* Sign-extends the lowest n bytes, 1..8. */
static int64_t extend(uint64_t u, size_t n) {
    const uint64_t sign = (uint64_t)1 << (8 * n - 1);
    return (int64_t)((u ^ sign) - sign);
}

static enum bise_status push_text(struct machine *m, size_t length_bytes) {
    uint64_t len = 0;
    const uint8_t *p = NULL;
    enum bise_status s = take_number(m, length_bytes, &len);
    if (!s)
        s = take(m, (size_t)len, &p);
    if (s)
        return s;
    if (memchr(p, 0, (size_t)len))
        return machine_fail(m, BISE_ERR_FORMAT, "a string with a NUL in it");
    return push(m, (struct value){.kind = VALUE_TEXT, .text = {(const char *)p, (size_t)len}});
}

/* The rest of a line, without its end. */
static enum bise_status take_line(struct machine *m, struct pickle_text *out) {
    const char *start = (const char *)m->data + m->at;
    const char *end = memchr(start, '\n', m->len - m->at);
    if (!end)
        return machine_fail(m, BISE_ERR_FORMAT, "cut short");
    *out = (struct pickle_text){start, (size_t)(end - start)};
    m->at += out->len + 1;
    return BISE_OK;
}

/* ---- the only names a pickle may use, and what they rebuild ---- */

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

static enum bise_status machine_global(struct machine *m, struct pickle_text module,
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

static enum bise_status machine_persistent(struct machine *m, const struct value *id,
                                           struct value *out) {
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
        sizes->tuple.n != strides->tuple.n || sizes->tuple.n > MAX_DIMS)
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
        if (i < 3)
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

static enum bise_status machine_call(struct machine *m, const struct value *callee,
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

/* ---- opcodes ---- */

static enum bise_status push_global(struct machine *m, bool from_stack) {
    struct pickle_text module = {0}, name = {0};
    struct value global = {0};
    enum bise_status s;
    if (from_stack) {
        const struct value *v = NULL;
        s = pop(m, 2, &v);
        if (!s && (v[0].kind != VALUE_TEXT || v[1].kind != VALUE_TEXT))
            s = machine_fail(m, BISE_ERR_FORMAT, "expected a name, found %s and %s",
                             value_describe(&v[0]), value_describe(&v[1]));
        if (s)
            return s;
        module = v[0].text;
        name = v[1].text;
    } else {
        s = take_line(m, &module);
        if (!s)
            s = take_line(m, &name);
        if (s)
            return s;
    }
    s = machine_global(m, module, name, &global);
    return s ? s : push(m, global);
}

/* Moves n values of the stack into a tuple. */
static enum bise_status push_tuple(struct machine *m, const struct value *v, size_t n) {
    const size_t first = m->items.n;
    for (size_t i = 0; i < n; i++) {
        const enum bise_status s = append(m, &m->items, v[i]);
        if (s)
            return s;
    }
    return push(m, (struct value){.kind = VALUE_TUPLE, .tuple = {first, n}});
}

static enum bise_status push_marked_tuple(struct machine *m) {
    const struct value *v = NULL;
    size_t n;
    const enum bise_status s = pop_mark(m, &v, &n);
    return s ? s : push_tuple(m, v, n);
}

static enum bise_status push_small_tuple(struct machine *m, size_t n) {
    const struct value *v = NULL;
    const enum bise_status s = pop(m, n, &v);
    return s ? s : push_tuple(m, v, n);
}

/* Notes the tensors among n values, keys and values in turn, as entries of the dictionary on top of
 * the stack. */
static enum bise_status set_items(struct machine *m, const struct value *v, size_t n) {
    const struct value *dict = m->stack.n ? &m->stack.at[m->stack.n - 1] : NULL;
    if (!dict || dict->kind != VALUE_DICT || n % 2 != 0)
        return machine_fail(m, BISE_ERR_FORMAT, "expected a dictionary, its keys and values");
    for (size_t i = 0; i < n; i += 2) {
        if (v[i + 1].kind != VALUE_TENSOR)
            continue;
        if (v[i].kind != VALUE_TEXT || v[i].text.len == 0)
            return machine_fail(m, BISE_ERR_FORMAT, "a tensor's name: expected a string, found %s",
                                value_describe(&v[i]));
        if (v[i].text.len > MAX_NAME)
            return machine_fail(m, BISE_ERR_FORMAT, "a tensor's name of %zu bytes", v[i].text.len);
        enum bise_status s =
            machine_grow(m, &m->entries.at, m->entries.n, &m->entries.cap, sizeof *m->entries.at);
        if (!s)
            s = machine_grow(m, &m->dicts, m->entries.n, &m->cap_dicts, sizeof *m->dicts);
        if (s)
            return s;
        m->entries.at[m->entries.n] = m->tensors.at[v[i + 1].index];
        m->entries.at[m->entries.n].name = v[i].text;
        m->dicts[m->entries.n++] = dict->index;
    }
    return BISE_OK;
}

/* Adds to the list or dictionary below the mark, or below n values without one. */
static enum bise_status add_to(struct machine *m, enum value_kind kind, bool marked, size_t n) {
    const struct value *v = NULL;
    const enum bise_status s = marked ? pop_mark(m, &v, &n) : pop(m, n, &v);
    if (s)
        return s;
    if (kind == VALUE_DICT)
        return set_items(m, v, n);
    if (m->stack.n == 0 || m->stack.at[m->stack.n - 1].kind != kind)
        return machine_fail(m, BISE_ERR_FORMAT, "expected a list to append to");
    return BISE_OK;
}

/* An object's attributes: only a dictionary's, which are not needed. */
static enum bise_status build(struct machine *m) {
    const struct value *v = NULL;
    const enum bise_status s = pop(m, 2, &v);
    if (s)
        return s;
    m->stack.n++;
    if (v[0].kind == VALUE_DICT)
        return BISE_OK;
    return machine_fail(m, BISE_ERR_UNSUPPORTED, "sets attributes of %s", value_describe(&v[0]));
}

static enum bise_status reduce(struct machine *m) {
    const struct value *v = NULL;
    struct value result = {0};
    enum bise_status s = pop(m, 2, &v);
    if (!s)
        s = machine_call(m, &v[0], &v[1], &result);
    return s ? s : push(m, result);
}

static enum bise_status push_persistent(struct machine *m) {
    const struct value *v = NULL;
    struct value storage = {0};
    enum bise_status s = pop(m, 1, &v);
    if (!s)
        s = machine_persistent(m, v, &storage);
    return s ? s : push(m, storage);
}

/* Slots of the memo are put in any order, but each takes at least two bytes of the pickle. */
static enum bise_status put_memo(struct machine *m, uint64_t slot) {
    const struct value *v = NULL;
    enum bise_status s = pop(m, 1, &v);
    if (s)
        return s;
    m->stack.n++;
    if (slot >= m->len)
        return machine_fail(m, BISE_ERR_FORMAT, "memo %llu of a pickle of %zu bytes",
                            (unsigned long long)slot, m->len);
    const struct value kept = *v;
    while (m->memo.n <= slot && !s)
        s = append(m, &m->memo, (struct value){.kind = VALUE_MARK});
    if (!s)
        m->memo.at[slot] = kept;
    return s;
}

static enum bise_status get_memo(struct machine *m, uint64_t slot) {
    if (slot >= m->memo.n || m->memo.at[slot].kind == VALUE_MARK)
        return machine_fail(m, BISE_ERR_FORMAT, "memo %llu was never put",
                            (unsigned long long)slot);
    return push(m, m->memo.at[slot]);
}

static enum bise_status use_memo(struct machine *m, bool put, size_t n_bytes) {
    uint64_t slot = 0;
    const enum bise_status s = take_number(m, n_bytes, &slot);
    if (s)
        return s;
    return put ? put_memo(m, slot) : get_memo(m, slot);
}

static enum bise_status push_number(struct machine *m, size_t n_bytes, bool is_signed) {
    uint64_t u = 0;
    const enum bise_status s = take_number(m, n_bytes, &u);
    if (s)
        return s;
    return push_int(m, VALUE_INT, is_signed && n_bytes > 0 ? extend(u, n_bytes) : (int64_t)u);
}

static enum bise_status push_long(struct machine *m) {
    uint64_t n = 0;
    const enum bise_status s = take_number(m, 1, &n);
    if (s)
        return s;
    if (n > 8)
        return machine_fail(m, BISE_ERR_FORMAT, "an integer of %llu bytes", (unsigned long long)n);
    return push_number(m, (size_t)n, true);
}

static enum bise_status refuse(struct machine *m, uint8_t op) {
    static const struct {
        uint8_t op;
        const char *name;
    } known[] = {{'i', "INST"},   {'o', "OBJ"},     {0x81, "NEWOBJ"},  {0x92, "NEWOBJ_EX"},
                 {0x82, "EXT1"},  {0x83, "EXT2"},   {0x84, "EXT4"},    {'P', "PERSID"},
                 {'I', "INT"},    {'V', "UNICODE"}, {'S', "STRING"},   {'d', "DICT"},
                 {'l', "LIST"},   {'0', "POP"},     {'1', "POP_MARK"}, {'2', "DUP"},
                 {0x8b, "LONG4"}, {'B', "BINBYTES"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].op == op)
            return machine_fail(m, BISE_ERR_UNSUPPORTED,
                                "opcode %s is not one that tensors are made of", known[i].name);
    return machine_fail(m, BISE_ERR_UNSUPPORTED,
                        "opcode 0x%02x is not one that tensors are made of", op);
}

/* Constants and numbers. Anything else is refused. */
static enum bise_status step_constant(struct machine *m, uint8_t op) {
    const uint8_t *p = NULL;
    enum bise_status s;
    switch (op) {
    case OP_NONE:
        return push_int(m, VALUE_NONE, 0);
    case OP_NEWTRUE:
    case OP_NEWFALSE:
        return push_int(m, VALUE_BOOL, op == OP_NEWTRUE);
    case OP_BININT:
        return push_number(m, 4, true);
    case OP_BININT1:
        return push_number(m, 1, false);
    case OP_BININT2:
        return push_number(m, 2, false);
    case OP_LONG1:
        return push_long(m);
    case OP_BINFLOAT:
        s = take(m, 8, &p);
        return s ? s : push_int(m, VALUE_FLOAT, 0);
    case OP_BINUNICODE:
        return push_text(m, 4);
    case OP_SHORT_BINUNICODE:
        return push_text(m, 1);
    default:
        return refuse(m, op);
    }
}

/* Tuples, lists, dictionaries; else as step_constant. */
static enum bise_status step_container(struct machine *m, uint8_t op) {
    switch (op) {
    case OP_MARK:
        return push_int(m, VALUE_MARK, 0);
    case OP_EMPTY_TUPLE:
        return push_tuple(m, NULL, 0);
    case OP_TUPLE:
        return push_marked_tuple(m);
    case OP_TUPLE1:
    case OP_TUPLE2:
    case OP_TUPLE3:
        return push_small_tuple(m, op - OP_TUPLE1 + 1u);
    case OP_EMPTY_LIST:
        return push_int(m, VALUE_LIST, 0);
    case OP_APPEND:
        return add_to(m, VALUE_LIST, false, 1);
    case OP_APPENDS:
        return add_to(m, VALUE_LIST, true, 0);
    case OP_EMPTY_DICT:
        return push(m, (struct value){.kind = VALUE_DICT, .index = m->n_dicts++});
    case OP_SETITEM:
        return add_to(m, VALUE_DICT, false, 2);
    case OP_SETITEMS:
        return add_to(m, VALUE_DICT, true, 0);
    default:
        return step_constant(m, op);
    }
}

static enum bise_status step(struct machine *m, uint8_t op) {
    const uint8_t *p = NULL;
    uint64_t protocol = 0;
    enum bise_status s;
    switch (op) {
    case OP_PROTO:
        s = take_number(m, 1, &protocol);
        if (!s && (protocol < 2 || protocol > 5))
            s = machine_fail(m, BISE_ERR_UNSUPPORTED, "pickle protocol %u", (unsigned)protocol);
        return s;
    case OP_FRAME:
        return take(m, 8, &p);
    case OP_GLOBAL:
    case OP_STACK_GLOBAL:
        return push_global(m, op == OP_STACK_GLOBAL);
    case OP_BINPUT:
        return use_memo(m, true, 1);
    case OP_LONG_BINPUT:
        return use_memo(m, true, 4);
    case OP_MEMOIZE:
        return put_memo(m, m->memo.n);
    case OP_BINGET:
        return use_memo(m, false, 1);
    case OP_LONG_BINGET:
        return use_memo(m, false, 4);
    case OP_BINPERSID:
        return push_persistent(m);
    case OP_REDUCE:
        return reduce(m);
    case OP_BUILD:
        return build(m);
    default:
        return step_container(m, op);
    }
}

/* What STOP leaves: the tensors of the dictionary on top, which become m->entries. */
static enum bise_status finish(struct machine *m) {
    const struct value *v = NULL;
    size_t n = 0;
    const enum bise_status s = pop(m, 1, &v);
    if (s)
        return s;
    if (v->kind != VALUE_DICT)
        return machine_fail(m, BISE_ERR_FORMAT, "expected a dictionary of tensors, found %s",
                            value_describe(v));
    for (size_t i = 0; i < m->entries.n; i++)
        if (m->dicts[i] == v->index)
            m->entries.at[n++] = m->entries.at[i];
    m->entries.n = n;
    return n ? BISE_OK : machine_fail(m, BISE_ERR_FORMAT, "a dictionary without tensors");
}

enum bise_status pickle_read(const void *data, size_t len, const char *file,
                             struct pickle_tensor **out, size_t *n, struct bise_error *err) {
    struct machine m = {.data = data, .len = len, .file = file, .err = err};
    enum bise_status s = BISE_OK;
    *out = NULL;
    *n = 0;
    while (!s) {
        m.opcode_at = m.at;
        if (m.at == len)
            s = machine_fail(&m, BISE_ERR_FORMAT, "cut short");
        else if (m.data[m.at] == OP_STOP)
            break;
        else
            s = step(&m, m.data[m.at++]);
    }
    if (!s)
        s = finish(&m);
    if (!s) {
        *out = m.entries.at;
        *n = m.entries.n;
        m.entries.at = NULL;
    }
    free(m.stack.at);
    free(m.items.at);
    free(m.memo.at);
    free(m.storages.at);
    free(m.tensors.at);
    free(m.entries.at);
    free(m.dicts);
    return s;
}
