#include "tools/chat/journal.h"

#include "src/os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC_BYTES 8
#define MAX_BYTES   ((size_t)1 << 34)

static enum bise_status fail(const struct journal *j, const char *doing, int code,
                             struct bise_error *err) {
    const bool full = code == ENOSPC || code == EDQUOT;
    return bise_fail(err, full ? BISE_ERR_DISK : BISE_ERR_IO, "%s: %s: %s", j->path, doing,
                     strerror(code));
}

/* Whether the file that is open still has its name: the one who held it before may have removed it.
 */
static bool has_name(const struct journal *j) {
    struct stat open_file, named;
    return fstat(j->fd, &open_file) == 0 && stat(j->path, &named) == 0 &&
           open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

static enum bise_status take_lock(struct journal *j, struct bise_error *err) {
    for (;;) {
        j->fd = open(j->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (j->fd < 0)
            return fail(j, "opening", errno, err);
        if (flock(j->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            return bise_fail(err, BISE_ERR_IO,
                             "%s is held by another chat: only one at a time can go on with a "
                             "session; nothing was changed",
                             j->path);
        if (has_name(j))
            return BISE_OK;
        close(j->fd);
        j->fd = -1;
    }
}

enum bise_status journal_open(struct journal *j, const char *session_path, struct bise_error *err) {
    const size_t size = strlen(session_path) + sizeof ".journal";
    *j = (struct journal){.path = malloc(size), .fd = -1};
    if (!j->path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its name", session_path);
    snprintf(j->path, size, "%s.journal", session_path);
    const enum bise_status s = take_lock(j, err);
    if (s != BISE_OK && j->fd >= 0) {
        close(j->fd); /* another's: not to be removed */
        j->fd = -1;
    }
    return s;
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
    if (ftruncate(j->fd, (off_t)good) != 0)
        return fail(j, "cutting", errno, err);
    j->good = good;
    return BISE_OK;
}

enum bise_status journal_flush(struct journal *j, struct bise_error *err) {
    const uint64_t magic = j->good == 0 ? MAGIC_BYTES : 0;
    if (j->pending.n > 0) {
        int code = file_write_at(j->fd, 0, JOURNAL_MAGIC, magic);
        if (!code)
            code = file_write_at(j->fd, j->good + magic, j->pending.data, j->pending.n);
        if (!code && fsync(j->fd) != 0)
            code = errno;
        if (code) {
            const enum bise_status s = fail(j, "writing", code, err);
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
    if (j->fd >= 0) {
        struct stat st;
        if (fstat(j->fd, &st) == 0 && st.st_size == 0)
            unlink(j->path); /* while the lock is held */
        close(j->fd);
    }
    records_free(&j->pending);
    free(j->path);
    *j = (struct journal){.fd = -1};
}
