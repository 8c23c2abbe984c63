#include "src/os/file.h"
#include "src/os/lock.h"
#include "src/os/new_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct bise_error err;

static void check_join(const char *folder, const char *name, const char *path) {
    char *joined = file_join(folder, name);
    cr_assert_str_eq(joined, path);
    free(joined);
}

Test(file, paths) {
    check_join("a", "b", "a/b");
    check_join("a/", "b", "a/b");
    check_join("/", "b", "/b");
    check_join("", "b", "b");
    cr_assert_str_eq(file_base("a/b/c.x"), "c.x");
    cr_assert_str_eq(file_base("c.x"), "c.x");
    cr_assert(file_is_folder("/tmp") && file_exists("/tmp"));
    cr_assert(!file_exists("/tmp/bise-no-such-file"));
}

Test(file, whole) {
    char path[] = "/tmp/bise-test-file-XXXXXX";
    uint8_t *data;
    size_t len;
    const int fd = mkstemp(path);
    cr_assert_eq(write(fd, "12345", 5), 5);
    close(fd);
    cr_assert_eq(file_read_whole(path, 5, &data, &len, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(len, 5);
    cr_assert_str_eq((char *)data, "12345"); /* a NUL behind them */
    free(data);
    cr_assert_eq(file_read_whole(path, 4, &data, &len, &err), BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "expected at most 4 bytes, found 5"), "%s", err.detail);
    cr_assert_null(data);
    cr_assert_eq(truncate(path, 0), 0);
    cr_assert_eq(file_read_whole(path, 4, &data, &len, &err), BISE_OK);
    cr_assert_eq(len, 0);
    free(data);
    unlink(path);
}

Test(file, at) {
    char path[] = "/tmp/bise-test-file-XXXXXX", bytes[4];
    int fd = mkstemp(path);
    uint64_t size;
    cr_assert_eq(write(fd, "12345", 5), 5);
    close(fd);
    cr_assert_eq(file_open(path, &fd, &size, &err), BISE_OK);
    cr_assert_eq(size, 5);
    cr_assert_eq(file_read_at(fd, path, 1, bytes, 4, &err), BISE_OK);
    cr_assert_eq(memcmp(bytes, "2345", 4), 0);
    cr_assert_eq(file_read_at(fd, path, 3, bytes, 4, &err), BISE_ERR_FORMAT);
    cr_assert(strstr(err.detail, "ends at byte 5, 2 bytes too early"), "%s", err.detail);
    close(fd);
    unlink(path);
}

Test(file, not_a_file) {
    int fd;
    uint64_t size;
    cr_assert_eq(file_open("/tmp", &fd, &size, &err), BISE_ERR_IO);
    cr_assert(strstr(err.detail, "/tmp: expected a regular file"), "%s", err.detail);
    cr_assert_eq(file_open("/tmp/bise-no-such-file", &fd, &size, &err), BISE_ERR_IO);
    cr_assert(strstr(err.detail, "No such file"), "%s", err.detail);
    cr_assert_eq(fd, -1);
}

/* What a killed run has left goes; what another is writing stays. */
Test(file, stale_temporary_files) {
    char folder[] = "/tmp/bise-test-file-XXXXXX", path[64], stale[100], held[100], other[100];
    struct new_file f, busy;
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a", folder);
    snprintf(stale, sizeof stale, "%s.bise-tmp-1234567890", path);
    snprintf(held, sizeof held, "%s.bise-tmp-1234567891", path);
    snprintf(other, sizeof other, "%s.bise-tmp-12x", path);
    const char *const made[] = {stale, held, other};
    for (int i = 0; i < 3; i++)
        fclose(fopen(made[i], "w"));
    cr_assert_eq(file_open_own(held, &busy.fd, &err), BISE_OK);
    cr_assert_eq(lock_file(busy.fd, false, 0), LOCK_HELD);
    cr_assert_eq(new_file_create(&f, path, NEW_FILE_SHARED, &err), BISE_OK, "%s", err.detail);
    cr_assert(!file_exists(stale) && file_exists(held) && file_exists(other));
    cr_assert_eq(new_file_finish(&f, &err), BISE_OK);
    new_file_abort(&f);
    cr_assert(file_exists(path));
    file_close(&busy.fd);
    unlink(path);
    unlink(held);
    unlink(other);
    rmdir(folder);
}

/* How much of a mapping is on the disk alone: after touching it, nothing. */
Test(file, cold) {
    enum { PIECES = 3, PIECE = 4 << 20 };
    char path[] = "/tmp/bise-test-file-XXXXXX";
    uint8_t *map = NULL;
    int fd = mkstemp(path);
    cr_assert_eq(ftruncate(fd, PIECES * PIECE), 0);
    cr_assert_eq(file_map(fd, path, PIECES * PIECE, &map, &err), BISE_OK, "%s", err.detail);
    const int before = file_map_cold(map, PIECES * PIECE);
    cr_assert(before >= 0 && before <= 100, "%d", before);
    volatile uint8_t sum = 0;
    for (size_t at = 0; at < PIECES * PIECE; at += PIECE)
        sum += map[at];
    cr_assert_eq(sum, 0);
    cr_assert_eq(file_map_cold(map, PIECES * PIECE), 0);
    cr_assert_eq(file_map_cold(map, 0), 0);
    file_unmap(map, PIECES * PIECE);
    file_close(&fd);
    unlink(path);
}
