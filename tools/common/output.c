#include "tools/common/output.h"

#include "tools/common/interrupt.h"
#include "tools/common/tools.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int last_error; /* errno of the last write that failed */

bool write_whole(int fd, const char *bytes, size_t n) {
    while (n) {
        if (!wait_output(fd))
            return false;
        /* A pipe that can be written takes PIPE_BUF bytes without waiting for its reader. */
        const ssize_t put = write(fd, bytes, n < PIPE_BUF ? n : PIPE_BUF);
        if (put < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (put < 0) {
            last_error = errno;
            if (errno != EPIPE)
                complain("writing the answer failed: %s", strerror(errno));
            return false;
        }
        bytes += put;
        n -= (size_t)put;
    }
    return true;
}

int output_exit_code(void) {
    return last_error == ENOSPC || last_error == EDQUOT ? EXIT_MEMORY : EXIT_FAILED;
}
