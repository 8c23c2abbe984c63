#include "quant/write/part_journal.h"

#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * 0   magic, u32 version, u32 CRC32C of the other header bytes and the plan, u64 length of the
 *     plan, u64 source, zeros to PART_HEADER; the plan; entries of PART_ENTRY bytes: u32 tensor,
 *     u32 CRC, f32 error, i8 codebook [16], u32 CRC32C of the bytes before
 */
enum { AT_MAGIC = 0, AT_VERSION = 8, AT_CRC = 12, AT_PLAN_BYTES = 16, AT_SOURCE = 24 };
enum { ENTRY_TENSOR = 0, ENTRY_CRC = 4, ENTRY_ERROR = 8, ENTRY_CODEBOOK = 12, ENTRY_CHECK = 28 };

struct part_journal {
    char *path;
    int fd;
    uint64_t end; /* where the next entry goes */
    struct part_entry *entries;
    size_t n;
};

static enum bise_status fail(const struct part_journal *j, const char *doing, int code,
                             struct bise_error *err) {
    const bool full = code == ENOSPC || code == EDQUOT;
    return bise_fail(err, full ? BISE_ERR_DISK : BISE_ERR_IO, "%s: %s: %s", j->path, doing,
                     strerror(code));
}

static enum bise_status write_at(const struct part_journal *j, uint64_t at, const void *data,
                                 size_t len, struct bise_error *err) {
    const int code = file_write_at(j->fd, at, data, len);
    return code ? fail(j, "writing", code, err) : BISE_OK;
}

/* Bytes read at `at`, up to len of them: fewer at the end of the file. -1: errno. */
static ssize_t read_at(const struct part_journal *j, uint64_t at, void *buf, size_t len) {
    size_t got = 0;
    while (got < len) {
        const ssize_t n = pread(j->fd, (uint8_t *)buf + got, len - got, (off_t)(at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static void make_header(uint8_t *head, const void *plan, size_t plan_len, uint64_t source) {
    memset(head, 0, PART_HEADER);
    memcpy(head + AT_MAGIC, PART_MAGIC, 8);
    put_u32(head + AT_VERSION, PART_VERSION);
    put_u64(head + AT_PLAN_BYTES, plan_len);
    put_u64(head + AT_SOURCE, source);
    put_u32(head + AT_CRC, crc32c(crc32c(0, head, PART_HEADER), plan, plan_len));
}

/* Whether the file begins with this header and plan. */
static enum bise_status is_same(const struct part_journal *j, const uint8_t *head, const void *plan,
                                size_t plan_len, bool *same, struct bise_error *err) {
    const size_t len = PART_HEADER + plan_len;
    uint8_t *found = malloc(len);
    if (!found)
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu bytes", j->path, len);
    const ssize_t n = read_at(j, 0, found, len);
    const int code = errno;
    *same = n == (ssize_t)len && memcmp(found, head, PART_HEADER) == 0 &&
            memcmp(found + PART_HEADER, plan, plan_len) == 0;
    free(found);
    return n < 0 ? fail(j, "reading", code, err) : BISE_OK;
}

static bool parse_entry(struct part_entry *e, const uint8_t *p) {
    if (get_u32(p + ENTRY_CHECK) != crc32c(0, p, ENTRY_CHECK))
        return false;
    e->tensor = get_u32(p + ENTRY_TENSOR);
    e->crc = get_u32(p + ENTRY_CRC);
    e->error = get_f32(p + ENTRY_ERROR);
    memcpy(e->codebook, p + ENTRY_CODEBOOK, sizeof e->codebook);
    return true;
}

/* The entries from j->end on, as many as are sound; j->end moves behind them. */
static enum bise_status read_entries(struct part_journal *j, struct bise_error *err) {
    struct stat st;
    if (fstat(j->fd, &st) != 0)
        return fail(j, "looking at it", errno, err);
    const size_t most = ((uint64_t)st.st_size - j->end) / PART_ENTRY;
    uint8_t *bytes = malloc(most * PART_ENTRY + 1);
    j->entries = calloc(most + 1, sizeof *j->entries);
    if (!bytes || !j->entries) {
        free(bytes);
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for %zu entries", j->path, most);
    }
    const ssize_t n = read_at(j, j->end, bytes, most * PART_ENTRY);
    const int code = errno;
    for (size_t i = 0; n >= 0 && i < (size_t)n / PART_ENTRY; i++) {
        if (!parse_entry(&j->entries[i], bytes + i * PART_ENTRY))
            break;
        j->n++;
    }
    j->end += j->n * PART_ENTRY;
    free(bytes);
    return n < 0 ? fail(j, "reading", code, err) : BISE_OK;
}

static enum bise_status open_locked(struct part_journal *j, struct bise_error *err) {
    j->fd = open(j->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (j->fd < 0)
        return fail(j, "opening", errno, err);
    if (flock(j->fd, LOCK_EX | LOCK_NB) == 0)
        return BISE_OK;
    const enum bise_status s =
        errno == EWOULDBLOCK
            ? bise_fail(err, BISE_ERR_IO, "%s: another process is writing this file", j->path)
            : fail(j, "locking", errno, err);
    close(j->fd);
    j->fd = -1;
    return s;
}

enum bise_status part_journal_open(struct part_journal **out, const char *path, const void *plan,
                                   size_t plan_len, uint64_t source, struct bise_error *err) {
    uint8_t head[PART_HEADER];
    struct stat st;
    bool same = false, earlier = false; /* of this plan; or anything that is to be kept */
    struct part_journal *j = calloc(1, sizeof *j);
    *out = NULL;
    if (j)
        j->fd = -1;
    if (!j || !(j->path = strdup(path))) {
        part_journal_close(&j, false);
        return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory", path);
    }
    make_header(head, plan, plan_len, source);
    enum bise_status s = open_locked(j, err);
    if (!s) {
        earlier = fstat(j->fd, &st) != 0 || st.st_size > 0;
        s = is_same(j, head, plan, plan_len, &same, err);
    }
    j->end = PART_HEADER + plan_len;
    if (!s && same)
        s = read_entries(j, err);
    if (!s && ftruncate(j->fd, same ? (off_t)j->end : 0) != 0)
        s = fail(j, "cutting", errno, err);
    earlier = earlier && (s || same);
    if (!s && !same)
        s = write_at(j, 0, head, PART_HEADER, err);
    if (!s && !same)
        s = write_at(j, PART_HEADER, plan, plan_len, err);
    if (s)
        part_journal_close(&j, !earlier);
    *out = j;
    return s;
}

const struct part_entry *part_journal_entries(const struct part_journal *j, size_t *n) {
    *n = j->n;
    return j->entries;
}

enum bise_status part_journal_add(struct part_journal *j, const struct part_entry *e,
                                  struct bise_error *err) {
    uint8_t p[PART_ENTRY];
    put_u32(p + ENTRY_TENSOR, e->tensor);
    put_u32(p + ENTRY_CRC, e->crc);
    put_f32(p + ENTRY_ERROR, e->error);
    memcpy(p + ENTRY_CODEBOOK, e->codebook, sizeof e->codebook);
    put_u32(p + ENTRY_CHECK, crc32c(0, p, ENTRY_CHECK));
    const enum bise_status s = write_at(j, j->end, p, sizeof p, err);
    if (!s)
        j->end += sizeof p;
    return s;
}

void part_journal_close(struct part_journal **jp, bool remove) {
    struct part_journal *j = jp ? *jp : NULL;
    if (!j)
        return;
    if (j->fd >= 0) {
        if (remove)
            unlink(j->path);
        close(j->fd);
    }
    free(j->path);
    free(j->entries);
    free(j);
    *jp = NULL;
}
