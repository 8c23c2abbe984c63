/* The wrapped calls: each counts itself and fails when its turn has come. */
#include "tests/fault/fault.h"

#include "src/model/format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The linker's names for the real functions and for ours. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
DIR *__real_opendir(const char *path);
void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
int __real_madvise(void *at, size_t len, int advice);
int __real_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
int __real_open(const char *path, int flags, ...);
ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __real_pread(int fd, void *buf, size_t n, off_t offset);
ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __real_pwrite(int fd, const void *buf, size_t n, off_t offset);
int __real_rename(const char *from, const char *to);
int __real_fallocate(int fd, int mode, off_t from, off_t len);
int __real_ftruncate(int fd, off_t len);
int __real_close(int fd);
int __real_flock(int fd, int how);
int __real_fchmod(int fd, mode_t mode);
int __real_unlink(const char *path);
int __real_link(const char *from, const char *to);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __real_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
                 const sigset_t *mask);
int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __real_stat(const char *path, struct stat *st);
int __real_fstat(int fd, struct stat *st);
int __real_lstat(const char *path, struct stat *st);
int __real_statvfs(const char *path, struct statvfs *vfs);
int __real_access(const char *path, int how);
struct dirent *__real_readdir(DIR *folder);
ssize_t __real_readlink(const char *path, char *buf, size_t n);
int __real_pthread_attr_init(pthread_attr_t *attr);
int __real_pthread_attr_setstacksize(pthread_attr_t *attr, size_t n);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __real_regcomp(regex_t *pattern, const char *text, int flags);
long __real_syscall(long number, ...);
int __real_posix_fadvise(int fd, off_t from, off_t len, int advice);
ssize_t __real_getrandom(void *buf, size_t n, unsigned flags);
int __real_getrlimit(__rlimit_resource_t resource, struct rlimit *limit);
int __real_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __real_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set);
int __real_mincore(void *at, size_t len, unsigned char *pages);

#define REFUSE .live_with = false
#define LIVE   .live_with = true
const struct fault faults[] = {
    {"malloc", CALL_MALLOC, ENOMEM, REFUSE, .must_give = BISE_ERR_MEMORY},
    {"mmap", CALL_MMAP, ENOMEM, REFUSE, .must_give = BISE_ERR_MEMORY},
    {"madvise", CALL_MADVISE, EINVAL, LIVE},
    {"thread", CALL_THREAD, EAGAIN, REFUSE},
    {"open", CALL_OPEN, EACCES, REFUSE},
    {"read", CALL_READ, EIO, REFUSE},
    {"read_eof", CALL_READ, FAULT_EOF, REFUSE}, /* the file was cut while being read */
    {"read_short", CALL_READ, FAULT_SHORT, LIVE},
    {"read_intr", CALL_READ, EINTR, LIVE, .once = true},
    {"write", CALL_WRITE, ENOSPC, REFUSE, .must_give = BISE_ERR_DISK},
    {"write_quota", CALL_WRITE, EDQUOT, REFUSE, .must_give = BISE_ERR_DISK},
    {"write_io", CALL_WRITE, EIO, REFUSE, .must_give = BISE_ERR_IO},
    {"write_again", CALL_WRITE, EAGAIN, REFUSE, .once = true},
    {"write_short", CALL_WRITE, FAULT_SHORT, LIVE},
    {"write_intr", CALL_WRITE, EINTR, LIVE, .once = true},
    {"fsync", CALL_FSYNC, EIO, REFUSE, .must_give = BISE_ERR_IO},
    {"fsync_full", CALL_FSYNC, ENOSPC, REFUSE, .must_give = BISE_ERR_DISK},
    {"fsync_intr", CALL_FSYNC, EINTR, LIVE, .once = true},
    {"rename", CALL_RENAME, EACCES, REFUSE, .must_give = BISE_ERR_IO},
    {"fallocate", CALL_FALLOCATE, ENOSPC, REFUSE, .must_give = BISE_ERR_DISK},
    {"fallocate_unknown", CALL_FALLOCATE, EOPNOTSUPP, LIVE},
    {"fallocate_intr", CALL_FALLOCATE, EINTR, LIVE, .once = true},
    {"ftruncate", CALL_FTRUNCATE, EIO, REFUSE},
    {"ftruncate_intr", CALL_FTRUNCATE, EINTR, LIVE, .once = true},
    {"close", CALL_CLOSE, EIO, LIVE}, /* what is to last was synced before */
    {"close_intr", CALL_CLOSE, EINTR, LIVE},
    {"flock", CALL_FLOCK, ENOLCK, LIVE},
    {"flock_unknown", CALL_FLOCK, EOPNOTSUPP, LIVE},
    {"flock_intr", CALL_FLOCK, EINTR, LIVE, .once = true},
    {"flock_busy", CALL_FLOCK, EWOULDBLOCK, REFUSE},
    {"fchmod", CALL_FCHMOD, EPERM, LIVE},
    {"unlink", CALL_UNLINK, EACCES, REFUSE, .may_leave = true},
    {"link", CALL_LINK, EPERM, REFUSE},
    {"poll", CALL_POLL, ENOMEM, LIVE},
    {"poll_intr", CALL_POLL, EINTR, LIVE, .once = true},
    {"nanosleep_intr", CALL_NANOSLEEP, EINTR, LIVE},
    {"stat", CALL_STAT, EACCES, REFUSE, .may_leave = true},
    {"stat_io", CALL_STAT, EIO, REFUSE, .may_leave = true},
    {"readdir", CALL_READDIR, EIO, REFUSE, .may_leave = true},
    {"readlink", CALL_READLINK, EIO, REFUSE},
    {"setup", CALL_SETUP, ENOMEM, REFUSE, .must_give = BISE_ERR_MEMORY},
    {"stack", CALL_STACK, EINVAL, LIVE},
    {"futex_intr", CALL_FUTEX, EINTR, LIVE},
    {"advice", CALL_ADVICE, EINVAL, LIVE},
    {"asking", CALL_ASKING, ENOSYS, LIVE},
};
const size_t n_faults = sizeof faults / sizeof faults[0];

/* ---- whose turn it is -------------------------------------------------------------------- */

static _Atomic(const struct fault *) armed;
static atomic_uint calls_left; /* until the one that fails */
static atomic_bool armed_for_ever, may_leave;
static atomic_uint fired;
static atomic_long mapped;
static atomic_ulong calls[FAULT_CALLS];

void fault_arm(const struct fault *f, unsigned n, bool for_ever) {
    atomic_store(&fired, 0);
    atomic_store(&calls_left, n);
    atomic_store(&armed_for_ever, for_ever);
    atomic_store(&may_leave, f->may_leave);
    atomic_store(&armed, f);
}

bool fault_injected(void) {
    return atomic_load(&fired) > 0;
}

bool fault_may_leave(void) {
    return atomic_load(&may_leave);
}

unsigned fault_disarm(void) {
    atomic_store(&armed, NULL);
    return atomic_load(&fired);
}

unsigned long fault_calls(enum fault_call call) {
    return atomic_load(&calls[call]);
}

long fault_mapped_bytes(void) {
    return atomic_load(&mapped);
}

static _Thread_local bool exempt;

void fault_exempt(bool is) {
    exempt = is;
}

/* What this call fails by; 0 if it does not, else errno is set too. */
static int turn(enum fault_call call) {
    if (exempt)
        return 0;
    atomic_fetch_add(&calls[call], 1);
    const struct fault *const f = atomic_load(&armed);
    if (f == NULL || f->call != call)
        return 0;
    unsigned left = atomic_load(&calls_left); /* 0: all of them from here on */
    while (left > 0 && !atomic_compare_exchange_weak(&calls_left, &left, left - 1))
        ;
    if (left > 1)
        return 0;
    if (!atomic_load(&armed_for_ever))
        atomic_store(&armed, NULL);
    atomic_fetch_add(&fired, 1);
    if (f->code > 0)
        errno = f->code;
    return f->code;
}

/* ---- the order in which files go to the disk --------------------------------------------- */

#define MAX_DIRTY 64

/* Files and folders that have changed since they were synced. */
static struct {
    dev_t device;
    ino_t number;
} dirty[MAX_DIRTY];
static int n_dirty;
static const char *broken;
static pthread_mutex_t order_mutex = PTHREAD_MUTEX_INITIALIZER;

static int find_dirty(const struct stat *st) {
    for (int i = 0; i < n_dirty; i++)
        if (dirty[i].device == st->st_dev && dirty[i].number == st->st_ino)
            return i;
    return -1;
}

static void set_dirty(const struct stat *st, bool is) {
    pthread_mutex_lock(&order_mutex);
    const int i = find_dirty(st);
    if (is && i < 0 && n_dirty < MAX_DIRTY) {
        dirty[n_dirty].device = st->st_dev;
        dirty[n_dirty++].number = st->st_ino;
    } else if (!is && i >= 0) {
        dirty[i] = dirty[--n_dirty];
    }
    pthread_mutex_unlock(&order_mutex);
}

/* A file without a name is gone after a crash, whatever is on the disk. */
static void changed(int fd) {
    struct stat st;
    if (__real_fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 0)
        set_dirty(&st, true);
}

bool fault_is_dirty(const char *path) {
    struct stat st;
    return __real_stat(path, &st) != 0 || find_dirty(&st) >= 0;
}

void fault_order_begin(void) {
    n_dirty = 0;
    broken = NULL;
    atomic_store(&fired, 0);
}

/* A folder's new names must have gone to the disk too. */
static bool stat_folder(const char *path, struct stat *st) {
    char folder[4096];
    const char *const slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    return __real_stat(folder, st) == 0;
}

static dev_t renamed_device;
static ino_t renamed_folder; /* of the last rename; 0: none, or synced since */

const char *fault_order_broken(void) {
    if (broken == NULL && renamed_folder != 0)
        broken = "a folder that was not synced after a file got its name";
    renamed_folder = 0;
    return broken;
}

static void renaming(const char *from, const char *to) {
    struct stat st;
    if (__real_stat(from, &st) == 0 && find_dirty(&st) >= 0)
        broken = "a file that got its name before it was on the disk";
    if (stat_folder(to, &st)) {
        renamed_device = st.st_dev;
        renamed_folder = st.st_ino;
    }
}

/* The first bytes of a model say that the rest of it is there. */
static void writing(int fd, const void *buf, size_t n, off_t offset) {
    struct stat st;
    if (offset == 0 && n >= 8 && memcmp(buf, FORMAT_MAGIC, 8) == 0 && __real_fstat(fd, &st) == 0 &&
        find_dirty(&st) >= 0)
        broken = "a model's magic written before what it vouches for was on the disk";
}

/* ---- memory, threads ---------------------------------------------------------------------- */

void *__wrap_malloc(size_t size) {
    return turn(CALL_MALLOC) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
    return turn(CALL_MALLOC) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size) {
    return turn(CALL_MALLOC) ? NULL : __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    return turn(CALL_MALLOC) ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text) {
    return turn(CALL_MALLOC) ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n) {
    return turn(CALL_MALLOC) ? NULL : __real_strndup(text, n);
}

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset) {
    if (turn(CALL_MMAP))
        return MAP_FAILED;
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

int __wrap_madvise(void *at, size_t len, int advice) {
    return turn(CALL_MADVISE) ? -1 : __real_madvise(at, len, advice);
}

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg) {
    return turn(CALL_THREAD) ? EAGAIN : __real_pthread_create(id, attr, run, arg);
}

int __wrap_pthread_attr_init(pthread_attr_t *attr) {
    return turn(CALL_SETUP) ? ENOMEM : __real_pthread_attr_init(attr);
}

int __wrap_pthread_attr_setstacksize(pthread_attr_t *attr, size_t n) {
    return turn(CALL_STACK) ? EINVAL : __real_pthread_attr_setstacksize(attr, n);
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr) {
    return turn(CALL_SETUP) ? ENOMEM : __real_pthread_mutex_init(mutex, attr);
}

int __wrap_regcomp(regex_t *pattern, const char *text, int flags) {
    return turn(CALL_SETUP) ? REG_ESPACE : __real_regcomp(pattern, text, flags);
}

/* Of all that goes by this name, a futex's wait, which may end for no reason. */
long __wrap_syscall(long number, ...) {
    va_list args;
    long a[6];
    va_start(args, number);
    for (size_t i = 0; i < 6; i++) /* as libc's own reads them: registers */
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_futex && (int)a[1] == FUTEX_WAIT_PRIVATE && turn(CALL_FUTEX))
        return -1;
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- files -------------------------------------------------------------------------------- */

int __wrap_open(const char *path, int flags, ...) {
    if (turn(CALL_OPEN))
        return -1;
    va_list args;
    va_start(args, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    struct stat st;
    if (flags & O_CREAT && __real_lstat(path, &st) != 0 && stat_folder(path, &st))
        set_dirty(&st, true);
    return __real_open(path, flags, mode);
}

DIR *__wrap_opendir(const char *path) {
    return turn(CALL_OPEN) ? NULL : __real_opendir(path);
}

/* Whether a read or write of n bytes fails, with *result; else *n may have become less. */
static bool io_fails(enum fault_call call, size_t *n, ssize_t *result) {
    const int code = turn(call);
    *result = code == FAULT_EOF ? 0 : -1;
    if (code == FAULT_SHORT && *n > 1)
        *n /= 2;
    return code != 0 && code != FAULT_SHORT;
}

ssize_t __wrap_read(int fd, void *buf, size_t n) {
    ssize_t result;
    return io_fails(CALL_READ, &n, &result) ? result : __real_read(fd, buf, n);
}

ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t offset) {
    ssize_t result;
    return io_fails(CALL_READ, &n, &result) ? result : __real_pread(fd, buf, n, offset);
}

ssize_t __wrap_write(int fd, const void *buf, size_t n) {
    ssize_t result;
    if (io_fails(CALL_WRITE, &n, &result))
        return result;
    changed(fd);
    return __real_write(fd, buf, n);
}

ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t offset) {
    ssize_t result;
    if (io_fails(CALL_WRITE, &n, &result))
        return result;
    writing(fd, buf, n, offset);
    changed(fd);
    return __real_pwrite(fd, buf, n, offset);
}

/* The disk itself is left in peace: what counts is that it was asked. */
int __wrap_fsync(int fd) {
    struct stat st;
    if (turn(CALL_FSYNC))
        return -1;
    if (__real_fstat(fd, &st) != 0)
        return -1;
    set_dirty(&st, false);
    if (st.st_dev == renamed_device && st.st_ino == renamed_folder)
        renamed_folder = 0;
    return 0;
}

int __wrap_rename(const char *from, const char *to) {
    if (turn(CALL_RENAME))
        return -1;
    renaming(from, to);
    return __real_rename(from, to);
}

int __wrap_fallocate(int fd, int mode, off_t from, off_t len) {
    if (turn(CALL_FALLOCATE))
        return -1;
    changed(fd);
    return __real_fallocate(fd, mode, from, len);
}

int __wrap_ftruncate(int fd, off_t len) {
    if (turn(CALL_FTRUNCATE))
        return -1;
    changed(fd);
    return __real_ftruncate(fd, len);
}

/* As Linux does it: the descriptor is gone whatever is returned. */
int __wrap_close(int fd) {
    const int failed = turn(CALL_CLOSE), code = errno;
    const int result = __real_close(fd);
    if (failed)
        errno = code;
    return failed ? -1 : result;
}

static void (*flock_hook)(void);

void fault_before_flock(void (*hook)(void)) {
    flock_hook = hook;
}

int __wrap_flock(int fd, int how) {
    void (*const hook)(void) = flock_hook;
    flock_hook = NULL;
    if (hook)
        hook();
    return turn(CALL_FLOCK) ? -1 : __real_flock(fd, how);
}

int __wrap_fchmod(int fd, mode_t mode) {
    return turn(CALL_FCHMOD) ? -1 : __real_fchmod(fd, mode);
}

int __wrap_unlink(const char *path) {
    return turn(CALL_UNLINK) ? -1 : __real_unlink(path);
}

int __wrap_link(const char *from, const char *to) {
    return turn(CALL_LINK) ? -1 : __real_link(from, to);
}

int __wrap_stat(const char *path, struct stat *st) {
    return turn(CALL_STAT) ? -1 : __real_stat(path, st);
}

int __wrap_fstat(int fd, struct stat *st) {
    return turn(CALL_STAT) ? -1 : __real_fstat(fd, st);
}

int __wrap_lstat(const char *path, struct stat *st) {
    return turn(CALL_STAT) ? -1 : __real_lstat(path, st);
}

int __wrap_statvfs(const char *path, struct statvfs *vfs) {
    return turn(CALL_STAT) ? -1 : __real_statvfs(path, vfs);
}

int __wrap_access(const char *path, int how) {
    return turn(CALL_STAT) ? -1 : __real_access(path, how);
}

struct dirent *__wrap_readdir(DIR *folder) {
    return turn(CALL_READDIR) ? NULL : __real_readdir(folder);
}

ssize_t __wrap_readlink(const char *path, char *buf, size_t n) {
    return turn(CALL_READLINK) ? -1 : __real_readlink(path, buf, n);
}

int __wrap_posix_fadvise(int fd, off_t from, off_t len, int advice) {
    return turn(CALL_ADVICE) ? EINVAL : __real_posix_fadvise(fd, from, len, advice);
}

/* ---- what is asked of the system ----------------------------------------------------------- */

ssize_t __wrap_getrandom(void *buf, size_t n, unsigned flags) {
    return turn(CALL_ASKING) ? -1 : __real_getrandom(buf, n, flags);
}

int __wrap_getrlimit(__rlimit_resource_t resource, struct rlimit *limit) {
    return turn(CALL_ASKING) ? -1 : __real_getrlimit(resource, limit);
}

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set) {
    return turn(CALL_ASKING) ? -1 : __real_sched_getaffinity(pid, size, set);
}

int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set) {
    return turn(CALL_ASKING) ? -1 : __real_sched_setaffinity(pid, size, set);
}

int __wrap_mincore(void *at, size_t len, unsigned char *pages) {
    return turn(CALL_ASKING) ? -1 : __real_mincore(at, len, pages);
}

/* ---- waiting ------------------------------------------------------------------------------ */

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout) {
    return turn(CALL_POLL) ? -1 : __real_poll(fds, n, timeout);
}

int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
                 const sigset_t *mask) {
    return turn(CALL_POLL) ? -1 : __real_ppoll(fds, n, timeout, mask);
}

static atomic_long slept; /* nanoseconds that nobody has waited for */

int __wrap_nanosleep(const struct timespec *t, struct timespec *left) {
    (void)left;
    if (turn(CALL_NANOSLEEP))
        return -1;
    atomic_fetch_add(&slept, (long)t->tv_sec * 1000000000 + t->tv_nsec);
    return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t) {
    const int result = __real_clock_gettime(clock, t);
    const long total = atomic_load(&slept) + t->tv_nsec;
    t->tv_sec += total / 1000000000;
    t->tv_nsec = total % 1000000000;
    return result;
}

/* With 64-bit offsets glibc's headers give these calls a second name. */
#define SAME(name, of) extern __typeof__(of) name __attribute__((alias(#of)))
SAME(__wrap_mmap64, __wrap_mmap);
SAME(__wrap_stat64, __wrap_stat);
SAME(__wrap_fstat64, __wrap_fstat);
SAME(__wrap_lstat64, __wrap_lstat);
SAME(__wrap_statvfs64, __wrap_statvfs);
SAME(__wrap_readdir64, __wrap_readdir);
SAME(__wrap_getrlimit64, __wrap_getrlimit);
SAME(__wrap_posix_fadvise64, __wrap_posix_fadvise);
SAME(__wrap_open64, __wrap_open);
SAME(__wrap_pread64, __wrap_pread);
SAME(__wrap_pwrite64, __wrap_pwrite);
SAME(__wrap_fallocate64, __wrap_fallocate);
SAME(__wrap_ftruncate64, __wrap_ftruncate);
