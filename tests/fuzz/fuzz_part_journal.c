/* Journals of files being written. Bytes behind the header and plan that this target writes are
 * the input's: entries with and without a sound checksum. */
#include "quant/write/part_journal.h"

#include "src/base/bytes.h"
#include "src/base/crc32c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char plan[16] = "plan";

/* Whatever the file holds, it opens, and holds one entry more afterwards. */
static void reopen(const char *path) {
    const struct part_entry e = {.tensor = 3};
    struct bise_error err;
    struct part_journal *j = NULL;
    size_t n = 0, after = 0;
    if (part_journal_open(&j, path, plan, sizeof plan, 1, &err) != BISE_OK)
        return;
    part_journal_entries(j, &n);
    if (part_journal_add(j, &e, &err) != BISE_OK)
        abort();
    part_journal_close(&j, false);
    if (part_journal_open(&j, path, plan, sizeof plan, 1, &err) != BISE_OK)
        return;
    part_journal_entries(j, &after);
    part_journal_close(&j, false);
    if (after != n + 1)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    struct part_journal *j = NULL;
    const int fd = memfd_create("fuzz", 0);
    if (fd < 0)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (pwrite(fd, data, size, 0) == (ssize_t)size)
        reopen(path);
    if (ftruncate(fd, 0) == 0 && part_journal_open(&j, path, plan, sizeof plan, 1, NULL) == BISE_OK)
        part_journal_close(&j, false);
    const off_t end = lseek(fd, 0, SEEK_END);
    for (size_t at = 0; at + PART_ENTRY <= size; at += PART_ENTRY) {
        uint8_t entry[PART_ENTRY];
        memcpy(entry, data + at, sizeof entry);
        if (data[at] & 1)
            put_u32(entry + 28, crc32c(0, entry, 28));
        if (pwrite(fd, entry, sizeof entry, end + (off_t)at) != (ssize_t)sizeof entry)
            break;
    }
    reopen(path);
    close(fd);
    return 0;
}
