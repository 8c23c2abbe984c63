/* Faults while a file is locked, replaced through a link, listed and resolved. */
#include "src/os/lock.h"
#include "src/os/clock.h"
#include "src/os/file.h"
#include "src/os/new_file.h"
#include "tests/fault/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char locked[4096];

/* Another process ends just now: it removes its file, and a third one makes its own. */
static void replace_file(void) {
    FILE *f;
    if (remove(locked) == 0 && (f = fopen(locked, "w")) != NULL)
        fclose(f);
}

/* The lock is on the file that has the name, whoever took it away in between. */
static enum bise_status run_lock(const char *dir, struct bise_error *err) {
    int fd;
    snprintf(locked, sizeof locked, "%s/lock", dir);
    fault_before_flock(replace_file);
    const enum lock_result result = lock_open(locked, 0, &fd, err);
    fault_before_flock(NULL);
    enum bise_status s = result == LOCK_FAILED ? err->status : BISE_OK;
    fault_exempt(true);
    if (result == LOCK_BUSY)
        s = fd < 0 ? bise_fail(err, BISE_ERR_IO, "busy") : BISE_STATUS_COUNT;
    else if (result != LOCK_FAILED && !file_has_name(fd, locked))
        s = BISE_STATUS_COUNT;
    fault_exempt(false);
    if (s == BISE_OK)
        s = file_write_at(fd, locked, 0, "mine", 4, err);
    file_close(&fd);
    remove(locked);
    return s;
}

/* While another has it, it is asked for again. */
static enum bise_status run_contended(const char *dir, struct bise_error *err) {
    char path[4096];
    int first, second;
    snprintf(path, sizeof path, "%s/lock", dir);
    const enum lock_result held = lock_open(path, 0, &first, err);
    const double before = seconds_now();
    const enum lock_result again = lock_open(path, 0.03, &second, err);
    enum bise_status s = BISE_OK;
    if (held == LOCK_FAILED || again == LOCK_FAILED)
        s = err->status;
    else if (held == LOCK_HELD && again == LOCK_HELD) /* but not twice at a time */
        s = BISE_STATUS_COUNT;
    else if (again == LOCK_BUSY && held != LOCK_BUSY && seconds_now() - before < 0.03)
        s = BISE_STATUS_COUNT;
    file_close(&first);
    file_close(&second);
    remove(path);
    return s;
}

static bool setup_link(const char *dir) {
    char path[4096], to[4096];
    snprintf(to, sizeof to, "%s/target", dir);
    snprintf(path, sizeof path, "%s/link", dir);
    FILE *f = fopen(to, "w");
    const bool good = f && fputs("before", f) >= 0;
    return f && fclose(f) == 0 && good && symlink("target", path) == 0;
}

/* A file is replaced where the link leads to; after a failure it is the old one. */
static enum bise_status run_link(const char *dir, struct bise_error *err) {
    char path[4096];
    struct new_file f;
    struct stat st;
    snprintf(path, sizeof path, "%s/link", dir);
    enum bise_status s = new_file_create(&f, path, NEW_FILE_PRIVATE, err);
    fault_exempt(true);
    if (s == BISE_OK && (fstat(f.fd, &st) != 0 || (st.st_mode & 0777) != 0600))
        s = BISE_STATUS_COUNT;
    fault_exempt(false);
    if (s == BISE_OK)
        s = new_file_write(&f, "after", 5, err);
    if (s == BISE_OK)
        s = new_file_finish(&f, err);
    new_file_abort(&f);
    fault_exempt(true);
    const bool is_link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
    fault_exempt(false);
    if (!is_link)
        return BISE_STATUS_COUNT;
    char text[16] = "";
    FILE *now = fopen(path, "r");
    if (!now || !fgets(text, sizeof text, now) ||
        strcmp(text, s == BISE_OK ? "after" : "before") != 0)
        s = BISE_STATUS_COUNT;
    if (now)
        fclose(now);
    snprintf(path, sizeof path, "%s/target", dir);
    FILE *old = fopen(path, "w");
    if (!old || fputs("before", old) < 0 || fclose(old) != 0)
        return BISE_STATUS_COUNT;
    return s;
}

const struct scenario lock_scenarios[] = {
    {"lock", NULL, run_lock, NULL, NULL, MEETS(OPEN) | MEETS(FLOCK) | MEETS(CLOSE) | MEETS(WRITE)},
    {"lock_contended", NULL, run_contended, NULL, NULL, MEETS(OPEN) | MEETS(FLOCK) | MEETS(CLOSE)},
    {"new_file_link", setup_link, run_link, NULL, NULL, MEETS_NEW_FILE | MEETS(FCHMOD)},
    {NULL, NULL, NULL, NULL, NULL, 0},
};
