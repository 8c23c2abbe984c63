/* Whole files, and paths. */
#ifndef BISE_SRC_OS_FILE_H
#define BISE_SRC_OS_FILE_H

#include "src/base/error.h"

/* The bytes of a regular file of at most max bytes, with a NUL behind them; *data is the caller's,
 * to be freed. Errors: IO, FORMAT (longer than max), MEMORY. */
enum bise_status file_read_whole(const char *path, size_t max, uint8_t **data, size_t *len,
                                 struct bise_error *err);
/* Opens a regular file for reading. Errors: IO (a folder, a device). */
enum bise_status file_open(const char *path, int *fd, uint64_t *size, struct bise_error *err);
/* Reads [at, at + len) whole. Errors: IO, FORMAT (the file ends before). */
enum bise_status file_read_at(int fd, const char *path, uint64_t at, void *buf, size_t len,
                              struct bise_error *err);
/* Writes all of it; 0 or an errno. */
int file_write_at(int fd, uint64_t at, const void *data, size_t len);

/* Puts the names of the file's folder on the disk. Some file systems cannot; the file itself is
 * safe then, and so nothing is said. */
void file_sync_folder(const char *path);

bool file_exists(const char *path);
bool file_is_folder(const char *path);
/* "folder/name" in memory of its own; NULL if there is none. */
char *file_join(const char *folder, const char *name);
/* The part behind the last '/'. */
const char *file_base(const char *path);

#endif
