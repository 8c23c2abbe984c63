/*
 * Fails system calls and allocations while a scenario runs: the Nth call of one kind, once or for
 * ever after, for N = 1, 2, ... as far as the scenario makes such calls. The linker routes the
 * calls here (mk/test.mk, --wrap); calls made inside libc are not seen.
 *
 * After every injected fault the scenario must come to an end with an error status and a detail,
 * or, where the fault is one to live with (a missing /sys file, an interrupted read), with the
 * right result. Nothing may be left behind: file descriptors, mappings, threads, files. Leaked
 * memory is reported by LeakSanitizer in make asan.
 *
 * Without a fault, what a scenario does to files must keep an order: nothing gets its name (rename)
 * before it is on the disk (fsync), and then the folder goes to the disk too.
 */
#ifndef BISE_TESTS_FAULT_FAULT_H
#define BISE_TESTS_FAULT_FAULT_H

#include "src/bise.h"

/* Calls that are wrapped. The names of those that go by one are all of its family. */
enum fault_call {
    CALL_MALLOC, /* malloc, calloc, realloc, aligned_alloc, strdup, strndup */
    CALL_MMAP,
    CALL_THREAD, /* pthread_create */
    CALL_OPEN,   /* open, opendir */
    CALL_READ,   /* read, pread */
    CALL_WRITE,  /* write, pwrite */
    CALL_FSYNC,
    CALL_RENAME,
    CALL_FALLOCATE,
    CALL_FTRUNCATE,
    CALL_CLOSE,
    CALL_FLOCK,
    CALL_FCHMOD,
    CALL_MADVISE,
    CALL_UNLINK,
    CALL_LINK,
    CALL_POLL, /* poll, ppoll */
    CALL_NANOSLEEP,
    CALL_STAT, /* stat, fstat, lstat, statvfs, access */
    CALL_READDIR,
    CALL_READLINK,
    CALL_SETUP,  /* pthread_attr_init, pthread_mutex_init, regcomp */
    CALL_STACK,  /* pthread_attr_setstacksize */
    CALL_FUTEX,  /* one that waits */
    CALL_ADVICE, /* posix_fadvise */
    CALL_ASKING, /* getrandom, getrlimit, sched_getaffinity, sched_setaffinity, mincore */
    FAULT_CALLS
};
#define MEETS(call) (1u << CALL_##call)

/* How a call fails. */
struct fault {
    const char *name;
    enum fault_call call;
    int code;           /* errno; FAULT_SHORT: half is read or written; FAULT_EOF: none is left */
    bool live_with;     /* the scenario must succeed all the same */
    bool once;          /* never for ever after: callers try again until it works */
    bool may_leave;     /* files may be left: they could not be removed */
    unsigned must_give; /* a bise_status that refusals have, 0: any */
};
#define FAULT_SHORT -1
#define FAULT_EOF   -2

extern const struct fault faults[];
extern const size_t n_faults;

/* From here on the nth call (1, 2, ...) fails so, and all that follow where for_ever. fault_disarm
 * says how often. */
void fault_arm(const struct fault *f, unsigned n, bool for_ever);
unsigned fault_disarm(void);
/* Whether one has failed since. */
bool fault_injected(void);
/* Whether the fault that is, or was last, armed keeps files from being removed. */
bool fault_may_leave(void);
/* Calls so far, failed ones included. */
unsigned long fault_calls(enum fault_call call);
/* Bytes mapped less bytes unmapped, so far. */
long fault_mapped_bytes(void);

/* Forgets what was seen of files; afterwards, what was not in order, NULL if all was. */
void fault_order_begin(void);
const char *fault_order_broken(void);
/* Whether the file has been written to, or in the folder a file been made, since it last went to
 * the disk. */
bool fault_is_dirty(const char *path);

/* Calls of this thread, which looks at what has come of a scenario, are its own: none fails. */
void fault_exempt(bool is);

/* Called once, before the next call of flock. */
void fault_before_flock(void (*hook)(void));

/*
 * A scenario: setup and teardown run without faults; run goes once through what is tested, closes
 * what it opened and returns the status of the first call that failed, its detail in err. It
 * checks its own results: a wrong one is BISE_STATUS_COUNT. dir is an empty folder of its own.
 * left_behind (may be NULL) is asked after a failed run whether a file looks finished. meets: calls
 * that it makes; one that it no longer makes is a failure of its own.
 */
struct scenario {
    const char *name;
    bool (*setup)(const char *dir);
    enum bise_status (*run)(const char *dir, struct bise_error *err);
    bool (*left_behind)(const char *dir);
    void (*teardown)(void);
    unsigned meets;
};

/* What all of them meet that write a file as a whole. */
#define MEETS_NEW_FILE                                                                             \
    (MEETS(OPEN) | MEETS(WRITE) | MEETS(FSYNC) | MEETS(RENAME) | MEETS(CLOSE) | MEETS(MALLOC))

/* Ends with a scenario whose name is NULL. */
extern const struct scenario feedback_scenarios[], source_scenarios[], journal_scenarios[],
    kl_base_scenarios[], pool_scenarios[], quantize_scenarios[], session_scenarios[],
    session_file_scenarios[], moments_scenarios[], text_scenarios[], tokenizer_scenarios[],
    writer_scenarios[], lock_scenarios[], edit_scenarios[];

/* A whole file in memory (malloc), NULL if it cannot be read; not counted as a call that may fail.
 */
uint8_t *fault_read_file(const char *path, size_t *len);
/* Whether dir/name exists. */
bool fault_file_exists(const char *dir, const char *name);

#endif
