/* The unpickler's machine, shared by pickle.c (opcodes) and pickle_calls.c (what they may call). */
#ifndef BISE_QUANT_SOURCE_PICKLE_IMPL_H
#define BISE_QUANT_SOURCE_PICKLE_IMPL_H

#include "quant/source/pickle.h"

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

/* Room for one more in a list of items of size bytes. Errors: MEMORY. */
enum bise_status machine_grow(struct machine *m, void *at, size_t n, size_t *cap, size_t size);
/* Fails, naming file and place. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
enum bise_status
machine_fail(struct machine *m, enum bise_status status, const char *fmt, ...);
/* "an integer" ... */
const char *value_describe(const struct value *v);

/* The allowed global of that name. Errors: UNSUPPORTED (any other: named). */
enum bise_status machine_global(struct machine *m, struct pickle_text module,
                                struct pickle_text name, struct value *out);
/* What calling a global with a tuple of arguments gives. Errors: FORMAT, UNSUPPORTED, MEMORY. */
enum bise_status machine_call(struct machine *m, const struct value *callee,
                              const struct value *args, struct value *out);
/* The storage a persistent id stands for. Errors: FORMAT, UNSUPPORTED, MEMORY. */
enum bise_status machine_persistent(struct machine *m, const struct value *id, struct value *out);

#endif
