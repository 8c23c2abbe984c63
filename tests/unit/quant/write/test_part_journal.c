/* The journal of a file being written: what comes back after a stop, and what does not. */
#include "quant/write/part_journal.h"

#include "src/base/bytes.h"
#include "src/os/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct bise_error err;
static char path[] = "/tmp/bise-test-journal-XXXXXX";
static const char plan[] = "a header of some bytes";
static struct part_journal *j;

static void setup(void) {
    const int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
}

static void teardown(void) {
    part_journal_close(&j, true);
    unlink(path);
}

TestSuite(part_journal, .init = setup, .fini = teardown);

static size_t open_journal(const char *of, uint64_t source) {
    size_t n;
    cr_assert_eq(part_journal_open(&j, path, of, sizeof plan, source, &err), BISE_OK, "%s",
                 err.detail);
    part_journal_entries(j, &n);
    return n;
}

static struct part_entry entry(uint32_t i) {
    struct part_entry e = {i, i * 77, (float)i / 3, {0}};
    for (int k = 0; k < 16; k++)
        e.codebook[k] = (int8_t)(k - 8 * (int)(i % 3));
    return e;
}

static void add(uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) {
        const struct part_entry e = entry(i);
        cr_assert_eq(part_journal_add(j, &e, &err), BISE_OK, "%s", err.detail);
    }
}

static void check(size_t n) {
    size_t found;
    const struct part_entry *e = part_journal_entries(j, &found);
    cr_assert_eq(found, n, "%zu", found);
    for (uint32_t i = 0; i < n; i++) {
        const struct part_entry want = entry(i);
        cr_assert(e[i].tensor == i && e[i].crc == want.crc && e[i].error == want.error);
        cr_assert_arr_eq(e[i].codebook, want.codebook, 16);
    }
}

Test(part_journal, entries_come_back) {
    cr_assert_eq(open_journal(plan, 7), 0);
    add(0, 5);
    part_journal_close(&j, false);
    cr_assert_eq(open_journal(plan, 7), 5);
    check(5);
    add(5, 6);
    part_journal_close(&j, false);
    open_journal(plan, 7);
    check(6);
    part_journal_close(&j, true);
    cr_assert(!file_exists(path));
    part_journal_close(&j, true);
    part_journal_close(NULL, true);
}

Test(part_journal, another_plan_begins_anew) {
    static const char other[] = "a header of same bytes";
    open_journal(plan, 7);
    add(0, 3);
    part_journal_close(&j, false);
    cr_assert_eq(open_journal(other, 7), 0);
    add(0, 1);
    part_journal_close(&j, false);
    cr_assert_eq(open_journal(other, 8), 0); /* another source */
    part_journal_close(&j, false);
    cr_assert_eq(open_journal(plan, 7), 0); /* what there was is gone */
}

Test(part_journal, is_locked) {
    struct part_journal *second;
    open_journal(plan, 7);
    cr_assert_eq(part_journal_open(&second, path, plan, sizeof plan, 7, &err), BISE_ERR_IO);
    cr_assert_null(second);
    cr_assert(strstr(err.detail, "another process"), "%s", err.detail);
    add(0, 1);
    part_journal_close(&j, false);
    cr_assert_eq(open_journal(plan, 7), 1);
}

/* Cut anywhere, whole entries before the cut remain, and it goes on behind them. */
Test(part_journal, cut_at_every_byte) {
    uint8_t *bytes;
    size_t len;
    open_journal(plan, 7);
    add(0, 3);
    part_journal_close(&j, false);
    cr_assert_eq(file_read_whole(path, 1 << 16, &bytes, &len, &err), BISE_OK);
    cr_assert_eq(len, PART_HEADER + sizeof plan + 3 * PART_ENTRY);
    const size_t head = len - 3 * PART_ENTRY;
    for (size_t cut = 0; cut <= len; cut++) {
        FILE *f = fopen(path, "wb");
        cr_assert(f && fwrite(bytes, 1, cut, f) == cut && fclose(f) == 0);
        const size_t n = open_journal(plan, 7);
        cr_assert_eq(n, cut < head ? 0 : (cut - head) / PART_ENTRY, "%zu of %zu", n, cut);
        add((uint32_t)n, 4);
        part_journal_close(&j, false);
        open_journal(plan, 7);
        check(4);
        part_journal_close(&j, false);
    }
    free(bytes);
}

Test(part_journal, a_damaged_entry_ends_it) {
    uint8_t *bytes;
    size_t len;
    open_journal(plan, 7);
    add(0, 4);
    part_journal_close(&j, false);
    cr_assert_eq(file_read_whole(path, 1 << 16, &bytes, &len, &err), BISE_OK);
    for (size_t at = 0; at < len; at++) {
        bytes[at] ^= 1;
        FILE *f = fopen(path, "wb");
        cr_assert(f && fwrite(bytes, 1, len, f) == len && fclose(f) == 0);
        bytes[at] ^= 1;
        const size_t head = len - 4 * PART_ENTRY;
        cr_assert_eq(open_journal(plan, 7), at < head ? 0 : (at - head) / PART_ENTRY, "%zu", at);
        if (at == head) { /* entries behind it do not come back behind a new one */
            add(0, 1);
            part_journal_close(&j, false);
            cr_assert_eq(open_journal(plan, 7), 1);
        }
        part_journal_close(&j, false);
    }
    free(bytes);
}
