/* Preloaded: the file $CUT loses its end as soon as it is mapped. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void *mmap64(void *at, size_t len, int prot, int flags, int fd, off64_t offset) {
    void *(*const real)(void *, size_t, int, int, int, off64_t) =
        (void *(*)(void *, size_t, int, int, int, off64_t))dlsym(RTLD_NEXT, "mmap64");
    void *const map = real(at, len, prot, flags, fd, offset);
    const char *const path = getenv("CUT");
    struct stat cut, mapped;
    if (path && fd >= 0 && stat(path, &cut) == 0 && fstat(fd, &mapped) == 0 &&
        cut.st_ino == mapped.st_ino && truncate(path, 0) != 0)
        _exit(99);
    return map;
}
