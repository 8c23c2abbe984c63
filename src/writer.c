#include "writer.h"

#include "crc32c.h"
#include "error.h"
#include "format.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Bytes [from, to) of a tensor that are on their way to the disk, and their CRC. */
struct range {
    uint64_t from, to;
    uint32_t crc;
};

/* What has been written of a tensor: ranges in ascending order, none touching another. */
struct progress {
    struct range *ranges;
    size_t n, cap;
};

struct writer {
    struct file_header header;
    struct progress *progress; /* [n_tensors] */
    pthread_mutex_t mutex;     /* guards progress */
    uint8_t *tokenizer;
    char *path, *temp_path, *folder;
    int fd; /* -1: no temporary file */
};

static void writer_free(struct writer *w) {
    for (uint32_t i = 0; w->progress && i < w->header.n_tensors; i++)
        free(w->progress[i].ranges);
    free(w->progress);
    free(w->tokenizer);
    free(w->path);
    free(w->temp_path);
    free(w->folder);
    file_header_free(&w->header);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

static enum bise_status fail_io(const struct writer *w, const char *doing, int code,
                                struct bise_error *err) {
    const bool full = code == ENOSPC || code == EDQUOT;
    return bise_fail(err, full ? BISE_ERR_DISK : BISE_ERR_IO, "%s: %s: %s", w->path, doing,
                     strerror(code));
}

/* Bytes that may not stand in a provenance text (names of files hold anything) become '?'. */
static void clean_text(char *text) {
    text[FORMAT_TEXT_MAX] = 0;
    const size_t n = strlen(text);
    for (size_t at = 0; (at += format_text_bad_at(text + at, n - at)) < n;)
        text[at] = '?';
}

/* Copies what the caller described; paths included. */
static enum bise_status copy_plan(struct writer *w, const char *path,
                                  const struct model_config *config,
                                  const struct provenance *provenance, const void *tokenizer,
                                  size_t tokenizer_len, const struct writer_tensor *tensors,
                                  size_t n_tensors, struct bise_error *err) {
    struct file_header *h = &w->header;
    h->config = *config;
    if (provenance)
        h->provenance = *provenance;
    clean_text(h->provenance.source);
    clean_text(h->provenance.recipe);
    clean_text(h->provenance.eval);
    h->tokenizer_bytes = tokenizer ? tokenizer_len : 0;
    h->tensors = calloc(n_tensors, sizeof *h->tensors);
    w->progress = calloc(n_tensors, sizeof *w->progress);
    w->tokenizer = malloc(tokenizer_len ? tokenizer_len : 1);
    w->path = strdup(path);
    const size_t temp_bytes = strlen(path) + sizeof ".tmp-" + 20;
    w->temp_path = malloc(temp_bytes);
    const char *slash = strrchr(path, '/');
    w->folder = slash == path ? strdup("/")
                : slash       ? strndup(path, (size_t)(slash - path))
                              : strdup(".");
    if (!h->tensors || !w->progress || !w->tokenizer || !w->path || !w->temp_path || !w->folder)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the plan of %zu tensors", path,
                         n_tensors);
    snprintf(w->temp_path, temp_bytes, "%s.tmp-%ld", path, (long)getpid());
    if (h->tokenizer_bytes)
        memcpy(w->tokenizer, tokenizer, tokenizer_len);
    h->n_tensors = (uint32_t)n_tensors;
    for (size_t i = 0; i < n_tensors; i++) {
        struct tensor *t = &h->tensors[i];
        snprintf(t->name, sizeof t->name, "%s", tensors[i].name);
        t->type = tensors[i].type;
        t->rows = tensors[i].rows;
        t->cols = tensors[i].cols;
        t->is_vector = tensors[i].is_vector;
        t->error = NAN;
    }
    return BISE_OK;
}

static enum bise_status check_arguments(const char *path, const struct model_config *config,
                                        const struct writer_tensor *tensors, size_t n_tensors,
                                        struct bise_error *err) {
    const enum bise_status s = config_check(config, path, err);
    if (s != BISE_OK)
        return s;
    if (n_tensors == 0 || n_tensors > UINT32_MAX)
        return bise_fail(err, BISE_ERR_ARG, "%s: a file of %zu tensors", path, n_tensors);
    for (size_t i = 0; i < n_tensors; i++) {
        const struct writer_tensor *t = &tensors[i];
        if (strlen(t->name) > 63 || (unsigned)t->type >= TYPE_COUNT || t->rows == 0 ||
            t->rows > MAX_VOCAB || t->cols == 0 || t->cols > MAX_DIM ||
            (t->is_vector && (t->rows != 1 || t->type != TYPE_F32)))
            return bise_fail(err, BISE_ERR_ARG, "%s: tensor %zu, %.63s: [%u][%u] of type %d", path,
                             i, t->name, t->rows, t->cols, (int)t->type);
    }
    return BISE_OK;
}

/* The file must not displace a folder or a device, and the disk must have room for it. */
static enum bise_status check_place(const struct writer *w, struct bise_error *err) {
    struct stat st;
    if (stat(w->path, &st) == 0 && !S_ISREG(st.st_mode))
        return bise_fail(err, BISE_ERR_IO, "%s exists and is not a regular file", w->path);
    struct statvfs vfs;
    if (statvfs(w->folder, &vfs) != 0)
        return bise_fail(err, BISE_ERR_IO, "%s: the folder %s: %s", w->path, w->folder,
                         strerror(errno));
    const uint64_t room = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    if (room < w->header.file_bytes)
        return bise_fail(err, BISE_ERR_DISK, "%s needs %llu bytes; the disk of %s has %llu left",
                         w->path, (unsigned long long)w->header.file_bytes, w->folder,
                         (unsigned long long)room);
    return BISE_OK;
}

static enum bise_status create_temporary(struct writer *w, struct bise_error *err) {
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    w->fd = open(w->temp_path, flags, 0666);
    if (w->fd < 0 && errno == EEXIST) { /* left by a process of our number that is gone */
        unlink(w->temp_path);
        w->fd = open(w->temp_path, flags, 0666);
    }
    if (w->fd < 0)
        return fail_io(w, "creating its temporary file", errno, err);
    /* Takes the room now where the file system can, so that others cannot; else at least the size.
     */
    if (fallocate(w->fd, 0, 0, (off_t)w->header.file_bytes) != 0) {
        if (errno != EOPNOTSUPP && errno != ENOSYS)
            return fail_io(w, "reserving room on the disk", errno, err);
        if (ftruncate(w->fd, (off_t)w->header.file_bytes) != 0)
            return fail_io(w, "setting the size", errno, err);
    }
    return BISE_OK;
}

enum bise_status writer_open(struct writer **out, const char *path,
                             const struct model_config *config, const struct provenance *provenance,
                             const void *tokenizer, size_t tokenizer_len,
                             const struct writer_tensor *tensors, size_t n_tensors,
                             struct bise_error *err) {
    *out = NULL;
    enum bise_status s = check_arguments(path, config, tensors, n_tensors, err);
    if (s != BISE_OK)
        return s;
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the writer", path);
    w->fd = -1;
    pthread_mutex_init(&w->mutex, NULL);
    s = copy_plan(w, path, config, provenance, tokenizer, tokenizer_len, tensors, n_tensors, err);
    if (s == BISE_OK)
        s = format_place(&w->header, err);
    if (s == BISE_OK)
        s = check_place(w, err);
    if (s == BISE_OK)
        s = create_temporary(w, err);
    if (s != BISE_OK) {
        writer_abort(&w);
        return s;
    }
    *out = w;
    return BISE_OK;
}

uint64_t writer_tensor_bytes(const struct writer *w, size_t i) {
    return w->header.tensors[i].length;
}

uint64_t writer_file_bytes(const struct writer *w) {
    return w->header.file_bytes;
}

const char *writer_temp_path(const struct writer *w) {
    return w->temp_path;
}

static enum bise_status write_all(const struct writer *w, const void *data, size_t len, uint64_t at,
                                  struct bise_error *err) {
    const uint8_t *p = data;
    while (len > 0) {
        const ssize_t n = pwrite(w->fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail_io(w, "writing", n < 0 ? errno : EIO, err);
        p += n;
        len -= (size_t)n;
        at += (uint64_t)n;
    }
    return BISE_OK;
}

/* Adds r, merged with the ranges it touches. Returns 0, ENOMEM, or EINVAL where it overlaps one. */
static int note_range(struct progress *p, struct range r) {
    size_t i = p->n; /* the first range after r; nearly always none */
    while (i > 0 && p->ranges[i - 1].from >= r.to)
        i--;
    struct range *before = i > 0 ? &p->ranges[i - 1] : NULL;
    struct range *after = i < p->n ? &p->ranges[i] : NULL;
    if (before && before->to > r.from)
        return EINVAL;
    const bool joins_before = before && before->to == r.from;
    const bool joins_after = after && after->from == r.to;
    if (joins_before) {
        before->crc = crc32c_combine(before->crc, r.crc, r.to - r.from);
        before->to = r.to;
    }
    if (joins_before && joins_after) {
        before->crc = crc32c_combine(before->crc, after->crc, after->to - after->from);
        before->to = after->to;
        memmove(after, after + 1, (size_t)(p->ranges + p->n - (after + 1)) * sizeof *after);
        p->n--;
    } else if (joins_after) {
        after->crc = crc32c_combine(r.crc, after->crc, after->to - after->from);
        after->from = r.from;
    } else if (!joins_before) {
        if (p->n == p->cap) {
            const size_t cap = p->cap ? 2 * p->cap : 4;
            struct range *grown = realloc(p->ranges, cap * sizeof *grown);
            if (!grown)
                return ENOMEM;
            p->ranges = grown;
            p->cap = cap;
        }
        memmove(p->ranges + i + 1, p->ranges + i, (p->n - i) * sizeof *p->ranges);
        p->ranges[i] = r;
        p->n++;
    }
    return 0;
}

enum bise_status writer_put(struct writer *w, size_t i, uint64_t at, const void *data, size_t len,
                            struct bise_error *err) {
    if (i >= w->header.n_tensors)
        return bise_fail(err, BISE_ERR_ARG, "%s: tensor %zu of %u", w->path, i,
                         w->header.n_tensors);
    const struct tensor *t = &w->header.tensors[i];
    if (at > t->length || len > t->length - at)
        return bise_fail(err, BISE_ERR_ARG, "%s: tensor %s: %zu bytes at %llu of %llu", w->path,
                         t->name, len, (unsigned long long)at, (unsigned long long)t->length);
    if (len == 0)
        return BISE_OK;
    const struct range r = {at, at + len, crc32c(0, data, len)};
    const enum bise_status s = write_all(w, data, len, t->offset + at, err);
    if (s != BISE_OK)
        return s;
    pthread_mutex_lock(&w->mutex);
    const int code = note_range(&w->progress[i], r);
    pthread_mutex_unlock(&w->mutex);
    if (code == ENOMEM)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: tensor %s: no memory for its ranges", w->path,
                         t->name);
    if (code != 0)
        return bise_fail(err, BISE_ERR_ARG, "%s: tensor %s: bytes at %llu written twice", w->path,
                         t->name, (unsigned long long)at);
    return BISE_OK;
}

void writer_set_tensor(struct writer *w, size_t i, const int8_t *codebook, float error) {
    struct tensor *t = &w->header.tensors[i];
    if (codebook)
        memcpy(t->codebook, codebook, CODEBOOK_SIZE);
    t->error = error;
}

/* Takes every tensor's CRC from its ranges, which must have become one. */
static enum bise_status collect_crcs(struct writer *w, struct bise_error *err) {
    for (uint32_t i = 0; i < w->header.n_tensors; i++) {
        struct tensor *t = &w->header.tensors[i];
        const struct progress *p = &w->progress[i];
        if (p->n != 1 || p->ranges[0].from != 0 || p->ranges[0].to != t->length)
            return bise_fail(err, BISE_ERR_ARG, "%s: tensor %s: not every byte was written",
                             w->path, t->name);
        t->crc = p->ranges[0].crc;
    }
    return BISE_OK;
}

/* The header goes down after the data is on the disk, and its first bytes, the magic among them,
 * after the rest of it. */
static enum bise_status write_header(struct writer *w, struct bise_error *err) {
    const struct file_header *h = &w->header;
    uint8_t *bytes = calloc(1, h->header_bytes);
    if (!bytes)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for a header of %llu bytes", w->path,
                         (unsigned long long)h->header_bytes);
    if (h->tokenizer_bytes)
        memcpy(bytes + h->tokenizer_offset, w->tokenizer, h->tokenizer_bytes);
    format_write(h, bytes);
    enum bise_status s = BISE_OK;
    if (fsync(w->fd) != 0)
        s = fail_io(w, "flushing to the disk", errno, err);
    if (s == BISE_OK)
        s = write_all(w, bytes + FORMAT_PREAMBLE, h->header_bytes - FORMAT_PREAMBLE,
                      FORMAT_PREAMBLE, err);
    if (s == BISE_OK)
        s = write_all(w, bytes, FORMAT_PREAMBLE, 0, err);
    if (s == BISE_OK && fsync(w->fd) != 0)
        s = fail_io(w, "flushing to the disk", errno, err);
    free(bytes);
    return s;
}

/* Gives the finished file its name, and the folder the time to remember it. */
static enum bise_status move_into_place(struct writer *w, struct bise_error *err) {
    const int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0 || rename(w->temp_path, w->path) != 0) {
        const enum bise_status s = fail_io(w, "naming the finished file", errno, err);
        unlink(w->temp_path);
        return s;
    }
    const int folder = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) { /* some file systems cannot sync a folder: the file itself is safe */
        fsync(folder);
        close(folder);
    }
    return BISE_OK;
}

enum bise_status writer_finish(struct writer **wp, struct bise_error *err) {
    struct writer *w = *wp;
    enum bise_status s = collect_crcs(w, err);
    if (s == BISE_OK)
        s = write_header(w, err);
    if (s == BISE_OK)
        s = move_into_place(w, err);
    writer_abort(wp); /* after success there is no temporary file left to remove */
    return s;
}

void writer_abort(struct writer **wp) {
    struct writer *w = wp ? *wp : NULL;
    if (!w)
        return;
    if (w->fd >= 0) {
        close(w->fd);
        unlink(w->temp_path);
    }
    writer_free(w);
    *wp = NULL;
}
