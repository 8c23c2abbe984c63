/* A buffer as a file. */
#ifndef BISE_TOOLS_COMMON_WRITE_FILE_H
#define BISE_TOOLS_COMMON_WRITE_FILE_H

#include "src/bise.h"
#include "tools/common/buffer.h"

/* The file appears under its name only when it is whole (src/os/new_file.h). Errors: MEMORY (the
 * buffer has failed), IO, DISK. */
enum bise_status write_file(const char *path, const struct buffer *b, struct bise_error *err);

/* Whether a file could be made or replaced at path: to be asked before the work that fills it.
 * Leaves nothing. Returns an exit code, the fault said on stderr. */
int write_place(const char *path);

#endif
