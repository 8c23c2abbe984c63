/* Preloaded: before the first lock that is asked for, says so by making the file $FLOCK_AT and
 * waits until $FLOCK_GO is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

int flock(int fd, int how) {
    static int n_calls;
    int (*const real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
    if (n_calls++ == 0) {
        FILE *const at = fopen(getenv("FLOCK_AT"), "w");
        if (at)
            fclose(at);
        while (access(getenv("FLOCK_GO"), F_OK) != 0)
            usleep(1000);
    }
    return real(fd, how);
}
