/* Tensors as they lie in the files of a checkpoint, whatever those are called there. Internal to
 * quant/source. */
#ifndef BISE_QUANT_SOURCE_RAW_H
#define BISE_QUANT_SOURCE_RAW_H

#include "src/base/error.h"

struct json;

enum raw_type {
    RAW_F32,
    RAW_F16,
    RAW_BF16,
    RAW_Q4_0, /* these and the following: blocks.h */
    RAW_Q4_1,
    RAW_Q5_0,
    RAW_Q5_1,
    RAW_Q8_0,
    RAW_Q4_K,
    RAW_Q5_K,
    RAW_Q6_K,
    RAW_Q2_K,
    RAW_Q3_K,
    RAW_IQ4_NL,
    RAW_IQ4_XS,
    RAW_OTHER /* sound, but not weights */
};

struct raw_tensor {
    const char *name;  /* in header or names of its file */
    const char *dtype; /* as the file spells it */
    enum raw_type type;
    uint64_t shape[3]; /* [rows][cols]; a vector has one dimension */
    unsigned n_dims;   /* any number; shape holds the first three */
    unsigned file;
    uint64_t offset, bytes;         /* in the file */
    bool transposed;                /* it lies there column by column */
    const struct raw_tensor *whole; /* the tensor in the set that this is a part of, or NULL */
};

struct raw_file {
    char *path;
    int fd;
    uint64_t size;
    struct json *header; /* of safetensors: holds the names of its tensors */
    char *names;         /* of other formats: holds them */
};

struct raw_set {
    struct raw_file *files;
    size_t n_files, cap_files;
    struct raw_tensor *tensors; /* sorted by name once complete */
    size_t n_tensors, cap_tensors;
};

/* Whether a name of a file or a tensor ends so. */
bool ends_with(const char *name, const char *end);
/* Room for n more tensors. Errors: MEMORY. */
enum bise_status raw_reserve(struct raw_set *set, size_t n, struct bise_error *err);
/* Opens a file of weights and adds it without tensors, as number *index. Errors: IO, MEMORY. */
enum bise_status raw_add_file(struct raw_set *set, const char *path, unsigned *index,
                              struct bise_error *err);
/* Opens a file of one format and adds its tensors. Errors: IO, FORMAT, UNSUPPORTED, MEMORY. */
enum bise_status raw_add_safetensors(struct raw_set *set, const char *path, struct bise_error *err);
enum bise_status raw_add_torch(struct raw_set *set, const char *path, struct bise_error *err);
/* "[32][64]", for messages. */
void raw_print_shape(char *out, size_t cap, const uint64_t *shape, unsigned n_dims);
/* Sorts; refuses a name that occurs twice. */
enum bise_status raw_complete(struct raw_set *set, struct bise_error *err);
/* NULL if there is none. Of a complete set. */
const struct raw_tensor *raw_find(const struct raw_set *set, const char *name);
void raw_close(struct raw_set *set);

#endif
