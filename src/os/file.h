/* Whole files, open files, and where they lie. An open file is a number; -1 is none. */
#ifndef BISE_SRC_OS_FILE_H
#define BISE_SRC_OS_FILE_H

#include "src/base/error.h"

/* Says that doing something with path failed by errno's code; DISK where there is no room left for
 * it, MEMORY where there is no memory, IO otherwise. The one place that tells them apart. */
enum bise_status file_fail(const char *path, const char *doing, int code, struct bise_error *err);

/* ---- whole files ---- */

/* The bytes of a regular file of at most max bytes, with a NUL behind them; *data is the caller's,
 * to be freed.
 * Errors: IO, FORMAT (longer than max), MEMORY. */
enum bise_status file_read_whole(const char *path, size_t max, uint8_t **data, size_t *len,
                                 struct bise_error *err);

/* ---- open files ---- */

/* Opens a regular file for reading. Never waits: a pipe or a device is refused at once.
 * Errors: IO. */
enum bise_status file_open(const char *path, int *fd, uint64_t *size, struct bise_error *err);
/* Opens for reading and writing; where nothing has the name, an empty file of its owner's alone is
 * made. A symbolic link is not followed, and what is no regular file, or has a second name, is
 * refused: it is somebody else's. Errors: IO, DISK. */
enum bise_status file_open_own(const char *path, int *fd, struct bise_error *err);
/* Accepts -1; *fd is -1 afterwards. What was to be kept has been synced before. */
void file_close(int *fd);

/* Reads [at, at + len) whole. Errors: IO, FORMAT (the file ends before). */
enum bise_status file_read_at(int fd, const char *path, uint64_t at, void *buf, size_t len,
                              struct bise_error *err);
/* Reads as much of it as there is: *got is less than len at the end of the file alone. */
enum bise_status file_read_upto(int fd, const char *path, uint64_t at, void *buf, size_t len,
                                size_t *got, struct bise_error *err);
/* Writes all of it. Errors: IO, DISK. */
enum bise_status file_write_at(int fd, const char *path, uint64_t at, const void *data, size_t len,
                               struct bise_error *err);
/* Puts what was written on the disk. Errors: IO, DISK. */
enum bise_status file_sync(int fd, const char *path, struct bise_error *err);
enum bise_status file_size(int fd, const char *path, uint64_t *size, struct bise_error *err);
enum bise_status file_set_size(int fd, const char *path, uint64_t size, struct bise_error *err);
/* Makes the file size bytes long and takes the room now where the file system can, so that others
 * cannot. Errors: IO, DISK. */
enum bise_status file_reserve(int fd, const char *path, uint64_t size, struct bise_error *err);
/* What tells a file from others, and from itself after a change: its length, when it was last
 * written (seconds, nanoseconds), its number. False: unknown. */
bool file_mark(int fd, int64_t mark[4]);
/* Its owner's alone from here on, where the file system knows that. */
void file_make_private(int fd);
/* Whether path names the file that is open (it may have been removed or replaced). */
bool file_has_name(int fd, const char *path);
/* Tells the system that bytes [at, at + len) are not read again soon; len 0: up to the end. */
void file_forget(int fd, uint64_t at, uint64_t len);
/* Tells the system that the file is read from front to back. */
void file_read_ahead(int fd);

/* The first len bytes as memory that can be read, until file_unmap. Errors: IO, MEMORY. */
enum bise_status file_map(int fd, const char *path, size_t len, uint8_t **map,
                          struct bise_error *err);
void file_unmap(uint8_t *map, size_t len);
/* Percent of a mapping that is read from the disk when it is touched, as the page cache has it not:
 * one page of every 4 MiB is asked about. 0 where the system does not tell. */
int file_map_cold(const uint8_t *map, size_t len);

/* ---- names ---- */

/* Also where it cannot be found out: "not there" means just that, and opening it says why not. */
bool file_exists(const char *path);
bool file_is_folder(const char *path);
/* Whether what is there is no regular file: a pipe, a device, a folder. */
bool file_is_special(const char *path);
/* "folder/name" in memory of its own; NULL if there is none. */
char *file_join(const char *folder, const char *name);
/* The part behind the last '/'. */
const char *file_base(const char *path);
/* The folder that path lies in, "." where it names none; the caller's. NULL: no memory. */
char *file_folder(const char *path);
/* What a symbolic link leads to in the end, whether or not it is there yet; of anything else a copy
 * of path. The caller's. NULL: no memory. */
char *file_resolve(const char *path);
/* Errors: IO. What is not there is no error. */
enum bise_status file_remove(const char *path, struct bise_error *err);
/* Gives a file its name, in place of another's that has it. Errors: IO, DISK. */
enum bise_status file_rename(const char *from, const char *to, struct bise_error *err);
/* Puts the names of the file's folder on the disk. Some file systems cannot; the file itself is
 * safe then, and so nothing is said. */
void file_sync_folder(const char *path);
/* Bytes free on the disk that path lies, or would lie, on. Errors: IO, MEMORY. */
enum bise_status file_disk_room(const char *path, uint64_t *bytes, struct bise_error *err);
/* Bytes of the disk that the file takes, 0 where it is not there. */
uint64_t file_disk_use(const char *path);
/* Calls see for each name in a folder, in no order, until it returns false. Errors: IO. */
enum bise_status folder_list(const char *path, bool (*see)(void *arg, const char *name), void *arg,
                             struct bise_error *err);

#endif
