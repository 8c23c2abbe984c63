#include "tools/edit/history.h"

#include "src/base/utf8.h"
#include "tools/common/buffer.h"
#include "tools/common/user_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* ---- where ---- */

char *history_default_path(void) {
    char path[PATH_MAX];
    if (!user_file(path, USER_STATE, "history"))
        return NULL;
    make_folders_for(path);
    return strdup(path);
}

/* ---- the list ---- */

static void clear_lines(struct history *h) {
    for (size_t i = 0; i < h->n; i++)
        free(h->lines[i]);
    h->n = 0;
}

static void append_line(struct history *h, const char *text, size_t len) {
    if (h->n == h->cap) {
        const size_t cap = 2 * h->cap + 64;
        char **lines = realloc(h->lines, cap * sizeof *lines);
        if (!lines)
            return;
        h->lines = lines;
        h->cap = cap;
    }
    char *copy = strndup(text, len);
    if (copy)
        h->lines[h->n++] = copy;
}

/* Takes "\n" and "\\" back in place; returns the new length. */
static size_t unescape_line(char *line, size_t len) {
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '\\' && i + 1 < len)
            line[n++] = line[++i] == 'n' ? '\n' : line[i];
        else
            line[n++] = line[i];
    }
    return n;
}

static void escape_line(struct buffer *out, const char *text) {
    for (; *text; text++) {
        if (*text == '\n')
            buffer_put(out, "\\n", 2);
        else if (*text == '\\')
            buffer_put(out, "\\\\", 2);
        else
            buffer_put(out, text, 1);
    }
    buffer_put(out, "\n", 1);
}

/* ---- the file ---- */

static bool read_file(int fd, struct buffer *b) {
    for (;;) {
        if (!buffer_reserve(b, 65536))
            return false;
        const ssize_t n = pread(fd, b->bytes + b->len, 65536, (off_t)b->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        b->len += (size_t)n;
    }
}

static bool write_file(int fd, const char *bytes, size_t n) {
    while (n) {
        const ssize_t put = write(fd, bytes, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        bytes += put;
        n -= (size_t)put;
    }
    return true;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

void history_refresh(struct history *h) {
    struct stat now;
    if (!h->path || stat(h->path, &now) != 0 ||
        (same_file(&now, &h->was) && now.st_size == h->was.st_size))
        return;
    struct buffer b = {.len = 0};
    const int fd = open(h->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (!flock(fd, LOCK_SH) && !fstat(fd, &h->was) &&
        h->was.st_size <= (off_t)4 * HISTORY_MAX_BYTES && read_file(fd, &b)) {
        clear_lines(h);
        for (size_t at = 0; at < b.len;) {
            const char *end = memchr(b.bytes + at, '\n', b.len - at);
            const size_t len = end ? (size_t)(end - b.bytes) - at : b.len - at;
            const size_t n = unescape_line(b.bytes + at, len);
            if (n && !memchr(b.bytes + at, 0, n) && utf8_invalid_at(b.bytes + at, n) == n)
                append_line(h, b.bytes + at, n);
            at += len + 1;
        }
    }
    close(fd);
    buffer_free(&b);
}

/* Opens the file and locks it; the one that has this name when the lock is held. -1: errno. */
static int open_locked(const char *path) {
    for (;;) {
        struct stat held, named;
        const int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0)
            return -1;
        if (flock(fd, LOCK_EX) == 0 && fstat(fd, &held) == 0 && S_ISREG(held.st_mode)) {
            if (stat(path, &named) == 0 && same_file(&held, &named)) {
                if (held.st_mode & 077)
                    fchmod(fd, 0600);
                return fd;
            }
            close(fd); /* another chat has put a shorter one in its place */
            continue;
        }
        const int error = errno;
        close(fd);
        errno = error ? error : EINVAL;
        return -1;
    }
}

/* Where the last lines begin that are three quarters of what the file may have; 0: all of them. */
static size_t kept_from(const char *bytes, size_t len) {
    size_t n_lines = 0;
    for (size_t i = 0; i < len; i++)
        n_lines += bytes[i] == '\n';
    if (n_lines <= HISTORY_MAX_LINES && len <= HISTORY_MAX_BYTES)
        return 0;
    size_t from = len, lines = 0;
    while (from && lines <= HISTORY_MAX_LINES / 4 * 3 && len - from < HISTORY_MAX_BYTES / 4 * 3)
        lines += bytes[--from] == '\n';
    while (from < len && bytes[from++] != '\n')
        ;
    return from;
}

/* Puts a shorter file in the place of one that has grown too long; fd is locked. */
static bool shorten(const char *path, int fd) {
    struct buffer b = {.len = 0};
    char *name = NULL;
    int out = -1;
    bool good = read_file(fd, &b);
    const size_t from = good ? kept_from(b.bytes, b.len) : 0;
    if (!from || asprintf(&name, "%s.new", path) < 0)
        goto done;
    good = (out = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) >= 0 &&
           write_file(out, b.bytes + from, b.len - from) && fsync(out) == 0 &&
           rename(name, path) == 0;
    if (!good)
        unlink(name);
done:
    if (out >= 0)
        close(out);
    free(name);
    buffer_free(&b);
    return good;
}

/* Adds a line at the end of the file, whole or not at all. */
static bool add_line(const char *path, const struct buffer *line) {
    struct stat before;
    char last = '\n';
    const int fd = open_locked(path);
    if (fd < 0)
        return false;
    bool good = fstat(fd, &before) == 0;
    if (good && before.st_size && pread(fd, &last, 1, before.st_size - 1) == 1 && last != '\n')
        good = write_file(fd, "\n", 1); /* a line that a crash cut short */
    good = good && write_file(fd, line->bytes, line->len);
    if (!good && ftruncate(fd, before.st_size) != 0)
        good = false;
    if (good)
        good = shorten(path, fd);
    const int error = errno;
    close(fd);
    errno = error;
    return good;
}

void history_open(struct history *h, const char *path) {
    h->path = path ? strdup(path) : NULL;
    history_refresh(h);
}

bool history_add(struct history *h, const char *text) {
    const size_t len = strlen(text);
    if (!len || len > HISTORY_MAX_ENTRY || (h->n && strcmp(h->lines[h->n - 1], text) == 0))
        return true;
    append_line(h, text, len);
    if (!h->path)
        return true;
    struct buffer line = {.len = 0};
    escape_line(&line, text);
    const bool good = !line.failed && add_line(h->path, &line);
    const int error = errno;
    buffer_free(&line);
    if (!good) {
        free(h->path);
        h->path = NULL;
    }
    errno = error;
    return good;
}

void history_close(struct history *h) {
    clear_lines(h);
    free(h->lines);
    free(h->path);
    *h = (struct history){.n = 0};
}
