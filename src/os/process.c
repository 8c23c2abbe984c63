#include "src/os/process.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

long process_id(void) {
    return (long)getpid();
}

uint64_t process_random(void) {
    uint64_t number;
    struct timespec t;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) == (ssize_t)sizeof number)
        return number;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec << 30 ^ (uint64_t)t.tv_nsec ^ (uint64_t)getpid() << 48;
}
