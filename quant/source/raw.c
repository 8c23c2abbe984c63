#include "quant/source/raw.h"

#include "src/base/array.h"
#include "src/base/json.h"
#include "src/os/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ends_with(const char *name, const char *end) {
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

enum bise_status raw_reserve(struct raw_set *set, size_t n, struct bise_error *err) {
    if (array_grow(&set->tensors, &set->cap_tensors, set->n_tensors + n, sizeof *set->tensors))
        return BISE_OK;
    return bise_fail(err, BISE_ERR_MEMORY, "no memory for a list of %zu tensors",
                     set->n_tensors + n);
}

enum bise_status raw_add_file(struct raw_set *set, const char *path, unsigned *index,
                              struct bise_error *err) {
    if (!array_grow(&set->files, &set->cap_files, set->n_files + 1, sizeof *set->files))
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", path);
    struct raw_file *f = &set->files[set->n_files];
    *f = (struct raw_file){.path = strdup(path), .fd = -1};
    if (!f->path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", path);
    *index = (unsigned)set->n_files++;
    return file_open(path, &f->fd, &f->size, err);
}

void raw_print_shape(char *out, size_t cap, const uint64_t *shape, unsigned n_dims) {
    if (n_dims == 0 || n_dims > 3) {
        snprintf(out, cap, n_dims == 0 ? "none" : "of %u dimensions", n_dims);
        return;
    }
    int n = 0;
    for (unsigned i = 0; i < n_dims && n >= 0 && (size_t)n < cap; i++)
        n += snprintf(out + n, cap - (size_t)n, "[%llu]", (unsigned long long)shape[i]);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct raw_tensor *)a)->name, ((const struct raw_tensor *)b)->name);
}

enum bise_status raw_complete(struct raw_set *set, struct bise_error *err) {
    if (set->n_tensors > 0)
        qsort(set->tensors, set->n_tensors, sizeof *set->tensors, by_name);
    for (size_t i = 1; i < set->n_tensors; i++) {
        const struct raw_tensor *a = &set->tensors[i - 1], *b = &set->tensors[i];
        if (strcmp(a->name, b->name) == 0)
            return bise_fail(err, BISE_ERR_FORMAT, "%s: tensor %s comes twice (also in %s)",
                             set->files[b->file].path, b->name,
                             file_base(set->files[a->file].path));
    }
    return BISE_OK;
}

const struct raw_tensor *raw_find(const struct raw_set *set, const char *name) {
    const struct raw_tensor key = {.name = name};
    return set->n_tensors
               ? bsearch(&key, set->tensors, set->n_tensors, sizeof *set->tensors, by_name)
               : NULL;
}

void raw_close(struct raw_set *set) {
    for (size_t i = 0; i < set->n_files; i++) {
        json_close(&set->files[i].header);
        free(set->files[i].names);
        file_close(&set->files[i].fd);
        free(set->files[i].path);
    }
    free(set->files);
    free(set->tensors);
    *set = (struct raw_set){0};
}
