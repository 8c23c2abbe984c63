/* The wrapped calls: each counts itself and fails when its turn has come. */
#include "tests/fault/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The linker's names for the real functions and for ours. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
int __real_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
int __real_open(const char *path, int flags, ...);
ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __real_pread(int fd, void *buf, size_t n, off_t offset);
ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __real_pwrite(int fd, const void *buf, size_t n, off_t offset);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);

static atomic_int armed_kind = -1;
static atomic_uint calls_left;
static atomic_bool fired;
static atomic_long mapped;
static atomic_ulong calls[FAULT_KINDS];

void fault_arm(enum fault_kind kind, unsigned n) {
    atomic_store(&fired, false);
    atomic_store(&calls_left, n);
    atomic_store(&armed_kind, (int)kind);
}

bool fault_disarm(void) {
    atomic_store(&armed_kind, -1);
    return atomic_load(&fired);
}

unsigned long fault_calls(enum fault_kind kind) {
    return atomic_load(&calls[kind]);
}

long fault_mapped_bytes(void) {
    return atomic_load(&mapped);
}

/* Whether this call is the one to fail. */
static bool my_turn(enum fault_kind kind) {
    atomic_fetch_add(&calls[kind], 1);
    if (atomic_load(&armed_kind) != (int)kind || atomic_fetch_sub(&calls_left, 1) != 1)
        return false;
    atomic_store(&armed_kind, -1);
    atomic_store(&fired, true);
    return true;
}

void *__wrap_malloc(size_t size) {
    return my_turn(FAULT_MALLOC) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
    return my_turn(FAULT_MALLOC) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size) {
    return my_turn(FAULT_MALLOC) ? NULL : __real_realloc(p, size);
}

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset) {
    if (my_turn(FAULT_MMAP)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *p = __real_mmap(at, len, prot, flags, fd, offset);
    if (p != MAP_FAILED)
        atomic_fetch_add(&mapped, (long)len);
    return p;
}

int __wrap_munmap(void *at, size_t len) {
    const int result = __real_munmap(at, len);
    if (result == 0)
        atomic_fetch_sub(&mapped, (long)len);
    return result;
}

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg) {
    return my_turn(FAULT_THREAD) ? EAGAIN : __real_pthread_create(id, attr, run, arg);
}

int __wrap_open(const char *path, int flags, ...) {
    if (my_turn(FAULT_OPEN)) {
        errno = EACCES;
        return -1;
    }
    va_list args;
    va_start(args, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return __real_open(path, flags, mode);
}

/* Decides how a read or write of n bytes fails: returns true with *result, or shortens *n. */
static bool io_fault(enum fault_kind fails, int code, enum fault_kind shortens,
                     enum fault_kind interrupts, size_t *n, ssize_t *result) {
    *result = -1;
    if (my_turn(fails)) {
        errno = code;
        return true;
    }
    if (my_turn(interrupts)) {
        errno = EINTR;
        return true;
    }
    if (*n > 1 && my_turn(shortens))
        *n /= 2;
    return false;
}

static bool read_fault(size_t *n, ssize_t *result) {
    if (io_fault(FAULT_READ, EIO, FAULT_READ_SHORT, FAULT_READ_INTR, n, result))
        return true;
    *result = 0;
    return my_turn(FAULT_EOF);
}

static bool write_fault(size_t *n, ssize_t *result) {
    return io_fault(FAULT_WRITE, ENOSPC, FAULT_WRITE_SHORT, FAULT_WRITE_INTR, n, result);
}

ssize_t __wrap_read(int fd, void *buf, size_t n) {
    ssize_t result;
    return read_fault(&n, &result) ? result : __real_read(fd, buf, n);
}

ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t offset) {
    ssize_t result;
    return read_fault(&n, &result) ? result : __real_pread(fd, buf, n, offset);
}

ssize_t __wrap_write(int fd, const void *buf, size_t n) {
    ssize_t result;
    return write_fault(&n, &result) ? result : __real_write(fd, buf, n);
}

ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t offset) {
    ssize_t result;
    return write_fault(&n, &result) ? result : __real_pwrite(fd, buf, n, offset);
}

int __wrap_fsync(int fd) {
    if (my_turn(FAULT_FSYNC)) {
        errno = EIO;
        return -1;
    }
    return __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to) {
    if (my_turn(FAULT_RENAME)) {
        errno = EACCES;
        return -1;
    }
    return __real_rename(from, to);
}

/* With 64-bit offsets glibc's headers give these calls a second name. */
#define SAME(name, of) extern __typeof__(of) name __attribute__((alias(#of)))
SAME(__wrap_mmap64, __wrap_mmap);
SAME(__wrap_open64, __wrap_open);
SAME(__wrap_pread64, __wrap_pread);
SAME(__wrap_pwrite64, __wrap_pwrite);
