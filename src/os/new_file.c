#include "src/os/new_file.h"

#include "src/os/file.h"
#include "src/os/lock.h"
#include "src/os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SWEPT  100          /* times in a row that somebody takes the temporary file away */
#define NUMBER     "0123456789" /* room for that of a process, or a random one */
#define NUMBER_CAP sizeof NUMBER

/* Fills in the names; path must be one that a file can take. */
static enum bise_status name_file(struct new_file *f, const char *path, const char *suffix,
                                  struct bise_error *err) {
    f->path = file_resolve(path);
    const size_t cap = f->path ? strlen(f->path) + strlen(suffix) + 1 : 0;
    f->temp_path = f->path ? malloc(cap) : NULL;
    if (!f->temp_path)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its name", path);
    snprintf(f->temp_path, cap, "%s%s", f->path, suffix);
    if (file_is_special(f->path))
        return bise_fail(err, BISE_ERR_IO, "%s exists and is not a regular file", path);
    struct stat st; /* a link would be replaced, and not what it leads to */
    if (lstat(f->path, &st) == 0 && S_ISLNK(st.st_mode))
        return bise_fail(err, BISE_ERR_IO, "%s is a symbolic link that cannot be followed", path);
    return BISE_OK;
}

/* Where temporary files of a path lie, and what their names begin with. */
struct stale {
    const char *folder, *begin;
};

/* Removes one that nobody holds: whoever writes such a file has it locked. */
static bool remove_stale(void *arg, const char *name) {
    const struct stale *const s = arg;
    const size_t n = strlen(s->begin);
    int fd = -1;
    if (strncmp(name, s->begin, n) != 0 || name[n + strspn(name + n, "0123456789")] != 0)
        return true;
    char *const path = file_join(s->folder, name);
    if (path && (fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) >= 0 &&
        lock_file(fd, false, 0) == LOCK_HELD && file_has_name(fd, path))
        unlink(path);
    file_close(&fd);
    free(path);
    return true;
}

/* What runs that were killed have left of this file. */
static void sweep(const struct new_file *f) {
    char begin[NAME_MAX + 8];
    char *const folder = file_folder(f->path);
    const int n = snprintf(begin, sizeof begin, "%s.bise-tmp-", file_base(f->path));
    if (folder && n > 0 && (size_t)n < sizeof begin)
        (void)folder_list(folder, remove_stale, &(struct stale){folder, begin}, NULL);
    free(folder);
}

/* Creates the temporary file, locked; -1: errno. Where its name is taken (by a process that has our
 * number on another machine or in another container), or is swept away before it is locked, the
 * next try has another number. */
static int create_locked(char *path) {
    char *const digits = strrchr(path, '-') + 1;
    for (int i = 0; i < MAX_SWEPT; i++) {
        snprintf(digits, NUMBER_CAP, "%lu",
                 i == 0 ? (unsigned long)process_id() : (unsigned long)(process_random() >> 34));
        /* 0600: nobody is to read, or hold open, what is not finished. */
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            return fd;
        if (fd >= 0 && lock_file(fd, false, 0) != LOCK_BUSY && file_has_name(fd, path))
            return fd;
        if (fd >= 0 && file_has_name(fd, path))
            unlink(path);
        file_close(&fd);
    }
    errno = EBUSY;
    return -1;
}

enum bise_status new_file_create(struct new_file *f, const char *path,
                                 enum new_file_readers readers, struct bise_error *err) {
    *f = (struct new_file){.fd = -1, .readers = readers};
    const enum bise_status s = name_file(f, path, ".bise-tmp-" NUMBER, err);
    if (s != BISE_OK)
        return s;
    sweep(f);
    f->fd = create_locked(f->temp_path);
    return f->fd < 0 ? file_fail(f->path, "creating its temporary file", errno, err) : BISE_OK;
}

enum bise_status new_file_take_up(struct new_file *f, const char *path, const char *suffix,
                                  enum new_file_readers readers, struct bise_error *err) {
    *f = (struct new_file){.fd = -1, .readers = readers, .kept = true};
    const enum bise_status s = name_file(f, path, suffix, err);
    return s == BISE_OK ? file_open_own(f->temp_path, &f->fd, err) : s;
}

/* Makes the open file's number its name; false where the system cannot open files by that. */
static bool name_by_number(struct new_file *f) {
    char *const name = malloc(64);
    if (name)
        snprintf(name, 64, "/proc/self/fd/%d", f->fd);
    if (!name || access(name, R_OK) != 0) {
        free(name);
        return false;
    }
    free(f->temp_path);
    f->temp_path = name;
    f->kept = true; /* there is nothing to remove */
    return true;
}

enum bise_status new_file_nameless(struct new_file *f, const char *path, struct bise_error *err) {
    *f = (struct new_file){.fd = -1, .readers = NEW_FILE_PRIVATE};
    enum bise_status s = name_file(f, path, ".tmp", err);
    char *const folder = s == BISE_OK ? file_folder(f->path) : NULL;
    if (s == BISE_OK && !folder)
        s = bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its name", path);
    if (s == BISE_OK)
        f->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    free(folder);
    if (s != BISE_OK || (f->fd >= 0 && name_by_number(f)))
        return s;
    new_file_abort(f);
    s = new_file_create(f, path, NEW_FILE_PRIVATE, err);
    char *const named = s == BISE_OK ? strdup(f->temp_path) : NULL;
    if (named && name_by_number(f))
        unlink(named);
    free(named);
    return s;
}

enum bise_status new_file_write(struct new_file *f, const void *data, size_t len,
                                struct bise_error *err) {
    const uint8_t *p = data;
    while (len > 0) {
        const ssize_t n = write(f->fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return file_fail(f->path, "writing", n < 0 ? errno : EIO, err);
        p += n;
        len -= (size_t)n;
    }
    return BISE_OK;
}

/* Bits that new files do not get. Asking for them sets them: for a moment, to the strictest. */
static mode_t file_mask(void) {
    const mode_t mask = umask(077);
    (void)umask(mask);
    return mask;
}

static void set_readers(const struct new_file *f) {
    struct stat st;
    const mode_t mode = stat(f->path, &st) == 0          ? st.st_mode & 0777
                        : f->readers == NEW_FILE_PRIVATE ? 0600
                                                         : 0666 & ~file_mask();
    if (mode != 0600)
        (void)fchmod(f->fd, mode); /* some file systems cannot: it stays its owner's */
}

enum bise_status new_file_finish(struct new_file *f, struct bise_error *err) {
    set_readers(f);
    enum bise_status s = file_sync(f->fd, f->path, err);
    if (s != BISE_OK)
        return s;
    if (!file_has_name(f->fd, f->temp_path))
        return bise_fail(err, BISE_ERR_IO,
                         "%s: %s was removed or replaced while it was written; run it again",
                         f->path, f->temp_path);
    s = file_rename(f->temp_path, f->path, err);
    if (s != BISE_OK)
        return s;
    file_close(&f->fd); /* on the disk by now: what close says of it does not matter */
    file_sync_folder(f->path);
    return BISE_OK;
}

enum bise_status new_file_whole(const char *path, enum new_file_readers readers, const void *data,
                                size_t len, struct bise_error *err) {
    struct new_file f;
    enum bise_status s = new_file_create(&f, path, readers, err);
    if (s == BISE_OK)
        s = new_file_write(&f, data, len, err);
    if (s == BISE_OK)
        s = new_file_finish(&f, err);
    new_file_abort(&f);
    return s;
}

void new_file_abort(struct new_file *f) {
    if (f->fd >= 0 && !f->kept && file_has_name(f->fd, f->temp_path))
        unlink(f->temp_path);
    file_close(&f->fd);
    free(f->path);
    free(f->temp_path);
    *f = (struct new_file){.fd = -1};
}
