/* torch.save's files (consolidated.00.pth, pytorch_model-*.bin): a zip archive FOLDER/data.pkl with
 * the tensors' names and shapes, FOLDER/data/KEY with the bytes of each storage. */
#include "quant/source/raw.h"

#include "quant/source/pickle.h"
#include "quant/source/zip.h"
#include "src/os/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PICKLE_NAME "data.pkl"

/* One file of the archive, and the folder all others lie in. */
struct archive {
    const struct raw_file *file;
    struct zip zip;
    const char *folder; /* ends with '/' */
    size_t folder_len;
};

/* The entry that ends with "/data.pkl" tells the folder. */
static enum bise_status find_pickle(struct archive *a, const struct zip_entry **out,
                                    struct bise_error *err) {
    *out = NULL;
    for (size_t i = 0; i < a->zip.n; i++) {
        const struct zip_entry *e = &a->zip.entries[i];
        const char *slash = strchr(e->name, '/');
        if (!slash || strcmp(slash + 1, PICKLE_NAME) != 0)
            continue;
        if (*out)
            return bise_fail(err, BISE_ERR_FORMAT, "%s: two pickles, %.64s and %.64s",
                             a->file->path, (*out)->name, e->name);
        *out = e;
        a->folder = e->name;
        a->folder_len = (size_t)(slash + 1 - e->name);
    }
    if (!*out)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: expected a file of torch, found a zip archive without " PICKLE_NAME,
                         a->file->path);
    if ((*out)->size > PICKLE_MAX_BYTES)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: expected a pickle of at most %u bytes, found "
                         "%llu",
                         a->file->path, PICKLE_MAX_BYTES, (unsigned long long)(*out)->size);
    return BISE_OK;
}

/* Files of torch 2.1 and later say it; the others are little-endian. */
static enum bise_status check_byte_order(const struct archive *a, struct bise_error *err) {
    static const char little[] = "little";
    char text[sizeof little] = "";
    const struct zip_entry *e = zip_find(&a->zip, a->folder, a->folder_len, "byteorder");
    enum bise_status s = BISE_OK;
    if (!e)
        return BISE_OK;
    if (e->size == sizeof little - 1)
        s = file_read_at(a->file->fd, a->file->path, e->offset, text, sizeof little - 1, err);
    if (!s && strcmp(text, little) != 0)
        s = bise_fail(err, BISE_ERR_UNSUPPORTED, "%s: expected byteorder little", a->file->path);
    return s;
}

/* A pickled tensor with its place in the file; its name is copied to *names. */
static enum bise_status place_tensor(const struct archive *a, const struct pickle_tensor *p,
                                     struct raw_tensor *t, char **names, struct bise_error *err) {
    char key[64];
    const char *path = a->file->path;
    char *name = *names;
    memcpy(name, p->name.data, p->name.len);
    name[p->name.len] = 0;
    *names += p->name.len + 1;
    const int n = snprintf(key, sizeof key, "data/%.*s",
                           p->storage.len < sizeof key ? (int)p->storage.len : (int)sizeof key,
                           p->storage.data);
    const struct zip_entry *e =
        n > 0 && (size_t)n < sizeof key ? zip_find(&a->zip, a->folder, a->folder_len, key) : NULL;
    if (!e)
        return bise_fail(err, BISE_ERR_FORMAT, "%s: tensor %.128s: its storage %.63s is missing",
                         path, name, key);
    if (e->size % p->element != 0 || e->size / p->element != p->storage_elements)
        return bise_fail(err, BISE_ERR_FORMAT,
                         "%s: tensor %.128s: expected a storage of %llu elements of %u bytes, "
                         "found %llu bytes",
                         path, name, (unsigned long long)p->storage_elements, p->element,
                         (unsigned long long)e->size);
    t->name = name;
    t->dtype = p->dtype;
    t->type = p->type;
    t->n_dims = p->n_dims;
    memcpy(t->shape, p->shape, sizeof t->shape);
    t->offset = e->offset + p->offset * p->element;
    t->bytes = p->n_elements * p->element;
    return BISE_OK;
}

static enum bise_status add_tensors(struct raw_set *set, unsigned index, const struct archive *a,
                                    const struct pickle_tensor *tensors, size_t n,
                                    struct bise_error *err) {
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++)
        bytes += tensors[i].name.len + 1;
    char *names = malloc(bytes);
    if (!names)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu names", a->file->path, n);
    set->files[index].names = names; /* freed with the set */
    enum bise_status s = raw_reserve(set, n, err);
    for (size_t i = 0; i < n && !s; i++) {
        struct raw_tensor *t = &set->tensors[set->n_tensors];
        *t = (struct raw_tensor){.file = index};
        s = place_tensor(a, &tensors[i], t, &names, err);
        set->n_tensors += !s;
    }
    return s;
}

/* Before torch 1.6 the file was a sequence of pickles. */
static enum bise_status check_kind(const struct raw_file *f, struct bise_error *err) {
    uint8_t first[2] = {0};
    enum bise_status s = BISE_OK;
    if (f->size >= sizeof first)
        s = file_read_at(f->fd, f->path, 0, first, sizeof first, err);
    if (!s && first[0] == 0x80 && first[1] == 2)
        s = bise_fail(err, BISE_ERR_UNSUPPORTED,
                      "%s: expected a zip archive, as torch 1.6 and later write it, found torch's "
                      "older format",
                      f->path);
    return s;
}

enum bise_status raw_add_torch(struct raw_set *set, const char *path, struct bise_error *err) {
    unsigned index = 0;
    struct archive a = {0};
    const struct zip_entry *e = NULL;
    struct pickle_tensor *tensors = NULL;
    uint8_t *pickle = NULL;
    size_t n = 0;
    enum bise_status s = raw_add_file(set, path, &index, err);
    if (s)
        return s;
    a.file = &set->files[index];
    s = check_kind(a.file, err);
    if (!s)
        s = zip_open(&a.zip, a.file->fd, path, a.file->size, err);
    if (!s)
        s = find_pickle(&a, &e, err);
    if (!s)
        s = check_byte_order(&a, err);
    if (!s && !(pickle = malloc((size_t)e->size + 1)))
        s = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its pickle", path);
    if (!s)
        s = file_read_at(a.file->fd, path, e->offset, pickle, (size_t)e->size, err);
    if (!s)
        s = pickle_read(pickle, (size_t)e->size, path, &tensors, &n, err);
    if (!s)
        s = add_tensors(set, index, &a, tensors, n, err);
    free(tensors);
    free(pickle);
    zip_close(&a.zip);
    return s;
}
