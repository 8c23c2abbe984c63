/* Faults while a session's journal is written and read. */
#include "tools/chat/journal.h"
#include "tests/fault/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the file holds is whole records, in order; *n is how many. */
static enum bise_status read_back(struct journal *j, size_t *n, struct bise_error *err) {
    uint8_t *data = NULL;
    size_t len, at = 0;
    struct record r;
    *n = 0;
    enum bise_status status = journal_read(j, &data, &len, err);
    if (status == BISE_OK && len >= 8)
        while (records_next(&r, data + 8, len - 8, &at)) {
            if (r.kind != 2 + *n || r.len != 5 || memcmp(r.data, "hello", 5) != 0)
                status = BISE_STATUS_COUNT;
            ++*n;
        }
    if (status == BISE_OK && len >= 8 && at != len - 8)
        status = BISE_STATUS_COUNT;
    free(data);
    return status;
}

static enum bise_status write_two(struct journal *j, const char *dir, struct bise_error *err) {
    records_put(&j->pending, 2, "hello", 5);
    const enum bise_status first = journal_flush(j, err);
    if (!first && (fault_is_dirty(j->path) || (fault_is_dirty(dir) && !fault_injected())))
        return BISE_STATUS_COUNT; /* what was said must be on the disk before it goes on */
    records_put(&j->pending, 3, "hello", 5);
    const enum bise_status second = journal_flush(j, first ? NULL : err);
    /* What could not be written waits, and comes with the next. */
    if (first && first != BISE_ERR_MEMORY && second == BISE_OK && j->good != 8 + 2 * 17)
        return BISE_STATUS_COUNT;
    return first ? first : second;
}

static enum bise_status run_journal(const char *dir, struct bise_error *err) {
    struct journal j;
    char path[4096];
    size_t n;
    snprintf(path, sizeof path, "%s/talk", dir);
    enum bise_status status = journal_open(&j, path, err);
    if (status == BISE_OK)
        status = write_two(&j, dir, err);
    if (status == BISE_OK) {
        status = read_back(&j, &n, err);
        if (status == BISE_OK && n != 2)
            status = BISE_STATUS_COUNT;
    }
    if (j.fd >= 0 && status == BISE_OK)
        status = journal_cut(&j, 0, err);
    records_free(&j.pending);
    journal_close(&j);
    snprintf(path, sizeof path, "%s/talk.journal", dir);
    if (remove(path) == 0 && status == BISE_OK && !fault_may_leave())
        status = BISE_STATUS_COUNT; /* an empty one is removed */
    return status;
}

const struct scenario journal_scenarios[] = {
    {"journal", NULL, run_journal, NULL, NULL,
     MEETS(OPEN) | MEETS(FLOCK) | MEETS(READ) | MEETS(WRITE) | MEETS(FSYNC) | MEETS(FTRUNCATE) |
         MEETS(UNLINK)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
