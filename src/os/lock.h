/* A file that one process at a time may have. */
#ifndef BISE_SRC_OS_LOCK_H
#define BISE_SRC_OS_LOCK_H

#include "src/base/error.h"

enum lock_result {
    LOCK_HELD,
    LOCK_BUSY,        /* another process has it */
    LOCK_UNSUPPORTED, /* this file system knows no locks: open, but others are not kept away */
    LOCK_FAILED,      /* the file cannot be opened: err says why */
};

/* Opens the file of this name as file_open_own does and locks it, until file_close or the end of
 * the process. While another process has it, asks again for up to `seconds` (a signal does not end
 * that); *fd is -1 unless held or unsupported. What is locked is the file that has the name: one
 * that was removed or replaced in the meantime is let go of. err is filled for LOCK_FAILED alone
 * (errors: IO, DISK). */
enum lock_result lock_open(const char *path, double seconds, int *fd, struct bise_error *err);
/* The same for a file that is open, without a look at its name; shared: with other readers. */
enum lock_result lock_file(int fd, bool shared, double seconds);

#endif
