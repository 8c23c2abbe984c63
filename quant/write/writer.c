#include "quant/write/writer.h"

#include "quant/write/part_journal.h"
#include "src/base/array.h"
#include "src/base/crc32c.h"
#include "src/base/error.h"
#include "src/model/format.h"
#include "src/os/file.h"
#include "src/os/mutex.h"
#include "src/os/new_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART       ".part"
#define COPY_BYTES ((size_t)1 << 20) /* read at once when a tensor's bytes are checked */

/* Bytes [from, to) of a tensor that are on their way to the disk, and their CRC. */
struct range {
    uint64_t from, to;
    uint32_t crc;
};

/* What has been written of a tensor: ranges in ascending order, none touching another. */
struct progress {
    struct range *ranges;
    size_t n, cap;
    bool finished; /* in the journal, or would be if there were one */
};

struct writer {
    struct file_header header;
    struct progress *progress; /* [n_tensors] */
    struct mutex *mutex;       /* guards progress */
    uint8_t *tokenizer;
    char *path; /* of the finished file, links followed */
    struct new_file file;
    enum writer_kind kind;
    struct part_journal *journal; /* NULL unless resumable */
    size_t n_finished;
};

/* ---- the plan -------------------------------------------------------------------------------- */

/* Bytes that may not stand in a provenance text (names of files hold anything) become '?'. */
static void clean_text(char *text) {
    text[FORMAT_TEXT_MAX] = 0;
    const size_t n = strlen(text);
    for (size_t at = 0; (at += format_text_bad_at(text + at, n - at)) < n;)
        text[at] = '?';
}

static enum bise_status check_plan(const struct writer_plan *plan, const char *path,
                                   struct bise_error *err) {
    const enum bise_status s = config_check(plan->config, path, err);
    if (s != BISE_OK)
        return s;
    if (plan->n_tensors == 0 || plan->n_tensors > UINT32_MAX)
        return bise_fail(err, BISE_ERR_ARG, "%s: a file of %zu tensors", path, plan->n_tensors);
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const struct writer_tensor *t = &plan->tensors[i];
        if (strlen(t->name) > 63 || (unsigned)t->type >= TYPE_COUNT || t->rows == 0 ||
            t->rows > MAX_VOCAB || t->cols == 0 || t->cols > MAX_DIM ||
            (t->is_vector && (t->rows != 1 || t->type != TYPE_F32)))
            return bise_fail(err, BISE_ERR_ARG, "%s: tensor %zu, %.63s: [%u][%u] of type %d", path,
                             i, t->name, t->rows, t->cols, (int)t->type);
    }
    return BISE_OK;
}

/* The header of a file of this plan, its places included. file_header_free is due in any case. */
static enum bise_status describe(struct file_header *h, const struct writer_plan *plan,
                                 const char *path, struct bise_error *err) {
    enum bise_status s = check_plan(plan, path, err);
    if (s != BISE_OK)
        return s;
    h->config = *plan->config;
    if (plan->provenance)
        h->provenance = *plan->provenance;
    clean_text(h->provenance.source);
    clean_text(h->provenance.recipe);
    clean_text(h->provenance.eval);
    h->tokenizer_bytes = plan->tokenizer_len;
    h->tensors = calloc(plan->n_tensors, sizeof *h->tensors);
    if (!h->tensors)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the plan of %zu tensors", path,
                         plan->n_tensors);
    h->n_tensors = (uint32_t)plan->n_tensors;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const struct writer_tensor *const from = &plan->tensors[i];
        struct tensor *const t = &h->tensors[i];
        snprintf(t->name, sizeof t->name, "%s", from->name);
        t->type = from->type;
        t->rows = from->rows;
        t->cols = from->cols;
        t->is_vector = from->is_vector;
        t->error = NAN;
    }
    return format_place(h, err);
}

enum bise_status writer_measure(uint64_t *file_bytes, const struct writer_plan *plan,
                                struct bise_error *err) {
    struct file_header h = {0};
    const enum bise_status s = describe(&h, plan, "the output", err);
    *file_bytes = h.file_bytes;
    file_header_free(&h);
    return s;
}

/* The header as it would be now; *bytes [header_bytes] is the caller's. */
static enum bise_status make_header(const struct writer *w, uint8_t **bytes,
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

/* ---- tensors --------------------------------------------------------------------------------- */

/* Adds r, merged with the ranges it touches. MEMORY, or ARG where it overlaps one. */
static enum bise_status note_range(struct progress *p, struct range r) {
    size_t i = p->n; /* the first range after r; nearly always none */
    while (i > 0 && p->ranges[i - 1].from >= r.to)
        i--;
    struct range *before = i > 0 ? &p->ranges[i - 1] : NULL;
    struct range *after = i < p->n ? &p->ranges[i] : NULL;
    if (before && before->to > r.from)
        return BISE_ERR_ARG;
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
        if (!array_grow(&p->ranges, &p->cap, p->n + 1, sizeof *p->ranges))
            return BISE_ERR_MEMORY;
        memmove(p->ranges + i + 1, p->ranges + i, (p->n - i) * sizeof *p->ranges);
        p->ranges[i] = r;
        p->n++;
    }
    return BISE_OK;
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
    enum bise_status s = file_write_at(w->file.fd, w->path, t->offset + at, data, len, err);
    if (s != BISE_OK)
        return s;
    mutex_lock(w->mutex);
    s = note_range(&w->progress[i], r);
    mutex_unlock(w->mutex);
    if (s == BISE_ERR_MEMORY)
        return bise_fail(err, s, "%s: tensor %s: no memory for its ranges", w->path, t->name);
    if (s != BISE_OK)
        return bise_fail(err, s, "%s: tensor %s: bytes at %llu written twice", w->path, t->name,
                         (unsigned long long)at);
    return BISE_OK;
}

void writer_set_tensor(struct writer *w, size_t i, const int8_t *codebook, float error) {
    struct tensor *t = &w->header.tensors[i];
    if (codebook)
        memcpy(t->codebook, codebook, CODEBOOK_SIZE);
    t->error = error;
}

/* Whether every byte of tensor i is there. */
static enum bise_status check_whole(const struct writer *w, size_t i, struct bise_error *err) {
    const struct tensor *const t = &w->header.tensors[i];
    const struct progress *const p = &w->progress[i];
    if (p->n == 1 && p->ranges[0].from == 0 && p->ranges[0].to == t->length)
        return BISE_OK;
    return bise_fail(err, BISE_ERR_ARG, "%s: tensor %s: not every byte was written", w->path,
                     t->name);
}

enum bise_status writer_tensor_done(struct writer *w, size_t i, struct bise_error *err) {
    const struct tensor *t = &w->header.tensors[i];
    struct progress *p = &w->progress[i];
    enum bise_status s = check_whole(w, i, err);
    if (s != BISE_OK)
        return s;
    struct part_entry e = {(uint32_t)i, p->ranges[0].crc, t->error, {0}};
    memcpy(e.codebook, t->codebook, sizeof e.codebook);
    s = w->journal ? part_journal_add(w->journal, &e, err) : BISE_OK;
    if (s == BISE_OK && !p->finished) {
        p->finished = true;
        w->n_finished++;
    }
    return s;
}

bool writer_has_tensor(const struct writer *w, size_t i) {
    return w->progress[i].finished;
}

bool writer_is_locked(const struct writer *w) {
    return !w->journal || part_journal_is_locked(w->journal);
}

size_t writer_finished(const struct writer *w) {
    return w->n_finished;
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

/* ---- what an earlier run left ---------------------------------------------------------------- */

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

/* Takes over what an earlier run finished, as far as its bytes are still there. */
static enum bise_status take_earlier(struct writer *w, struct bise_error *err) {
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
        if (note_range(p, (struct range){0, t->length, crc}) != BISE_OK)
            s = bise_fail(err, BISE_ERR_MEMORY, "%s: tensor %s: no memory", w->path, t->name);
        writer_set_tensor(w, e[i].tensor, e[i].codebook, e[i].error);
    }
    free(buffer);
    return s;
}

/* Opens the journal, which locks the file. */
static enum bise_status open_journal(struct writer *w, uint64_t source, struct bise_error *err) {
    const size_t cap = strlen(w->path) + sizeof PART ".journal";
    uint8_t *plan = NULL;
    char *path = malloc(cap);
    if (!path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", w->path);
    snprintf(path, cap, "%s" PART ".journal", w->path);
    enum bise_status s = make_header(w, &plan, err);
    if (!s)
        s = part_journal_open(&w->journal, path, plan, w->header.header_bytes, source, err);
    free(plan);
    free(path);
    return s;
}

/* ---- opening --------------------------------------------------------------------------------- */

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

static enum bise_status copy_plan(struct writer *w, const char *path,
                                  const struct writer_plan *plan, struct bise_error *err) {
    const enum bise_status s = describe(&w->header, plan, path, err);
    if (s != BISE_OK)
        return s;
    w->kind = plan->kind;
    w->mutex = mutex_open();
    w->progress = calloc(plan->n_tensors, sizeof *w->progress);
    w->tokenizer = malloc(plan->tokenizer_len ? plan->tokenizer_len : 1);
    w->path = file_resolve(path);
    if (!w->mutex || !w->progress || !w->tokenizer || !w->path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the plan of %zu tensors", path,
                         plan->n_tensors);
    if (plan->tokenizer_len)
        memcpy(w->tokenizer, plan->tokenizer, plan->tokenizer_len);
    return BISE_OK;
}

/* The disk must have room for the file, what an earlier run took of it counted in. */
static enum bise_status check_place(const struct writer *w, struct bise_error *err) {
    uint64_t room = 0;
    const bool resumable = w->kind == WRITER_RESUMABLE;
    char *part = resumable ? malloc(strlen(w->path) + sizeof PART) : NULL;
    if (resumable && !part)
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

static enum bise_status create_file(struct writer *w, struct bise_error *err) {
    enum bise_status s;
    if (w->kind == WRITER_RESUMABLE)
        s = new_file_take_up(&w->file, w->path, PART, NEW_FILE_SHARED, err);
    else if (w->kind == WRITER_NAMELESS)
        s = new_file_nameless(&w->file, w->path, err);
    else
        s = new_file_create(&w->file, w->path, NEW_FILE_SHARED, err);
    return s ? s : file_reserve(w->file.fd, w->path, w->header.file_bytes, err);
}

enum bise_status writer_open(struct writer **out, const char *path, const struct writer_plan *plan,
                             struct bise_error *err) {
    *out = NULL;
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for the writer", path);
    w->file.fd = -1;
    enum bise_status s = copy_plan(w, path, plan, err);
    if (s == BISE_OK)
        s = check_place(w, err);
    if (s == BISE_OK && w->kind == WRITER_RESUMABLE)
        s = open_journal(w, plan->source, err);
    if (s == BISE_OK)
        s = create_file(w, err);
    if (s == BISE_OK && w->journal)
        s = take_earlier(w, err);
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

/* ---- the end --------------------------------------------------------------------------------- */

/* The header's first bytes, the magic among them, go down after all that they vouch for is on the
 * disk. A file without a name is gone after a crash: it need not be. */
static enum bise_status write_header(struct writer *w, struct bise_error *err) {
    const struct file_header *h = &w->header;
    const int fd = w->file.fd;
    const bool lasts = w->kind != WRITER_NAMELESS;
    uint8_t *bytes;
    enum bise_status s = make_header(w, &bytes, err);
    if (s == BISE_OK)
        s = file_write_at(fd, w->path, FORMAT_PREAMBLE, bytes + FORMAT_PREAMBLE,
                          h->header_bytes - FORMAT_PREAMBLE, err);
    if (s == BISE_OK && lasts)
        s = file_sync(fd, w->path, err);
    if (s == BISE_OK)
        s = file_write_at(fd, w->path, 0, bytes, FORMAT_PREAMBLE, err);
    if (s == BISE_OK && lasts)
        s = file_sync(fd, w->path, err);
    free(bytes);
    return s;
}

enum bise_status writer_seal(struct writer *w, struct bise_error *err) {
    for (size_t i = 0; i < w->header.n_tensors; i++) {
        const enum bise_status s = check_whole(w, i, err);
        if (s != BISE_OK)
            return s;
        w->header.tensors[i].crc = w->progress[i].ranges[0].crc;
    }
    return write_header(w, err);
}

void writer_set_evaluation(struct writer *w, const char *text) {
    char *eval = w->header.provenance.eval;
    const size_t room = strlen(eval), n = strlen(text);
    for (size_t i = 0; i < room; i++)
        eval[i] = i < n ? text[i] : ' ';
    clean_text(eval);
}

enum bise_status writer_finish(struct writer **wp, struct bise_error *err) {
    struct writer *w = *wp;
    enum bise_status s = writer_seal(w, err);
    if (s == BISE_OK)
        s = new_file_finish(&w->file, err);
    if (s != BISE_OK && w->kind == WRITER_RESUMABLE)
        writer_suspend(wp);
    else
        writer_abort(wp); /* after success there is no temporary file left to remove */
    return s;
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
