/* Files that are not there before they are whole, and those that never have a name. */
#include "src/os/file.h"
#include "src/os/lock.h"
#include "src/os/new_file.h"
#include "src/os/process.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct bise_error err;
static char folder[64], path[128];

static void setup(void) {
    strcpy(folder, "/tmp/bise-new-file-XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/x", folder);
}

static void teardown(void) {
    unlink(path);
    cr_assert_eq(rmdir(folder), 0, "something was left");
}

TestSuite(new_file, .init = setup, .fini = teardown);

static bool count(void *arg, const char *name) {
    *(int *)arg += name[0] != '.';
    return true;
}

static int files_there(void) {
    int n = 0;
    cr_assert_eq(folder_list(folder, count, &n, &err), BISE_OK, "%s", err.detail);
    return n;
}

Test(new_file, is_named_when_it_is_whole) {
    struct new_file f;
    struct stat st;
    cr_assert_eq(new_file_create(&f, path, NEW_FILE_SHARED, &err), BISE_OK, "%s", err.detail);
    cr_assert(fstat(f.fd, &st) == 0 && (st.st_mode & 0777) == 0600);
    cr_assert_eq(new_file_write(&f, "whole", 5, &err), BISE_OK);
    cr_assert(!file_exists(path));
    cr_assert_eq(new_file_finish(&f, &err), BISE_OK, "%s", err.detail);
    new_file_abort(&f);
    cr_assert(file_exists(path) && files_there() == 1);
}

Test(new_file, without_a_name) {
    struct new_file f;
    uint8_t *bytes;
    size_t n;
    cr_assert_eq(new_file_nameless(&f, path, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(files_there(), 0);
    cr_assert_eq(new_file_write(&f, "nameless", 8, &err), BISE_OK);
    cr_assert_eq(file_read_whole(f.temp_path, 100, &bytes, &n, &err), BISE_OK, "%s", err.detail);
    cr_assert(n == 8 && memcmp(bytes, "nameless", 8) == 0);
    free(bytes);
    new_file_abort(&f);
    cr_assert_eq(files_there(), 0);
}

/* A process of our number in another container is writing the same file: neither touches what the
 * other writes. */
Test(new_file, of_two_processes_with_one_number) {
    struct new_file f;
    char theirs[160];
    int fd;
    snprintf(theirs, sizeof theirs, "%s.bise-tmp-%ld", path, process_id());
    cr_assert_eq(file_open_own(theirs, &fd, &err), BISE_OK);
    cr_assert_eq(lock_file(fd, false, 0), LOCK_HELD);
    cr_assert_eq(new_file_create(&f, path, NEW_FILE_SHARED, &err), BISE_OK, "%s", err.detail);
    cr_assert(file_has_name(fd, theirs) && !file_has_name(f.fd, theirs));
    cr_assert_eq(new_file_finish(&f, &err), BISE_OK, "%s", err.detail);
    new_file_abort(&f);
    cr_assert(file_has_name(fd, theirs) && file_exists(path) && files_there() == 2);
    file_close(&fd);
    unlink(theirs);
}

/* Somebody tidies up while it is written: nothing else gets its name. */
Test(new_file, whose_name_was_taken_away) {
    struct new_file f;
    cr_assert_eq(new_file_create(&f, path, NEW_FILE_SHARED, &err), BISE_OK, "%s", err.detail);
    cr_assert_eq(unlink(f.temp_path), 0);
    char other[160];
    snprintf(other, sizeof other, "%s", f.temp_path);
    FILE *const made = fopen(other, "w");
    cr_assert(made != NULL && fclose(made) == 0);
    cr_assert_eq(new_file_finish(&f, &err), BISE_ERR_IO);
    cr_assert(strstr(err.detail, "removed or replaced") != NULL, "%s", err.detail);
    cr_assert(!file_exists(path));
    new_file_abort(&f);
    cr_assert_eq(unlink(other), 0, "what was not ours is gone");
}

Test(new_file, nowhere) {
    struct new_file f;
    char nowhere[160];
    snprintf(nowhere, sizeof nowhere, "%s/none/x", folder);
    cr_assert_eq(new_file_create(&f, nowhere, NEW_FILE_SHARED, &err), BISE_ERR_IO);
    new_file_abort(&f);
    cr_assert_eq(new_file_nameless(&f, nowhere, &err), BISE_ERR_IO);
    new_file_abort(&f);
}
