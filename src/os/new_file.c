#include "src/os/new_file.h"

#include "src/os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum bise_status fail(const struct new_file *f, const char *doing, int code,
                             struct bise_error *err) {
    const bool full = code == ENOSPC || code == EDQUOT;
    return bise_fail(err, full ? BISE_ERR_DISK : BISE_ERR_IO, "%s: %s: %s", f->path, doing,
                     strerror(code));
}

enum bise_status new_file_create(struct new_file *f, const char *path, struct bise_error *err) {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    const size_t cap = strlen(path) + sizeof ".tmp-" + 20;
    struct stat st;
    *f = (struct new_file){.path = strdup(path), .temp_path = malloc(cap), .fd = -1};
    if (!f->path || !f->temp_path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its name", path);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return bise_fail(err, BISE_ERR_IO, "%s exists and is not a regular file", path);
    snprintf(f->temp_path, cap, "%s.tmp-%ld", path, (long)getpid());
    f->fd = open(f->temp_path, flags, 0666);
    if (f->fd < 0 && errno == EEXIST) { /* left by a process of our number that is gone */
        unlink(f->temp_path);
        f->fd = open(f->temp_path, flags, 0666);
    }
    return f->fd < 0 ? fail(f, "creating its temporary file", errno, err) : BISE_OK;
}

enum bise_status new_file_write(struct new_file *f, const void *data, size_t len,
                                struct bise_error *err) {
    const uint8_t *p = data;
    while (len > 0) {
        const ssize_t n = write(f->fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(f, "writing", n < 0 ? errno : EIO, err);
        p += n;
        len -= (size_t)n;
    }
    return BISE_OK;
}

enum bise_status new_file_finish(struct new_file *f, struct bise_error *err) {
    if (fsync(f->fd) != 0)
        return fail(f, "flushing to the disk", errno, err);
    const int fd = f->fd;
    f->fd = -1;
    if (close(fd) != 0 || rename(f->temp_path, f->path) != 0) {
        const enum bise_status s = fail(f, "naming the finished file", errno, err);
        unlink(f->temp_path);
        return s;
    }
    file_sync_folder(f->path);
    return BISE_OK;
}

void new_file_abort(struct new_file *f) {
    if (f->fd >= 0) {
        close(f->fd);
        unlink(f->temp_path);
    }
    free(f->path);
    free(f->temp_path);
    *f = (struct new_file){.fd = -1};
}
