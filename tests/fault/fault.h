/*
 * Fails the Nth call of one kind while a scenario runs, for N = 1, 2, ... until the scenario no
 * longer makes N such calls. The linker routes the calls here (mk/test.mk, --wrap); calls made
 * inside libc are not seen.
 *
 * After every injected fault the scenario must come to an end with an error status and a detail,
 * or, where the fault is one to live with (a missing /sys file, an interrupted read), with the
 * right result. Nothing may be left behind: file descriptors, mappings, threads, files. Leaked
 * memory is reported by LeakSanitizer in make asan.
 */
#ifndef BISE_TESTS_FAULT_FAULT_H
#define BISE_TESTS_FAULT_FAULT_H

#include "src/bise.h"

enum fault_kind {
    FAULT_MALLOC, /* malloc, calloc, realloc return NULL */
    FAULT_MMAP,   /* mmap: ENOMEM */
    FAULT_THREAD, /* pthread_create: EAGAIN */
    FAULT_OPEN,   /* open: EACCES */
    FAULT_READ,   /* read, pread: EIO */
    FAULT_EOF,    /* read, pread return 0: the file was cut while being read */
    FAULT_WRITE,  /* write, pwrite: ENOSPC */
    FAULT_FSYNC,  /* EIO */
    FAULT_RENAME, /* EACCES */
    /* From here on the scenario must succeed all the same. */
    FAULT_READ_SHORT,  /* read, pread give half of what was asked for */
    FAULT_READ_INTR,   /* read, pread: EINTR */
    FAULT_WRITE_SHORT, /* write, pwrite take half */
    FAULT_WRITE_INTR,  /* write, pwrite: EINTR */
    FAULT_KINDS
};

/* From here on the nth call (1, 2, ...) of kind fails. fault_disarm says whether there was one. */
void fault_arm(enum fault_kind kind, unsigned n);
bool fault_disarm(void);
/* Calls of a kind so far, failed ones included. */
unsigned long fault_calls(enum fault_kind kind);
/* Bytes mapped less bytes unmapped, so far. */
long fault_mapped_bytes(void);

/*
 * A scenario: setup and teardown run without faults; run goes once through what is tested, closes
 * what it opened and returns the status of the first call that failed, its detail in err. It
 * checks its own results: a wrong one is BISE_STATUS_COUNT. dir is an empty folder of its own.
 * left_behind (may be NULL) is asked after a failed run whether a file looks finished.
 */
struct scenario {
    const char *name;
    bool (*setup)(const char *dir);
    enum bise_status (*run)(const char *dir, struct bise_error *err);
    bool (*left_behind)(const char *dir);
    void (*teardown)(void);
};

/* Ends with a scenario whose name is NULL. */
extern const struct scenario feedback_scenarios[], source_scenarios[], journal_scenarios[],
    kl_base_scenarios[], pool_scenarios[], quantize_scenarios[], session_scenarios[],
    session_file_scenarios[], moments_scenarios[], text_scenarios[], tokenizer_scenarios[],
    writer_scenarios[];

/* A whole file in memory (malloc), NULL if it cannot be read; not counted as a call that may fail.
 */
uint8_t *fault_read_file(const char *path, size_t *len);
/* Whether dir/name exists. */
bool fault_file_exists(const char *dir, const char *name);

#endif
