#include "tools/chat/journal.h"

#include "src/base/array.h"
#include "src/base/bytes.h"
#include "src/os/file.h"
#include "src/os/lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_BYTES 8
#define PORTION     ((size_t)1 << 20)  /* bytes read at once */
#define MAX_RECORD  ((size_t)64 << 20) /* of one message, far more than any context holds */

/* What has been read. */
struct buffered {
    uint8_t *data;
    size_t n, cap;
};

static enum bise_status take_lock(struct journal *j, struct bise_error *err) {
    switch (lock_open(j->path, 0, &j->fd, err)) {
    case LOCK_BUSY:
        return bise_fail(err, BISE_ERR_IO,
                         "%s is held by another chat: only one at a time can go on with a "
                         "session; nothing was changed",
                         j->path);
    case LOCK_FAILED:
        return err ? err->status : BISE_ERR_IO;
    case LOCK_UNSUPPORTED:
        j->unlocked = true;
        return BISE_OK;
    default:
        return BISE_OK;
    }
}

enum bise_status journal_open(struct journal *j, const char *session_path, struct bise_error *err) {
    char *const real = file_resolve(session_path); /* two names of a session have one journal */
    const size_t size = real ? strlen(real) + sizeof ".journal" : 0;
    *j = (struct journal){.path = real ? malloc(size) : NULL, .fd = -1};
    if (j->path)
        snprintf(j->path, size, "%s.journal", real);
    free(real);
    if (!j->path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its name", session_path);
    return take_lock(j, err);
}

/* Moves *at behind the whole records of data [n]. False where what follows them is no record,
 * however much more there may be. */
static bool skip_records(const uint8_t *data, size_t n, size_t *at) {
    struct record r;
    while (records_next(&r, data, n, at))
        ;
    const size_t left = n - *at;
    const size_t len = left >= RECORD_OVERHEAD ? get_u32(data + *at + 4) : 0;
    return left < RECORD_OVERHEAD || (len <= MAX_RECORD && len > left - RECORD_OVERHEAD);
}

/* Reads as far as there are records, in portions, so that a file that only claims to be long (a
 * hole of gigabytes) takes no memory. */
static enum bise_status read_records(struct journal *j, struct buffered *b,
                                     struct bise_error *err) {
    size_t at = MAGIC_BYTES, got = PORTION;
    uint64_t size;
    bool more = true;
    const enum bise_status known = file_size(j->fd, j->path, &size, err);
    if (known != BISE_OK)
        return known;
    while (more && got == PORTION) {
        if (!array_grow(&b->data, &b->cap, b->n + PORTION, 1))
            return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for it", j->path);
        const enum bise_status s =
            file_read_upto(j->fd, j->path, b->n, b->data + b->n, PORTION, &got, err);
        if (s != BISE_OK)
            return s;
        b->n += got;
        if (got < PORTION && b->n < size)
            return bise_fail(err, BISE_ERR_FORMAT, "%s became shorter while it was read", j->path);
        more = b->n < MAGIC_BYTES || skip_records(b->data, b->n, &at);
    }
    return BISE_OK;
}

enum bise_status journal_read(struct journal *j, uint8_t **data, size_t *n,
                              struct bise_error *err) {
    struct buffered b = {.n = 0};
    enum bise_status s = read_records(j, &b, err);
    if (!s && memcmp(b.data, JOURNAL_MAGIC, b.n < MAGIC_BYTES ? b.n : MAGIC_BYTES) != 0)
        s = bise_fail(err, BISE_ERR_FORMAT, "%s is not a journal of bise", j->path);
    if (s) {
        free(b.data);
        b = (struct buffered){.n = 0};
    } else {
        j->good = b.n;
    }
    *data = b.data;
    *n = b.n;
    return s;
}

enum bise_status journal_cut(struct journal *j, uint64_t good, struct bise_error *err) {
    const enum bise_status s = file_set_size(j->fd, j->path, good, err);
    if (s == BISE_OK)
        j->good = good;
    return s;
}

enum bise_status journal_flush(struct journal *j, struct bise_error *err) {
    const uint64_t magic = j->good == 0 ? MAGIC_BYTES : 0;
    if (j->pending.n > 0) {
        enum bise_status s = file_write_at(j->fd, j->path, 0, JOURNAL_MAGIC, magic, err);
        if (!s)
            s = file_write_at(j->fd, j->path, j->good + magic, j->pending.data, j->pending.n, err);
        if (!s)
            s = file_sync(j->fd, j->path, err);
        if (s) {
            struct bise_error ignored; /* readers leave a torn end out; the next writes over it */
            (void)journal_cut(j, j->good, &ignored);
            return s;
        }
        j->good += magic + j->pending.n;
        j->pending.n = 0;
        if (!j->entered)
            file_sync_folder(j->path);
        j->entered = true;
    }
    if (j->pending.failed)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for a record", j->path);
    return BISE_OK;
}

void journal_close(struct journal *j) {
    uint64_t size;
    if (j->fd >= 0 && file_size(j->fd, j->path, &size, NULL) == BISE_OK && size == 0)
        (void)file_remove(j->path, NULL); /* while the lock is held */
    file_close(&j->fd);
    records_free(&j->pending);
    free(j->path);
    *j = (struct journal){.fd = -1};
}
