/* A file that appears under its name only when it is whole and on the disk: until then it is
 * another file in the same folder, readable by its owner alone. Where the name is a symbolic link,
 * the file it leads to is the one that is replaced. */
#ifndef BISE_SRC_OS_NEW_FILE_H
#define BISE_SRC_OS_NEW_FILE_H

#include "src/base/error.h"

/* Who may read the finished file, where none is replaced (else: who may read that one). */
enum new_file_readers {
    NEW_FILE_SHARED, /* whoever the process lets read new files (its umask) */
    NEW_FILE_PRIVATE /* its owner alone */
};

struct new_file {
    char *path, *temp_path;
    int fd; /* of temp_path, for reading and writing; -1: none */
    enum new_file_readers readers;
    bool kept; /* new_file_abort leaves it where it is */
};

/* An empty file, PATH.bise-tmp-PID, locked, after those that killed runs have left are removed.
 * Errors: IO (a place that cannot be written to; the path is no regular file), DISK, MEMORY. *f
 * is to be given to new_file_abort whatever happened. */
enum bise_status new_file_create(struct new_file *f, const char *path,
                                 enum new_file_readers readers, struct bise_error *err);
/* The same, but PATH and suffix, which a later run finds again: what is there is kept, and
 * new_file_abort keeps it. What file_open_own refuses is refused. */
enum bise_status new_file_take_up(struct new_file *f, const char *path, const char *suffix,
                                  enum new_file_readers readers, struct bise_error *err);
/* The same without a name: gone when f is aborted or the process ends, however that ends; until
 * then temp_path opens it once more. Where the system knows no such files it has a name, which
 * new_file_abort removes. */
enum bise_status new_file_nameless(struct new_file *f, const char *path, struct bise_error *err);
/* Appends. Errors: IO, DISK. */
enum bise_status new_file_write(struct new_file *f, const void *data, size_t len,
                                struct bise_error *err);
/* Syncs the file, gives it its name and syncs the folder. Errors: IO, DISK. */
enum bise_status new_file_finish(struct new_file *f, struct bise_error *err);
/* All of these at once: a file with these bytes. Errors: IO, DISK, MEMORY; there is then none. */
enum bise_status new_file_whole(const char *path, enum new_file_readers readers, const void *data,
                                size_t len, struct bise_error *err);
/* Removes what is not finished, unless it is kept, and frees the rest. f may be all zero but for fd
 * -1. */
void new_file_abort(struct new_file *f);

#endif
