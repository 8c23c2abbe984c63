/* Tensors as they lie in the files of a checkpoint, whatever those are called there. Internal to
 * src/source. */
#ifndef BISE_SOURCE_RAW_H
#define BISE_SOURCE_RAW_H

#include "error.h"

enum raw_type { RAW_F32, RAW_F16, RAW_BF16, RAW_OTHER /* sound, but not weights */ };

struct raw_tensor {
    const char *name;  /* in raw_set.names of its file */
    const char *dtype; /* as the file spells it */
    enum raw_type type;
    uint64_t shape[2]; /* [rows][cols]; a vector has one dimension */
    unsigned n_dims;   /* any number; shape holds the first two */
    unsigned file;
    uint64_t offset, bytes; /* in the file */
};

struct raw_file {
    char *path;
    int fd;
    uint64_t size;
    void *names; /* storage behind the names of its tensors */
};

struct raw_set {
    struct raw_file *files;
    size_t n_files;
    struct raw_tensor *tensors; /* sorted by name once complete */
    size_t n_tensors, cap_tensors;
};

/* Room for n more tensors. Errors: MEMORY. */
enum bise_status raw_reserve(struct raw_set *set, size_t n, struct bise_error *err);
/* Opens a safetensors file and adds its tensors. Errors: IO, FORMAT, UNSUPPORTED, MEMORY. */
enum bise_status raw_add_safetensors(struct raw_set *set, const char *path, struct bise_error *err);
/* Sorts; refuses a name that occurs twice. */
enum bise_status raw_complete(struct raw_set *set, struct bise_error *err);
/* NULL if there is none. Of a complete set. */
const struct raw_tensor *raw_find(const struct raw_set *set, const char *name);
void raw_close(struct raw_set *set);

#endif
