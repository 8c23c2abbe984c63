#include "src/os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

bool file_is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *file_join(const char *folder, const char *name) {
    const size_t n = strlen(folder), size = n + strlen(name) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s%s%s", folder, n > 0 && folder[n - 1] != '/' ? "/" : "", name);
    return path;
}

const char *file_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void file_sync_folder(const char *path) {
    const char *const slash = strrchr(path, '/');
    const size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    char folder[PATH_MAX] = ".";
    if (n > 0 && n < sizeof folder)
        snprintf(folder, sizeof folder, "%.*s", (int)n, path);
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

enum bise_status file_open(const char *path, int *fd, uint64_t *size, struct bise_error *err) {
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused, not waited for */
    if (*fd < 0)
        return bise_fail(err, BISE_ERR_IO, "%s: %s", path, strerror(errno));
    if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(*fd);
        *fd = -1;
        return bise_fail(err, BISE_ERR_IO, "%s: expected a regular file", path);
    }
    *size = (uint64_t)st.st_size;
    return BISE_OK;
}

enum bise_status file_read_at(int fd, const char *path, uint64_t at, void *buf, size_t len,
                              struct bise_error *err) {
    uint8_t *out = buf;
    while (len > 0) {
        const ssize_t n = pread(fd, out, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return bise_fail(err, BISE_ERR_IO, "%s: reading at byte %llu: %s", path,
                             (unsigned long long)at, strerror(errno));
        if (n == 0)
            return bise_fail(err, BISE_ERR_FORMAT, "%s: ends at byte %llu, %zu bytes too early",
                             path, (unsigned long long)at, len);
        out += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return BISE_OK;
}

int file_write_at(int fd, uint64_t at, const void *data, size_t len) {
    const uint8_t *p = data;
    while (len > 0) {
        const ssize_t n = pwrite(fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        p += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

enum bise_status file_read_whole(const char *path, size_t max, uint8_t **data, size_t *len,
                                 struct bise_error *err) {
    int fd;
    uint64_t size;
    *data = NULL;
    *len = 0;
    enum bise_status s = file_open(path, &fd, &size, err);
    if (s)
        return s;
    if (size > max) {
        s = bise_fail(err, BISE_ERR_FORMAT, "%s: expected at most %zu bytes, found %llu", path, max,
                      (unsigned long long)size);
        goto done;
    }
    *data = malloc((size_t)size + 1);
    if (!*data) {
        s = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its %llu bytes", path,
                      (unsigned long long)size);
        goto done;
    }
    s = file_read_at(fd, path, 0, *data, (size_t)size, err);
    (*data)[size] = 0;
    *len = (size_t)size;
done:
    close(fd);
    if (s) {
        free(*data);
        *data = NULL;
        *len = 0;
    }
    return s;
}
