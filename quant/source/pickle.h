/* The pickle inside a torch checkpoint, read by a machine that knows how to rebuild tensors and
 * nothing else: no other name is ever looked up, nothing is ever called.
 * Opcodes: Python's pickletools.py. Internal to quant/source. */
#ifndef BISE_QUANT_SOURCE_PICKLE_H
#define BISE_QUANT_SOURCE_PICKLE_H

#include "quant/source/raw.h"

#define PICKLE_MAX_BYTES (2u << 20) /* 7B's has 40 KB, Mixtral's 150 KB */

struct pickle_text {
    const char *data; /* in the pickle; no NUL behind it and none inside */
    size_t len;
};

struct pickle_tensor {
    struct pickle_text name, storage; /* storage: its key, a file of the archive */
    const char *dtype;                /* "BFloat16Storage" ... */
    enum raw_type type;
    unsigned element;            /* bytes */
    uint64_t storage_elements;   /* of the whole storage */
    uint64_t offset, n_elements; /* of the tensor in it: offset + n_elements <= storage_elements */
    uint64_t shape[3];           /* the first three dimensions */
    unsigned n_dims;
};

/* The tensors of the dictionary that the pickle data [len] holds, in its order; *out is the
 * caller's, to be freed, and points into data. All are contiguous, in row-major order. Of the
 * dictionary's other values nothing is kept. Refused by name: every global but torch's tensors,
 * parameters and storages and collections.OrderedDict, and every opcode they do not need.
 * Errors: FORMAT, UNSUPPORTED, MEMORY. */
enum bise_status pickle_read(const void *data, size_t len, const char *file,
                             struct pickle_tensor **out, size_t *n, struct bise_error *err);

#endif
