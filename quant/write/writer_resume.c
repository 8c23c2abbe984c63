#include "quant/write/writer_impl.h"

#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COPY_BYTES ((size_t)1 << 20) /* read at once when a tensor's bytes are checked */

/* CRC of a tensor's bytes as they lie in the temporary file. */
static enum bise_status read_crc(const struct writer *w, const struct tensor *t, uint8_t *buffer,
                                 uint32_t *crc, struct bise_error *err) {
    *crc = 0;
    for (uint64_t at = 0; at < t->length;) {
        const uint64_t left = t->length - at;
        const size_t len = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
        const enum bise_status s =
            file_read_at(w->file.fd, w->path, t->offset + at, buffer, len, err);
        if (s)
            return s;
        *crc = crc32c(*crc, buffer, len);
        at += len;
    }
    return BISE_OK;
}

enum bise_status writer_take_earlier(struct writer *w, struct bise_error *err) {
    size_t n;
    const struct part_entry *e = part_journal_entries(w->journal, &n);
    uint8_t *buffer = malloc(COPY_BYTES);
    enum bise_status s =
        buffer ? BISE_OK : bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for a buffer", w->path);
    for (size_t i = 0; i < n && !s; i++) {
        uint32_t crc;
        if (e[i].tensor >= w->header.n_tensors || w->progress[e[i].tensor].finished)
            continue;
        struct tensor *t = &w->header.tensors[e[i].tensor];
        struct progress *p = &w->progress[e[i].tensor];
        s = read_crc(w, t, buffer, &crc, err);
        if (s || crc != e[i].crc)
            continue;
        p->finished = true;
        w->n_finished++;
        if (writer_note_range(p, (struct range){0, t->length, crc}) != 0)
            s = bise_fail(err, BISE_ERR_MEMORY, "%s: tensor %s: no memory", w->path, t->name);
        writer_set_tensor(w, e[i].tensor, e[i].codebook, e[i].error);
    }
    free(buffer);
    return s;
}

enum bise_status writer_open_journal(struct writer *w, uint64_t source, struct bise_error *err) {
    const size_t cap = strlen(w->path) + sizeof ".part.journal";
    uint8_t *plan = NULL;
    char *path = malloc(cap);
    if (!path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", w->path);
    snprintf(path, cap, "%s.part.journal", w->path);
    enum bise_status s = writer_make_header(w, &plan, err);
    if (!s)
        s = part_journal_open(&w->journal, path, plan, w->header.header_bytes, source, err);
    free(plan);
    free(path);
    return s;
}

enum bise_status writer_tensor_done(struct writer *w, size_t i, struct bise_error *err) {
    const struct tensor *t = &w->header.tensors[i];
    struct progress *p = &w->progress[i];
    if (p->n != 1 || p->ranges[0].from != 0 || p->ranges[0].to != t->length)
        return bise_fail(err, BISE_ERR_ARG, "%s: tensor %s: not every byte was written", w->path,
                         t->name);
    struct part_entry e = {(uint32_t)i, p->ranges[0].crc, t->error, {0}};
    memcpy(e.codebook, t->codebook, sizeof e.codebook);
    const enum bise_status s = w->journal ? part_journal_add(w->journal, &e, err) : BISE_OK;
    if (s == BISE_OK && !p->finished) {
        p->finished = true;
        w->n_finished++;
    }
    return s;
}

bool writer_has_tensor(const struct writer *w, size_t i) {
    return w->progress[i].finished;
}

size_t writer_finished(const struct writer *w) {
    return w->n_finished;
}
