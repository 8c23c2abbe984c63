#include "tools/edit/history.h"

#include "src/base/array.h"
#include "src/base/error.h"
#include "src/base/utf8.h"
#include "src/os/file.h"
#include "src/os/lock.h"
#include "src/os/new_file.h"
#include "tools/common/buffer.h"
#include "tools/common/user_folder.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

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
    char *const copy =
        array_grow(&h->lines, &h->cap, h->n + 1, sizeof *h->lines) ? strndup(text, len) : NULL;
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

/* Another chat may be writing; who only wants a line to be kept does not wait for long. */
#define LOCK_SECONDS 1.0

static bool read_lines_of(int fd, const char *path, struct buffer *b) {
    uint64_t size;
    size_t n;
    if (file_size(fd, path, &size, NULL) != BISE_OK || size > 4 * HISTORY_MAX_BYTES ||
        !buffer_reserve(b, (size_t)size + 1) ||
        file_read_upto(fd, path, 0, b->bytes, (size_t)size, &n, NULL) != BISE_OK)
        return false;
    b->len = n;
    return true;
}

/* Whether the file has been written to, or replaced, since mark was made. */
static bool has_changed(int fd, const int64_t mark[4]) {
    int64_t now[4];
    return !file_mark(fd, now) || memcmp(now, mark, sizeof now) != 0;
}

void history_refresh(struct history *h) {
    struct buffer b = {.len = 0};
    uint64_t size;
    int fd;
    if (!h->path || file_open(h->path, &fd, &size, NULL) != BISE_OK)
        return;
    if (has_changed(fd, h->mark) && lock_file(fd, true, LOCK_SECONDS) != LOCK_BUSY &&
        file_mark(fd, h->mark) && read_lines_of(fd, h->path, &b)) {
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
    file_close(&fd);
    buffer_free(&b);
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
static enum bise_status shorten(const char *path, int fd, struct bise_error *err) {
    struct buffer b = {.len = 0};
    enum bise_status s = BISE_OK;
    const size_t from = read_lines_of(fd, path, &b) ? kept_from(b.bytes, b.len) : 0;
    if (from)
        s = new_file_whole(path, NEW_FILE_PRIVATE, b.bytes + from, b.len - from, err);
    buffer_free(&b);
    return s;
}

/* Adds a line at the end of the file, whole or not at all. */
static enum bise_status add_line(const char *path, const struct buffer *line,
                                 struct bise_error *err) {
    uint64_t size = 0;
    char last = '\n';
    int fd;
    switch (lock_open(path, LOCK_SECONDS, &fd, err)) {
    case LOCK_BUSY:
        return BISE_OK; /* this message is not kept; the next may be */
    case LOCK_FAILED:
        return err->status;
    default:
        break;
    }
    file_make_private(fd);
    enum bise_status s = file_size(fd, path, &size, err);
    if (!s && size > 0)
        s = file_read_at(fd, path, size - 1, &last, 1, err);
    const uint64_t at = size + (last != '\n'); /* behind a line that a crash cut short */
    if (!s && last != '\n')
        s = file_write_at(fd, path, size, "\n", 1, err);
    if (!s)
        s = file_write_at(fd, path, at, line->bytes, line->len, err);
    if (s)
        (void)file_set_size(fd, path, size, NULL);
    else
        s = shorten(path, fd, err);
    file_close(&fd);
    return s;
}

/* A link is followed, wherever somebody keeps such files. */
void history_open(struct history *h, const char *path) {
    h->path = path ? file_resolve(path) : NULL;
    history_refresh(h);
}

bool history_add(struct history *h, const char *text, struct bise_error *err) {
    const size_t len = strlen(text);
    if (!len || len > HISTORY_MAX_ENTRY || (h->n && strcmp(h->lines[h->n - 1], text) == 0))
        return true;
    append_line(h, text, len);
    if (!h->path)
        return true;
    struct buffer line = {.len = 0};
    escape_line(&line, text);
    const enum bise_status status =
        line.failed ? bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for a line", h->path)
                    : add_line(h->path, &line, err);
    buffer_free(&line);
    if (status) {
        free(h->path);
        h->path = NULL;
    }
    return status == BISE_OK;
}

void history_close(struct history *h) {
    clear_lines(h);
    free(h->lines);
    free(h->path);
    *h = (struct history){.n = 0};
}
