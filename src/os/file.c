#include "src/os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MAX_LINKS 40 /* that lead to one another; Linux has the same limit */

enum bise_status file_fail(const char *path, const char *doing, int code, struct bise_error *err) {
    const enum bise_status status = code == ENOSPC || code == EDQUOT ? BISE_ERR_DISK
                                    : code == ENOMEM                 ? BISE_ERR_MEMORY
                                                                     : BISE_ERR_IO;
    return bise_fail(err, status, "%s: %s: %s", path, doing, strerror(code));
}

/* ---- whole files ------------------------------------------------------------------------- */

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
    file_close(&fd);
    if (s) {
        free(*data);
        *data = NULL;
        *len = 0;
    }
    return s;
}

/* ---- open files -------------------------------------------------------------------------- */

enum bise_status file_open(const char *path, int *fd, uint64_t *size, struct bise_error *err) {
    struct stat st;
    /* Devices are not even opened: that alone makes some of them do things. Should a pipe take the
     * name in between, it is not waited for. */
    *fd = file_is_special(path) ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0 && !file_is_special(path))
        return bise_fail(err, BISE_ERR_IO, "%s: %s", path, strerror(errno));
    if (*fd < 0 || fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        file_close(fd);
        return bise_fail(err, BISE_ERR_IO, "%s: expected a regular file", path);
    }
    *size = (uint64_t)st.st_size;
    return BISE_OK;
}

enum bise_status file_open_own(const char *path, int *fd, struct bise_error *err) {
    struct stat st;
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (*fd < 0 && errno == ELOOP)
        return bise_fail(err, BISE_ERR_IO, "%s is a symbolic link, which is not followed", path);
    if (*fd < 0)
        return file_fail(path, "opening", errno, err);
    if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink <= 1)
        return BISE_OK;
    file_close(fd);
    return bise_fail(err, BISE_ERR_IO, "%s: expected a regular file with no second name", path);
}

/* Linux has let go of the descriptor whatever close returns: trying again would close another's. */
void file_close(int *fd) {
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

enum bise_status file_read_upto(int fd, const char *path, uint64_t at, void *buf, size_t len,
                                size_t *got, struct bise_error *err) {
    *got = 0;
    while (*got < len) {
        const ssize_t n = pread(fd, (uint8_t *)buf + *got, len - *got, (off_t)(at + *got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return bise_fail(err, BISE_ERR_IO, "%s: reading at byte %llu: %s", path,
                             (unsigned long long)(at + *got), strerror(errno));
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return BISE_OK;
}

enum bise_status file_read_at(int fd, const char *path, uint64_t at, void *buf, size_t len,
                              struct bise_error *err) {
    size_t got;
    const enum bise_status s = file_read_upto(fd, path, at, buf, len, &got, err);
    if (s != BISE_OK || got == len)
        return s;
    return bise_fail(err, BISE_ERR_FORMAT, "%s: ends at byte %llu, %zu bytes too early", path,
                     (unsigned long long)(at + got), len - got);
}

enum bise_status file_write_at(int fd, const char *path, uint64_t at, const void *data, size_t len,
                               struct bise_error *err) {
    const uint8_t *p = data;
    while (len > 0) {
        const ssize_t n = pwrite(fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return file_fail(path, "writing", n < 0 ? errno : EIO, err);
        p += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return BISE_OK;
}

enum bise_status file_sync(int fd, const char *path, struct bise_error *err) {
    int result;
    do
        result = fsync(fd);
    while (result != 0 && errno == EINTR);
    return result == 0 ? BISE_OK : file_fail(path, "flushing to the disk", errno, err);
}

enum bise_status file_size(int fd, const char *path, uint64_t *size, struct bise_error *err) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return file_fail(path, "looking at it", errno, err);
    *size = (uint64_t)st.st_size;
    return BISE_OK;
}

enum bise_status file_set_size(int fd, const char *path, uint64_t size, struct bise_error *err) {
    int result;
    do
        result = ftruncate(fd, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? BISE_OK : file_fail(path, "setting the size", errno, err);
}

enum bise_status file_reserve(int fd, const char *path, uint64_t size, struct bise_error *err) {
    const enum bise_status s = file_set_size(fd, path, size, err);
    if (s != BISE_OK)
        return s;
    int result;
    do
        result = fallocate(fd, 0, 0, (off_t)size);
    while (result != 0 && errno == EINTR);
    if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS)
        return BISE_OK;
    return file_fail(path, "reserving room on the disk", errno, err);
}

bool file_mark(int fd, int64_t mark[4]) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return false;
    mark[0] = (int64_t)st.st_size;
    mark[1] = (int64_t)st.st_mtim.tv_sec;
    mark[2] = (int64_t)st.st_mtim.tv_nsec;
    mark[3] = (int64_t)st.st_ino;
    return true;
}

void file_make_private(int fd) {
    struct stat st;
    if (fstat(fd, &st) == 0 && (st.st_mode & 077) != 0)
        (void)fchmod(fd, 0600);
}

bool file_has_name(int fd, const char *path) {
    struct stat open_file, named;
    return fstat(fd, &open_file) == 0 && lstat(path, &named) == 0 &&
           open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

void file_forget(int fd, uint64_t at, uint64_t len) {
    (void)posix_fadvise(fd, (off_t)at, (off_t)len, POSIX_FADV_DONTNEED);
}

void file_read_ahead(int fd) {
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

enum bise_status file_map(int fd, const char *path, size_t len, uint8_t **map,
                          struct bise_error *err) {
    void *const p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
    *map = p == MAP_FAILED ? NULL : p;
    if (*map != NULL)
        return BISE_OK;
    const int code = errno;
    return bise_fail(err, code == ENOMEM ? BISE_ERR_MEMORY : BISE_ERR_IO,
                     "%s: mapping %zu bytes: %s", path, len, strerror(code));
}

void file_unmap(uint8_t *map, size_t len) {
    if (map != NULL)
        (void)munmap(map, len);
}

int file_map_cold(const uint8_t *map, size_t len) {
    const size_t step = (size_t)4 << 20;
    size_t n = 0, n_cold = 0;
    for (size_t at = 0; at < len; at += step, n++) {
        unsigned char in_memory = 1;
        (void)mincore((void *)(uintptr_t)(map + at), 1, &in_memory);
        n_cold += !(in_memory & 1);
    }
    return n > 0 ? (int)(100 * n_cold / n) : 0;
}

/* ---- names ------------------------------------------------------------------------------- */

bool file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

bool file_is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool file_is_special(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
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

char *file_folder(const char *path) {
    const char *const slash = strrchr(path, '/');
    const size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    char *folder = malloc(n + 2);
    if (folder)
        snprintf(folder, n + 2, "%.*s", n > 0 ? (int)n : 1, n > 0 ? path : ".");
    return folder;
}

char *file_resolve(const char *path) {
    char *at = strdup(path);
    for (int i = 0; at && i < MAX_LINKS; i++) {
        char target[PATH_MAX];
        const ssize_t n = readlink(at, target, sizeof target - 1);
        if (n <= 0)
            return at; /* no link, or nothing */
        target[n] = 0;
        char *folder = target[0] == '/' ? NULL : file_folder(at);
        char *const next = target[0] == '/' ? strdup(target)
                           : folder         ? file_join(folder, target)
                                            : NULL;
        free(folder);
        free(at);
        at = next;
    }
    return at;
}

enum bise_status file_remove(const char *path, struct bise_error *err) {
    if (unlink(path) == 0 || errno == ENOENT)
        return BISE_OK;
    return file_fail(path, "removing", errno, err);
}

enum bise_status file_rename(const char *from, const char *to, struct bise_error *err) {
    return rename(from, to) == 0 ? BISE_OK : file_fail(to, "naming the finished file", errno, err);
}

void file_sync_folder(const char *path) {
    const char *const slash = strrchr(path, '/');
    const size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    char folder[PATH_MAX] = "."; /* no allocation: a file in place must not fail for lack of it */
    if (n > 0 && n < sizeof folder)
        snprintf(folder, sizeof folder, "%.*s", (int)n, path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        (void)file_sync(fd, folder, NULL);
    file_close(&fd);
}

enum bise_status file_disk_room(const char *path, uint64_t *bytes, struct bise_error *err) {
    struct statvfs vfs;
    char *folder = file_folder(path);
    if (!folder)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", path);
    enum bise_status s = BISE_OK;
    if (statvfs(folder, &vfs) != 0)
        s = bise_fail(err, BISE_ERR_IO, "%s: the folder %s: %s", path, folder, strerror(errno));
    else
        *bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    free(folder);
    return s;
}

uint64_t file_disk_use(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_blocks * 512 : 0;
}

enum bise_status folder_list(const char *path, bool (*see)(void *arg, const char *name), void *arg,
                             struct bise_error *err) {
    DIR *const folder = opendir(path);
    if (!folder)
        return bise_fail(err, BISE_ERR_IO, "%s: %s", path, strerror(errno));
    const struct dirent *e;
    do
        errno = 0;
    while ((e = readdir(folder)) != NULL && see(arg, e->d_name));
    const int code = e ? 0 : errno;
    closedir(folder);
    return code ? file_fail(path, "listing it", code, err) : BISE_OK;
}
