/* A file written from its beginning to its end that appears under its name only when it is whole:
 * until then it is PATH.tmp-PID in the same folder. */
#ifndef BISE_SRC_OS_NEW_FILE_H
#define BISE_SRC_OS_NEW_FILE_H

#include "src/base/error.h"

struct new_file {
    char *path, *temp_path;
    int fd; /* -1: none */
};

/* Errors: IO (a place that cannot be written to; the path is no regular file), MEMORY. *f is to be
 * given to new_file_abort whatever happened. */
enum bise_status new_file_create(struct new_file *f, const char *path, struct bise_error *err);
/* Appends. Errors: IO, DISK. */
enum bise_status new_file_write(struct new_file *f, const void *data, size_t len,
                                struct bise_error *err);
/* Syncs the file, gives it its name and syncs the folder. Errors: IO, DISK. */
enum bise_status new_file_finish(struct new_file *f, struct bise_error *err);
/* Removes what is not finished and frees the rest. f may be all zero but for fd -1. */
void new_file_abort(struct new_file *f);

#endif
