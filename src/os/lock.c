#include "src/os/lock.h"

#include "src/os/clock.h"
#include "src/os/file.h"

#include <errno.h>
#include <sys/file.h>

#define PAUSE_SECONDS 0.02 /* between two tries for a lock that another process has */
#define MAX_REPLACED  100  /* times in a row that the file is not the one that has the name */

enum lock_result lock_file(int fd, bool shared, double seconds) {
    const double started = seconds_now();
    for (;;) {
        if (flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
            return LOCK_HELD;
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK) /* ENOLCK, EOPNOTSUPP, ENOSYS, EINVAL: by file system */
            return LOCK_UNSUPPORTED;
        if (seconds_now() - started >= seconds)
            return LOCK_BUSY;
        seconds_wait(PAUSE_SECONDS);
    }
}

enum lock_result lock_open(const char *path, double seconds, int *fd, struct bise_error *err) {
    for (int i = 0; i < MAX_REPLACED; i++) {
        if (file_open_own(path, fd, err) != BISE_OK)
            return LOCK_FAILED;
        const enum lock_result result = lock_file(*fd, false, seconds);
        if (result == LOCK_BUSY)
            file_close(fd);
        if (result == LOCK_BUSY || file_has_name(*fd, path))
            return result;
        file_close(fd); /* whoever had it before has removed or replaced it */
    }
    return LOCK_BUSY;
}
