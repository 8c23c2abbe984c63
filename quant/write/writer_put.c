#include "quant/write/writer_impl.h"

#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/os/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int writer_note_range(struct progress *p, struct range r) {
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
    const enum bise_status s = file_write_at(w->file.fd, w->path, t->offset + at, data, len, err);
    if (s != BISE_OK)
        return s;
    mutex_lock(w->mutex);
    const int code = writer_note_range(&w->progress[i], r);
    mutex_unlock(w->mutex);
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

/* The header's first bytes, the magic among them, go down after all that they vouch for is on the
 * disk. */
static enum bise_status write_header(struct writer *w, struct bise_error *err) {
    const struct file_header *h = &w->header;
    uint8_t *bytes;
    enum bise_status s = writer_make_header(w, &bytes, err);
    const int fd = w->file.fd;
    if (s == BISE_OK)
        s = file_write_at(fd, w->path, FORMAT_PREAMBLE, bytes + FORMAT_PREAMBLE,
                          h->header_bytes - FORMAT_PREAMBLE, err);
    if (s == BISE_OK)
        s = file_sync(fd, w->path, err);
    if (s == BISE_OK)
        s = file_write_at(fd, w->path, 0, bytes, FORMAT_PREAMBLE, err);
    if (s == BISE_OK)
        s = file_sync(fd, w->path, err);
    free(bytes);
    return s;
}

enum bise_status writer_seal(struct writer *w, struct bise_error *err) {
    const enum bise_status s = collect_crcs(w, err);
    return s == BISE_OK ? write_header(w, err) : s;
}

void writer_set_evaluation(struct writer *w, const char *text) {
    char *eval = w->header.provenance.eval;
    const size_t room = strlen(eval), n = strlen(text);
    for (size_t i = 0; i < room; i++)
        eval[i] = i < n ? text[i] : ' ';
    writer_clean_text(eval);
}

enum bise_status writer_finish(struct writer **wp, struct bise_error *err) {
    struct writer *w = *wp;
    enum bise_status s = writer_seal(w, err);
    if (s == BISE_OK)
        s = new_file_finish(&w->file, err);
    if (s != BISE_OK && w->resumable)
        writer_suspend(wp);
    else
        writer_abort(wp); /* after success there is no temporary file left to remove */
    return s;
}
