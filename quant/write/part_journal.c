#include "quant/write/part_journal.h"

#include "src/base/array.h"
#include "src/base/bytes.h"
#include "src/base/crc32c.h"
#include "src/os/file.h"
#include "src/os/lock.h"

#include <stdlib.h>
#include <string.h>

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
    uint64_t end;  /* where the next entry goes */
    bool unlocked; /* this file system knows no locks */
    struct part_entry *entries;
    size_t n;
};

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
    size_t n;
    const enum bise_status s = file_read_upto(j->fd, j->path, 0, found, len, &n, err);
    *same = s == BISE_OK && n == len && memcmp(found, head, PART_HEADER) == 0 &&
            memcmp(found + PART_HEADER, plan, plan_len) == 0;
    free(found);
    return s;
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
    uint8_t bytes[PART_ENTRY * 128];
    size_t cap = 0, got = sizeof bytes;
    /* Portion by portion: a file that only claims to be long (a hole) takes no memory. */
    for (bool sound = true; sound && got == sizeof bytes;) {
        const enum bise_status s =
            file_read_upto(j->fd, j->path, j->end, bytes, sizeof bytes, &got, err);
        if (s)
            return s;
        if (!array_grow(&j->entries, &cap, j->n + sizeof bytes / PART_ENTRY, sizeof *j->entries))
            return bise_fail(err, BISE_ERR_MEMORY, "%s: no memory for its entries", j->path);
        for (size_t at = 0; sound && at + PART_ENTRY <= got; at += PART_ENTRY) {
            sound = parse_entry(&j->entries[j->n], bytes + at);
            j->n += sound;
            j->end += sound ? PART_ENTRY : 0;
        }
    }
    return BISE_OK;
}

static enum bise_status open_locked(struct part_journal *j, struct bise_error *err) {
    switch (lock_open(j->path, 0, &j->fd, err)) {
    case LOCK_BUSY:
        return bise_fail(err, BISE_ERR_IO, "%s: another process is writing this file", j->path);
    case LOCK_FAILED:
        return err ? err->status : BISE_ERR_IO;
    case LOCK_UNSUPPORTED:
        j->unlocked = true;
        return BISE_OK;
    default:
        return BISE_OK;
    }
}

enum bise_status part_journal_open(struct part_journal **out, const char *path, const void *plan,
                                   size_t plan_len, uint64_t source, struct bise_error *err) {
    uint8_t head[PART_HEADER];
    uint64_t size = 0;
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
        s = file_size(j->fd, j->path, &size, err);
        earlier = s || size > 0;
    }
    if (!s)
        s = is_same(j, head, plan, plan_len, &same, err);
    j->end = PART_HEADER + plan_len;
    if (!s && same)
        s = read_entries(j, err);
    if (!s)
        s = file_set_size(j->fd, j->path, same ? j->end : 0, err);
    earlier = earlier && (s || same);
    if (!s && !same)
        s = file_write_at(j->fd, j->path, 0, head, PART_HEADER, err);
    if (!s && !same)
        s = file_write_at(j->fd, j->path, PART_HEADER, plan, plan_len, err);
    if (s)
        part_journal_close(&j, !earlier);
    *out = j;
    return s;
}

const struct part_entry *part_journal_entries(const struct part_journal *j, size_t *n) {
    *n = j->n;
    return j->entries;
}

bool part_journal_is_locked(const struct part_journal *j) {
    return !j->unlocked;
}

enum bise_status part_journal_add(struct part_journal *j, const struct part_entry *e,
                                  struct bise_error *err) {
    uint8_t p[PART_ENTRY];
    put_u32(p + ENTRY_TENSOR, e->tensor);
    put_u32(p + ENTRY_CRC, e->crc);
    put_f32(p + ENTRY_ERROR, e->error);
    memcpy(p + ENTRY_CODEBOOK, e->codebook, sizeof e->codebook);
    put_u32(p + ENTRY_CHECK, crc32c(0, p, ENTRY_CHECK));
    const enum bise_status s = file_write_at(j->fd, j->path, j->end, p, sizeof p, err);
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
            (void)file_remove(j->path, NULL);
        file_close(&j->fd);
    }
    free(j->path);
    free(j->entries);
    free(j);
    *jp = NULL;
}
