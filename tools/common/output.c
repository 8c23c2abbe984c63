#include "tools/common/output.h"

#include "tools/common/interrupt.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool write_whole(int fd, const char *bytes, size_t n) {
    while (n) {
        if (!wait_output(fd))
            return false;
        /* A pipe that can be written takes PIPE_BUF bytes without waiting for its reader. */
        const ssize_t put = write(fd, bytes, n < PIPE_BUF ? n : PIPE_BUF);
        if (put < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (put < 0) {
            if (errno != EPIPE)
                fprintf(stderr, "bise: writing the answer failed: %s\n", strerror(errno));
            return false;
        }
        bytes += put;
        n -= (size_t)put;
    }
    return true;
}
