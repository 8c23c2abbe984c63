#include "tools/chat/journal.h"

#include "src/os/file.h"
#include "src/os/lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_BYTES 8
#define MAX_BYTES   ((size_t)1 << 34)

static enum bise_status take_lock(struct journal *j, struct bise_error *err) {
    switch (lock_open(j->path, 0, &j->fd, err)) {
    case LOCK_BUSY:
        return bise_fail(err, BISE_ERR_IO,
                         "%s is held by another chat: only one at a time can go on with a "
                         "session; nothing was changed",
                         j->path);
    case LOCK_FAILED:
        return err ? err->status : BISE_ERR_IO;
    default:
        return BISE_OK;
    }
}

enum bise_status journal_open(struct journal *j, const char *session_path, struct bise_error *err) {
    const size_t size = strlen(session_path) + sizeof ".journal";
    *j = (struct journal){.path = malloc(size), .fd = -1};
    if (!j->path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its name", session_path);
    snprintf(j->path, size, "%s.journal", session_path);
    return take_lock(j, err);
}

enum bise_status journal_read(struct journal *j, uint8_t **data, size_t *n,
                              struct bise_error *err) {
    const enum bise_status s = file_read_whole(j->path, MAX_BYTES, data, n, err);
    if (s != BISE_OK)
        return s;
    j->good = *n;
    if (memcmp(*data, JOURNAL_MAGIC, *n < MAGIC_BYTES ? *n : MAGIC_BYTES) != 0) {
        free(*data);
        *data = NULL;
        return bise_fail(err, BISE_ERR_FORMAT, "%s is not a journal of bise", j->path);
    }
    return BISE_OK;
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
