#include "quant/write/writer_impl.h"

#include "src/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static void writer_free(struct writer *w) {
    for (uint32_t i = 0; w->progress && i < w->header.n_tensors; i++)
        free(w->progress[i].ranges);
    free(w->progress);
    free(w->tokenizer);
    free(w->path);
    free(w->temp_path);
    free(w->folder);
    file_header_free(&w->header);
    part_journal_close(&w->journal, false);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

enum bise_status writer_fail_io(const struct writer *w, const char *doing, int code,
                                struct bise_error *err) {
    const bool full = code == ENOSPC || code == EDQUOT;
    return bise_fail(err, full ? BISE_ERR_DISK : BISE_ERR_IO, "%s: %s: %s", w->path, doing,
                     strerror(code));
}

void writer_clean_text(char *text) {
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
    writer_clean_text(h->provenance.source);
    writer_clean_text(h->provenance.recipe);
    writer_clean_text(h->provenance.eval);
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
    if (w->resumable)
        snprintf(w->temp_path, temp_bytes, "%s.part", path);
    else
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
    const uint64_t there = w->resumable && stat(w->temp_path, &st) == 0 && S_ISREG(st.st_mode)
                               ? (uint64_t)st.st_blocks * 512
                               : 0;
    const uint64_t room = (uint64_t)vfs.f_bavail * vfs.f_frsize + there;
    if (room < w->header.file_bytes)
        return bise_fail(err, BISE_ERR_DISK, "%s needs %llu bytes; the disk of %s has %llu left",
                         w->path, (unsigned long long)w->header.file_bytes, w->folder,
                         (unsigned long long)room);
    return BISE_OK;
}

static enum bise_status create_temporary(struct writer *w, struct bise_error *err) {
    const int flags = O_RDWR | O_CREAT | (w->resumable ? 0 : O_EXCL) | O_CLOEXEC;
    w->fd = open(w->temp_path, flags, 0666);
    if (w->fd < 0 && errno == EEXIST) { /* left by a process of our number that is gone */
        unlink(w->temp_path);
        w->fd = open(w->temp_path, flags, 0666);
    }
    if (w->fd < 0)
        return writer_fail_io(w, "creating its temporary file", errno, err);
    /* Takes the room now where the file system can, so that others cannot; else at least the size.
     */
    if (w->resumable && ftruncate(w->fd, (off_t)w->header.file_bytes) != 0)
        return writer_fail_io(w, "setting the size", errno, err);
    if (fallocate(w->fd, 0, 0, (off_t)w->header.file_bytes) != 0) {
        if (errno != EOPNOTSUPP && errno != ENOSYS)
            return writer_fail_io(w, "reserving room on the disk", errno, err);
        if (ftruncate(w->fd, (off_t)w->header.file_bytes) != 0)
            return writer_fail_io(w, "setting the size", errno, err);
    }
    return BISE_OK;
}

enum bise_status writer_make_header(const struct writer *w, uint8_t **bytes,
                                    struct bise_error *err) {
    const struct file_header *h = &w->header;
    *bytes = calloc(1, h->header_bytes);
    if (!*bytes)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for a header of %llu bytes", w->path,
                         (unsigned long long)h->header_bytes);
    if (h->tokenizer_bytes)
        memcpy(*bytes + h->tokenizer_offset, w->tokenizer, h->tokenizer_bytes);
    format_write(h, *bytes);
    return BISE_OK;
}

static enum bise_status open_writer(struct writer **out, const char *path,
                                    const struct model_config *config,
                                    const struct provenance *provenance, const void *tokenizer,
                                    size_t tokenizer_len, const struct writer_tensor *tensors,
                                    size_t n_tensors, const uint64_t *source,
                                    struct bise_error *err) {
    *out = NULL;
    enum bise_status s = check_arguments(path, config, tensors, n_tensors, err);
    if (s != BISE_OK)
        return s;
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the writer", path);
    w->fd = -1;
    w->resumable = source != NULL;
    pthread_mutex_init(&w->mutex, NULL);
    s = copy_plan(w, path, config, provenance, tokenizer, tokenizer_len, tensors, n_tensors, err);
    if (s == BISE_OK)
        s = format_place(&w->header, err);
    if (s == BISE_OK)
        s = check_place(w, err);
    if (s == BISE_OK && source)
        s = writer_open_journal(w, *source, err);
    if (s == BISE_OK)
        s = create_temporary(w, err);
    if (s == BISE_OK && source)
        s = writer_take_earlier(w, err);
    size_t n_earlier = 0;
    if (w->journal)
        part_journal_entries(w->journal, &n_earlier);
    if (s != BISE_OK && n_earlier > 0)
        writer_suspend(&w);
    else if (s != BISE_OK)
        writer_abort(&w);
    *out = w;
    return s;
}

enum bise_status writer_open(struct writer **out, const char *path,
                             const struct model_config *config, const struct provenance *provenance,
                             const void *tokenizer, size_t tokenizer_len,
                             const struct writer_tensor *tensors, size_t n_tensors,
                             struct bise_error *err) {
    return open_writer(out, path, config, provenance, tokenizer, tokenizer_len, tensors, n_tensors,
                       NULL, err);
}

enum bise_status writer_open_resumable(struct writer **out, const char *path,
                                       const struct model_config *config,
                                       const struct provenance *provenance, const void *tokenizer,
                                       size_t tokenizer_len, const struct writer_tensor *tensors,
                                       size_t n_tensors, uint64_t source, struct bise_error *err) {
    return open_writer(out, path, config, provenance, tokenizer, tokenizer_len, tensors, n_tensors,
                       &source, err);
}

enum bise_status writer_measure(uint64_t *file_bytes, const struct model_config *config,
                                const struct provenance *provenance, size_t tokenizer_len,
                                const struct writer_tensor *tensors, size_t n_tensors,
                                struct bise_error *err) {
    enum bise_status s = check_arguments("the output", config, tensors, n_tensors, err);
    if (s != BISE_OK)
        return s;
    struct writer *w = calloc(1, sizeof *w);
    uint8_t *tokenizer = calloc(1, tokenizer_len + 1);
    if (!w || !tokenizer) {
        free(w);
        free(tokenizer);
        return bise_fail(err, BISE_ERR_MEMORY, "no memory for the plan of %zu tensors", n_tensors);
    }
    w->fd = -1;
    pthread_mutex_init(&w->mutex, NULL);
    s = copy_plan(w, "the output", config, provenance, tokenizer, tokenizer_len, tensors, n_tensors,
                  err);
    if (s == BISE_OK)
        s = format_place(&w->header, err);
    *file_bytes = w->header.file_bytes;
    writer_free(w);
    free(tokenizer);
    return s;
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

void writer_suspend(struct writer **wp) {
    struct writer *w = wp ? *wp : NULL;
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    writer_free(w);
    *wp = NULL;
}

void writer_abort(struct writer **wp) {
    struct writer *w = wp ? *wp : NULL;
    if (!w)
        return;
    if (w->fd >= 0) {
        close(w->fd);
        unlink(w->temp_path);
    }
    part_journal_close(&w->journal, true);
    writer_free(w);
    *wp = NULL;
}
