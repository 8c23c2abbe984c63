#include "quant/write/writer_impl.h"

#include "src/base/error.h"
#include "src/os/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART ".part"

static void writer_free(struct writer *w) {
    for (uint32_t i = 0; w->progress && i < w->header.n_tensors; i++)
        free(w->progress[i].ranges);
    free(w->progress);
    free(w->tokenizer);
    free(w->path);
    file_header_free(&w->header);
    part_journal_close(&w->journal, false);
    mutex_close(&w->mutex);
    free(w);
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
    w->path = file_resolve(path);
    if (!h->tensors || !w->progress || !w->tokenizer || !w->path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the plan of %zu tensors", path,
                         n_tensors);
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

/* The disk must have room for the file, what an earlier run took of it counted in. */
static enum bise_status check_place(const struct writer *w, struct bise_error *err) {
    uint64_t room = 0;
    char *part = w->resumable ? malloc(strlen(w->path) + sizeof PART) : NULL;
    if (w->resumable && !part)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its name", w->path);
    const enum bise_status s = file_disk_room(w->path, &room, err);
    if (part) {
        sprintf(part, "%s%s", w->path, PART);
        room += file_disk_use(part);
        free(part);
    }
    if (s == BISE_OK && room < w->header.file_bytes)
        return bise_fail(err, BISE_ERR_DISK, "%s needs %llu bytes; the disk has %llu left", w->path,
                         (unsigned long long)w->header.file_bytes, (unsigned long long)room);
    return s;
}

static enum bise_status create_temporary(struct writer *w, struct bise_error *err) {
    const enum bise_status s = w->resumable
                                   ? new_file_take_up(&w->file, w->path, PART, NEW_FILE_SHARED, err)
                                   : new_file_create(&w->file, w->path, NEW_FILE_SHARED, err);
    return s ? s : file_reserve(w->file.fd, w->path, w->header.file_bytes, err);
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
    w->file.fd = -1;
    w->resumable = source != NULL;
    w->mutex = mutex_open();
    s = w->mutex ? copy_plan(w, path, config, provenance, tokenizer, tokenizer_len, tensors,
                             n_tensors, err)
                 : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the writer", path);
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
    w->file.fd = -1;
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
    return w->file.temp_path;
}

void writer_suspend(struct writer **wp) {
    struct writer *w = wp ? *wp : NULL;
    if (!w)
        return;
    w->file.kept = true;
    new_file_abort(&w->file);
    writer_free(w);
    *wp = NULL;
}

void writer_abort(struct writer **wp) {
    struct writer *w = wp ? *wp : NULL;
    if (!w)
        return;
    w->file.kept = false;
    new_file_abort(&w->file);
    part_journal_close(&w->journal, true);
    writer_free(w);
    *wp = NULL;
}
