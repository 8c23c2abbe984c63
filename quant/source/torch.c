/* torch.save's files (consolidated.00.pth, pytorch_model-*.bin): a zip archive FOLDER/data.pkl with
 * the tensors' names and shapes, FOLDER/data/KEY with the bytes of each storage. */
#include "quant/source/pickle.h"
#include "quant/source/raw.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the archive ---- */

/* Zip as torch writes it: entries stored, not compressed, often with zip64 fields. PKWARE's
 * APPNOTE.TXT 6.3. */

#define ZIP_MAX_DIRECTORY (16u << 20) /* bytes of the central directory */

struct zip_entry {
    const char *name;
    uint64_t offset, size; /* of its bytes in the file */
};

struct zip {
    struct zip_entry *entries; /* sorted by name */
    size_t n;
    char *names;
};

#define END_BYTES      22u
#define END64_BYTES    56u
#define LOCATOR_BYTES  20u
#define CENTRAL_BYTES  46u
#define LOCAL_BYTES    30u
#define MAX_COMMENT    65535u
#define SIGN_END       0x06054b50u
#define SIGN_END64     0x06064b50u
#define SIGN_LOCATOR   0x07064b50u
#define SIGN_CENTRAL   0x02014b50u
#define SIGN_LOCAL     0x04034b50u
#define EXTRA_ZIP64    1u
#define FLAG_ENCRYPTED 1u
#define METHOD_STORED  0u

struct reader {
    int fd;
    const char *path;
    uint64_t size;
    struct bise_error *err;
};

/* Where the central directory lies. */
struct directory {
    uint64_t offset, size, n;
};

static enum bise_status damaged(const struct reader *r, const char *what) {
    return bise_fail(r->err, BISE_ERR_FORMAT, "%s: %s (is the file truncated?)", r->path, what);
}

static enum bise_status read_at(const struct reader *r, uint64_t at, void *buf, size_t len) {
    return file_read_at(r->fd, r->path, at, buf, len, r->err);
}

/* The zip64 end record, if its locator stands right before the end record at `end`; its own place
 * becomes *limit. */
static enum bise_status read_end64(const struct reader *r, uint64_t end, struct directory *d,
                                   uint64_t *limit) {
    uint8_t locator[LOCATOR_BYTES], record[END64_BYTES];
    if (end < LOCATOR_BYTES + END64_BYTES)
        return BISE_OK;
    enum bise_status s = read_at(r, end - LOCATOR_BYTES, locator, sizeof locator);
    if (s || get_u32(locator) != SIGN_LOCATOR)
        return s;
    const uint64_t at = get_u64(locator + 8);
    if (at > end - LOCATOR_BYTES - END64_BYTES)
        return damaged(r, "zip: the zip64 end record lies outside the file");
    s = read_at(r, at, record, sizeof record);
    if (s)
        return s;
    if (get_u32(record) != SIGN_END64)
        return damaged(r, "zip: no zip64 end record where its locator says");
    if (get_u32(record + 16) != 0 || get_u32(record + 20) != 0 ||
        get_u64(record + 24) != get_u64(record + 32))
        return bise_fail(r->err, BISE_ERR_UNSUPPORTED, "%s: a zip archive of several disks",
                         r->path);
    *d = (struct directory){get_u64(record + 48), get_u64(record + 40), get_u64(record + 32)};
    *limit = at;
    return BISE_OK;
}

/* Finds the end record: the last one whose comment reaches to the end of the file. */
static enum bise_status find_directory(const struct reader *r, struct directory *d) {
    const uint64_t most = END_BYTES + MAX_COMMENT;
    const size_t n = (size_t)(r->size < most ? r->size : most);
    uint8_t *tail = malloc(n + 1);
    enum bise_status s = tail ? read_at(r, r->size - n, tail, n)
                              : bise_fail(r->err, BISE_ERR_MEMORY, "%s: no memory", r->path);
    size_t at = n;
    bool found = false;
    while (!s && !found && at-- > 0)
        found = n - at >= END_BYTES && get_u32(tail + at) == SIGN_END &&
                get_u16(tail + at + 20) == n - at - END_BYTES;
    if (!s && !found)
        s = damaged(r, "expected a zip archive, found no end record");
    if (!s) {
        const uint8_t *end = tail + at;
        uint64_t limit = r->size - n + at;
        *d = (struct directory){get_u32(end + 16), get_u32(end + 12), get_u16(end + 10)};
        if (get_u16(end + 4) != get_u16(end + 6) || get_u16(end + 8) != get_u16(end + 10))
            s = bise_fail(r->err, BISE_ERR_UNSUPPORTED, "%s: a zip archive of several disks",
                          r->path);
        else
            s = read_end64(r, limit, d, &limit);
        if (!s && (d->offset > limit || d->size > limit - d->offset ||
                   d->size > ZIP_MAX_DIRECTORY || d->n > d->size / CENTRAL_BYTES))
            s = damaged(r, "zip: the directory lies outside the file or is too large");
    }
    free(tail);
    return s;
}

/* Fields of a central header that are all ones have their values in the zip64 extra field. */
static bool widen_fields(const uint8_t *extra, size_t len, uint64_t *const fields[3]) {
    const uint8_t *value = NULL;
    size_t left = 0;
    while (len >= 4 && !value) {
        const size_t n = get_u16(extra + 2);
        if (n > len - 4)
            return false;
        if (get_u16(extra) == EXTRA_ZIP64) {
            value = extra + 4;
            left = n;
        }
        extra += 4 + n;
        len -= 4 + n;
    }
    for (int i = 0; i < 3; i++) {
        if (*fields[i] != UINT32_MAX)
            continue;
        if (left < 8)
            return false;
        *fields[i] = get_u64(value);
        value += 8;
        left -= 8;
    }
    return true;
}

/* Turns e->offset, that of the local header, into that of the data behind it. */
static enum bise_status skip_local(const struct reader *r, struct zip_entry *e, uint64_t limit) {
    uint8_t local[LOCAL_BYTES];
    if (limit < LOCAL_BYTES || e->offset > limit - LOCAL_BYTES)
        return bise_fail(r->err, BISE_ERR_FORMAT, "%s: zip: %.128s lies outside the file", r->path,
                         e->name);
    const enum bise_status s = read_at(r, e->offset, local, sizeof local);
    if (s)
        return s;
    if (get_u32(local) != SIGN_LOCAL || get_u16(local + 8) != METHOD_STORED)
        return bise_fail(r->err, BISE_ERR_FORMAT, "%s: zip: %.128s: no local header of its kind",
                         r->path, e->name);
    e->offset += LOCAL_BYTES + (uint64_t)get_u16(local + 26) + get_u16(local + 28);
    if (e->offset > limit || e->size > limit - e->offset)
        return bise_fail(r->err, BISE_ERR_FORMAT, "%s: zip: %.128s lies outside the file", r->path,
                         e->name);
    return BISE_OK;
}

/* One central header at `at` of left bytes; its length is *used, its name goes to name. */
static enum bise_status read_entry(const struct reader *r, const uint8_t *at, size_t left,
                                   struct zip_entry *e, char *name, size_t *used) {
    if (left < CENTRAL_BYTES || get_u32(at) != SIGN_CENTRAL)
        return damaged(r, "zip: the directory is damaged");
    const size_t name_len = get_u16(at + 28), extra_len = get_u16(at + 30);
    *used = CENTRAL_BYTES + name_len + extra_len + get_u16(at + 32);
    if (*used > left || name_len == 0 || memchr(at + CENTRAL_BYTES, 0, name_len))
        return damaged(r, "zip: the directory is damaged");
    memcpy(name, at + CENTRAL_BYTES, name_len);
    name[name_len] = 0;
    uint64_t packed = get_u32(at + 20);
    *e = (struct zip_entry){.name = name, .size = get_u32(at + 24), .offset = get_u32(at + 42)};
    if (get_u16(at + 10) != METHOD_STORED || (get_u16(at + 8) & FLAG_ENCRYPTED))
        return bise_fail(r->err, BISE_ERR_UNSUPPORTED,
                         "%s: zip: %.128s is compressed or encrypted: expected stored entries, as "
                         "torch writes them",
                         r->path, name);
    uint64_t *const fields[3] = {&e->size, &packed, &e->offset};
    if (!widen_fields(at + CENTRAL_BYTES + name_len, extra_len, fields) || packed != e->size)
        return bise_fail(r->err, BISE_ERR_FORMAT, "%s: zip: %.128s: its sizes do not agree",
                         r->path, name);
    return BISE_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct zip_entry *)a)->name, ((const struct zip_entry *)b)->name);
}

static enum bise_status read_entries(struct zip *z, const struct reader *r,
                                     const struct directory *d, const uint8_t *bytes) {
    size_t at = 0, names = 0;
    for (size_t i = 0; i < d->n; i++) {
        size_t used = 0;
        struct zip_entry *e = &z->entries[i];
        enum bise_status s =
            read_entry(r, bytes + at, (size_t)d->size - at, e, z->names + names, &used);
        if (!s)
            s = skip_local(r, e, d->offset);
        if (s)
            return s;
        at += used;
        names += strlen(e->name) + 1;
        z->n++;
    }
    if (at != d->size)
        return damaged(r, "zip: the directory is damaged");
    if (z->n > 0)
        qsort(z->entries, z->n, sizeof *z->entries, by_name);
    for (size_t i = 1; i < z->n; i++)
        if (by_name(&z->entries[i - 1], &z->entries[i]) == 0)
            return bise_fail(r->err, BISE_ERR_FORMAT, "%s: zip: %.128s comes twice", r->path,
                             z->entries[i].name);
    return BISE_OK;
}

static void zip_close(struct zip *z) {
    free(z->entries);
    free(z->names);
    *z = (struct zip){0};
}

/* Reads the central directory of a file of size bytes and the local header of every entry. Every
 * entry lies before the directory. path is for messages. Errors: IO, FORMAT, UNSUPPORTED
 * (compressed or encrypted entries, several disks), MEMORY. */
static enum bise_status zip_open(struct zip *z, int fd, const char *path, uint64_t size,
                                 struct bise_error *err) {
    const struct reader r = {fd, path, size, err};
    struct directory d = {0};
    uint8_t *bytes = NULL;
    *z = (struct zip){0};
    enum bise_status s = find_directory(&r, &d);
    if (s)
        return s;
    bytes = malloc((size_t)d.size + 1);
    z->names = malloc((size_t)d.size + 1); /* each name with its NUL is shorter than its header */
    z->entries = calloc((size_t)d.n + 1, sizeof *z->entries);
    if (!bytes || !z->names || !z->entries)
        s = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for a directory of %llu entries", path,
                      (unsigned long long)d.n);
    if (!s)
        s = read_at(&r, d.offset, bytes, (size_t)d.size);
    if (!s)
        s = read_entries(z, &r, &d, bytes);
    free(bytes);
    if (s)
        zip_close(z);
    return s;
}

/* Key of zip_find: the two parts of a name. */
struct key {
    const char *folder, *name;
    size_t folder_len;
};

static int by_key(const void *a, const void *b) {
    const struct key *key = a;
    const char *name = ((const struct zip_entry *)b)->name;
    const int order = strncmp(key->folder, name, key->folder_len);
    return order ? order : strcmp(key->name, name + key->folder_len);
}

/* The entry called folder [folder_len] followed by name; NULL if there is none. */
static const struct zip_entry *zip_find(const struct zip *z, const char *folder, size_t folder_len,
                                        const char *name) {
    const struct key key = {folder, name, folder_len};
    return z->n ? bsearch(&key, z->entries, z->n, sizeof *z->entries, by_key) : NULL;
}

/* ---- the tensors in it ---- */

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
